//! A naive twin of the search: it scores every document by hand.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::documents::{Document, Documents};
use crate::{Bounds, Clause, Condition, Scoring, SearchPlan};

/// The naive twin.
#[derive(Debug)]
pub struct Twin<'a>(&'a Documents);

impl<'a> Twin<'a> {
    /// Searches in these.
    pub fn new(documents: &'a Documents) -> Self {
        Self(documents)
    }

    fn values<'d>(document: &'d Document, field: &str) -> &'d [String] {
        let lists = [document.correlators.get(field), document.keywords.get(field)];
        lists.into_iter().flatten().next().map_or(&[], Vec::as_slice)
    }

    /// N and df among documents of the same part.
    fn idf(&self, field: &str, value: &String, shard: Option<i32>) -> f32 {
        let part = self.0.iter().filter(|(id, _)| shard.is_none_or(|shard| shard_of(id) == shard));
        let lists: Vec<&[String]> = part.map(|(_, document)| Self::values(document, field)).collect();
        let n = lists.iter().filter(|list| !list.is_empty()).count() as f64;
        let df = lists.iter().filter(|list| list.contains(value)).count() as f64;
        (1.0 + (n - df + 0.5) / (df + 0.5)).ln() as f32
    }

    /// What the plan gives to an item, whether it may be found or not.
    pub fn score(&self, id: &str, document: &Document, plan: &SearchPlan) -> f32 {
        let mut sum = match plan.scoring {
            Scoring::Global => self.merged(document, plan),
            Scoring::Es5Compat => self.by_clause(id, document, plan),
        };
        for (bounds, boost) in &plan.should_within {
            if within(document, bounds) {
                sum += f64::from(*boost);
            }
        }
        for (condition, factor) in &plan.factors {
            if holds(document, condition) {
                sum *= f64::from(*factor);
            }
        }
        sum as f32
    }

    fn merged(&self, document: &Document, plan: &SearchPlan) -> f64 {
        // By field in the order of the model, then by value.
        let mut boosts: BTreeMap<(usize, &String), f64> = BTreeMap::new();
        let fields: BTreeSet<&str> = plan.should.iter().map(|clause| clause.field.as_str()).collect();
        let fields: Vec<&str> = fields.into_iter().collect();
        for clause in &plan.should {
            let Some(field) = fields.iter().position(|field| *field == clause.field) else { continue };
            for value in clause.values.iter().collect::<BTreeSet<_>>() {
                *boosts.entry((field, value)).or_default() += f64::from(clause.boost);
            }
        }
        let matching = boosts
            .iter()
            .filter(|((field, value), _)| Self::values(document, fields[*field]).contains(value));
        matching
            .map(|((field, value), boost)| f64::from(*boost as f32 * self.idf(fields[*field], value, None)))
            .sum()
    }

    fn by_clause(&self, id: &str, document: &Document, plan: &SearchPlan) -> f64 {
        let clause_score = |clause: &Clause| {
            let values: BTreeSet<&String> = clause.values.iter().collect();
            let matching =
                values.into_iter().filter(|value| Self::values(document, &clause.field).contains(value));
            let term = |value: &String| {
                let idf = self.idf(&clause.field, value, Some(shard_of(id)));
                ((idf * clause.boost) * 2.2f32) * 1f32 / (1f32 + 1.2f32)
            };
            let sum: f64 = matching.map(|value| f64::from(term(value))).sum();
            f64::from(sum as f32)
        };
        plan.should.iter().map(clause_score).sum()
    }

    /// Do the conditions let it through?
    pub fn passes(id: &str, document: &Document, plan: &SearchPlan) -> bool {
        !plan.exclude_items.iter().any(|excluded| excluded == id)
            && plan.must.iter().all(|condition| holds(document, condition))
            && !plan.must_not.iter().any(|condition| holds(document, condition))
    }

    /// The page, with the bits of scores.
    pub fn search(&self, plan: &SearchPlan, rankings: &[&str]) -> Vec<(String, u32)> {
        let passing = self.0.iter().filter(|(id, document)| Self::passes(id, document, plan));
        let mut hits: Vec<(f32, Vec<f32>, i32, &String)> = passing
            .map(|(id, document)| {
                let rank = |name: &&str| document.ranks.get(*name).copied().unwrap_or(f32::NEG_INFINITY);
                let ranks = if plan.by_ranking { rankings.iter().map(rank).collect() } else { Vec::new() };
                let shard = if plan.scoring == Scoring::Es5Compat { shard_of(id) } else { 0 };
                (self.score(id, document, plan) + 0.0, ranks, shard, id)
            })
            .filter(|(score, ..)| plan.by_ranking || *score != 0.0)
            .collect();
        hits.sort_by(|a, b| {
            let keys = (Reverse(a.2), Reverse(a.3)).cmp(&(Reverse(b.2), Reverse(b.3)));
            let descending = a.0.total_cmp(&b.0).then(a.1.partial_cmp(&b.1).expect("numbers")).then(keys);
            descending.reverse()
        });
        let page = hits.into_iter().skip(plan.from).take(plan.num);
        page.map(|(score, _, _, id)| (id.clone(), score.to_bits())).collect()
    }
}

fn within(document: &Document, bounds: &Bounds) -> bool {
    let dates = document.dates.get(&bounds.field).into_iter().flatten().map(|date| *date as f64);
    let numbers = document.numbers.get(&bounds.field).into_iter().flatten().copied();
    let mut values: Box<dyn Iterator<Item = f64>> =
        if bounds.dates { Box::new(dates) } else { Box::new(numbers) };
    values.any(|value| {
        bounds.gt.is_none_or(|bound| value > bound)
            && bounds.gte.is_none_or(|bound| value >= bound)
            && bounds.lt.is_none_or(|bound| value < bound)
            && bounds.lte.is_none_or(|bound| value <= bound)
    })
}

fn holds(document: &Document, condition: &Condition) -> bool {
    match condition {
        Condition::Within(bounds) => within(document, bounds),
        Condition::Values(clause) => {
            let values = Twin::values(document, &clause.field);
            clause.values.iter().any(|value| values.contains(value))
        }
    }
}

/// MurmurHash3 of the UTF-16 bytes, a block at a time.
fn shard_of(id: &str) -> i32 {
    let bytes: Vec<u8> = id.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut hash = 0u32;
    for block in bytes.chunks(4) {
        let mut word = [0; 4];
        word[..block.len()].copy_from_slice(block);
        hash ^= u32::from_le_bytes(word).wrapping_mul(0xcc9e2d51).rotate_left(15).wrapping_mul(0x1b873593);
        if block.len() == 4 {
            hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe6546b64);
        }
    }
    hash ^= u32::try_from(bytes.len()).expect("short");
    for (shift, factor) in [(16, 0x85ebca6b), (13, 0xc2b2ae35), (16, 1u32)] {
        hash = (hash ^ (hash >> shift)).wrapping_mul(factor);
    }
    hash.cast_signed().rem_euclid(5)
}
