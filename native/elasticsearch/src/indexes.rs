//! The generations of one engine's models in a cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use events::json::Object;
use events::{Error, Json, Kind, Result};
use ureq::http::Method;

use crate::mapping::Meta;
use crate::{Cluster, Index, failure, names};

const DIGITS: usize = 10;
const BUILDING: &str = ".building";
const ITEMS: &str = ".items";

/// How an index is spread over the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) shards: u32,
    /// `None`: one copy if there is more than one node.
    pub(crate) replicas: Option<u32>,
}

/// The models of one engine: at most one serves, some older ones are kept.
#[derive(Debug, Clone)]
pub struct Indexes {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) name: String,
    pub(crate) keep: usize,
    pub(crate) layout: Layout,
    pub(crate) note: String,
}

/// What [`Indexes::list`] says of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Number; a later train has a higher one.
    pub generation: u64,
    /// Does it serve?
    pub current: bool,
    /// Was it written to its end?
    pub complete: bool,
}

impl Indexes {
    /// Generations kept by default.
    pub const KEEP: usize = 3;

    /// The models of a variant of an engine of an app.
    pub fn of(cluster: Arc<Cluster>, app: &str, variant: &str) -> Self {
        Self::named(cluster, &names::of_engine(app, variant))
    }

    /// The models under an alias of another name, which must be one that servers allow.
    pub fn named(cluster: Arc<Cluster>, alias: &str) -> Self {
        let layout = Layout { shards: 1, replicas: None };
        Self { cluster, name: alias.to_owned(), keep: Self::KEEP, layout, note: String::new() }
    }

    /// Keeps the newest `keep` generations at each publish, at least one; the current one is always kept.
    #[must_use]
    pub fn keeping(self, keep: usize) -> Self {
        Self { keep: keep.max(1), ..self }
    }

    /// New generations have so many shards, and so many copies of each; `None`: one copy if there is another node for it.
    #[must_use]
    pub fn spread(self, shards: u32, replicas: Option<u32>) -> Self {
        Self { layout: Layout { shards: shards.max(1), replicas }, ..self }
    }

    /// New generations carry this text, such as the digest of their model: see [`find`](Self::find).
    #[must_use]
    pub fn noting(self, note: &str) -> Self {
        Self { note: note.to_owned(), ..self }
    }

    /// The newest complete generation with this note.
    ///
    /// # Errors
    /// Those of the cluster.
    pub fn find(&self, note: &str) -> Result<Option<Index>> {
        for listed in self.list()?.into_iter().rev().filter(|listed| listed.complete) {
            match self.open(listed.generation) {
                Ok(index) if index.note() == note => return Ok(Some(index)),
                // Another version made it, or it has just been removed.
                Err(error) if !matches!(error.kind(), Kind::Version | Kind::NotFound) => return Err(error),
                _ => {}
            }
        }
        Ok(None)
    }

    /// The alias that the current generation has.
    pub fn alias(&self) -> &str {
        &self.name
    }

    pub(crate) fn index(&self, generation: u64) -> String {
        format!("{}-{generation:0DIGITS$}", self.name)
    }

