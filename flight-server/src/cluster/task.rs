//! What is to be done, and how it is written down for executors.

use std::sync::{Arc, LazyLock};

use arblast::failure::{Failure, Result};
use arrow::array::{Array, ArrayRef, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use events::json::{self, Object};
use events::{Json, Kind};

/// What all tasks of a job share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// URL of the folder where each task leaves a file of its name.
    pub folder: String,
    /// What they do.
    pub what: What,
}

/// A kind of task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Reads the lines that begin in a range of bytes of a file, or a range of row groups, into a portion.
    Read {
        /// Text of the engine file, without its secrets.
        engine: String,
        /// Time of training, ms since 1970.
        now_ms: i64,
        /// How files are written.
        format: Format,
        /// Count what is no event instead of failing?
        skip_bad: bool,
    },
    /// Counts a range of items under an indicator.
    Count {
        /// Parts of the users that counts are summed up over; 0: all of them at once.
        parts: u32,
        /// Interactions of all users.
        cells: u64,
    },
}

/// How events are written in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line of event JSON each; `.gz` is unpacked
    Json,
    /// Columns named as the members of events
    Parquet,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Parquet => "parquet",
        }
    }
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Task {
    /// Its file in the folder.
    pub name: String,
    /// `Read`: URLs of files, a line each. `Count`: number of the indicator.
    pub source: String,
    /// `Read`: first byte or row group; several files are read whole. `Count`: first item.
    pub first: u64,
    /// The one after the last.
    pub end: u64,
}

/// What a file says of the task that failed.
const FAILED: &str = ".failed";

impl Task {
    /// The file where it leaves why it failed.
    pub fn failure_file(&self) -> String {
        format!("{}{FAILED}", self.name)
    }

    /// Columns of tasks: `task`, `source`, `first`, `end`.
    pub fn schema() -> SchemaRef {
        static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
            let text = |name| Field::new(name, DataType::Utf8, false);
            let number = |name| Field::new(name, DataType::UInt64, false);
            Arc::new(Schema::new(vec![text("task"), text("source"), number("first"), number("end")]))
        });
        Arc::clone(&SCHEMA)
    }

    /// One row.
    ///
    /// # Errors
    /// Never: the columns are those of the schema.
    pub fn to_batch(&self) -> Result<RecordBatch> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec![self.name.as_str()])),
            Arc::new(StringArray::from(vec![self.source.as_str()])),
            Arc::new(UInt64Array::from(vec![self.first])),
            Arc::new(UInt64Array::from(vec![self.end])),
        ];
        RecordBatch::try_new(Self::schema(), columns)
            .map_err(|error| Failure::new(Kind::Internal, format!("tasks: {error}")))
    }

    /// The rows of a batch; `None` if it has other columns.
    pub fn of_batch(batch: &RecordBatch) -> Option<Vec<Self>> {
        let column = |index: usize| batch.columns().get(index).map(|column| column.as_any());
        let text = |index| column(index)?.downcast_ref::<StringArray>();
        let number = |index| column(index)?.downcast_ref::<UInt64Array>();
        let (names, sources, firsts, ends) = (text(0)?, text(1)?, number(2)?, number(3)?);
        let task = |row| Self {
            name: names.value(row).to_owned(),
            source: sources.value(row).to_owned(),
            first: firsts.value(row),
            end: ends.value(row),
        };
        Some((0..names.len()).map(task).collect())
    }
}

impl Work {
    pub fn to_json(&self) -> Object {
        let object = Object::new().with("folder", self.folder.as_str());
        match &self.what {
            What::Read { engine, now_ms, format, skip_bad } => object
                .with("do", "read")
                .with("engine", engine.as_str())
                .with("now", *now_ms)
                .with("format", format.name())
                .with("skipBad", *skip_bad),
            What::Count { parts, cells } => {
                object.with("do", "count").with("parts", *parts).with("cells", *cells)
            }
        }
    }

    /// What [`to_json`](Self::to_json) wrote; `None` if it is no such thing.
    pub fn from_json(text: &[u8]) -> Option<Self> {
        let json = json::parse(text).ok()?;
        let text = |name: &str| json.get(name).and_then(Json::as_str).map(str::to_owned);
        let number = |name: &str| json.get(name).and_then(Json::as_i64);
        let what = match text("do")?.as_str() {
            "read" => What::Read {
                engine: text("engine")?,
                now_ms: number("now")?,
                format: [Format::Json, Format::Parquet]
                    .into_iter()
                    .find(|format| text("format").as_deref() == Some(format.name()))?,
                skip_bad: json.get("skipBad")?.as_bool()?,
            },
            "count" => What::Count {
                parts: u32::try_from(number("parts")?).ok()?,
                cells: u64::try_from(number("cells")?).ok()?,
            },
            _ => return None,
        };
        Some(Self { folder: text("folder")?, what })
    }
}

/// Why a task failed, as it leaves it for the driver.
pub fn failure_to_json(failure: &Failure) -> String {
    let kind = KINDS.iter().find(|(kind, _)| *kind == failure.kind()).map_or("internal", |(_, name)| *name);
    Object::new().with("kind", kind).with("message", failure.to_string()).to_string()
}

/// What [`failure_to_json`] wrote; `None` if it is no such thing.
pub fn failure_from_json(text: &[u8]) -> Option<Failure> {
    let json = json::parse(text).ok()?;
    let name = json.get("kind").and_then(Json::as_str)?;
    let (kind, _) = KINDS.iter().find(|(_, other)| *other == name)?;
    Some(Failure::new(*kind, json.get("message").and_then(Json::as_str)?))
}

const KINDS: [(Kind, &str); 7] = [
    (Kind::Invalid, "invalid"),
    (Kind::Denied, "denied"),
    (Kind::NotFound, "notFound"),
    (Kind::Unavailable, "unavailable"),
    (Kind::Version, "version"),
    (Kind::Corrupt, "corrupt"),
    (Kind::Internal, "internal"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_tasks_survive_the_way() {
        let read = What::Read {
            engine: "{\"a\": \"ü\"}".to_owned(),
            now_ms: -5,
            format: Format::Parquet,
            skip_bad: true,
        };
        for what in [read, What::Count { parts: 7, cells: 1 << 40 }] {
            let work = Work { folder: "file:///a/b".to_owned(), what };
            assert_eq!(Work::from_json(work.to_json().to_string().as_bytes()), Some(work));
        }
        let task = Task { name: "portion-1".into(), source: "file:///x y".into(), first: 3, end: u64::MAX };
        assert_eq!(Task::of_batch(&task.to_batch().unwrap()), Some(vec![task]));
    }

    #[test]
    fn a_failure_keeps_its_kind_and_text() {
        for (kind, _) in KINDS {
            let failure = Failure::new(kind, "line \"3\"");
            let read = failure_from_json(failure_to_json(&failure).as_bytes()).unwrap();
            assert_eq!((read.kind(), read.to_string()), (kind, failure.to_string()));
        }
    }
}
