//! One training run: its record, the train itself, the refusal of a model that shrank, the publication.

use engine::{EngineConfig, Observer, PruneOptions, PruneReport, TrainOptions, TrainReport};
use events::{App, EngineInstance, InstanceStatus, Kind, Scope};
use stores::{ModelInfo, Storage, TrainedBy};

use super::report::described;
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

impl TrainJob<'_> {
    /// Trains and publishes. The registry has a record of it from the beginning, which ends as completed or failed.
    ///
    /// # Errors
    /// The app does not exist; whatever [`engine::train`] and the stores report; the new model is refused.
    pub fn run(&self, observer: &dyn Observer) -> Result<Published> {
        let app = app_of(self.storage, self.config)?;
        let mut record = self.record(&app)?;
        self.storage.registry.put_instance(&record)?;
        let outcome = self.train_and_publish(&app, &record, observer);
        record.end_ms = clock::now_ms();
        match &outcome {
            Ok(published) => {
                record.status = InstanceStatus::Completed;
                record.generation = Some(published.generation);
                record.report = described(&published.report).to_string();
            }
            Err(failure) => record.status = InstanceStatus::Failed(failure.to_string()),
        }
        self.storage.registry.put_instance(&record)?;
        outcome
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
        observer: &dyn Observer,
    ) -> Result<Published> {
        let models = models::of(self.storage, &app.name, &self.config.variant);
        let current = models.current()?.map(|_| models.reader()).transpose()?.map(|reader| reader.current());
        let current = current.as_ref().map(|generation| &generation.model);
        let scope = Scope { app: app.id, channel: None };
        let events = self.storage.events.as_ref();
        let pruned = self.prune(scope, observer)?;
        let trained = engine::train(self.config, events, scope, current, self.options, observer)?;
        if !self.force {
            trained.check_size(current, self.config.min_model_ratio)?;
        }
        observer.stage("publish", 0);
        let by = TrainedBy {
            build: format!("{VERSION} {BUILD}"),
            engine_instance: run.id.clone(),
            started_ms: run.start_ms,
            published_ms: clock::now_ms(),
        };
        let (generation, model) = models.publish(&trained.parts, by)?;
        Ok(Published { instance: run.id.clone(), generation, model, report: trained.report, pruned })
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

fn new_id() -> Result<String> {
    let bits = || {
        getrandom::u64().map_err(|error| Failure::new(Kind::Unavailable, format!("no random bytes: {error}")))
    };
    Ok(format!("{:016x}{:016x}", bits()?, bits()?))
}
