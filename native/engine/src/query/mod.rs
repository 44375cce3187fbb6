//! The query: what a client asks. Wire form: the Universal Recommender's query JSON, with Harness names as aliases.

pub(crate) mod parse;
pub(crate) mod tables;
#[cfg(test)]
mod tests;
mod write;

pub use parse::QueryError;

use crate::DitherChange;

/// A query, parsed and checked. Absent members are `None`/empty; defaults come from the configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    /// Whose history to use.
    pub user: Option<String>,
    /// Boost of history: negative = filter, 0 = history off.
    pub user_bias: Option<f32>,
    /// Base item for similar items.
    pub item: Option<String>,
    /// Boost of its correlators, with the same signs.
    pub item_bias: Option<f32>,
    /// A cart.
    pub item_set: Vec<String>,
    /// Boost of the cart, with the same signs.
    pub item_set_bias: Option<f32>,
    /// `fields` / `rules`.
    pub rules: Vec<Rule>,
    /// Extension `ranges`.
    pub ranges: Vec<RangeRule>,
    /// Overrides the availability rule.
    pub date_range: Option<DateRange>,
    /// "Now" for the availability rule, ms since 1970.
    pub current_date: Option<i64>,
    /// Never return these.
    pub blacklist_items: Vec<String>,
    /// May `item` be returned?
    pub return_self: Option<bool>,
    /// Number of results.
    pub num: Option<u32>,
    /// Offset for paging.
    pub from: u32,
    /// Extension `dither`: `None` = as the engine says.
    pub dither: Option<DitherChange>,
    /// `eventNames` / `indicatorNames`: restricts the history.
    pub event_names: Option<Vec<String>>,
    /// Add ranking values to each result.
    pub with_ranks: bool,
    /// Extension: why each item is there, and what was filtered.
    pub explain: bool,
    /// Extension `resultProps`: `None` = the configuration's; `["*"]` = all.
    pub result_props: Option<Vec<String>>,
    /// Extension: history given inline instead of (or, with `user`, before) the stored one, newest first.
    pub history: Option<Vec<HistoryEvent>>,
    /// Id of an earlier prediction that this query belongs to; passed on with feedback.
    pub pr_id: Option<String>,
    /// Extension: add the id of this prediction to the answer, if the server has given it one.
    pub with_pr_id: bool,
    /// Extension: say in the answer if it is degraded.
    pub with_degraded: bool,
    /// Member names that are not known, in order of appearance.
    pub unknown: Vec<String>,
}

/// What a rule does to items that match it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Effect {
    /// Adds `boost · idf(value)` (ranges: adds `boost`). Positive `bias`.
    Boost(f32),
    /// Only these. Negative `bias`.
    Include,
    /// Never these. `bias` 0.
    Exclude,
    /// Multiplies the total score. Extension `factor` (> 0).
    Factor(f32),
}

/// A rule on exact property values.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Property.
    pub name: String,
    /// Any of these.
    pub values: Vec<String>,
    /// What it does.
    pub effect: Effect,
}

/// A rule on numeric (or date) properties. Without `bias` and `factor` it includes.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeRule {
    /// Bounds; `dates` is set if they were given as ISO dates.
    pub bounds: model::Bounds,
    /// What it does.
    pub effect: Effect,
}

/// `after < property < before`, strict, ms since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct DateRange {
    /// Date property.
    pub name: String,
    /// Lower bound.
    pub after: Option<i64>,
    /// Upper bound.
    pub before: Option<i64>,
}

/// One inline history event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEvent {
    /// Indicator name.
    pub event: String,
    /// Target id.
    pub item: String,
}
