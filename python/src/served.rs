//! A model that answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Float64Array, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Schema};
use engine::{EngineConfig, Leniency, Query, Recommender, TrainOptions, Trained};
use events::json::Object;
use events::{EventStore, Json, Kind, MemoryStore, Scope};
use model::Model as Snapshot;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::border::{Fault, Maker, Result, Stop, long, short};
use crate::frames::Table;
use crate::texts::texts;
use crate::told::{Source, Told};

/// A model and how it answers queries.
#[pyclass(frozen, module = "arblast._native")]
pub struct Served {
    model: Snapshot,
    /// JSON of the engine.
    engine: Vec<u8>,
    recommender: Recommender,
    /// JSON, if it was trained here.
    report: Option<String>,
    memory: Memory,
}

/// Where the histories of users come from.
#[derive(Clone, Copy)]
enum Memory {
    /// Queries bring their own.
    None,
    /// The events that it was trained on.
    Own,
    /// A store of events; it does not survive a fork of the process that opened it.
    Store(Maker),
}

/// Of events that are in no app.
const NO_SCOPE: Scope = Scope { app: 0, channel: None };

/// An engine file, read and checked.
fn parsed(engine: &[u8]) -> Result<EngineConfig> {
    let variable = |name: &str| std::env::var(name).ok();
    let (config, _) =
        EngineConfig::parse(engine, Leniency::Strict, &variable).map_err(engine::Error::from)?;
    Ok(config)
}

/// The engine of who says nothing but the names of indicators, the primary first.
pub fn default_engine<'a>(names: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let app = "notebook";
    let names: Vec<&str> = names.collect();
    let params = Object::new().with("appName", app).with("indexName", app).with("eventNames", names);
    let algorithm = Object::new().with("name", "ur").with("params", params);
    let source = Object::new().with("params", Object::new().with("appName", app));
    let engine = Object::new()
        .with("id", "default")
        .with("engineFactory", "com.actionml.RecommendationEngine")
        .with("datasource", source)
        .with("algorithms", vec![Json::from(algorithm)]);
    engine.to_string().into_bytes()
}

/// Measures how good an engine is on the events of all sources; JSON.
///
/// # Errors
/// As [`Served::train`]; an option is wrong, or nobody is there to test with.
pub fn evaluate(
    engine: &[u8],
    sources: &[Source],
    now_ms: i64,
    options: &engine::evaluation::Options,
    stop: &Stop,
) -> Result<String> {
    let config = parsed(engine)?;
    let read = TrainOptions { threads: options.threads, now_ms };
    let told = Told::new(&config, sources, read, false, stop);
    let evaluation = engine::evaluate(&config, &told, NO_SCOPE, options, stop);
    Ok(evaluation.map_err(|error| told.fault(error))?.to_json().to_string())
}

impl Served {
    /// Trains on all events of all sources, as `arblast train` does after it has imported them in this order.
    ///
    /// # Errors
    /// A source cannot be read or holds something else; there is nothing to train on; the call was stopped.
    pub fn train(
        engine: Vec<u8>,
        sources: &[Source],
        options: TrainOptions,
        remember: bool,
        stop: &Stop,
    ) -> Result<Self> {
        let config = parsed(&engine)?;
        let told = Told::new(&config, sources, options, remember, stop);
        let trained = engine::train(&config, &told, NO_SCOPE, None, options, stop);
        let Trained { parts, report } = trained.map_err(|error| told.fault(error))?;
        stop.check()?;
        let mut bytes = Vec::new();
        model::write(&parts, &mut bytes)?;
        let (store, memory): (Arc<dyn EventStore>, _) = match told.remembered() {
            Some(told) => (Arc::new(told), Memory::Own),
            None => (Arc::new(MemoryStore::new()), Memory::None),
        };
        Ok(Self {
            model: Snapshot::from_bytes(bytes)?,
            engine,
            recommender: Recommender::new(config, store, NO_SCOPE),
            report: Some(report.to_json().to_string()),
            memory,
        })
    }

