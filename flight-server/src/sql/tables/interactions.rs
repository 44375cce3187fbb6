//! `interactions`: the events that an engine's indicators are made of, one row each.

use std::ops::ControlFlow;
use std::sync::Arc;

use ::events::{EventFilter, EventRef, Scope};
use arblast::deployable::Deployable;
use arblast::failure::Failure;
use arrow::array::{ArrayRef, RecordBatch, StringBuilder, TimestampMillisecondBuilder};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use columnar::schema;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use engine::EngineConfig;

use super::events::{read, within};
use super::{Sight, is_choice, with_columns};
use crate::sql::bounds::ROWS_MAX;
use crate::sql::filters::{self, Test};
use crate::sql::rows::{Out, Part, Projects, Rows, Wanted, constant};

/// Columns before those of [`schema::interactions`].
const BEFORE: [(&str, bool); 2] = [("app", false), ("engine", false)];
/// The roles that training gives to entities.
const USER: &str = "user";
const ITEM: &str = "item";

/// The table.
#[derive(Debug)]
pub struct Interactions {
    sight: Arc<Sight>,
    schema: SchemaRef,
}

impl Interactions {
    pub fn new(sight: Arc<Sight>) -> Self {
        Self { sight, schema: with_columns(&BEFORE, &schema::interactions()) }
    }
}

impl Projects for Interactions {}

impl Rows for Interactions {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn applies(&self, filter: &Expr) -> bool {
        match filters::test(filter) {
            Some(("user_id" | "item_id", Test::Among(texts))) => texts.len() == 1,
            Some(("event_time", Test::Moment(..))) => true,
            _ => is_choice(filter, &["app", "engine", "indicator"]),
        }
    }

    fn parts(&self, wanted: &Wanted<'_>) -> Result<Vec<Part>> {
        let mut parts: Vec<Part> = Vec::new();
        for engine in self.sight.engines_for(wanted.filters) {
            let scope = self.sight.scope(&engine.config.app_name);
            let Some((scope, filter)) = scope.zip(filter(&engine.config, wanted)) else { continue };
            let read = Read {
                sight: Arc::clone(&self.sight),
                schema: Arc::clone(&self.schema),
                engine,
                scope,
                filter,
            };
            parts.push(Arc::new(move |out| read.run(out)));
        }
        Ok(parts)
    }
}

/// What the store can leave out by itself; `None` = everything.
fn filter(config: &EngineConfig, wanted: &Wanted<'_>) -> Option<EventFilter> {
    let indicators = filters::among(wanted.filters, "indicator");
    let is_wanted = |name: &str| indicators.as_ref().is_none_or(|names| names.contains(name));
    let events = config.indicators.iter().filter(|indicator| is_wanted(&indicator.name));
    let events = events.flat_map(|indicator| indicator.event_names());
    let mut filter = EventFilter {
        entity_type: Some(USER.to_owned()),
        events: Some(events.map(str::to_owned).collect()),
        target_type: Some(Some(ITEM.to_owned())),
        limit: wanted.limit,
        ..EventFilter::default()
    };
    let one = |column| match filters::among(wanted.filters, column) {
        None => Some(None),
        Some(texts) if texts.len() > 1 => Some(None),
        Some(texts) => texts.into_iter().next().map(Some),
    };
    filter.entity_id = one("user_id")?;
    filter.target_id = one("item_id")?.map(Some);
    for test in filters::on(wanted.filters, "event_time") {
        if let Test::Moment(op, ms) = test {
            within(&mut filter, op, ms);
        }
    }
    Some(filter)
}

/// The interactions of one engine.
struct Read {
    sight: Arc<Sight>,
    schema: SchemaRef,
    engine: Arc<Deployable>,
    scope: Scope,
    filter: EventFilter,
}

#[derive(Default)]
struct Columns {
    indicators: StringBuilder,
    users: StringBuilder,
    items: StringBuilder,
    times: TimestampMillisecondBuilder,
    rows: usize,
}

impl Read {
    fn run(&self, out: &mut Out<'_>) -> std::result::Result<(), Failure> {
        let (mut columns, mut failure) = (Columns::default(), None);
        let store = self.sight.storage.events.as_ref();
        read(store, self.scope, &self.filter, &mut |event| {
            match event {
                None if out.is_unwanted() => return ControlFlow::Break(()),
                None => return ControlFlow::Continue(()),
                Some(event) => self.push(&mut columns, event),
            }
            if columns.rows < ROWS_MAX {
                return ControlFlow::Continue(());
            }
            out.send(self.batch(&mut columns)).unwrap_or_else(|error| {
                failure = Some(error);
                ControlFlow::Break(())
            })
        })?;
        match failure {
            Some(failure) => Err(failure),
            None => out.send(self.batch(&mut columns)).map(|_| ()),
        }
    }

    fn push(&self, columns: &mut Columns, event: &EventRef<'_>) {
        let config = &self.engine.config;
        let indicator = config.indicator_of(event.event).and_then(|place| config.indicators.get(place));
        if let (Some(indicator), Some((_, item))) = (indicator, event.target) {
            columns.indicators.append_value(&indicator.name);
            columns.users.append_value(event.entity_id);
            columns.items.append_value(item);
            columns.times.append_value(event.event_time.millis);
            columns.rows += 1;
        }
    }

    fn batch(&self, columns: &mut Columns) -> std::result::Result<RecordBatch, ArrowError> {
        let Columns { mut indicators, mut users, mut items, mut times, rows } = std::mem::take(columns);
        let config = &self.engine.config;
        let columns: Vec<ArrayRef> = vec![
            constant(Some(&config.app_name), rows),
            constant(Some(&config.variant), rows),
            Arc::new(indicators.finish()),
            Arc::new(users.finish()),
            Arc::new(items.finish()),
            Arc::new(times.finish().with_timezone("UTC")),
        ];
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}
