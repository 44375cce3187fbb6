//! Finding, scanning and counting.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use events::{Event, EventFilter, EventRef, Result, Scope, Visit};

use super::failure::{invalid, told};
use super::ids::ID_BYTES_MAX;
use super::layout::{self, EVENT_FAMILY, OWN_FAMILY, Stored};
use super::parallel::scan_table;
use super::{HbaseStore, or_nothing};
use crate::client::{Cause, Filter, Row, Scan};

/// What is read of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Columns {
    /// All there is.
    All,
    /// What a deed needs, and what decides on its place.
    Deed,
}

impl Columns {
    fn named(self) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
        let columns = |names: &[&[u8]]| names.iter().map(|name| name.to_vec()).collect();
        match self {
            Self::All => Vec::new(),
            Self::Deed => {
                let names: [&[u8]; 7] = [b"e", b"ety", b"eid", b"tety", b"teid", b"et", b"ct"];
                vec![
                    (EVENT_FAMILY.to_vec(), columns(&names)),
                    (OWN_FAMILY.to_vec(), columns(&[layout::OWN_ID])),
                ]
            }
        }
    }
}

/// What a find without entity may keep while it sorts.
const FIND_BYTES_MAX: usize = 1 << 30;
/// Rows that one call of a history brings; most have fewer.
const HISTORY_ROWS: u32 = 250;

/// A row with what decides on its place in a find.
#[derive(Debug)]
struct Held {
    time: i64,
    creation: i64,
    id: String,
    row: Row,
}

impl Held {
    fn of(row: &Row, event: &EventRef<'_>) -> Self {
        let (time, creation) = (event.event_time.millis, event.creation_time.millis);
        Self { time, creation, id: event.event_id.to_owned(), row: row.clone() }
    }

    fn place(&self) -> (i64, i64, &str) {
        (self.time, self.creation, &self.id)
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

/// Takes rows by time and gives events by time, creation time and id, as many as are wanted.
struct InOrder<'a> {
    filter: &'a EventFilter,
    left: usize,
    /// Rows of the same time.
    group: Vec<Held>,
    visit: Visit<'a>,
}

impl InOrder<'_> {
    fn take(&mut self, row: &Row) -> Result<ControlFlow<()>> {
        let Some(held) = matching(row, self.filter)? else { return Ok(ControlFlow::Continue(())) };
        let other_time = self.group.first().is_some_and(|first| first.time != held.time);
        if other_time && self.flush()?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        self.group.push(held);
        Ok(ControlFlow::Continue(()))
    }

