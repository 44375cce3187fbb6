//! The long steps of a train, as Java asks for them in JSON: `{"do":"prepare","threads":4}`.

use std::path::PathBuf;

use engine::{EngineConfig, Observer, Trained};
use events::json::{self, Object};
use events::{EventStore, Json, Kind, Position, Scope};
use model::Model;
use stores::{ModelDirectory, TrainedBy};

use crate::border::{Fault, Result};
use crate::index;
use crate::jobs::Progress;
use crate::methods::{BUILD, VERSION};
use crate::session::{Reading, Stage, no_app};

/// A step.
pub enum Request {
    /// `reach`: could a model be published to these search servers?
    Reach { index: String },
    /// `read`: all events of a source.
    Read(Source),
    /// `prepare`: no more events; `current` is the file of the model in use, for `recsModel: "backfill"`.
    Prepare { threads: usize, current: Option<PathBuf> },
    /// `correlate`: count everything here.
    Correlate { threads: usize },
    /// `assemble`: the model.
    Assemble,
    /// `publish`: a new generation in a directory of models.
    Publish(Publication),
}

/// Where events are, if not in rows.
pub enum Source {
    /// Those of the engine's app in the embedded store of a home.
    Home(PathBuf),
    /// Those of a scope in HBase.
    Hbase(String, Scope),
    /// A file with a portion, and where its store was before it was read.
    Portion(PathBuf, Option<Position>),
}

/// Where a model goes, and what stands beside it.
pub struct Publication {
    models: PathBuf,
    run: String,
    started_ms: i64,
    published_ms: i64,
    force: bool,
    /// Correlators of the model that it replaces, if that is not in `models`.
    replaces: Option<u64>,
    /// URL of search servers that it goes to as well; empty: as the environment says; `None`: there are none.
    index: Option<String>,
}

impl Request {
    /// Reads `{"do":…}`.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let json =
            json::parse(text).map_err(|error| Fault::argument(format!("a request is no JSON: {error}")))?;
        let text = |name: &str| json.get(name).and_then(Json::as_str).map(str::to_owned);
        let number = |name: &str| json.get(name).and_then(Json::as_i64);
        let needed = |name: &str| {
            text(name).ok_or_else(|| Fault::argument(format!("a request needs a text as \"{name}\"")))
        };
        let threads = || {
            let threads = number("threads").and_then(|threads| usize::try_from(threads).ok());
            threads
                .filter(|threads| (1..=1024).contains(threads))
                .ok_or_else(|| Fault::argument("a request needs a number from 1 to 1024 as \"threads\""))
        };
        Ok(match needed("do")?.as_str() {
            "reach" => Self::Reach { index: needed("index")? },
            "read" => Self::Read(match (text("portion"), text("hbase")) {
                (Some(file), _) => {
                    Source::Portion(file.into(), text("position").map(|text| text.parse()).transpose()?)
                }
                (None, Some(url)) => Source::Hbase(url, scope(&needed("table")?)?),
                (None, None) => Source::Home(needed("home")?.into()),
            }),
            "prepare" => Self::Prepare { threads: threads()?, current: text("current").map(PathBuf::from) },
            "correlate" => Self::Correlate { threads: threads()? },
            "assemble" => Self::Assemble,
            "publish" => Self::Publish(Publication {
                models: needed("models")?.into(),
                run: needed("run")?,
                started_ms: number("startedMs").unwrap_or_default(),
                published_ms: number("publishedMs").unwrap_or_default(),
                force: json.get("force") == Some(&Json::Bool(true)),
                replaces: number("replaces").and_then(|number| u64::try_from(number).ok()),
                index: text("index"),
            }),
            other => return Err(Fault::argument(format!("no request is called \"{other}\""))),
        })
    }

    /// Is a train there, where this can be done? Gives it back either way.
    pub fn check(&self, stage: Stage) -> std::result::Result<Stage, (Stage, Fault)> {
        let fits = match self {
            Self::Reach { .. } | Self::Read(_) | Self::Prepare { .. } => matches!(stage, Stage::Reading(_)),
            Self::Correlate { .. } | Self::Assemble => matches!(stage, Stage::Training(..)),
            Self::Publish(_) => matches!(stage, Stage::Trained(..)),
        };
        if fits {
            return Ok(stage);
        }
        let fault = Fault::state(format!("this step does not come now: the session is {}", stage.name()));
        Err((stage, fault))
    }

    /// Does it; gives where the train then is, and what to tell.
    pub fn run(self, stage: Stage, config: &EngineConfig, progress: &Progress) -> Result<(Stage, String)> {
        match (self, stage) {
            (Self::Reach { index }, stage @ Stage::Reading(_)) => {
                progress.stage("reach", 0);
                index::indexes(&index, config)?.map(|indexes| indexes.check()).transpose()?;
                Ok((stage, String::new()))
            }
            (Self::Read(source), Stage::Reading(mut reading)) => {
                source.read(config, &mut reading, progress)?;
                Ok((Stage::Reading(reading), String::new()))
            }
            (Self::Prepare { threads, current }, Stage::Reading(reading)) => {
                progress.stage("prepare", 0);
                let position = reading.position;
                let current = current.map(Model::open).transpose()?;
                let training = reading.settled()?.prepare(current.as_ref(), threads, progress)?;
                training.check()?;
                let report = training.report().to_json().to_string();
                Ok((Stage::Training(Box::new(training), position), report))
            }
            (Self::Correlate { threads }, Stage::Training(mut training, position)) => {
                training.correlate(threads, progress)?;
                Ok((Stage::Training(training, position), String::new()))
            }
            (Self::Assemble, Stage::Training(training, position)) => {
                progress.stage("assemble", 0);
                let trained = training.assemble()?;
                let report = trained.report.to_json().to_string();
                Ok((Stage::Trained(Box::new(trained), position), report))
            }
            (Self::Publish(publication), Stage::Trained(trained, position)) => {
                progress.stage("publish", 0);
                let told = publication.publish(&trained, position, config, progress)?;
                Ok((Stage::Trained(trained, position), told))
            }
            // `check` comes before.
            (_, stage) => Err(Fault::state(format!("the session is {}", stage.name()))),
        }
    }
}

