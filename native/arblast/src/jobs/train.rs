//! One training run: its record, the train itself, the refusal of a model that shrank, the publication.

use engine::{EngineConfig, Observer, PruneOptions, PruneReport, TrainOptions, TrainReport};
use events::json::Object;
use events::{App, EngineInstance, InstanceStatus, Kind, Position, Scope};
use stores::{ModelDirectory, ModelInfo, Storage, TrainedBy};

use super::log::JobLog;
use super::recorder::Recorder;
use super::spark::{SparkSubmit, SparkTrain};
use super::turn::{self, Turn};
use crate::failure::{Failure, Result};
use crate::identity::{BUILD, VERSION};
use crate::{clock, models};

/// A train to run.
pub struct TrainJob<'a> {
    /// Where events come from and the model goes.
    pub storage: &'a Storage,
    /// What to train.
    pub config: &'a EngineConfig,
    /// The text of the engine file, for the record.
    pub config_text: &'a str,
    /// Label for the record.
    pub batch: &'a str,
    /// Threads, and the time that windows end at.
    pub options: TrainOptions,
    /// Publish even a model that shrank.
    pub force: bool,
    /// Where it runs, if not here.
    pub spark: Option<&'a SparkSubmit>,
}

/// The outcome of a train.
pub struct Published {
    /// Id of the record.
    pub instance: String,
    /// The new generation of the model.
    pub generation: u64,
    /// What it is.
    pub model: ModelInfo,
    /// What was seen and made.
    pub report: TrainReport,
    /// What went from the store before, if the engine file wants that.
    pub pruned: Option<PruneReport>,
}

/// A train that has its record and its turn.
pub struct Begun {
    app: App,
    record: EngineInstance,
    log: JobLog,
    _turn: Turn,
}

impl Begun {
    /// The record as it began.
    pub fn record(&self) -> &EngineInstance {
        &self.record
    }
}

/// Why a cancelled train has failed.
pub const CANCELLED: &str = "cancelled";
/// Why a train has failed whose server was stopped or replaced.
pub const SERVER_STOPPED: &str = "its server was stopped before the train ended";