    fn of_file(path: &Path, engine: Option<Vec<u8>>) -> Result<Self> {
        // `Io` would be told as a matter of a moment.
        std::fs::metadata(path).map_err(Fault::file(path))?;
        let model = Snapshot::open(path)?;
        let engine = engine.unwrap_or_else(|| default_engine(model.indicators()));
        let recommender = Recommender::new(parsed(&engine)?, Arc::new(MemoryStore::new()), NO_SCOPE);
        Ok(Self { model, engine, recommender, report: None, memory: Memory::None })
    }

    fn of_home(home: &Path, engine: Vec<u8>) -> Result<Self> {
        let config = parsed(&engine)?;
        let missing = |text: String| Fault::new(Kind::NotFound, text);
        if !home.join("store").is_dir() {
            let text = format!("{} is no home of Arblast: it has no folder \"store\"", home.display());
            return Err(missing(text));
        }
        let storage = stores::open(home)?;
        let (name, variant) = (&config.app_name, &config.variant);
        let app = storage.registry.app_by_name(name)?.ok_or_else(|| {
            missing(format!(
                "app \"{name}\", which the engine file names, does not exist in {}",
                home.display()
            ))
        })?;
        let models = storage.models.of(name, variant);
        let current = models.current()?.ok_or_else(|| {
            missing(format!("engine \"{variant}\" of app \"{name}\" has no model yet: run `arblast train`"))
        })?;
        let model = models.generation(current)?.model;
        let recommender = Recommender::new(config, storage.events, Scope { app: app.id, channel: None });
        Ok(Self { model, engine, recommender, report: None, memory: Memory::Store(Maker::here()) })
    }

    fn answered(&self, query: &[u8], now_ms: i64) -> Result<(String, Vec<String>)> {
        let query = Query::parse(query).map_err(engine::Error::from)?;
        let history = match self.memory {
            Memory::None => self.recommender.history_without_store(&query)?,
            Memory::Own => self.recommender.history(&query)?,
            Memory::Store(maker) => {
                maker.check("the store of events was opened")?;
                self.recommender.history(&query)?
            }
        };
        let answer = self.recommender.recommend_with(&self.model, &query, &history, now_ms)?;
        Ok((answer.to_json(), query.unknown))
    }
}

#[pymethods]
impl Served {
    /// Opens a model file. `engine`: JSON of the engine that answers; None: a default one.
    #[staticmethod]
    #[pyo3(signature = (path, engine = None))]
    fn open(py: Python<'_>, path: PathBuf, engine: Option<Vec<u8>>) -> PyResult<Self> {
        long(py, |_| Self::of_file(&path, engine))
    }

    /// Opens the current model of an engine in a home, whose store has the histories of users.
    #[staticmethod]
    fn open_current(py: Python<'_>, engine: Vec<u8>, home: PathBuf) -> PyResult<Self> {
        long(py, |_| Self::of_home(&home, engine))
    }

    /// Does it know what users did?
    #[getter]
    fn remembers(&self) -> bool {
        !matches!(self.memory, Memory::None)
    }

    /// Answers a query, JSON to JSON, as of a time in ms; and the members of the query that nobody knows.
    fn answer(&self, py: Python<'_>, query: &[u8], now_ms: i64) -> PyResult<(String, Vec<String>)> {
        let query = query.to_vec();
        short(py, || self.answered(&query, now_ms))
    }

