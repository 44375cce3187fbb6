//! An engine that answers queries: its configuration, the histories of its app, and the model that is current.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use engine::{EngineConfig, History, Query, Recommendations, Recommender};
use events::{Kind, Scope};
use stores::{Generation, ModelDirectory, ModelReader, Storage};

use crate::clock;
use crate::failure::{Failure, Result};
use crate::live::{Live, Served};
use crate::models;

/// Answers the queries of one engine, always with one generation of its model per answer.
pub struct Serving {
    recommender: Recommender,
    models: Arc<Models>,
    live: Live,
    directory: ModelDirectory,
    /// Members of queries that are not known, as far as they were reported.
    reported: Mutex<BTreeSet<String>>,
}

/// Distinct unknown members that are reported: clients may send any number.
const REPORTED_MAX: usize = 100;

/// Where the model comes from.
pub enum Models {
    /// Whatever was published last.
    Newest(ModelReader),
    /// A chosen generation.
    Pinned(Arc<Generation>),
}

impl Models {
    /// The generation that should answer now.
    pub fn current(&self) -> Arc<Generation> {
        match self {
            Self::Pinned(generation) => Arc::clone(generation),
            Self::Newest(reader) => reader.current(),
        }
    }
}

impl Serving {
    /// Serves `config` with its newest model, or with generation `pinned`.
    ///
    /// # Errors
    /// The app does not exist, or the engine has no such model.
    pub fn open(storage: &Storage, config: EngineConfig, pinned: Option<u64>) -> Result<Self> {
        let name = &config.app_name;
        let app = storage.registry.app_by_name(name)?.ok_or_else(|| {
            Failure::not_found(format!(
                "App {name} of the engine file does not exist; `arblast app new {name}` creates it"
            ))
        })?;
        let directory = models::of(storage, name, &config.variant);
        let models = match pinned {
            Some(generation) => Models::Pinned(Arc::new(directory.generation(generation)?)),
            None => Models::Newest(directory.reader().map_err(|error| untrained(error, &config))?),
        };
        let scope = Scope { app: app.id, channel: None };
        let models = Arc::new(models);
        let (events, search) = (Arc::clone(&storage.events), storage.search.clone());
        let live = Live::open(Arc::clone(&models), config.clone(), events, scope, search)?;
        let recommender = Recommender::new(config, Arc::clone(&storage.events), scope);
        Ok(Self { recommender, models, live, directory, reported: Mutex::default() })
    }

    /// The configuration that queries are answered by.
    pub fn config(&self) -> &EngineConfig {
        self.recommender.config()
    }

    /// Properties that the configuration returns with each item; `None` if it says nothing.
    pub fn configured_properties(&self) -> Option<Vec<String>> {
        Some(self.config().result_props.clone()).filter(|names| !names.is_empty())
    }

    /// What answers now. Reads no file: new models and changes of items are taken beside the queries.
    pub fn served(&self) -> Arc<Served> {
        self.live.served()
    }

    /// The generation that answers now.
    pub fn current(&self) -> Arc<Generation> {
        Arc::clone(&self.live.served().generation)
    }

    /// Where the engine's generations are.
    pub fn directory(&self) -> &ModelDirectory {
        &self.directory
    }

    /// Why the generation that should answer does not, if so; the one before it answers meanwhile.
    pub fn refused(&self) -> Option<Failure> {
        match &*self.models {
            Models::Pinned(_) => None,
            Models::Newest(reader) => {
                reader.refused().map(|error| Failure::new(error.kind(), error.to_string()))
            }
        }
    }

    /// Answers a query given as JSON text; an empty text is the empty query.
    pub fn answer(&self, query: &[u8]) -> Result<Recommendations> {
        self.recommend(&Query::parse(query).map_err(engine::Error::from)?)
    }

    /// Answers a query.
    pub fn recommend(&self, query: &Query) -> Result<Recommendations> {
        self.recommend_with(&self.served(), query, &self.history(query)?)
    }

    /// Reads the history that a query needs: the step that may wait for the store.
    pub fn history(&self, query: &Query) -> Result<History> {
        Ok(self.recommender.history(query)?)
    }

    /// The history as far as the query itself tells it.
    pub fn history_without_store(&self, query: &Query) -> Result<History> {
        Ok(self.recommender.history_without_store(query)?)
    }

    /// Answers a query by one generation, with a history that was read before.
    pub fn recommend_with(
        &self,
        served: &Served,
        query: &Query,
        history: &History,
    ) -> Result<Recommendations> {
        self.report_unknown(query);
        let now_ms = clock::now_ms();
        Ok(match &served.index {
            Some(index) => self.recommender.recommend_in(index, query, history, now_ms)?,
            None => self.recommender.recommend_with(served.view(), query, history, now_ms)?,
        })
    }

    /// Unknown members are passed over, as they always were; each is told once, for it may be a misspelt filter.
    fn report_unknown(&self, query: &Query) {
        if query.unknown.is_empty() {
            return;
        }
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        for name in &query.unknown {
            if reported.len() < REPORTED_MAX && reported.insert(name.clone()) {
                tracing::warn!(target: "arblast::query", "queries have no member \"{name}\": it is ignored");
            }
        }
    }
}

fn untrained(error: events::Error, config: &EngineConfig) -> Failure {
    if error.kind() != Kind::NotFound {
        return error.into();
    }
    let EngineConfig { variant, app_name, .. } = config;
    Failure::not_found(format!(
        "No valid engine instance found for engine {variant} of app {app_name}: it has no model yet; run `arblast train`"
    ))
}
