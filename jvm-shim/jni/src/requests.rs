//! The long steps of a train, as Java asks for them in JSON: `{"do":"prepare","threads":4}`.

use std::path::{Path, PathBuf};

use engine::{EngineConfig, Observer, Trained};
use events::json::{self, Object};
use events::{Json, Position, Scope};
use model::Model;
use stores::{ModelDirectory, TrainedBy};

use crate::border::{Fault, Result};
use crate::jobs::Progress;
use crate::methods::{BUILD, VERSION};
use crate::session::{Reading, Stage, no_app};

/// A step.
pub enum Request {
    /// `read`: all events of the engine's app in the embedded store under `home`.
    Read { home: PathBuf },
    /// `prepare`: no more events; `current` is the file of the model in use, for `recsModel: "backfill"`.
    Prepare { threads: usize, current: Option<PathBuf> },
    /// `correlate`: count everything here.
    Correlate { threads: usize },
    /// `assemble`: the model.
    Assemble,
    /// `publish`: a new generation in a directory of models.
    Publish(Publication),
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
            "read" => Self::Read { home: needed("home")?.into() },
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
            }),
            other => return Err(Fault::argument(format!("no request is called \"{other}\""))),
        })
    }

    /// Is a train there, where this can be done? Gives it back either way.
    pub fn check(&self, stage: Stage) -> std::result::Result<Stage, (Stage, Fault)> {
        let fits = match self {
            Self::Read { .. } | Self::Prepare { .. } => matches!(stage, Stage::Reading(_)),
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
            (Self::Read { home }, Stage::Reading(mut reading)) => {
                read(&home, config, &mut reading, progress)?;
                Ok((Stage::Reading(reading), String::new()))
            }
            (Self::Prepare { threads, current }, Stage::Reading(reading)) => {
                progress.stage("prepare", 0);
                let position = reading.position;
                let current = current.map(Model::open).transpose()?;
                let training = reading.settled()?.prepare(current.as_ref(), threads)?;
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
        if !self.force {
            let current = models.current()?.map(|number| models.generation(number)).transpose()?;
            let current = current.map(|current| current.model.counts().correlators);
            trained.check_size(current.or(self.replaces), config.min_model_ratio)?;
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
        let told = Object::new()
            .with("engineInstanceId", info.trained.engine_instance.as_str())
            .with("generation", generation)
            .with("digest", info.digest.as_str())
            .with("bytes", info.bytes)
            .with("directory", models.path().to_string_lossy().as_ref())
            .with("report", trained.report.to_json());
        Ok(told.to_string())
    }
}

fn read(home: &Path, config: &EngineConfig, reading: &mut Reading, progress: &Progress) -> Result<()> {
    let storage = crate::app::store(home)?;
    let app = storage.registry.app_by_name(&config.app_name)?.ok_or_else(|| no_app(config))?;
    let scope = Scope { app: app.id, channel: None };
    let position = storage.events.changes(scope, Position::default(), &mut |_, _| {})?.now;
    reading.portion.read(storage.events.as_ref(), scope, progress)?;
    reading.position = Some(position);
    Ok(())
}
