//! Which values of which fields a plan scores, and how much each weighs.
//!
//! BM25 with k1 = 0, b = 0 as Lucene computes it: no term frequency, no length. See Robertson and Zaragoza, "The
//! Probabilistic Relevance Framework: BM25 and Beyond" (2009), for the inverse document frequency.

use super::es5::SHARDS;
use super::sums::single;
use crate::array::Array;
use crate::{Clause, Model};

/// A value that some clause asks for and the model has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term {
    /// Index of the field.
    pub(super) field: usize,
    pub(super) value: u32,
    pub(super) boost: f64,
}

impl Term {
    /// Items with the value, ascending.
    pub(super) fn rows<'m>(&self, model: &'m Model) -> Array<'m, u32> {
        let postings = model.fields().get(self.field).map(|field| field.postings(model.as_bytes()));
        postings.map_or(Array::new(&[]), |postings| postings.of(self.value))
    }

    /// What the value adds to an item, counted over the whole model.
    pub(super) fn weight(&self, model: &Model) -> f32 {
        let documents = model.fields().get(self.field).map_or(0, |field| field.documents);
        let matching = u32::try_from(self.rows(model).len()).unwrap_or(u32::MAX);
        single(self.boost) * idf(documents, matching)
    }

    /// The same for an item of each shard, with the roundings of Lucene 6.
    pub(super) fn shard_weights(&self, model: &Model) -> [f32; SHARDS] {
        let shards = model.shards();
        let documents = shards.documents.get(self.field).copied().unwrap_or_default();
        let matching = shards.count(self.rows(model).iter());
        std::array::from_fn(|shard| {
            let weight = idf(documents[shard], matching[shard]) * single(self.boost) * 2.2 * 1.0;
            weight / (1.0 + 1.2)
        })
    }
}

/// `ln(1 + (N − df + ½) / (df + ½))` for `matching` = df of `documents` = N.
fn idf(documents: u32, matching: u32) -> f32 {
    let [documents, matching] = [documents, matching].map(f64::from);
    single(libm::log(1.0 + (documents - matching + 0.5) / (matching + 0.5)))
}

/// The terms of one clause, by value, each once.
pub(super) fn of_clause(model: &Model, clause: &Clause) -> Vec<Term> {
    let boost = f64::from(clause.boost);
    values(model, clause).map_or(Vec::new(), |(field, values)| {
        values.into_iter().map(|value| Term { field, value, boost }).collect()
    })
}

/// The terms of all clauses by field and value: their sum does not depend on the order of clauses. Boosts of a term that
/// occurs several times add up.
pub(super) fn merged(model: &Model, clauses: &[Clause]) -> Vec<Term> {
    let mut terms: Vec<Term> = clauses.iter().flat_map(|clause| of_clause(model, clause)).collect();
    terms.sort_by_key(|term| (term.field, term.value));
    terms.dedup_by(|later, first| {
        let same = (later.field, later.value) == (first.field, first.value);
        if same {
            first.boost += later.boost;
        }
        same
    });
    terms
}

/// Field and known values of a clause, ascending, each once.
pub(super) fn values(model: &Model, clause: &Clause) -> Option<(usize, Vec<u32>)> {
    let field = model.field(&clause.field)?;
    let known = model.fields().get(field)?.values(model.as_bytes());
    let mut values: Vec<u32> = clause.values.iter().filter_map(|value| known.find(value)).collect();
    values.sort_unstable();
    values.dedup();
    Some((field, values))
}
