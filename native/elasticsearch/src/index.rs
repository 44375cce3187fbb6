//! One generation, and its answers.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex};

use events::json::Object;
use events::{Error, Json, Kind, Result};
use model::{Described, Explanation, Found, IndexCorrelators, ModelIndex, SearchPlan};
use ureq::http::Method;

use crate::cluster::{Ask, Pace};
use crate::mapping::{Field, Holder, Meta};
use crate::query::Question;
use crate::statistics::Cache;
use crate::{Cluster, names};

/// Items that are asked for at once.
const BATCH: usize = 1_000;

/// A generation of a model in a cluster. Answers as long as it is kept, whichever is current.
pub struct Index {
    pub(crate) cluster: Arc<Cluster>,
    /// Name of the index.
    pub(crate) name: String,
    pub(crate) meta: Meta,
    pub(crate) cache: Mutex<Cache>,
    /// Fields that the mapping is known to have beside those at the beginning.
    pub(crate) added: Mutex<BTreeSet<Field>>,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("name", &self.name).field("meta", &self.meta).finish_non_exhaustive()
    }
}

/// A document as a search gives it.
pub(crate) struct Source(pub(crate) Json);

impl Index {
    pub(crate) fn new(cluster: Arc<Cluster>, name: String, meta: Meta) -> Self {
        Self { cluster, name, meta, cache: Mutex::default(), added: Mutex::default() }
    }

    /// Its number.
    pub fn generation(&self) -> u64 {
        self.meta.generation
    }

    /// What the publisher noted.
    pub fn note(&self) -> &str {
        &self.meta.note
    }

    /// Items when it was published.
    pub fn items(&self) -> u64 {
        self.meta.items
    }

    /// Names of the indicators, the primary first.
    pub fn indicators(&self) -> &[String] {
        &self.meta.indicators
    }

    /// Names of the rankings in sort order.
    pub fn rankings(&self) -> &[String] {
        &self.meta.rankings
    }

    /// Runs one search in the index; refuses an answer that misses a shard.
    pub(crate) fn search_for(&self, body: &str, what: &str) -> Result<Json> {
        let path = format!("/{}/_search?allow_partial_search_results=false", self.name);
        let json = self.cluster.succeed(&Ask {
            method: Method::POST,
            path: &path,
            body,
            pace: Pace::Search,
            what,
        })?;
        let failed = json.get("_shards").and_then(|shards| shards.get("failed")?.as_i64());
        if failed != Some(0) || json.get("timed_out").and_then(Json::as_bool) == Some(true) {
            let reason = json.get("_shards").and_then(|shards| shards.get("failures")).map(Json::excerpt);
            let text = format!(
                "cannot {what}: shards of {} did not answer {}",
                self.name,
                reason.unwrap_or_default()
            );
            return Err(Error::new(Kind::Unavailable, text));
        }
        Ok(json)
    }

    /// The documents of `items`, in their order; `None` for unknown ones.
    pub(crate) fn sources(&self, items: &[&str]) -> Result<Vec<Option<Source>>> {
        let mut sources = Vec::with_capacity(items.len());
        for batch in items.chunks(BATCH) {
            let ids: Vec<Json> = batch.iter().map(|id| Json::from(*id)).collect();
            let wanted = Object::new().with("terms", Object::new().with("id", Json::Array(ids)));
            let size = i64::try_from(batch.len()).unwrap_or(i64::MAX);
            let body = Object::new().with("size", size).with("query", wanted).with("track_total_hits", false);
            let json = self.search_for(&body.to_string(), &format!("read items of {}", self.name))?;
            let found: Vec<Source> =
                hits(&json).filter_map(|hit| hit.get("_source").cloned()).map(Source).collect();
            let by_id: std::collections::BTreeMap<&str, &Source> =
                found.iter().map(|source| (source.id(), source)).collect();
            sources.extend(batch.iter().map(|id| by_id.get(id).map(|source| Source(source.0.clone()))));
        }
        Ok(sources)
    }

