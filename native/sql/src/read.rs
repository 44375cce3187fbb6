//! Events by filter, in order, and all of them.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use events::{EventFilter, EventRef, Scope, Visit};

use crate::Sql;
use crate::address::Product;
use crate::connection::{Connection, Value};
use crate::dialect::COLUMNS;
use crate::fault::Done;
use crate::pool::Again;
use crate::record::{Kept, Place, Room, entity_hash, lend, order};
use crate::scopes::key;
use crate::zone;

/// Rows of the first page and of those after it.
const PAGE_FIRST: usize = 500;
const PAGE: usize = 5_000;
/// Of events that do not fit PredictionIO's tables, which may be large.
const PAGE_REST: usize = 16;
/// Of a scan.
const PAGE_SCAN: usize = 10_000;

/// Called per event by the parts of this crate.
pub(crate) type VisitLent<'a> = &'a mut dyn FnMut(&EventRef<'_>) -> Done<ControlFlow<()>>;

/// How much of an event is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Events,
    /// Without properties, tags and prediction.
    Deeds,
}

impl Wanted {
    fn columns(self, place: Place) -> String {
        let text = |column: &str| match (self, column, place) {
            (Self::Deeds, "properties" | "tags" | "prId", Place::Main) => "null".to_owned(),
            _ => column.to_owned(),
        };
        COLUMNS.map(text).join(", ")
    }
}

/// Where the next page begins.
#[derive(Debug, Clone)]
struct Last {
    times: (i64, i64),
    id: String,
}

/// What is asked of a table, without its page.
struct Question<'f> {
    /// `from … where …`
    source: String,
    values: Vec<Value<'f>>,
}

impl<'f> Question<'f> {
    fn and(&mut self, condition: &str, value: Value<'f>) {
        self.source.push_str(" and ");
        self.source.push_str(condition);
        self.values.push(value);
    }
}

