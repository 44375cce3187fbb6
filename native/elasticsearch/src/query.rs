//! A search plan as one question to the server.

use std::collections::{BTreeMap, BTreeSet};

use events::json::Object;
use events::{Error, Json, Kind, Result};
use model::{Bounds, Clause, Condition, Scoring, SearchPlan, term_weight};

use crate::documents::number;
use crate::mapping::Holder;
use crate::statistics::{Counted, Counts, SHARDS};
use crate::{Index, names};

/// The server takes 65 536 values in one condition.
const VALUES_MAX: usize = 60_000;

/// A value that a clause asks for.
pub(crate) struct Term<'a> {
    pub(crate) holder: Holder,
    pub(crate) field: &'a str,
    pub(crate) text: &'a str,
    pub(crate) boost: f64,
}

/// A plan, what it scores by, and what each value weighs in this index.
pub(crate) struct Question<'a> {
    pub(crate) index: &'a Index,
    pub(crate) plan: &'a SearchPlan,
    /// Terms that are summed up before they are rounded.
    pub(crate) sums: Vec<Vec<Term<'a>>>,
    counts: BTreeMap<Counted, Counts>,
}

impl Index {
    /// Where values of a field are: an indicator, or else a property.
    pub(crate) fn holder(&self, field: &str) -> Holder {
        if self.meta.indicators.iter().any(|name| name == field) {
            Holder::Indicator
        } else {
            Holder::Keyword
        }
    }

    /// Terms in the order of the embedded index: indicators as configured, then properties by name; then by text.
    fn place<'a>(&self, field: &'a str, text: &'a str) -> (usize, &'a str, &'a str) {
        let indicator = self.meta.indicators.iter().position(|name| name == field);
        indicator.map_or((usize::MAX, field, text), |place| (place, "", text))
    }

    /// The terms of clauses, each once; boosts of repeated ones add up.
    fn terms<'a>(&self, clauses: &'a [Clause]) -> Vec<Term<'a>> {
        let mut terms: BTreeMap<(usize, &str, &str), Term<'a>> = BTreeMap::new();
        for clause in clauses {
            let values: BTreeSet<&String> = clause.values.iter().collect();
            for text in values {
                let (holder, field) = (self.holder(&clause.field), clause.field.as_str());
                let term = || Term { holder, field, text, boost: 0.0 };
                let place = self.place(field, text);
                terms.entry(place).or_insert_with(term).boost += f64::from(clause.boost);
            }
        }
        terms.into_values().collect()
    }
}

impl Term<'_> {
    fn counted(&self, value: Option<String>) -> Counted {
        Counted { holder: self.holder, field: self.field.to_owned(), value }
    }

    fn condition(&self) -> Object {
        term(&self.holder.path(self.field), names::text(self.text).into_owned())
    }
}