    fn described(&self, source: &Source) -> Described<'static> {
        let document = source
            .0
            .get("item")
            .and_then(|item| item.get("document")?.as_str())
            .map(|text| text.to_owned().into());
        let rank = |name: &String| Some((name.clone(), single(source.value(Holder::Rank, name)?.as_f64()?)));
        Described { document, ranks: self.meta.rankings.iter().filter_map(rank).collect() }
    }

    fn correlators_of(&self, source: &Source) -> IndexCorrelators {
        if source.0.get("item").and_then(|item| item.get("new")).is_some() {
            return Vec::new();
        }
        let of = |name: &String| {
            let things = source.texts(Holder::Indicator, name).map(str::to_owned);
            (name.clone(), things.zip(source.llrs(name)).collect())
        };
        self.meta.indicators.iter().map(of).collect()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it was single before")]
pub(crate) fn single(value: f64) -> f32 {
    value as f32
}

pub(crate) fn hits(json: &Json) -> impl Iterator<Item = &Json> {
    json.get("hits").and_then(|hits| hits.get("hits")?.as_array()).unwrap_or_default().iter()
}

impl Source {
    pub(crate) fn id(&self) -> &str {
        self.0.get("id").and_then(Json::as_str).unwrap_or_default()
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.0.get("gone").and_then(Json::as_bool) == Some(true)
    }

    pub(crate) fn shard(&self) -> usize {
        self.0.get("shard").and_then(Json::as_i64).and_then(|shard| shard.try_into().ok()).unwrap_or(0)
    }

    fn value(&self, holder: Holder, name: &str) -> Option<&Json> {
        self.0.get(holder.name())?.get(&names::field(name))
    }

    fn values(&self, holder: Holder, name: &str) -> impl Iterator<Item = &Json> {
        self.value(holder, name).and_then(Json::as_array).unwrap_or_default().iter()
    }

    /// Texts as they are indexed.
    pub(crate) fn texts(&self, holder: Holder, name: &str) -> impl Iterator<Item = &str> {
        self.values(holder, name).filter_map(Json::as_str)
    }

    pub(crate) fn numbers(&self, holder: Holder, name: &str) -> impl Iterator<Item = f64> {
        self.values(holder, name).filter_map(Json::as_f64)
    }

    /// In the order of the texts of the indicator.
    pub(crate) fn llrs(&self, indicator: &str) -> impl Iterator<Item = f64> {
        let llrs =
            self.0.get("item").and_then(|item| item.get("llr")?.get(&names::field(indicator))?.as_array());
        llrs.unwrap_or_default().iter().filter_map(Json::as_f64)
    }
}

impl ModelIndex for Index {
    type Error = Error;

    fn search(&self, plan: &SearchPlan) -> Result<Vec<Found>> {
        if plan.num == 0 {
            return Ok(Vec::new());
        }
        let question = Question::new(self, plan)?;
        let Some(body) = question.body()? else { return Ok(Vec::new()) };
        let json = self.search_for(&body, &format!("search {}", self.name))?;
        let found = |hit: &Json| {
            let score = single(hit.get("_score")?.as_f64()?);
            let item = hit.get("sort")?.as_array()?.last()?.as_str()?.to_owned();
            Some(Found { item, score })
        };
        let found: Option<Vec<Found>> = hits(&json).map(found).collect();
        let mut found = found.ok_or_else(|| {
            let text = format!("search in {}: a hit has no score or no id", self.name);
            Error::new(Kind::Unavailable, text)
        })?;
        if !plan.by_ranking {
            found.retain(|found| found.score != 0.0);
        }
        Ok(found)
    }

    fn explain(&self, plan: &SearchPlan, items: &[&str]) -> Result<Vec<Explanation>> {
        let question = Question::new(self, plan)?;
        let sources = self.sources(items)?;
        let explain = |(id, source): (&&str, &Option<Source>)| match source {
            Some(source) => question.explain(source),
            None => Explanation::of_unknown(id),
        };
        Ok(items.iter().zip(&sources).map(explain).collect())
    }

    fn describe(&self, items: &[&str]) -> Result<Vec<Described<'_>>> {
        let sources = self.sources(items)?;
        let described =
            |source: Option<Source>| source.map(|source| self.described(&source)).unwrap_or_default();
        Ok(sources.into_iter().map(described).collect())
    }

    fn correlators(&self, item: &str) -> Result<IndexCorrelators> {
        let source = self.sources(&[item])?.into_iter().next().flatten();
        Ok(source.map(|source| self.correlators_of(&source)).unwrap_or_default())
    }
}