    /// All generations, oldest first.
    ///
    /// # Errors
    /// Those of the cluster.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let path = format!("/{}-*/_alias?expand_wildcards=all", self.name);
        let what = format!("list the indexes {}-*", self.name);
        let answer = self.cluster.get(&path, &what)?;
        if !answer.is_ok() && answer.status != 404 {
            return Err(failure::of(&what, &answer));
        }
        let mut listed = BTreeMap::new();
        for (index, entry) in answer.json.as_object().map(Object::iter).into_iter().flatten() {
            let digits = index.strip_prefix(&self.name).and_then(|rest| rest.strip_prefix('-'));
            let Some(generation) =
                digits.filter(|digits| digits.len() >= DIGITS).and_then(|digits| digits.parse().ok())
            else {
                continue;
            };
            let has = |alias: &str| entry.get("aliases").is_some_and(|aliases| aliases.get(alias).is_some());
            let current = has(&self.name);
            let complete = has(&items_alias(index));
            listed.insert(generation, Listed { generation, current, complete });
        }
        Ok(listed.into_values().collect())
    }

    /// The generation that serves; `None` before the first publish.
    ///
    /// # Errors
    /// Those of the cluster; `Kind::Version` if another version of this program made it.
    pub fn current(&self) -> Result<Option<Index>> {
        self.current_number()?.map(|generation| self.open(generation)).transpose()
    }

    /// The number of the generation that serves; a small question to the cluster.
    ///
    /// # Errors
    /// Those of the cluster.
    pub fn current_number(&self) -> Result<Option<u64>> {
        Ok(self.list()?.into_iter().find(|listed| listed.current).map(|listed| listed.generation))
    }

    /// Opens a generation, current or not.
    ///
    /// # Errors
    /// `Kind::NotFound`; `Version` if another version of this program made it; those of the cluster.
    pub fn open(&self, generation: u64) -> Result<Index> {
        let index = self.index(generation);
        let what = format!("open index {index}");
        let json = self.cluster.do_it(Method::GET, &format!("/{index}/_mapping"), "", &what)?;
        let meta = Meta::of_mapping(&index, &json)?;
        Ok(Index::new(Arc::clone(&self.cluster), index, meta))
    }

    /// Makes another generation current: `to`, or else the one before the current. Gives its number. Nothing is removed.
    ///
    /// # Errors
    /// `Kind::NotFound` names the generations there are; those of [`open`](Self::open): nothing changes then.
    pub fn rollback(&self, to: Option<u64>) -> Result<u64> {
        let complete: Vec<Listed> = self.list()?.into_iter().filter(|listed| listed.complete).collect();
        let current = complete.iter().find(|listed| listed.current).map_or(0, |listed| listed.generation);
        let wanted = complete.iter().rev().find(|listed| match to {
            Some(to) => listed.generation == to,
            None => listed.generation < current,
        });
        let Some(wanted) = wanted else {
            let numbers: Vec<u64> = complete.iter().map(|listed| listed.generation).collect();
            let wanted = to.map_or("before the current one".to_owned(), |to| to.to_string());
            let text = format!("{}: there is no generation {wanted}; there are {numbers:?}", self.name);
            return Err(Error::new(Kind::NotFound, text));
        };
        let generation = wanted.generation;
        self.open(generation)?;
        self.point_to(generation, false)?;
        Ok(generation)
    }

    /// Moves the alias, in one step for all who ask. `built`: it was incomplete up to now.
    pub(crate) fn point_to(&self, generation: u64, built: bool) -> Result<()> {
        let index = self.index(generation);
        let action = |verb: &str, index: &str, alias: &str| {
            let what = Object::new().with("index", index).with("alias", alias);
            Json::from(Object::new().with(verb, what))
        };
        let mut actions = Vec::new();
        for listed in
            self.list()?.into_iter().filter(|listed| listed.current && listed.generation != generation)
        {
            actions.push(action("remove", &self.index(listed.generation), &self.name));
        }
        if built {
            actions.push(action("remove", &index, &building_alias(&index)));
            actions.push(action("add", &index, &items_alias(&index)));
        }
        actions.push(action("add", &index, &self.name));
        let body = Object::new().with("actions", actions).to_string();
        let what = format!("make {index} current");
        self.cluster.do_it(Method::POST, "/_aliases", &body, &what).map(drop)
    }

    /// Removes a generation; one that is gone already is no error.
    pub(crate) fn remove(&self, generation: u64) -> Result<()> {
        let index = self.index(generation);
        let what = format!("remove index {index}");
        let removed = self.cluster.do_it(Method::DELETE, &format!("/{index}"), "", &what);
        match removed {
            Err(error) if error.kind() == Kind::NotFound => Ok(()),
            removed => removed.map(drop),
        }
    }
}

pub(crate) fn building_alias(index: &str) -> String {
    format!("{index}{BUILDING}")
}

pub(crate) fn items_alias(index: &str) -> String {
    format!("{index}{ITEMS}")
}
