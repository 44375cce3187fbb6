//! The neutral form of a query: what an index must find. The embedded index and a search server execute the same plan.

use std::fmt;

/// Values of a clause that its text lists.
const VALUES_SHOWN: usize = 5;

/// Values of one field, matched exactly. A document matches if it has any of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Clause {
    /// An indicator or a property. An unknown field matches nothing.
    pub field: String,
    /// Any of these. Repeated values count once.
    pub values: Vec<String>,
    /// Scoring clauses: each matching value adds `boost · idf(value)`.
    pub boost: f32,
}

/// Bounds on a property that holds numbers or dates (dates in ms since 1970). Absent bound = open.
/// A document without a value in the field never matches; with several, any may match.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bounds {
    /// The property.
    pub field: String,
    /// Read the field as dates instead of numbers.
    pub dates: bool,
    /// `value > gt`
    pub gt: Option<f64>,
    /// `value >= gte`
    pub gte: Option<f64>,
    /// `value < lt`
    pub lt: Option<f64>,
    /// `value <= lte`
    pub lte: Option<f64>,
}

/// A condition that does not score.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Any of these values.
    Values(Clause),
    /// Within these bounds.
    Within(Bounds),
}

/// How statistics for idf are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scoring {
    /// N and df over the whole model; ties by ranking, then item id.
    #[default]
    Global,
    /// As five Elasticsearch shards: N and df per shard; ties by ranking, then shard, then item id.
    Es5Compat,
}

/// What to find, in which order, which page.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SearchPlan {
    /// Scored by idf. Equal (field, value) in several clauses: boosts add first.
    pub should: Vec<Clause>,
    /// Scored by a constant per matching document.
    pub should_within: Vec<(Bounds, f32)>,
    /// Every one must hold.
    pub must: Vec<Condition>,
    /// None may hold.
    pub must_not: Vec<Condition>,
    /// Never return these items.
    pub exclude_items: Vec<String>,
    /// Multiply the total score of documents for which the condition holds.
    pub factors: Vec<(Condition, f32)>,
    /// Fill up with unscored items in ranking order, and break ties of score by ranking. Off: score 0 is dropped.
    pub by_ranking: bool,
    /// Statistics.
    pub scoring: Scoring,
    /// Skip this many.
    pub from: usize,
    /// Return at most this many.
    pub num: usize,
}

/// A found item.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Row of the item in the model.
    pub item: u32,
    /// 32-bit as in the systems we succeed; 0 = only ranked.
    pub score: f32,
}

/// Why an item scored: one matching (field, value).
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Field that matched.
    pub field: String,
    /// Value that matched; for bounds their text.
    pub value: String,
    /// What it added to the score.
    pub weight: f32,
    /// Strength of the correlator, if the field is an indicator.
    pub llr: Option<f64>,
}

/// What a plan did with one item.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Explanation {
    /// Matching terms, strongest first.
    pub evidence: Vec<Evidence>,
    /// Factors that applied, by field.
    pub factors: Vec<(String, f32)>,
    /// Why the item may not be returned: one line per failed condition. Empty = eligible.
    pub rejected_by: Vec<String>,
}

impl fmt::Display for Condition {
    /// As a person reads it: `kind is one of "a", "b"`, `price > 3 and < 5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Values(clause) if clause.values.is_empty() => {
                write!(f, "{} has one of no values", clause.field)
            }
            Self::Values(clause) => {
                let shown = clause.values.iter().take(VALUES_SHOWN).map(|value| format!("{value:?}"));
                write!(f, "{} is one of {}", clause.field, shown.collect::<Vec<_>>().join(", "))?;
                match clause.values.len().saturating_sub(VALUES_SHOWN) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
            Self::Within(bounds) => write!(f, "{} {}", bounds.field, bounds.words()),
        }
    }
}

impl Condition {
    /// The field that it speaks of.
    pub fn field(&self) -> &str {
        match self {
            Self::Values(Clause { field, .. }) | Self::Within(Bounds { field, .. }) => field,
        }
    }
}

impl Bounds {
    /// Does the value lie within them?
    pub fn hold(&self, value: f64) -> bool {
        self.gt.is_none_or(|bound| value > bound)
            && self.gte.is_none_or(|bound| value >= bound)
            && self.lt.is_none_or(|bound| value < bound)
            && self.lte.is_none_or(|bound| value <= bound)
    }

    /// The bounds without the field: `> 3 and < 5`.
    pub fn words(&self) -> String {
        let bound = |sign: &str, value: Option<f64>| value.map(|value| format!("{sign} {value}"));
        let bounds = [bound(">", self.gt), bound(">=", self.gte), bound("<", self.lt), bound("<=", self.lte)];
        bounds.into_iter().flatten().collect::<Vec<_>>().join(" and ")
    }
}