    /// Bytes of the model file.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.model.as_bytes())
    }

    /// JSON of the engine.
    #[getter]
    fn engine<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.engine)
    }

    /// JSON of what the train saw and made.
    #[getter]
    fn report(&self) -> Option<&str> {
        self.report.as_deref()
    }

    /// Users, items, correlators, bytes.
    #[getter]
    fn counts(&self) -> (u32, u32, u64, u64) {
        let counts = self.model.counts();
        (counts.users, counts.items, counts.correlators, counts.bytes)
    }

    /// Names, the primary first.
    #[getter]
    fn indicators(&self) -> Vec<&str> {
        self.model.indicators().collect()
    }

    /// Names in sort order.
    #[getter]
    fn ranking_names(&self) -> Vec<&str> {
        self.model.rankings().collect()
    }

    /// Is it an item of the model?
    fn has(&self, item: &str) -> bool {
        self.model.find(item).is_some()
    }

    /// item, indicator, place (from 1), correlator, llr; of one item or of all.
    #[pyo3(signature = (item = None))]
    fn correlators(&self, py: Python<'_>, item: Option<String>) -> PyResult<Table> {
        short(py, || correlators(&self.model, item.as_deref()))
    }

    /// id, properties (JSON).
    fn items(&self, py: Python<'_>) -> PyResult<Table> {
        short(py, || items(&self.model))
    }

    /// item, ranking, value.
    fn rankings(&self, py: Python<'_>) -> PyResult<Table> {
        short(py, || rankings(&self.model))
    }
}

/// Items that go into one batch.
const ITEMS: u32 = 1 << 12;

/// Batches of a range of items each, as `columns` makes them.
fn table(
    fields: &[(&str, DataType)],
    items: std::ops::Range<u32>,
    columns: impl Fn(std::ops::Range<u32>) -> Vec<ArrayRef>,
) -> Result<Table> {
    let fields: Vec<Field> =
        fields.iter().map(|(name, kind)| Field::new(*name, kind.clone(), false)).collect();
    let schema = Arc::new(Schema::new(fields));
    let end = items.end;
    let starts = items.step_by(ITEMS as usize);
    let batches = starts.map(|start| {
        let columns = columns(start..end.min(start.saturating_add(ITEMS)));
        Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)
    });
    let batches = batches.collect::<Result<_>>()?;
    Ok(Table::new(schema, batches))
}

fn correlators(model: &Snapshot, item: Option<&str>) -> Result<Table> {
    let items = match item {
        None => 0..model.items(),
        Some(item) => {
            let none = || Fault::new(Kind::NotFound, format!("the model has no item \"{item}\""));
            let row = model.find(item).ok_or_else(none)?;
            row..row + 1
        }
    };
    let fields = [
        ("item", DataType::Utf8),
        ("indicator", DataType::Utf8),
        ("place", DataType::UInt32),
        ("correlator", DataType::Utf8),
        ("llr", DataType::Float64),
    ];
    table(&fields, items, |items| {
        let each = items.flat_map(|row| model.indicators().map(move |indicator| (row, indicator)));
        let rows: Vec<(&str, &str, u32, &str, f64)> = each
            .flat_map(|(row, indicator)| {
                let item = model.item(row).unwrap_or_default();
                let strongest = (1..).zip(model.correlators(indicator, row));
                strongest.map(move |(place, (thing, llr))| (item, indicator, place, thing, llr))
            })
            .collect();
        vec![
            texts(rows.iter().map(|row| row.0)),
            texts(rows.iter().map(|row| row.1)),
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.2))),
            texts(rows.iter().map(|row| row.3)),
            Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.4))),
        ]
    })
}

fn items(model: &Snapshot) -> Result<Table> {
    let fields = [("id", DataType::Utf8), ("properties", DataType::Utf8)];
    table(&fields, 0..model.items(), |items| {
        vec![
            texts(items.clone().map(|row| model.item(row).unwrap_or_default())),
            texts(items.map(|row| model.document(row).unwrap_or("{}"))),
        ]
    })
}

fn rankings(model: &Snapshot) -> Result<Table> {
    let fields = [("item", DataType::Utf8), ("ranking", DataType::Utf8), ("value", DataType::Float32)];
    table(&fields, 0..model.items(), |items| {
        let rows: Vec<(&str, &str, f32)> = items
            .flat_map(|row| {
                let item = model.item(row).unwrap_or_default();
                model.ranks(row).map(move |(ranking, value)| (item, ranking, value))
            })
            .collect();
        vec![
            texts(rows.iter().map(|row| row.0)),
            texts(rows.iter().map(|row| row.1)),
            Arc::new(Float32Array::from_iter_values(rows.iter().map(|row| row.2))),
        ]
    })
}
