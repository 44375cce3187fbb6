//! `engine.json`: what to count, how to rank, which rules stand. Both historical forms become one [`EngineConfig`].

mod build;
mod duration;
mod parse;
mod spark;
pub(crate) mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub(crate) use duration::parse_duration;
pub use parse::{ConfigError, Leniency, Warning};
pub use spark::redacted;

use crate::Dither;
use crate::query::Rule;

/// One engine's configuration, checked: names are unique, the primary indicator comes first.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineConfig {
    /// `id` (PredictionIO form) or `engineId` (Harness form): names the engine's models.
    pub variant: String,
    /// As given, e.g. `com.actionml.RecommendationEngine`.
    pub engine_factory: String,
    /// App whose events are read; in the Harness form the engine id.
    pub app_name: String,
    /// Index alias for search servers.
    pub index_name: Option<String>,
    /// At least one; the first is primary.
    pub indicators: Vec<Indicator>,
    /// Users with fewer primary events (repeats counted) are left out. 1 = everyone.
    pub min_events_per_user: u32,
    /// Which events training reads.
    pub window: EventWindow,
    /// Directory under which servers copy every event body that they get; Harness form only.
    pub mirror_container: Option<PathBuf>,
    /// What a train makes.
    pub recs_model: RecsModel,
    /// Names of events whose targets a user does not get again. Default: the primary.
    pub blacklist_events: Vec<String>,
    /// Results per query.
    pub num: u32,
    /// Boost of history; negative = history filters.
    pub user_bias: f32,
    /// Boost of similar items; negative = filters.
    pub item_bias: f32,
    /// Boost of an item set.
    pub item_set_bias: f32,
    /// May `item` itself be returned?
    pub return_self: bool,
    /// Standing rules, in the documented sign convention.
    pub rules: Vec<Rule>,
    /// A query's rule replaces a standing rule on the same property (Harness form) instead of joining it.
    pub query_rules_replace: bool,
    /// In sort order, at least one.
    pub rankings: Vec<Ranking>,
    /// Property: item is offered from this date on.
    pub available_date: Option<String>,
    /// Property: item is offered before this date.
    pub expire_date: Option<String>,
    /// Further properties that hold dates.
    pub date: Option<String>,
    /// Of the sampling and of random rankings.
    pub seed: u64,
    /// Extension `"scoring": "es5-compat"`: byte-equal regression against the original.
    pub scoring: model::Scoring,
    /// Extension `dither`: results are spread at random.
    pub dither: Option<Dither>,
    /// Extension `resultProps`: properties returned with each item.
    pub result_props: Vec<String>,
    /// Extension `minModelRatio` (default 0.5): a new model with fewer correlators than this share of the current one is refused.
    pub min_model_ratio: f64,
    /// Flattened `sparkConf`, dotted keys; for the Spark road and `es.*`.
    pub spark_conf: BTreeMap<String, String>,
}

/// An event name used as evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Indicator {
    /// Event name.
    pub name: String,
    /// Other event names that count as this one (Harness form).
    pub aliases: Vec<String>,
    /// Cap on interactions per user and per thing in training.
    pub max_items_per_user: u32,
    /// History events of this name used by a query.
    pub max_query_events: u32,
    /// Correlators kept per item.
    pub max_correlators: u32,
    /// Weaker correlators are dropped.
    pub min_llr: Option<f64>,
}

/// Which events count. Training reads through it as a filter; [`prune`](crate::prune) removes the others from the store.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EventWindow {
    /// Ignore events older than this before now (special events are always read), ms.
    pub duration_ms: Option<i64>,
    /// Count events equal in all but id and times once (matters to rankings only).
    pub remove_duplicates: bool,
    /// Pruning folds the special events of each entity into one.
    pub compress_properties: bool,
    /// A train prunes the store before it reads.
    pub prune_store: bool,
}

impl EventWindow {
    /// Does every event count, each special one by itself? Then there is nothing to prune.
    pub fn leaves_out_nothing(&self) -> bool {
        self.duration_ms.is_none() && !self.remove_duplicates && !self.compress_properties
    }
}

/// What a train makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecsModel {
    /// Correlators and rankings.
    All,
    /// Correlators only; results are never filled up.
    CollabFiltering,
    /// Refresh rankings and properties of the current model.
    Backfill,
}

/// A popularity order.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// Field name, e.g. `popRank`.
    pub name: String,
    /// How it is computed.
    pub kind: RankingKind,
    /// Events that count.
    pub events: Vec<String>,
    /// Length of the window, ms.
    pub duration_ms: i64,
    /// End of the window, ms since 1970; `None` = time of training.
    pub end_ms: Option<i64>,
    /// Trending and hot: an item absent from a part of the window counts 0 there, instead of having no rank.
    pub missing_as_zero: bool,
}

/// How a ranking is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RankingKind {
    /// Events in the window.
    Popular,
    /// Newer half minus older half.
    Trending,
    /// Change of the change over three thirds.
    Hot,
    /// Seeded uniform [0, 1).
    Random,
    /// The property of the ranking's name.
    UserDefined,
}

impl EngineConfig {
    /// The model event names, primary first.
    pub fn indicator_names(&self) -> impl Iterator<Item = &str> {
        self.indicators.iter().map(|indicator| indicator.name.as_str())
    }

    /// Properties that hold dates.
    pub fn date_properties(&self) -> impl Iterator<Item = &str> {
        [&self.available_date, &self.expire_date, &self.date].into_iter().flatten().map(String::as_str)
    }
}

impl EngineConfig {
    /// Index of the indicator that counts events of this name (its own or an alias).
    pub fn indicator_of(&self, event: &str) -> Option<usize> {
        self.indicators.iter().position(|indicator| indicator.event_names().any(|name| name == event))
    }
}

impl Indicator {
    /// Its own name and its aliases.
    pub fn event_names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.aliases.iter().map(String::as_str))
    }
}