impl Publication {
    fn publish(
        self,
        trained: &Trained,
        position: Option<Position>,
        config: &EngineConfig,
        progress: &Progress,
    ) -> Result<String> {
        let models = ModelDirectory::of(&self.models, &config.app_name, &config.variant);
        let indexes = self.index.as_deref().map(|url| index::indexes(url, config)).transpose()?.flatten();
        let before = match models.current() {
            // A damaged pointer: this publication mends it.
            Err(_) if self.force => None,
            current => current?,
        };
        if !self.force {
            let current = before.map(|number| models.generation(number)).transpose()?;
            let current = current.map(|current| current.model.counts().correlators);
            trained.report.check_size(current.or(self.replaces), config.min_model_ratio)?;
        }
        let by = TrainedBy {
            build: format!("{VERSION} {BUILD}"),
            engine_instance: self.run,
            started_ms: self.started_ms,
            published_ms: self.published_ms,
            position,
        };
        let published = models.publish_unless(&trained.parts, by, &|| progress.is_stopped())?;
        let (generation, info) = published.ok_or(engine::Error::Stopped)?;
        if let Some(indexes) = &indexes {
            models.publish_also(generation, before, |opened| index::publish(indexes, opened, progress))?;
        }
        let alias = indexes.as_ref().map_or(Json::Null, |indexes| indexes.alias().into());
        let told = Object::new()
            .with("engineInstanceId", info.trained.engine_instance.as_str())
            .with("generation", generation)
            .with("digest", info.digest.as_str())
            .with("bytes", info.bytes)
            .with("directory", models.path().to_string_lossy().as_ref())
            .with("index", alias)
            .with("report", trained.report.to_json());
        Ok(told.to_string())
    }
}

impl Source {
    fn read(&self, config: &EngineConfig, reading: &mut Reading, progress: &Progress) -> Result<()> {
        match self {
            Self::Home(home) => {
                let storage = crate::app::store(home)?;
                let app = storage.registry.app_by_name(&config.app_name)?.ok_or_else(|| no_app(config))?;
                read(storage.events.as_ref(), Scope { app: app.id, channel: None }, reading, progress)
            }
            Self::Hbase(url, scope) => read(hbase::open(url)?.as_ref(), *scope, reading, progress),
            Self::Portion(file, position) => {
                progress.stage("read", 0);
                let failed =
                    |error| Fault::new(Kind::Unavailable, format!("cannot read {}: {error}", file.display()));
                reading.position = *position;
                Ok(reading.portion.merge(&std::fs::read(file).map_err(failed)?)?)
            }
        }
    }
}

fn read(events: &dyn EventStore, scope: Scope, reading: &mut Reading, progress: &Progress) -> Result<()> {
    let position = events.changes(scope, Position::default(), &mut |_, _| {})?.now;
    reading.portion.read(events, scope, progress)?;
    reading.position = Some(position);
    Ok(())
}

/// The scope of a table of events, such as `events_1`, or `events_1_2` for a channel.
fn scope(table: &str) -> Result<Scope> {
    let numbers =
        table.strip_prefix("events_").map(|numbers| numbers.split_once('_').unwrap_or((numbers, "")));
    let parsed = numbers.and_then(|(app, channel)| {
        let channel = if channel.is_empty() { None } else { Some(channel.parse().ok()?) };
        Some(Scope { app: app.parse().ok()?, channel })
    });
    parsed.ok_or_else(|| {
        Fault::argument(format!(
            "the table of events in HBase is called events_APP or events_APP_CHANNEL, got {table}"
        ))
    })
}