    fn flush(&mut self) -> Result<ControlFlow<()>> {
        self.group.sort();
        if self.filter.reversed {
            self.group.reverse();
        }
        for held in self.group.drain(..) {
            if self.left == 0 {
                return Ok(ControlFlow::Break(()));
            }
            self.left -= 1;
            if (self.visit)(&Stored::of(&held.row)?.lend(&held.id)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(if self.left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

/// The row, if its event passes.
fn matching(row: &Row, filter: &EventFilter) -> Result<Option<Held>> {
    let stored = Stored::of(row)?;
    if !filter.matches(stored.event()) {
        return Ok(None);
    }
    let id = layout::id_in(row, &stored);
    Ok(Some(Held::of(row, &stored.lend(&id))))
}

/// Keys of an entity from one time to another; keys are unsigned, so both are on the same side of 1970.
fn range(prefix: &[u8; 16], from: i64, to: Option<i64>) -> (Vec<u8>, Vec<u8>) {
    let start = [&prefix[..], &from.to_be_bytes()].concat();
    let stop = match to {
        Some(to) => [&prefix[..], &to.to_be_bytes()].concat(),
        None if from < 0 => after(prefix),
        None => [&prefix[..], &i64::MIN.to_be_bytes()].concat(),
    };
    (start, stop)
}

/// The first key behind all that begin with `prefix`; empty if there is none.
pub(crate) fn after(prefix: &[u8; 16]) -> Vec<u8> {
    match u128::from_be_bytes(*prefix).checked_add(1) {
        Some(next) => next.to_be_bytes().to_vec(),
        None => Vec::new(),
    }
}

/// The ranges of keys that a find of an entity looks at, in its order.
fn ranges(prefix: &[u8; 16], filter: &EventFilter) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (start, until) = (filter.start.unwrap_or(i64::MIN), filter.until);
    let mut ranges = Vec::new();
    if start < 0 && until.is_none_or(|until| until > start) {
        ranges.push(range(prefix, start, until.filter(|until| *until < 0)));
    }
    if until.is_none_or(|until| until > 0 && until > start) {
        ranges.push(range(prefix, start.max(0), until));
    }
    if filter.reversed {
        ranges.reverse();
    }
    ranges
}

impl HbaseStore {
    pub(crate) fn event(&self, scope: Scope, id: &str) -> Result<Option<Event>> {
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return Ok(None);
        }
        let known = self.known(scope, &[id])?.pop().unwrap_or_default();
        // Of several, the one that the entry names counts.
        let current = known.rows.iter().find(|row| row.key() == known.current);
        let Some(row) = current.or(known.rows.first()) else { return Ok(None) };
        Stored::of(row)?.lend(id).to_event().map(Some)
    }

    pub(crate) fn find_events(&self, scope: Scope, filter: &EventFilter, visit: Visit<'_>) -> Result<()> {
        if filter.limit == Some(0) || filter.events.as_ref().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        match (&filter.entity_type, &filter.entity_id) {
            (Some(kind), Some(id)) => self.find_of_entity(scope, (kind, id), filter, Columns::All, visit),
            _ => self.find_anywhere(scope, filter, visit),
        }
    }

    /// One scan of the rows of an entity, or two if it may have some from before 1970.
    pub(crate) fn find_of_entity(
        &self,
        scope: Scope,
        entity: (&str, &str),
        filter: &EventFilter,
        columns: Columns,
        visit: Visit<'_>,
    ) -> Result<()> {
        let (table, prefix) = (self.table(scope), layout::prefix(entity.0, entity.1));
        let mut order =
            InOrder { filter, left: filter.limit.unwrap_or(usize::MAX), group: Vec::new(), visit };
        for (low, high) in ranges(&prefix, filter) {
            // No key is as short as these bounds, so whether they are inclusive does not matter.
            let (start, stop) = if filter.reversed { (high, low) } else { (low, high) };
            let scan = Scan {
                start,
                stop,
                reversed: filter.reversed,
                columns: columns.named(),
                rows_per_call: HISTORY_ROWS,
                cache: true,
                ..Scan::default()
            };
            let (mut outcome, mut ended) = (Ok(()), false);
            let take = &mut |row: &Row| {
                let flow = order.take(row);
                ended = !matches!(flow, Ok(ControlFlow::Continue(())));
                outcome = flow.map(|_| ());
                if ended { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            or_nothing(self.client.scan(&table, &scan, take))?;
            outcome?;
            if ended || order.flush()?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Everything is looked at, by the servers; what passes is sorted here.
    fn find_anywhere(&self, scope: Scope, filter: &EventFilter, visit: Visit<'_>) -> Result<()> {
        let scan = Scan { filter: pushed_down(filter), times: times(filter), ..Scan::default() };
        let limit = filter.limit.unwrap_or(usize::MAX);
        let (mut bytes, mut ascending, mut descending) = (0, BinaryHeap::new(), BinaryHeap::new());
        let keep = &mut |row: Row| {
            let Some(held) = matching(&row, filter)? else { return Ok(ControlFlow::Continue(())) };
            bytes += held.row.size();
            // The greatest of a heap goes first: the last of those that are wanted.
            let gone = if filter.reversed {
                descending.push(std::cmp::Reverse(held));
                if descending.len() > limit { descending.pop().map(|held| held.0) } else { None }
            } else {
                ascending.push(held);
                if ascending.len() > limit { ascending.pop() } else { None }
            };
            bytes -= gone.map_or(0, |held| held.row.size());
            if bytes > FIND_BYTES_MAX {
                let text = "more than 1 GiB of events match, and HBase cannot sort them: ask for one entity, for fewer \
                    events, or give a limit";
                return Err(invalid(text));
            }
            Ok(ControlFlow::Continue(()))
        };
        self.scan_rows(scope, &scan, keep)?;
        let mut held: Vec<Held> = ascending.into_vec();
        held.extend(descending.into_iter().map(|held| held.0));
        held.sort();
        if filter.reversed {
            held.reverse();
        }
        for held in held {
            if visit(&Stored::of(&held.row)?.lend(&held.id)).is_break() {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn scan_events(&self, scope: Scope, visit: Visit<'_>) -> Result<()> {
        self.scan_rows(scope, &Scan::default(), &mut |row| {
            let stored = Stored::of(&row)?;
            let id = layout::id_in(&row, &stored);
            Ok(visit(&stored.lend(&id)))
        })
    }

    /// All rows of a scope; none if it is not there.
    fn scan_rows(
        &self,
        scope: Scope,
        scan: &Scan,
        visit: &mut dyn FnMut(Row) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let table = self.table(scope);
        match self.client.region_starts(&table) {
            Err(error) if error.cause() == Cause::NoTable => Ok(()),
            Err(error) => Err(told(error)),
            Ok(_) => scan_table(&self.client, &table, scan, visit),
        }
    }

    /// Exact if there are few. Else as many as would be there if all keys were as dense as the first ones: they begin with a
    /// hash.
    pub(crate) fn count_events(&self, scope: Scope) -> Result<u64> {
        const SAMPLE: u32 = 20_000;
        let filter = Some(Filter::first_cell());
        let scan = Scan { filter, rows_per_call: SAMPLE, ..Scan::default() };
        let (mut rows, mut last) = (0_u32, 0_u64);
        let count = &mut |row: &Row| {
            rows += 1;
            last = row.key().first_chunk().map_or(u64::MAX, |bytes| u64::from_be_bytes(*bytes));
            if rows < SAMPLE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        or_nothing(self.client.scan(&self.table(scope), &scan, count))?;
        if rows < SAMPLE {
            return Ok(u64::from(rows));
        }
        let estimate = u128::from(rows) * (1 << 64) / (u128::from(last) + 1);
        Ok(u64::try_from(estimate).unwrap_or(u64::MAX))
    }
}

/// What servers can decide alone. They know nothing of what must be absent.
fn pushed_down(filter: &EventFilter) -> Option<Filter> {
    let equal = |qualifier: &[u8], text: &str| Filter::equal(EVENT_FAMILY, qualifier, text.as_bytes());
    let demanded = |target: &Option<Option<String>>| target.clone().flatten();
    let mut filters = Vec::new();
    filters.extend(filter.entity_type.as_deref().map(|kind| equal(b"ety", kind)));
    filters.extend(filter.entity_id.as_deref().map(|id| equal(b"eid", id)));
    filters.extend(demanded(&filter.target_type).map(|kind| equal(b"tety", &kind)));
    filters.extend(demanded(&filter.target_id).map(|id| equal(b"teid", &id)));
    let names = filter.events.iter().map(|names| names.iter().map(|name| equal(b"e", name)).collect());
    filters.extend(names.map(Filter::any));
    (!filters.is_empty()).then(|| Filter::all(filters))
}

/// The timestamps that the cells of matching events have.
fn times(filter: &EventFilter) -> Option<(i64, i64)> {
    if filter.start.is_none() && filter.until.is_none() {
        return None;
    }
    let from = filter.start.map_or(0, layout::timestamp);
    // What is before 1970 has 0.
    let to = filter.until.map_or(i64::MAX, |until| until.max(1));
    // HBase refuses a range that ends before it begins; what it then finds does not match.
    Some((from, to.max(from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_in_the_order_of_time() {
        let prefix = [7; 16];
        let of = |start, until, reversed| {
            ranges(&prefix, &EventFilter { start, until, reversed, ..EventFilter::default() })
        };
        let key = |time: i64| [&prefix[..], &time.to_be_bytes()].concat();
        let all = [(key(i64::MIN), after(&prefix)), (key(0), key(i64::MIN))];
        assert_eq!(of(None, None, false), all);
        assert_eq!(of(None, None, true), [all[1].clone(), all[0].clone()]);
        assert_eq!(of(Some(5), Some(9), false), [(key(5), key(9))]);
        assert_eq!(of(Some(-5), Some(9), false), [(key(-5), after(&prefix)), (key(0), key(9))]);
        assert_eq!(of(Some(-5), Some(-3), false), [(key(-5), key(-3))]);
        assert_eq!(of(Some(-5), Some(0), false), [(key(-5), after(&prefix))]);
        assert_eq!(of(Some(9), Some(5), false), []);
        assert_eq!(of(None, Some(i64::MIN), false), []);
        assert_eq!(after(&[0xFF; 16]), Vec::<u8>::new());
    }

    #[test]
    fn times_are_such_that_hbase_takes_them() {
        let of = |start, until| times(&EventFilter { start, until, ..EventFilter::default() });
        assert_eq!(of(None, None), None);
        assert_eq!(of(Some(5), None), Some((5, i64::MAX)));
        assert_eq!(of(Some(-5), Some(-3)), Some((0, 1)));
        assert_eq!(of(Some(9), Some(5)), Some((9, 9)));
    }
}
