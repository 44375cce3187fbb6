//! `events`: everything that is stored of the apps that a client sees.

use std::ops::ControlFlow;
use std::sync::Arc;

use ::events::{EventFilter, EventStore, Scope};
use arblast::failure::Failure;
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use columnar::{EventRows, schema};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, Operator};

use super::{Sight, is_choice, with_columns};
use crate::sql::bounds::{PORTION_BYTES, ROWS_MAX};
use crate::sql::filters::{self, Test};
use crate::sql::rows::{Out, Part, Projects, Rows, Wanted, constant};

/// Events that are looked at before somebody asks whether they are still wanted.
const LOOK_EVERY: u32 = 4096;
/// Columns before those of [`schema::events`].
const BEFORE: [(&str, bool); 2] = [("app", false), ("channel", true)];

/// The table.
#[derive(Debug)]
pub struct Events {
    sight: Arc<Sight>,
    schema: SchemaRef,
}

impl Events {
    pub fn new(sight: Arc<Sight>) -> Self {
        Self { sight, schema: with_columns(&BEFORE, &schema::events()) }
    }
}

impl Projects for Events {
    const PROJECTS: bool = true;
}

impl Rows for Events {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn applies(&self, filter: &Expr) -> bool {
        const TEXTS: [&str; 3] = ["app", "channel", "event"];
        match filters::test(filter) {
            Some(("channel" | "target_entity_type" | "target_entity_id", Test::Absent)) => true,
            Some((
                "entity_type" | "entity_id" | "target_entity_type" | "target_entity_id",
                Test::Among(texts),
            )) => texts.len() == 1,
            Some(("event_time", Test::Moment(..))) => true,
            _ => is_choice(filter, &TEXTS),
        }
    }

    fn parts(&self, wanted: &Wanted<'_>) -> Result<Vec<Part>> {
        let (apps, channels) =
            (filters::among(wanted.filters, "app"), filters::among(wanted.filters, "channel"));
        let default_only = filters::on(wanted.filters, "channel").any(|test| test == Test::Absent);
        let filter = filter(wanted.filters, wanted.limit);
        let mut parts: Vec<Part> = Vec::new();
        for app in &self.sight.apps {
            for (channel, scope) in &app.scopes {
                let is_wanted = apps.as_ref().is_none_or(|apps| apps.contains(&app.name))
                    && channels
                        .as_ref()
                        .is_none_or(|names| channel.as_ref().is_some_and(|name| names.contains(name)))
                    && (!default_only || channel.is_none());
                if let (true, Some(filter)) = (is_wanted, &filter) {
                    let read = Read {
                        events: Arc::clone(&self.sight.storage.events),
                        scope: *scope,
                        app: app.name.clone(),
                        channel: channel.clone(),
                        columns: wanted.columns.to_vec(),
                        schema: Arc::new(self.schema.project(wanted.columns)?),
                        filter: filter.clone(),
                    };
                    parts.push(Arc::new(move |out| read.run(out)));
                }
            }
        }
        Ok(parts)
    }
}

/// What the store can leave out by itself; `None` = everything.
fn filter(filters: &[Expr], limit: Option<usize>) -> Option<EventFilter> {
    let mut wanted = EventFilter { limit, ..EventFilter::default() };
    wanted.events = filters::among(filters, "event").map(|names| names.into_iter().collect());
    for (column, test) in filters.iter().filter_map(filters::test) {
        let only = match &test {
            Test::Among(texts) if texts.len() == 1 => texts.first().cloned(),
            _ => None,
        };
        match (column, only, test) {
            ("entity_type", Some(text), _) => narrow(&mut wanted.entity_type, text)?,
            ("entity_id", Some(text), _) => narrow(&mut wanted.entity_id, text)?,
            ("target_entity_type", Some(text), _) => narrow(&mut wanted.target_type, Some(text))?,
            ("target_entity_id", Some(text), _) => narrow(&mut wanted.target_id, Some(text))?,
            ("target_entity_type", _, Test::Absent) => narrow(&mut wanted.target_type, None)?,
            ("target_entity_id", _, Test::Absent) => narrow(&mut wanted.target_id, None)?,
            ("event_time", _, Test::Moment(op, ms)) => within(&mut wanted, op, ms),
            _ => {}
        }
    }
    Some(wanted)
}

