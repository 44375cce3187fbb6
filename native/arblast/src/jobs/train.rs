//! One training run: its record, the train itself, the refusal of a model that shrank, the publication.

use engine::{EngineConfig, Observer, PruneOptions, PruneReport, TrainOptions, TrainReport, Trained};
use events::json::Object;
use events::{App, EngineInstance, EventStore, InstanceStatus, Kind, Position, Scope};
use model::Model;
use stores::{EngineName, Generation, ModelDirectory, ModelInfo, Storage, TrainedBy};

use super::log::JobLog;
use super::recorder::Recorder;
use super::report::new_id;
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
    /// What reads and counts, if not this process alone.
    pub road: Option<&'a dyn Road>,
}

/// Another way from events to a model of the same bytes, which is then published as ever.
pub trait Road: Send + Sync {
    /// Does it read the store, and not other events?
    fn reads_store(&self) -> bool;

    /// Makes the model.
    ///
    /// # Errors
    /// See [`engine::train`], and whatever is on the way.
    fn train(&self, ask: &Ask<'_>, observer: &dyn Observer) -> Result<Trained>;
}

/// What a [`Road`] is asked for.
pub struct Ask<'a> {
    /// Id of the run.
    pub run: &'a str,
    /// What to train.
    pub config: &'a EngineConfig,
    /// The text of the engine file.
    pub config_text: &'a str,
    /// Threads of this process, and the time that windows end at.
    pub options: TrainOptions,
    /// The store and the scope of the app in it, if there is one.
    pub events: Option<(&'a dyn EventStore, Scope)>,
    /// The model in use.
    pub current: Option<&'a Model>,
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
    turn: Turn,
}

impl Begun {
    /// The record as it began.
    pub fn record(&self) -> &EngineInstance {
        &self.record
    }
}

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
        turn::bury(self.storage, &app.name, &self.config.variant, Some(&turn))?;
        let record = self.record(&app, &turn)?;
        self.storage.registry.put_instance(&record)?;
        let log = JobLog::create(&directory, &record.id);
        Ok(Some(Begun { app, record, log, turn }))
    }

    /// Trains and publishes what was begun.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    pub fn finish(&self, begun: Begun, observer: &dyn Observer) -> Result<Published> {
        let Begun { app, mut record, log, turn } = begun;
        let stop = turn::stop_path(&models::of(self.storage, &app.name, &self.config.variant));
        let registry = self.storage.registry.as_ref();
        let recorder = Recorder::new(record.clone(), &turn, registry, stop.clone(), observer, log);
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

    fn record(&self, app: &App, turn: &Turn) -> Result<EngineInstance> {
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
            report: turn::first_report(turn),
        })
    }

    fn train_and_publish(
        &self,
        app: &App,
        run: &EngineInstance,
        observer: &Recorder<'_>,
    ) -> Result<Published> {
        let models = models::of(self.storage, &app.name, &self.config.variant);
        if let Some(servers) = &self.storage.search {
            servers.check(self.engine())?;
        }
        let before = models.current()?;
        let published = self.train_to(&models, app, run, observer)?;
        self.publish_for_search(&models, before, published.generation, observer)?;
        Ok(published)
    }

    /// Where search servers answer, the model goes there too. If it cannot, the generation before is current again.
    fn publish_for_search(
        &self,
        models: &ModelDirectory,
        before: Option<u64>,
        generation: u64,
        observer: &Recorder<'_>,
    ) -> Result<()> {
        let Some(servers) = &self.storage.search else { return Ok(()) };
        let progress = |done, _| {
            observer.progress(done);
            !observer.is_stopped()
        };
        let publish = |opened: &Generation| {
            observer.stage("index", u64::from(opened.model.items()));
            servers.publish(self.engine(), &opened.model, &opened.info.digest, &progress)
        };
        Ok(models.publish_also(generation, before, publish)?)
    }

    fn engine(&self) -> EngineName<'_> {
        EngineName { app: &self.config.app_name, variant: &self.config.variant }
    }

    fn train_to(
        &self,
        models: &ModelDirectory,
        app: &App,
        run: &EngineInstance,
        observer: &Recorder<'_>,
    ) -> Result<Published> {
        let current = models.current()?.map(|_| models.reader()).transpose()?.map(|reader| reader.current());
        let current = current.as_ref().map(|generation| &generation.model);
        let scope = Scope { app: app.id, channel: None };
        let events = self.storage.events.as_ref();
        let pruned = self.prune(scope, observer)?;
        let position = events.changes(scope, Position::default(), &mut |_, _| {})?.now;
        if let Some(spark) = self.spark {
            return self.train_on(spark, models, (scope, position), run, observer, pruned);
        }
        let position = self.road.is_none_or(Road::reads_store).then_some(position);
        let trained = match self.road {
            None => engine::train(self.config, events, scope, current, self.options, observer)?,
            Some(road) => {
                let Self { config, config_text, options, .. } = *self;
                let events = Some((events, scope));
                road.train(&Ask { run: &run.id, config, config_text, options, events, current }, observer)?
            }
        };
        if !self.force {
            let correlators = current.map(|model| model.counts().correlators);
            trained.report.check_size(correlators, self.config.min_model_ratio)?;
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
            position,
        };
        let published = models.publish_unless(&trained.parts, by, &|| observer.is_stopped_by_now())?;
        let (generation, model) = published.ok_or(engine::Error::Stopped)?;
        Ok(Published { instance: run.id.clone(), generation, model, report: trained.report, pruned })
    }

    fn train_on(
        &self,
        spark: &SparkSubmit,
        models: &ModelDirectory,
        (scope, position): (Scope, Position),
        run: &EngineInstance,
        observer: &Recorder<'_>,
        pruned: Option<PruneReport>,
    ) -> Result<Published> {
        // A shared place is not the job's matter: it publishes here, and what it did goes there.
        let (all, own) = match self.storage.models.are_shared() {
            true => {
                let all = self.storage.models.path().parent().unwrap_or(self.storage.models.path());
                (all, ModelDirectory::of(all, &self.config.app_name, &self.config.variant))
            }
            false => (self.storage.models.path(), models.clone()),
        };
        let train = SparkTrain {
            events: self.storage.events.as_ref(),
            scope,
            position,
            models: all,
            directory: own.path(),
            config: self.config,
            config_text: self.config_text,
            run: &run.id,
            now_ms: self.options.now_ms,
            force: self.force,
        };
        let (generation, report) = spark.train(&train, observer, &|text| observer.note(text))?;
        observer.preflight(&report);
        if own.path() != models.path() {
            let (generation, model) = self.adopt(models, &own, generation, &report)?;
            return Ok(Published { instance: run.id.clone(), generation, model, report, pruned });
        }
        let model = models.generation(generation)?.info;
        Ok(Published { instance: run.id.clone(), generation, model, report, pruned })
    }

    /// Publishes what a job left in a directory of this machine, which is gone then.
    fn adopt(
        &self,
        models: &ModelDirectory,
        own: &ModelDirectory,
        generation: u64,
        report: &TrainReport,
    ) -> Result<(u64, ModelInfo)> {
        if !self.force {
            let correlators = models.current_info()?.map(|info| info.correlators);
            report.check_size(correlators, self.config.min_model_ratio)?;
        }
        let adopted = models.adopt(own, generation)?;
        let _ = std::fs::remove_dir_all(own.path());
        Ok(adopted)
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
