//! Which values of which fields a plan scores, and how much each weighs.
//!
//! BM25 with k1 = 0, b = 0 as Lucene computes it: no term frequency, no length. See Robertson and Zaragoza, "The
//! Probabilistic Relevance Framework: BM25 and Beyond" (2009), for the inverse document frequency.

use std::cmp::Ordering;
use std::sync::Arc;

use super::es5::SHARDS;
use super::sums::{Sums, single};
use crate::array::Array;
use crate::bits::Bits;
use crate::{Clause, Scoring, View};

/// A value that some clause asks for and some item has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term<'a> {
    /// Index of the field.
    pub(super) field: usize,
    /// Its number in the model; [`UNKNOWN`] if only changed items have it.
    value: u32,
    pub(super) text: &'a str,
    pub(super) boost: f64,
}

const UNKNOWN: u32 = u32::MAX;

/// Changed items that have a value.
type Added<'a> = &'a [(Arc<str>, u32)];

/// Items that have a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    of_model: Array<'a, u32>,
    /// Rows of the model that have changed, and what holds in their place.
    changes: Option<(&'a Bits, Added<'a>)>,
}

impl Rows<'_> {
    pub(super) fn for_each(self, mut act: impl FnMut(u32)) {
        match self.changes {
            None => self.of_model.iter().for_each(act),
            Some((changed, added)) => {
                self.of_model.iter().filter(|row| !changed.contains(*row)).for_each(&mut act);
                added.iter().for_each(|(_, row)| act(*row));
            }
        }
    }

    /// Adds `weight` to the sum of each.
    pub(super) fn add_to(self, sums: &mut Sums, weight: impl Fn(u32) -> f64) {
        match self.changes {
            None => sums.add(self.of_model.iter(), weight),
            Some((changed, added)) => {
                sums.add(self.of_model.iter().filter(|row| !changed.contains(*row)), &weight);
                sums.add(added.iter().map(|(_, row)| *row), &weight);
            }
        }
    }

    fn len(self) -> u32 {
        if self.changes.is_none() {
            return u32::try_from(self.of_model.len()).unwrap_or(u32::MAX);
        }
        let mut len = 0;
        self.for_each(|_| len += 1);
        len
    }

    pub(super) fn contains(self, row: u32) -> bool {
        if let Some((changed, added)) = self.changes
            && changed.contains(row)
        {
            return added.binary_search_by_key(&row, |(_, row)| *row).is_ok();
        }
        self.of_model.get(self.of_model.partition_point(|other| other < row)) == Some(row)
    }
}

impl Term<'_> {
    /// Items with the value.
    pub(super) fn rows<'v>(&self, view: View<'v>) -> Rows<'v> {
        let postings = view.model_field(self.field).map(|field| field.postings(view.model.as_bytes()));
        let of_model = postings.map_or(Array::new(&[]), |postings| postings.of(self.value));
        let changes = view.field_changes(self.field);
        Rows {
            of_model,
            changes: changes.map(|changes| (view.changes.rows(), changes.with_value(self.text))),
        }
    }

    /// What the value adds to an item, counted over all items.
    pub(super) fn weight(&self, view: View<'_>) -> f32 {
        let of_model = view.model_field(self.field).map_or(0, |field| field.documents);
        let changes = view.field_changes(self.field);
        let documents = changes.map_or(of_model, |changes| changes.documents(of_model));
        term_weight(Scoring::Global, self.boost, documents, self.rows(view).len())
    }

    /// The same for an item of each shard.
    pub(super) fn shard_weights(&self, view: View<'_>) -> [f32; SHARDS] {
        let of_model = view.model.shards().documents.get(self.field).copied().unwrap_or_default();
        let changes = view.field_changes(self.field);
        let documents = changes.map_or(of_model, |changes| changes.documents_by_shard(of_model));
        let mut matching = [0; SHARDS];
        self.rows(view).for_each(|row| matching[usize::from(view.shard(row)).min(SHARDS - 1)] += 1);
        std::array::from_fn(|shard| {
            term_weight(Scoring::Es5Compat, self.boost, documents[shard], matching[shard])
        })
    }

    /// The correlator with this LLR, if it is one.
    pub(super) fn llr(&self, view: View<'_>, row: u32) -> Option<f64> {
        let mut correlators = view.model_field(self.field)?.correlators(view.model.as_bytes(), row);
        correlators.find(|(thing, _)| *thing == self.value).map(|(_, llr)| llr)
    }

    /// By field, then by value in the order of its text: as if all were in one model.
    fn order(&self, other: &Self, view: View<'_>) -> Ordering {
        let indicators = view.model.indicator_count();
        if view.changes.is_empty() || self.field.min(other.field) < indicators {
            return (self.field, self.value).cmp(&(other.field, other.value));
        }
        let name = |term: &Self| view.field_name(term.field);
        name(self).cmp(name(other)).then_with(|| self.text.cmp(other.text))
    }

    fn is(&self, other: &Self) -> bool {
        self.field == other.field
            && self.value == other.value
            && (self.value != UNKNOWN || self.text == other.text)
    }
}

/// What a value adds to the score of an item that has it, if `matching` of `documents` with any value in the field have it.
/// For [`Scoring::Es5Compat`] count within a shard; the roundings are those of Lucene 6.
pub fn term_weight(scoring: Scoring, boost: f64, documents: u32, matching: u32) -> f32 {
    match scoring {
        Scoring::Global => single(boost) * idf(documents, matching),
        Scoring::Es5Compat => {
            let weight = idf(documents, matching) * single(boost) * 2.2 * 1.0;
            weight / (1.0 + 1.2)
        }
    }
}

/// `ln(1 + (N − df + ½) / (df + ½))` for `matching` = df of `documents` = N.
fn idf(documents: u32, matching: u32) -> f32 {
    let [documents, matching] = [documents, matching].map(f64::from);
    single(libm::log(1.0 + (documents - matching + 0.5) / (matching + 0.5)))
}

/// The terms of one clause, by value, each once.
pub(super) fn of_clause<'a>(view: View<'_>, clause: &'a Clause) -> Vec<Term<'a>> {
    let mut terms = known(view, clause);
    terms.sort_by(|a, b| a.order(b, view));
    terms.dedup_by(|later, first| later.is(first));
    terms
}

/// The terms of all clauses by field and value: their sum does not depend on the order of clauses. Boosts of a term that
/// occurs several times add up.
pub(super) fn merged<'a>(view: View<'_>, clauses: &'a [Clause]) -> Vec<Term<'a>> {
    let mut terms: Vec<Term<'a>> = clauses.iter().flat_map(|clause| of_clause(view, clause)).collect();
    terms.sort_by(|a, b| a.order(b, view));
    terms.dedup_by(|later, first| {
        let same = later.is(first);
        if same {
            first.boost += later.boost;
        }
        same
    });
    terms
}

/// What a clause asks for, as far as some item may have it.
fn known<'a>(view: View<'_>, clause: &'a Clause) -> Vec<Term<'a>> {
    let Some(field) = view.field(&clause.field) else { return Vec::new() };
    let (values, changes) = (view.values(field), view.field_changes(field));
    let boost = f64::from(clause.boost);
    let term = |text: &'a String| {
        let value = values.and_then(|values| values.find(text));
        let changed = || changes.is_some_and(|changes| !changes.with_value(text).is_empty());
        (value.is_some() || changed()).then(|| Term { field, value: value.unwrap_or(UNKNOWN), text, boost })
    };
    clause.values.iter().filter_map(term).collect()
}