impl TrainJob<'_> {
    /// Trains and publishes. The registry has a record of it from the beginning, which ends as completed or failed.
    ///
    /// # Errors
    /// The app does not exist; another train of this engine runs; whatever [`engine::train`] and the stores report; the
    /// new model is refused.
    pub fn run(&self, observer: &dyn Observer) -> Result<Published> {
        let begun = self.begin()?.ok_or_else(|| {
            let variant = &self.config.variant;
            let message =
                format!("another train of engine {variant} is running; wait for its end, or cancel it");
            Failure::new(Kind::Unavailable, message)
        })?;
        self.finish(begun, observer)
    }

    /// Makes the record. `None` if another train of this engine runs.
    ///
    /// # Errors
    /// The app does not exist; whatever the stores report.
    pub fn begin(&self) -> Result<Option<Begun>> {
        let app = app_of(self.storage, self.config)?;
        let directory = models::of(self.storage, &app.name, &self.config.variant);
        let Some(turn) = Turn::take(&directory)? else { return Ok(None) };
        turn::bury(self.storage, &app.name, &self.config.variant, &turn)?;
        let record = self.record(&app)?;
        self.storage.registry.put_instance(&record)?;
        let log = JobLog::create(&directory, &record.id);
        Ok(Some(Begun { app, record, log, _turn: turn }))
    }

    /// Trains and publishes what was begun.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    pub fn finish(&self, begun: Begun, observer: &dyn Observer) -> Result<Published> {
        let Begun { app, mut record, log, _turn } = begun;
        let stop = turn::stop_path(&models::of(self.storage, &app.name, &self.config.variant));
        let registry = self.storage.registry.as_ref();
        let recorder = Recorder::new(record.clone(), registry, stop.clone(), observer, log);
        let (variant, threads) = (&self.config.variant, self.options.threads);
        recorder.note(format_args!("train of engine {variant} of app {} with {threads} threads", app.name));
        let outcome = recorder.during(|| self.train_and_publish(&app, &record, &recorder));
        let _ = std::fs::remove_file(stop);
        record.end_ms = clock::now_ms();
        let stages = recorder.stages();
        match &outcome {
            Ok(published) => {
                recorder.note(format_args!("generation {} is published", published.generation));
                record.status = InstanceStatus::Completed;
                record.generation = Some(published.generation);
                record.report = published.report.to_json().with("stages", stages).to_string();
            }
            Err(failure) => {
                let stopped = recorder.why_stopped().map(str::to_owned);
                let reason = stopped.unwrap_or_else(|| failure.to_string());
                recorder.note(format_args!("no model: {reason}"));
                record.status = InstanceStatus::Failed(reason);
                record.report = Object::new().with("stages", stages).to_string();
            }
        }
        let recorded = self.storage.registry.put_instance(&record);
        // why there is no model matters more than that this is not recorded either
        let published = outcome?;
        recorded.map_err(|error| {
            let text =
                format!("generation {} is published, but no record says so: {error}", published.generation);
            Failure::new(error.kind(), text)
        })?;
        Ok(published)
    }

    fn record(&self, app: &App) -> Result<EngineInstance> {
        let now_ms = clock::now_ms();
        Ok(EngineInstance {
            id: new_id()?,
            status: InstanceStatus::Init,
            start_ms: now_ms,
            end_ms: now_ms,
            app: app.name.clone(),
            variant: self.config.variant.clone(),
            engine_factory: self.config.engine_factory.clone(),
            batch: self.batch.to_owned(),
            generation: None,
            config: engine::redacted(self.config_text.as_bytes()).map_err(engine::Error::from)?,
            report: "{}".to_owned(),
        })
    }

    fn train_and_publish(
        &self,
        app: &App,
        run: &EngineInstance,
        observer: &Recorder<'_>,
    ) -> Result<Published> {
        let models = models::of(self.storage, &app.name, &self.config.variant);
        let current = models.current()?.map(|_| models.reader()).transpose()?.map(|reader| reader.current());
        let current = current.as_ref().map(|generation| &generation.model);
        let scope = Scope { app: app.id, channel: None };
        let events = self.storage.events.as_ref();
        let pruned = self.prune(scope, observer)?;
        if let Some(spark) = self.spark {
            return self.train_on(spark, &models, run, observer, pruned);
        }
        let position = events.changes(scope, Position::default(), &mut |_, _| {})?.now;
        let trained = engine::train(self.config, events, scope, current, self.options, observer)?;
        if !self.force {
            let correlators = current.map(|model| model.counts().correlators);
            trained.check_size(correlators, self.config.min_model_ratio)?;
        }
        if observer.is_stopped() {
            return Err(engine::Error::Stopped.into());
        }
        observer.stage("publish", 0);
        let by = TrainedBy {
            build: format!("{VERSION} {BUILD}"),
            engine_instance: run.id.clone(),
            started_ms: run.start_ms,
            published_ms: clock::now_ms(),
            position: Some(position),
        };
        let published = models.publish_unless(&trained.parts, by, &|| observer.is_stopped_by_now())?;
        let (generation, model) = published.ok_or(engine::Error::Stopped)?;
        Ok(Published { instance: run.id.clone(), generation, model, report: trained.report, pruned })
    }

    fn train_on(
        &self,
        spark: &SparkSubmit,
        models: &ModelDirectory,
        run: &EngineInstance,
        observer: &Recorder<'_>,
        pruned: Option<PruneReport>,
    ) -> Result<Published> {
        let train = SparkTrain {
            models: &self.storage.models,
            directory: models.path(),
            config: self.config,
            config_text: self.config_text,
            run: &run.id,
            now_ms: self.options.now_ms,
            force: self.force,
        };
        let (generation, report) = spark.train(&train, observer, &|text| observer.note(text))?;
        observer.preflight(&report);
        let model = models.generation(generation)?.info;
        Ok(Published { instance: run.id.clone(), generation, model, report, pruned })
    }

    /// Removes from the store what the window leaves out, if the engine file wants that. A training time in the future
    /// must not empty the store.
    fn prune(&self, scope: Scope, observer: &dyn Observer) -> Result<Option<PruneReport>> {
        let window = &self.config.window;
        if !window.prune_store {
            return Ok(None);
        }
        let now_ms = self.options.now_ms.min(clock::now_ms());
        let options = PruneOptions { now_ms, dry_run: false };
        Ok(Some(engine::prune(window, self.storage.events.as_ref(), scope, options, observer)?))
    }
}

/// The app that the engine file names.
///
/// # Errors
/// It does not exist; whatever the store reports.
pub fn app_of(storage: &Storage, config: &EngineConfig) -> Result<App> {
    let name = &config.app_name;
    storage.registry.app_by_name(name)?.ok_or_else(|| {
        Failure::not_found(format!(
            "Invalid app name {name}: the engine file names an app that does not exist; `arblast app list` shows all, \
             `arblast app new {name}` creates it"
        ))
    })
}

/// An id that no other job has.
pub(super) fn new_id() -> Result<String> {
    let bits = || {
        getrandom::u64().map_err(|error| Failure::new(Kind::Unavailable, format!("no random bytes: {error}")))
    };
    Ok(format!("{:016x}{:016x}", bits()?, bits()?))
}