impl Sql {
    /// `None` if the table can hold nothing of the kind. Filters of the database may let too much through: blanks at the
    /// end and case do not count there, and clocks that are set back make times uncertain.
    fn main_question<'f>(&self, scope: Scope, room: &Room, filter: &'f EventFilter) -> Option<Question<'f>> {
        let mut question =
            Question { source: format!("from {} where 1 = 1", self.main(scope)), values: Vec::new() };
        for (start, condition) in [(true, "eventTime >= ?"), (false, "eventTime <= ?")] {
            let Some(bound) = (if start { filter.start } else { filter.until }) else { continue };
            let slack = if zone::is_fixed(room.zone) { room.form.step_ms } else { zone::WIDEST_MS };
            let bound = if start { bound.saturating_sub(slack) } else { bound.saturating_add(slack) };
            // A bound beyond what the column holds says nothing, or lets nothing through.
            let civil = zone::civil(room.zone, bound).unwrap_or(bound);
            let range = room.civil_range();
            match (civil < range.start, civil >= range.end) {
                (true, _) if start => {}
                (_, true) if !start => {}
                (false, false) => question.and(condition, Value::Civil(civil * 1000)),
                _ => return None,
            }
        }
        let demanded = |wanted: &'f Option<Option<String>>| wanted.as_ref().and_then(Option::as_deref);
        let texts = [
            ("entityType = ?", filter.entity_type.as_deref()),
            ("entityId = ?", filter.entity_id.as_deref()),
            ("targetEntityType = ?", demanded(&filter.target_type)),
            ("targetEntityId = ?", demanded(&filter.target_id)),
        ];
        for (condition, text) in texts {
            let Some(text) = text else { continue };
            if !room.holds_text(text) {
                return None;
            }
            question.and(condition, Value::Text(text));
        }
        // Which target there is, and whether, is looked at here: an event with half a target has none.
        if let Some(names) = &filter.events {
            let names: Vec<&str> =
                names.iter().map(String::as_str).filter(|name| room.holds_text(name)).collect();
            if names.is_empty() {
                return None;
            }
            question.source.push_str(&format!(" and event in ({})", vec!["?"; names.len()].join(", ")));
            question.values.extend(names.into_iter().map(Value::Text));
        }
        Some(question)
    }

    fn rest_question<'f>(&self, scope: Scope, filter: &EventFilter) -> Question<'f> {
        let source = format!("from {} where app = ? and channel = ?", self.own("rest"));
        let mut question = Question { source, values: key(scope).to_vec() };
        if let Some((kind, id)) = filter.entity_type.as_ref().zip(filter.entity_id.as_ref()) {
            question.and("entity = ?", Value::Owned(entity_hash(kind, id)));
        }
        if let Some(start) = filter.start {
            question.and("eventTime >= ?", Value::Int(start));
        }
        if let Some(until) = filter.until {
            question.and("eventTime < ?", Value::Int(until));
        }
        question
    }

    /// Visits a page of a table and gives the number of its rows.
    #[expect(clippy::too_many_arguments, reason = "what a page is made of")]
    fn page(
        &self,
        connection: &mut dyn Connection,
        question: &Question<'_>,
        (place, wanted, reversed): (Place, Wanted, bool),
        room: &Room,
        last: &mut Option<Last>,
        size: usize,
        visit: VisitLent<'_>,
    ) -> Done<usize> {
        let id = match place {
            Place::Main => self.address().product.id_order(),
            Place::Rest => "id",
        };
        let (than, direction) = if reversed { ("<", " desc") } else { (">", "") };
        let (mut sql, mut values) =
            (format!("select {} {}", wanted.columns(place), question.source), question.values.clone());
        let before = last.take();
        if let Some(before) = &before {
            // The first condition is for the index.
            sql.push_str(&format!(
                " and eventTime {than}= ? and (eventTime, creationTime, {id}) {than} (?, ?, ?)"
            ));
            let time = |raw| if place == Place::Main { Value::Civil(raw) } else { Value::Int(raw) };
            let is_text = place == Place::Main && self.address().product == Product::Postgres;
            let key = if is_text { Value::Text(&before.id) } else { Value::Bytes(before.id.as_bytes()) };
            values.extend([time(before.times.0), time(before.times.0), time(before.times.1), key]);
        }
        sql.push_str(&format!(
            " order by eventTime{direction}, creationTime{direction}, {id}{direction} limit {size}"
        ));
        let mut rows = 0;
        connection.query(&sql, &values, &mut |row| {
            let (event, times) = lend(row, place, room.zone)?;
            rows += 1;
            if rows == size {
                *last = Some(Last { times, id: event.event_id.to_owned() });
            }
            visit(&event)
        })?;
        Ok(rows)
    }

    /// Visits matching events in order.
    pub(crate) fn visit_found(
        &self,
        scope: Scope,
        filter: &EventFilter,
        wanted: Wanted,
        visit: Visit<'_>,
    ) -> events::Result<()> {
        let entered = self.run(Again::Safe, |connection| self.enter(connection, scope))?;
        let Some(room) = entered else { return Ok(()) };
        let mut left = filter.limit.unwrap_or(usize::MAX);
        if left == 0 || filter.events.as_ref().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        let mut rest = Rest {
            sql: self,
            question: self.rest_question(scope, filter),
            room: &room,
            wanted,
            reversed: filter.reversed,
            last: None,
            kept: VecDeque::new(),
            is_done: false,
        };
        let mut pass = |event: &EventRef<'_>| {
            left -= 1;
            if visit(event).is_break() || left == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        rest.fill(filter)?;
        let mut stopped = false;
        if let Some(question) = self.main_question(scope, &room, filter) {
            let kinds = (Place::Main, wanted, filter.reversed);
            stopped =
                self.visit_main(scope, &question, kinds, &room, filter, &mut rest, &mut pass)?.is_break();
        }
        while !stopped {
            rest.fill(filter)?;
            let Some(event) = rest.kept.pop_front() else { break };
            stopped = pass(&event.lend()).is_break();
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one search")]
    fn visit_main(
        &self,
        scope: Scope,
        question: &Question<'_>,
        kinds: (Place, Wanted, bool),
        room: &Room,
        filter: &EventFilter,
        rest: &mut Rest<'_, '_>,
        pass: Visit<'_>,
    ) -> events::Result<ControlFlow<()>> {
        let most = filter.limit.unwrap_or(usize::MAX);
        let (mut last, mut size) = (None, PAGE_FIRST.min(most));
        loop {
            let (mut visited, mut flow) = (false, ControlFlow::Continue(()));
            // Repeated only as long as nobody has seen an event of the page.
            let again = Again::Safe;
            let before = last.clone();
            let rows = self.run(again, |connection| {
                last.clone_from(&before);
                let seen = &mut visited;
                let stop = &mut flow;
                let mut step = |event: &EventRef<'_>| {
                    if !filter.matches(event) {
                        return Ok(ControlFlow::Continue(()));
                    }
                    *seen = true;
                    *stop = rest.pass_before(event, filter, pass)?;
                    if stop.is_continue() {
                        *stop = pass(event);
                    }
                    Ok(*stop)
                };
                let page = self.page(connection, question, kinds, room, &mut last, size, &mut step);
                page.map_err(|fault| if visited { fault.once() } else { fault })
            });
            let rows = match rows {
                Err(error) if error.kind() == events::Kind::NotFound => {
                    self.forget(scope);
                    return Ok(ControlFlow::Continue(()));
                }
                rows => rows?,
            };
            if flow.is_break() || rows < size {
                return Ok(flow);
            }
            size = PAGE.min(most);
        }
    }

    /// Visits every event of one state.
    pub(crate) fn visit_all(
        &self,
        connection: &mut dyn Connection,
        scope: Scope,
        visit: VisitLent<'_>,
    ) -> Done<()> {
        let Some(room) = self.enter(connection, scope)? else { return Ok(()) };
        self.address().product.begin_snapshot(connection)?;
        let mut stopped = false;
        let mut step = |event: &EventRef<'_>| {
            let flow = visit(event)?;
            stopped = flow.is_break();
            Ok(flow)
        };
        let visited = match self.address().product {
            Product::Postgres => self.stream(connection, scope, &room, &mut step),
            Product::MySql => self.stream_by_id(connection, scope, &room, &mut step),
        };
        let visited = visited
            .and_then(|()| if stopped { Ok(()) } else { self.stream_rest(connection, scope, &room, visit) });
        let ended = connection.plain("commit");
        visited.and(ended)
    }

    /// In the order of the disk. By a cursor: what is not wanted any more need not be taken from the wire.
    fn stream(
        &self,
        connection: &mut dyn Connection,
        scope: Scope,
        room: &Room,
        visit: VisitLent<'_>,
    ) -> Done<()> {
        let (columns, table) = (COLUMNS.join(", "), self.main(scope));
        connection
            .plain(&format!("declare all_of_{table} no scroll cursor for select {columns} from {table}"))?;
        let sql = format!("fetch {PAGE_SCAN} from all_of_{table}");
        loop {
            let (mut rows, mut flow) = (0, ControlFlow::Continue(()));
            connection.query(&sql, &[], &mut |row| {
                rows += 1;
                flow = visit(&lend(row, Place::Main, room.zone)?.0)?;
                Ok(flow)
            })?;
            if flow.is_break() || rows < PAGE_SCAN {
                return Ok(());
            }
        }
    }

    /// By pages in the order of ids, which is that of the disk in MySQL; an answer that is not read to its end would have
    /// to be taken from the wire all the same.
    fn stream_by_id(
        &self,
        connection: &mut dyn Connection,
        scope: Scope,
        room: &Room,
        visit: VisitLent<'_>,
    ) -> Done<()> {
        let (columns, table) = (COLUMNS.join(", "), self.main(scope));
        let mut last: Option<String> = None;
        loop {
            let condition = if last.is_some() { "where id > ? " } else { "" };
            let sql = format!("select {columns} from {table} {condition}order by id limit {PAGE_SCAN}");
            let before = last.take();
            let values: Vec<Value<'_>> = before.iter().map(|id| Value::Text(id)).collect();
            let (mut rows, mut flow) = (0, ControlFlow::Continue(()));
            connection.query(&sql, &values, &mut |row| {
                let (event, _) = lend(row, Place::Main, room.zone)?;
                rows += 1;
                if rows == PAGE_SCAN {
                    last = Some(event.event_id.to_owned());
                }
                flow = visit(&event)?;
                Ok(flow)
            })?;
            if flow.is_break() || rows < PAGE_SCAN {
                return Ok(());
            }
        }
    }

    fn stream_rest(
        &self,
        connection: &mut dyn Connection,
        scope: Scope,
        room: &Room,
        visit: VisitLent<'_>,
    ) -> Done<()> {
        let sql =
            format!("select {} from {} where app = ? and channel = ?", COLUMNS.join(", "), self.own("rest"));
        connection.query(&sql, &key(scope), &mut |row| visit(&lend(row, Place::Rest, room.zone)?.0))
    }
}