impl<'a> Question<'a> {
    /// Counts in the index what the plan scores by.
    ///
    /// # Errors
    /// Those of the cluster; `Kind::Invalid`: a boost or factor is negative or not finite.
    pub(crate) fn new(index: &'a Index, plan: &'a SearchPlan) -> Result<Self> {
        check(plan)?;
        let sums: Vec<Vec<Term<'a>>> = match plan.scoring {
            Scoring::Global => vec![index.terms(&plan.should)],
            Scoring::Es5Compat => plan.should.chunks(1).map(|clause| index.terms(clause)).collect(),
        };
        let mut wanted = BTreeSet::new();
        for term in sums.iter().flatten() {
            wanted.insert(term.counted(None));
            wanted.insert(term.counted(Some(names::text(term.text).into_owned())));
        }
        let counts = index.counts(wanted.into_iter().collect(), plan.scoring)?;
        Ok(Self { index, plan, sums, counts })
    }

    /// What a term adds to an item, by its shard if shards count; 0 where no item has it.
    pub(crate) fn weights(&self, term: &Term<'_>) -> [f32; SHARDS] {
        let count = |value| self.counts.get(&term.counted(value)).copied().unwrap_or_default();
        let (documents, matching) = (count(None), count(Some(names::text(term.text).into_owned())));
        std::array::from_fn(|shard| match (documents.get(shard), matching.get(shard)) {
            (Some(documents), Some(matching)) if *matching > 0 => {
                term_weight(self.plan.scoring, term.boost, *documents, *matching)
            }
            _ => 0.0,
        })
    }

    /// The body of the search; `None` if it can find nothing.
    ///
    /// # Errors
    /// `Kind::Invalid`: a weight is too large.
    pub(crate) fn body(&self) -> Result<Option<String>> {
        let plan = self.plan;
        let mut should: Vec<Json> = Vec::new();
        for terms in &self.sums {
            self.push_sum(terms, &mut should)?;
        }
        for (bounds, boost) in plan.should_within.iter().filter(|(_, boost)| *boost > 0.0) {
            should.push(constant(within(bounds), *boost)?);
        }
        if plan.by_ranking {
            should.push(Object::new().with("match_all", Object::new().with("boost", 0)).into());
        }
        if should.is_empty() {
            return Ok(None);
        }
        let clauses = Object::new().with("should", should).with("minimum_should_match", 1);
        let scored = self.scaled(Object::new().with("bool", clauses))?;
        let whole = Object::new()
            .with("must", Json::Array(vec![scored.into()]))
            .with("filter", self.conditions())
            .with("must_not", self.exclusions());
        let size = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let body = Object::new()
            .with("from", size(plan.from))
            .with("size", size(plan.num))
            .with("_source", false)
            .with("track_total_hits", false)
            .with("query", Object::new().with("bool", whole))
            .with("sort", self.order());
        Ok(Some(body.to_string()))
    }

    fn push_sum(&self, terms: &[Term<'_>], should: &mut Vec<Json>) -> Result<()> {
        let mut clauses = Vec::new();
        for term in terms {
            let weights = self.weights(term);
            if self.plan.scoring == Scoring::Global {
                if weights[0] > 0.0 {
                    clauses.push(constant(term.condition().into(), weights[0])?);
                }
                continue;
            }
            for (shard, weight) in (0i64..).zip(weights).filter(|(_, weight)| *weight > 0.0) {
                let both = vec![term.condition(), self::term("shard", shard)];
                let condition = Object::new().with("bool", Object::new().with("filter", both));
                clauses.push(constant(condition.into(), weight)?);
            }
        }
        if self.plan.scoring == Scoring::Es5Compat && clauses.len() > 1 {
            // Rounds the sum of one clause, which a bool within a bool would not.
            let sum = Object::new().with("bool", Object::new().with("should", clauses));
            let rounded = Object::new().with("query", sum).with("boost_mode", "multiply");
            should.push(Object::new().with("function_score", rounded).into());
        } else {
            should.append(&mut clauses);
        }
        Ok(())
    }

    /// Multiplies scores by the factors that apply.
    fn scaled(&self, query: Object) -> Result<Object> {
        if self.plan.factors.is_empty() {
            return Ok(query);
        }
        let function = |(condition, factor): &(Condition, f32)| {
            let weight = number(f64::from(*factor)).unwrap_or_default();
            Object::new().with("filter", self.condition(condition)).with("weight", weight)
        };
        let functions: Vec<Object> = self.plan.factors.iter().map(function).collect();
        let scaled = Object::new()
            .with("query", query)
            .with("functions", functions)
            .with("score_mode", "multiply")
            .with("boost_mode", "multiply");
        Ok(Object::new().with("function_score", scaled))
    }

    fn conditions(&self) -> Vec<Json> {
        self.plan.must.iter().map(|condition| self.condition(condition)).collect()
    }

    fn exclusions(&self) -> Vec<Json> {
        let mut exclusions: Vec<Json> = vec![term("gone", true).into()];
        exclusions.extend(self.plan.must_not.iter().map(|condition| self.condition(condition)));
        exclusions.extend(terms("id", self.plan.exclude_items.iter().map(|id| Json::from(id.as_str()))));
        exclusions
    }

    /// A condition that does not score.
    fn condition(&self, condition: &Condition) -> Json {
        match condition {
            Condition::Within(bounds) => within(bounds),
            Condition::Values(clause) => {
                let path = self.index.holder(&clause.field).path(&clause.field);
                let values = clause.values.iter().map(|value| Json::from(names::text(value).into_owned()));
                any(terms(&path, values))
            }
        }
    }

    fn order(&self) -> Vec<Object> {
        let by = |field: &str, order: &str| Object::new().with(field, Object::new().with("order", order));
        let mut order = vec![by("_score", "desc")];
        if self.plan.by_ranking {
            let ranked = self.index.meta.rankings.iter().map(|name| {
                let how = Object::new()
                    .with("order", "desc")
                    .with("missing", "_last")
                    .with("unmapped_type", "float");
                Object::new().with(Holder::Rank.path(name), how)
            });
            order.extend(ranked);
        }
        if self.plan.scoring == Scoring::Es5Compat {
            order.push(by("shard", "asc"));
        }
        order.push(by("id", "asc"));
        order
    }
}

