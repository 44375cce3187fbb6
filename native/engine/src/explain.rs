//! Why: which history matched which correlator, which rule did what, and what was kept back by which condition.

use model::{Condition, Explanation, ModelIndex, SearchPlan};

use crate::dither::Dithered;
use crate::history::Past;
use crate::plan::Request;

/// Items that a filter kept back are listed up to this number.
const FILTERED_MAX: usize = 20;

/// Why one item was recommended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reasons {
    /// What added to the score, strongest first. Empty: it is here by ranking alone.
    pub because: Vec<Reason>,
    /// (property, factor) that multiplied the score.
    pub factors: Vec<(String, f32)>,
    /// Its place, from 1, before results were dithered; `None` if they were not.
    pub rank: Option<usize>,
}

/// One match that added to a score.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// Indicator or property that matched.
    pub field: String,
    /// The correlator or property value.
    pub value: String,
    /// What it added to the score.
    pub weight: f32,
    /// Strength of the correlator.
    pub llr: Option<f64>,
    /// Where the value came from: `history`, `item`, `itemSet`, `rule`; several if it was there twice.
    pub from: Vec<&'static str>,
    /// When the user did it, ms since 1970, if it came from stored history.
    pub when: Option<i64>,
}

/// What an answer rests on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Explained {
    /// History used: per indicator, newest first.
    pub history: Vec<(String, Vec<String>)>,
    /// Items excluded by id: black-listed history, the query's own list, the base item and set.
    pub excluded: Vec<String>,
    /// Conditions that each item had to meet, in words.
    pub conditions: Vec<String>,
    /// The best items that were kept back: (item, score it would have had, the conditions that it failed).
    pub filtered: Vec<(String, f32, Vec<String>)>,
    /// How results were spread; `None` if they were not.
    pub dithered: Option<Dithered>,
}

impl Reasons {
    /// Adds to the index's evidence where each value came from.
    pub(crate) fn new(request: &Request<'_>, explanation: Explanation, rank: Option<usize>) -> Self {
        let because = explanation.evidence.into_iter().map(|evidence| {
            let (from, when) = origin(request, &evidence.field, &evidence.value);
            Reason {
                field: evidence.field,
                value: evidence.value,
                weight: evidence.weight,
                llr: evidence.llr,
                from,
                when,
            }
        });
        Self { because: because.collect(), factors: explanation.factors, rank }
    }
}

/// The parts of the query that put `value` into the search of `field`.
fn origin(request: &Request<'_>, field: &str, value: &str) -> (Vec<&'static str>, Option<i64>) {
    let past = request.history.recent.iter().find(|(name, _)| name == field);
    let past: Option<&Past> = past.and_then(|(_, past)| past.iter().find(|event| event.item == value));
    let correlates =
        |(name, values): &(String, Vec<String>)| name == field && values.iter().any(|id| id == value);
    let is_primary = request.config.indicator_names().next() == Some(field);
    let is_indicator = request.config.indicator_names().any(|name| name == field);
    let mut from = Vec::new();
    if past.is_some() {
        from.push("history");
    }
    if request.item.iter().any(correlates) {
        from.push("item");
    }
    if is_primary && request.query.item_set.iter().any(|item| item == value) {
        from.push("itemSet");
    }
    if !is_indicator {
        from.push("rule");
    }
    (from, past.and_then(|event| event.when))
}

impl Explained {
    /// Searches once more without the conditions, to tell what they kept back.
    pub(crate) fn new<I: ModelIndex>(
        index: &I,
        request: &Request<'_>,
        plan: &SearchPlan,
        dithered: Option<Dithered>,
    ) -> Result<Self, I::Error> {
        let open = SearchPlan {
            must: Vec::new(),
            must_not: Vec::new(),
            exclude_items: Vec::new(),
            from: 0,
            num: plan.from + plan.num + plan.exclude_items.len().min(1_000) + FILTERED_MAX,
            ..plan.clone()
        };
        let found = index.search(&open)?;
        let explained =
            index.explain(plan, &found.iter().map(|found| found.item.as_str()).collect::<Vec<_>>())?;
        let rejected = found.into_iter().zip(explained).filter_map(|(found, explanation)| {
            let failed = explanation.rejected_by;
            (!failed.is_empty()).then_some((found.item, found.score, failed))
        });
        let ids = |(name, past): &(String, Vec<Past>)| {
            (name.clone(), past.iter().map(|event| event.item.clone()).collect())
        };
        let must = plan.must.iter().map(|condition| format!("must match {}", describe(condition)));
        let must_not =
            plan.must_not.iter().map(|condition| format!("must not match {}", describe(condition)));
        Ok(Self {
            history: request.history.recent.iter().map(ids).collect(),
            excluded: plan.exclude_items.clone(),
            conditions: must.chain(must_not).collect(),
            filtered: rejected.take(FILTERED_MAX).collect(),
            dithered,
        })
    }
}

/// A condition in words. The same words as in [`model::Explanation::rejected_by`].
fn describe(condition: &Condition) -> String {
    condition.to_string()
}