/// Events of our table, in order, a few at a time.
struct Rest<'s, 'f> {
    sql: &'s Sql,
    question: Question<'f>,
    room: &'s Room,
    wanted: Wanted,
    reversed: bool,
    last: Option<Last>,
    kept: VecDeque<Kept>,
    is_done: bool,
}

impl Rest<'_, '_> {
    /// Reads on until there is an event that matches, or none.
    fn fill(&mut self, filter: &EventFilter) -> events::Result<()> {
        while self.kept.is_empty() && !self.is_done {
            let before = self.last.clone();
            let (mut kept, mut last) = (VecDeque::new(), None);
            let rows = self.sql.run(Again::Safe, |connection| {
                kept.clear();
                last.clone_from(&before);
                let kinds = (Place::Rest, self.wanted, self.reversed);
                self.sql.page(
                    connection,
                    &self.question,
                    kinds,
                    self.room,
                    &mut last,
                    PAGE_REST,
                    &mut |event| {
                        if filter.matches(event) {
                            kept.push_back(Kept::of(event));
                        }
                        Ok(ControlFlow::Continue(()))
                    },
                )
            })?;
            self.is_done = rows < PAGE_REST;
            (self.kept, self.last) = (kept, last);
        }
        Ok(())
    }

    /// Passes what comes before `event`.
    fn pass_before(
        &mut self,
        event: &EventRef<'_>,
        filter: &EventFilter,
        pass: Visit<'_>,
    ) -> Done<ControlFlow<()>> {
        loop {
            self.fill(filter)?;
            let Some(first) = self.kept.front() else { return Ok(ControlFlow::Continue(())) };
            let (mine, other) = (order(&first.lend()), order(event));
            if if self.reversed { mine < other } else { mine > other } {
                return Ok(ControlFlow::Continue(()));
            }
            if pass(&first.lend()).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            self.kept.pop_front();
        }
    }
}