fn check(plan: &SearchPlan) -> Result<()> {
    let boosts = plan.should.iter().map(|clause| clause.boost);
    let others = plan.should_within.iter().map(|(_, boost)| *boost);
    let factors = plan.factors.iter().map(|(_, factor)| *factor);
    let wrong = boosts.chain(others).chain(factors).find(|weight| !weight.is_finite() || *weight < 0.0);
    wrong.map_or(Ok(()), |weight| {
        let text = format!("boosts and factors must be 0 or more for Elasticsearch, got {weight}");
        Err(Error::new(Kind::Invalid, text))
    })
}

fn term(path: &str, value: impl Into<Json>) -> Object {
    Object::new().with("term", Object::new().with(path, value))
}

/// Conditions that match any of the values, each of a size that the server takes.
fn terms(path: &str, values: impl Iterator<Item = Json>) -> Vec<Json> {
    let values: Vec<Json> = values.collect();
    let chunk = |values: &[Json]| {
        Json::from(Object::new().with("terms", Object::new().with(path, Json::Array(values.to_vec()))))
    };
    values.chunks(VALUES_MAX).map(chunk).collect()
}

fn any(mut conditions: Vec<Json>) -> Json {
    match conditions.len() {
        0 => nothing(),
        1 => conditions.remove(0),
        _ => Object::new().with("bool", Object::new().with("should", conditions)).into(),
    }
}

fn nothing() -> Json {
    Object::new().with("match_none", Object::new()).into()
}

fn constant(condition: Json, weight: f32) -> Result<Json> {
    // In all digits of a double, so that the server reads the very same single.
    let boost = events::json::Number::real(f64::from(weight)).ok_or_else(|| {
        Error::new(Kind::Invalid, format!("a boost makes a weight that is no number: {weight}"))
    })?;
    let scored = Object::new().with("filter", condition).with("boost", Json::Number(boost));
    Ok(Object::new().with("constant_score", scored).into())
}

/// A condition on numbers or dates.
fn within(bounds: &Bounds) -> Json {
    let holder = if bounds.dates { Holder::Date } else { Holder::Number };
    let path = holder.path(&bounds.field);
    let all = [bounds.gt, bounds.gte, bounds.lt, bounds.lte];
    if all.iter().flatten().any(|bound| bound.is_nan()) {
        return nothing();
    }
    let range = if bounds.dates { date_range(bounds) } else { number_range(bounds) };
    match range {
        None => nothing(),
        Some(range) if range.is_empty() => {
            Object::new().with("exists", Object::new().with("field", path)).into()
        }
        Some(range) => Object::new().with("range", Object::new().with(path, range)).into(),
    }
}

/// The stricter bound of each side; `None` if none can hold.
fn number_range(bounds: &Bounds) -> Option<Object> {
    let mut range = Object::new();
    let (gt, gte) = (bounds.gt.unwrap_or(f64::NEG_INFINITY), bounds.gte.unwrap_or(f64::NEG_INFINITY));
    let (lt, lte) = (bounds.lt.unwrap_or(f64::INFINITY), bounds.lte.unwrap_or(f64::INFINITY));
    if gt.max(gte) == f64::INFINITY || lt.min(lte) == f64::NEG_INFINITY {
        return None;
    }
    if gt.max(gte) > f64::NEG_INFINITY {
        let (name, bound) = if gt >= gte { ("gt", gt) } else { ("gte", gte) };
        range.push(name, number(bound)?);
    }
    if lt.min(lte) < f64::INFINITY {
        let (name, bound) = if lt <= lte { ("lt", lt) } else { ("lte", lte) };
        range.push(name, number(bound)?);
    }
    Some(range)
}

/// The same in whole milliseconds.
fn date_range(bounds: &Bounds) -> Option<Object> {
    let least = [bounds.gt.map(|bound| bound.floor() + 1.0), bounds.gte.map(f64::ceil)];
    let most = [bounds.lt.map(|bound| bound.ceil() - 1.0), bounds.lte.map(f64::floor)];
    let least = least.into_iter().flatten().fold(f64::NEG_INFINITY, f64::max);
    let most = most.into_iter().flatten().fold(f64::INFINITY, f64::min);
    if least > most || least == f64::INFINITY || most == f64::NEG_INFINITY {
        return None;
    }
    let mut range = Object::new();
    if least > f64::NEG_INFINITY {
        range.push("gte", whole(least));
    }
    if most < f64::INFINITY {
        range.push("lte", whole(most));
    }
    Some(range)
}

#[expect(clippy::cast_possible_truncation, reason = "it is whole; beyond the range the nearest is meant")]
fn whole(value: f64) -> i64 {
    value as i64
}
