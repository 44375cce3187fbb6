//! `models` and `engine_instances`: generations of models, and the trains that made them.

use std::sync::Arc;

use ::events::{EngineInstance, InstanceStatus};
use arblast::jobs::is_cancelled;
use arrow::array::{
    ArrayRef, BooleanBuilder, RecordBatch, StringBuilder, TimestampMillisecondBuilder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use stores::{Listed, Status};

use super::{Sight, is_choice};
use crate::sql::rows::{Out, Part, Projects, Rows, Wanted};

/// Which of the tables.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    Models,
    Instances,
}

/// A table.
#[derive(Debug)]
pub struct Records {
    sight: Arc<Sight>,
    of: Of,
    schema: SchemaRef,
}

impl Records {
    pub fn new(sight: Arc<Sight>, of: Of) -> Self {
        let schema = match of {
            Of::Models => models(),
            Of::Instances => instances(),
        };
        Self { sight, of, schema }
    }
}

impl Projects for Records {}

impl Rows for Records {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn applies(&self, filter: &Expr) -> bool {
        matches!(self.of, Of::Models) && is_choice(filter, &["app", "engine"])
    }

    fn parts(&self, wanted: &Wanted<'_>) -> Result<Vec<Part>> {
        let (sight, schema) = (Arc::clone(&self.sight), Arc::clone(&self.schema));
        Ok(match self.of {
            Of::Models => {
                let engines = sight.engines_for(wanted.filters);
                vec![Arc::new(move |out: &mut Out<'_>| {
                    let mut table = Filled::new(&schema);
                    for engine in &engines {
                        let (app, variant) = (&engine.config.app_name, &engine.config.variant);
                        for listed in arblast::models::of(&sight.storage, app, variant).list()?.iter().rev() {
                            table.model(app, variant, listed);
                        }
                    }
                    out.send(table.finish()).map(|_| ())
                })]
            }
            Of::Instances => vec![Arc::new(move |out: &mut Out<'_>| {
                let mut table = Filled::new(&schema);
                for run in sight.storage.registry.instances()? {
                    if sight.apps.iter().any(|app| app.name == run.app) {
                        table.instance(&run);
                    }
                }
                out.send(table.finish()).map(|_| ())
            })],
        })
    }
}

fn column(name: &str, kind: DataType, nullable: bool) -> Field {
    Field::new(name, kind, nullable)
}

fn moment() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

fn models() -> SchemaRef {
    use DataType::{Boolean, UInt64, Utf8};
    Arc::new(Schema::new(vec![
        column("app", Utf8, false),
        column("engine", Utf8, false),
        column("generation", UInt64, false),
        column("current", Boolean, false),
        column("status", Utf8, false),
        column("message", Utf8, true),
        column("digest", Utf8, true),
        column("items", UInt64, true),
        column("users", UInt64, true),
        column("correlators", UInt64, true),
        column("bytes", UInt64, true),
        column("engine_instance", Utf8, true),
        column("started", moment(), true),
        column("published", moment(), true),
    ]))
}

fn instances() -> SchemaRef {
    use DataType::{UInt64, Utf8};
    Arc::new(Schema::new(vec![
        column("app", Utf8, false),
        column("engine", Utf8, false),
        column("id", Utf8, false),
        column("status", Utf8, false),
        column("reason", Utf8, true),
        column("generation", UInt64, true),
        column("batch", Utf8, false),
        column("started", moment(), false),
        column("ended", moment(), true),
        column("report", Utf8, false),
    ]))
}

/// Cells row by row, by the types of a schema.
struct Filled {
    schema: SchemaRef,
    columns: Vec<Cells>,
    next: usize,
}

enum Cells {
    Text(StringBuilder),
    Number(UInt64Builder),
    Flag(BooleanBuilder),
    Moment(TimestampMillisecondBuilder),
}

impl Filled {
    fn new(schema: &SchemaRef) -> Self {
        let cells = |field: &Arc<Field>| match field.data_type() {
            DataType::UInt64 => Cells::Number(UInt64Builder::new()),
            DataType::Boolean => Cells::Flag(BooleanBuilder::new()),
            DataType::Timestamp(..) => Cells::Moment(TimestampMillisecondBuilder::new().with_timezone("UTC")),
            _ => Cells::Text(StringBuilder::new()),
        };
        Self { schema: Arc::clone(schema), columns: schema.fields().iter().map(cells).collect(), next: 0 }
    }

    /// The next column of the row, in turn.
    fn cells(&mut self) -> Option<&mut Cells> {
        let place = self.next % self.columns.len();
        self.next += 1;
        self.columns.get_mut(place)
    }

    fn text(&mut self, value: Option<&str>) {
        if let Some(Cells::Text(cells)) = self.cells() {
            cells.append_option(value);
        }
    }

    fn number(&mut self, value: Option<u64>) {
        if let Some(Cells::Number(cells)) = self.cells() {
            cells.append_option(value);
        }
    }

    fn flag(&mut self, value: bool) {
        if let Some(Cells::Flag(cells)) = self.cells() {
            cells.append_value(value);
        }
    }

    fn moment(&mut self, value: Option<i64>) {
        if let Some(Cells::Moment(cells)) = self.cells() {
            cells.append_option(value);
        }
    }

    fn model(&mut self, app: &str, engine: &str, listed: &Listed) {
        let (status, message) = match &listed.status {
            Status::Ready => ("ready", None),
            Status::Version(why) => ("version", Some(why.as_str())),
            Status::Corrupt(why) => ("corrupt", Some(why.as_str())),
        };
        let info = listed.info.as_ref();
        self.text(Some(app));
        self.text(Some(engine));
        self.number(Some(listed.generation));
        self.flag(listed.current);
        self.text(Some(status));
        self.text(message);
        self.text(info.map(|info| info.digest.as_str()));
        self.number(info.map(|info| u64::from(info.items)));
        self.number(info.map(|info| u64::from(info.users)));
        self.number(info.map(|info| info.correlators));
        self.number(info.map(|info| info.bytes));
        self.text(info.map(|info| info.trained.engine_instance.as_str()));
        self.moment(info.map(|info| info.trained.started_ms));
        self.moment(info.map(|info| info.trained.published_ms));
    }

    fn instance(&mut self, run: &EngineInstance) {
        let (status, reason) = match &run.status {
            InstanceStatus::Init => ("executing", None),
            InstanceStatus::Completed => ("successful", None),
            InstanceStatus::Failed(_) if is_cancelled(run) => ("cancelled", None),
            InstanceStatus::Failed(reason) => ("failed", Some(reason.as_str())),
        };
        self.text(Some(&run.app));
        self.text(Some(&run.variant));
        self.text(Some(&run.id));
        self.text(Some(status));
        self.text(reason);
        self.number(run.generation);
        self.text(Some(&run.batch));
        self.moment(Some(run.start_ms));
        self.moment((run.status != InstanceStatus::Init).then_some(run.end_ms));
        self.text(Some(&run.report));
    }

    fn finish(self) -> std::result::Result<RecordBatch, arrow::error::ArrowError> {
        let array = |cells| -> ArrayRef {
            match cells {
                Cells::Text(mut cells) => Arc::new(cells.finish()),
                Cells::Number(mut cells) => Arc::new(cells.finish()),
                Cells::Flag(mut cells) => Arc::new(cells.finish()),
                Cells::Moment(mut cells) => Arc::new(cells.finish()),
            }
        };
        RecordBatch::try_new(self.schema, self.columns.into_iter().map(array).collect())
    }
}