/// `None` if no event can have both values.
fn narrow<T: PartialEq>(wanted: &mut Option<T>, value: T) -> Option<()> {
    match wanted {
        Some(other) if *other != value => None,
        _ => {
            *wanted = Some(value);
            Some(())
        }
    }
}

pub(super) fn within(wanted: &mut EventFilter, op: Operator, ms: i64) {
    let start = match op {
        Operator::GtEq | Operator::Eq => Some(ms),
        Operator::Gt => Some(ms.saturating_add(1)),
        _ => None,
    };
    let until = match op {
        Operator::Lt => Some(ms),
        Operator::LtEq | Operator::Eq => Some(ms.saturating_add(1)),
        _ => None,
    };
    wanted.start = wanted.start.max(start);
    wanted.until = match (wanted.until, until) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
}

/// One scope of the store.
struct Read {
    events: Arc<dyn EventStore>,
    scope: Scope,
    app: String,
    channel: Option<String>,
    /// Places in the table.
    columns: Vec<usize>,
    schema: SchemaRef,
    filter: EventFilter,
}

impl Read {
    fn run(&self, out: &mut Out<'_>) -> std::result::Result<(), Failure> {
        let of_event: Vec<usize> =
            self.columns.iter().filter_map(|column| column.checked_sub(BEFORE.len())).collect();
        let rows = EventRows::new(&of_event).map_err(internal)?;
        let mut filling = Filling { read: self, out, rows, failure: None };
        read(self.events.as_ref(), self.scope, &self.filter, &mut |event| filling.push(event))?;
        filling.end()
    }

    /// With the columns that are not of the event.
    fn complete(&self, batch: RecordBatch) -> std::result::Result<RecordBatch, ArrowError> {
        let rows = batch.num_rows();
        let mut of_event = batch.columns().iter();
        let columns = self.columns.iter().map(|place| match place {
            0 => Some(constant(Some(&self.app), rows)),
            1 => Some(constant(self.channel.as_deref(), rows)),
            _ => of_event.next().cloned(),
        });
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns.flatten().collect(), &options)
    }
}

/// Visits the events that pass, in any order: by the index of an entity if one is named, else all of them as they lie.
pub(super) fn read(
    events: &dyn EventStore,
    scope: Scope,
    filter: &EventFilter,
    visit: &mut dyn FnMut(Option<&::events::EventRef<'_>>) -> ControlFlow<()>,
) -> std::result::Result<(), Failure> {
    if filter.entity_type.is_some() && filter.entity_id.is_some() {
        return Ok(events.find(scope, filter, &mut |event| visit(Some(event)))?);
    }
    let (mut left, mut seen) = (filter.limit.unwrap_or(usize::MAX), 0_u32);
    Ok(events.scan(scope, &mut |event| {
        seen = seen.wrapping_add(1);
        if seen.is_multiple_of(LOOK_EVERY) && visit(None).is_break() {
            return ControlFlow::Break(());
        }
        if !filter.matches(event) {
            return ControlFlow::Continue(());
        }
        if left == 0 {
            return ControlFlow::Break(());
        }
        left -= 1;
        visit(Some(event))
    })?)
}

/// Events on their way into batches.
struct Filling<'a, 'o> {
    read: &'a Read,
    out: &'a mut Out<'o>,
    rows: EventRows,
    failure: Option<Failure>,
}

impl Filling<'_, '_> {
    /// `None`: nothing passed for a while.
    fn push(&mut self, event: Option<&::events::EventRef<'_>>) -> ControlFlow<()> {
        let Some(event) = event else {
            return if self.out.is_unwanted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        };
        self.rows.push(event);
        if self.rows.len() < ROWS_MAX && self.rows.bytes() < PORTION_BYTES {
            return ControlFlow::Continue(());
        }
        self.send()
    }

    fn send(&mut self) -> ControlFlow<()> {
        let batch = self.rows.finish().and_then(|batch| self.read.complete(batch));
        match self.out.send(batch) {
            Ok(flow) => flow,
            Err(failure) => {
                self.failure = Some(failure);
                ControlFlow::Break(())
            }
        }
    }

    fn end(mut self) -> std::result::Result<(), Failure> {
        if self.failure.is_none() && !self.rows.is_empty() {
            let _ = self.send();
        }
        self.failure.map_or(Ok(()), Err)
    }
}

fn internal(error: ArrowError) -> Failure {
    Failure::new(::events::Kind::Internal, error.to_string())
}
