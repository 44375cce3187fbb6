//! Models in Elasticsearch or OpenSearch, as the settings say.

use std::sync::Arc;

use elasticsearch::{Index, Indexes, Observer, Place, Setting};
use events::{Error, Kind, Result};
use model::{
    ChangedItem, Described, Explanation, Found, IndexCorrelators, Model, ModelIndex, PropertyPart, SearchPlan,
};
use stores::{EngineName, SearchIndex, SearchServers};

/// The servers that a setting names, if any.
///
/// # Errors
/// The URL, the key or the file is none.
pub fn servers(setting: &Setting) -> Result<Option<Arc<dyn SearchServers>>> {
    Ok(setting.place().map_err(of_setting)?.map(|place| Arc::new(Searching(place)) as Arc<dyn SearchServers>))
}

/// Where models are published for searching.
struct Searching(Place);

impl Searching {
    fn indexes(&self, engine: EngineName<'_>) -> Indexes {
        self.0.indexes(engine.app, engine.variant)
    }

    fn find(&self, engine: EngineName<'_>, digest: &str) -> Result<Index> {
        let indexes = self.indexes(engine);
        indexes.find(digest)?.ok_or_else(|| {
            let alias = indexes.alias();
            let text = format!(
                "the search servers have no index of this model ({alias}): unless a train is about to publish it, train again with this indexUrl"
            );
            Error::new(Kind::NotFound, text)
        })
    }
}

/// Of the setting that leads there.
fn of_setting(error: Error) -> Error {
    let remedy = match error.kind() {
        Kind::Version => "; give another, or set indexUrl to embedded to answer from the model files",
        _ => "",
    };
    Error::new(error.kind(), format!("indexUrl: {error}{remedy}")).with_source(error)
}

impl SearchServers for Searching {
    fn check(&self, engine: EngineName<'_>) -> Result<()> {
        self.indexes(engine).check().map_err(of_setting)
    }

    fn about(&self) -> Result<String> {
        let probe = EngineName { app: "status", variant: "status" };
        let version = match self.0.cluster().version() {
            // Who may publish need not be allowed to ask for that.
            Err(error) if error.kind() == Kind::Denied => {
                self.indexes(probe).list().map(|_| "of a version that this user may not ask for".to_owned())
            }
            version => version,
        };
        version.map_err(of_setting)
    }

    fn publish(
        &self,
        engine: EngineName<'_>,
        model: &Model,
        digest: &str,
        progress: &dyn Fn(u64, u64) -> bool,
    ) -> Result<()> {
        let observer = Progress { progress, stopped: false.into() };
        self.indexes(engine).noting(digest).publish(model, &observer).map(drop).map_err(of_setting)
    }

    fn open(&self, engine: EngineName<'_>, digest: &str) -> Result<Arc<dyn SearchIndex>> {
        Ok(Arc::new(Searched(self.find(engine, digest).map_err(of_setting)?)))
    }

    fn make_current(&self, engine: EngineName<'_>, digest: &str) -> Result<()> {
        let generation = self.find(engine, digest).map_err(of_setting)?.generation();
        self.indexes(engine).rollback(Some(generation)).map(drop).map_err(of_setting)
    }
}

struct Progress<'a> {
    progress: &'a dyn Fn(u64, u64) -> bool,
    stopped: std::cell::Cell<bool>,
}

impl Observer for Progress<'_> {
    fn progress(&self, done: u64, total: u64) {
        self.stopped.set(!(self.progress)(done, total));
    }

    fn is_stopped(&self) -> bool {
        self.stopped.get()
    }
}

/// An index as the program sees it.
struct Searched(Index);

impl ModelIndex for Searched {
    type Error = Error;

    fn search(&self, plan: &SearchPlan) -> Result<Vec<Found>> {
        self.0.search(plan)
    }

    fn explain(&self, plan: &SearchPlan, items: &[&str]) -> Result<Vec<Explanation>> {
        self.0.explain(plan, items)
    }

    fn describe(&self, items: &[&str]) -> Result<Vec<Described<'_>>> {
        self.0.describe(items)
    }

    fn correlators(&self, item: &str) -> Result<IndexCorrelators> {
        self.0.correlators(item)
    }
}

impl SearchIndex for Searched {
    fn apply(&self, items: &[ChangedItem], properties: &[PropertyPart]) -> Result<()> {
        self.0.apply(items, properties)
    }
}
