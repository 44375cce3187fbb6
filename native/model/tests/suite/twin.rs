//! Search against a twin that scores every document by hand, over random models and random plans.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use model::{Bounds, Clause, Condition, Scoring, SearchPlan};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::build::{self, Document, Documents};

pub const INDICATORS: [&str; 2] = ["view", "buy"];
const KEYWORDS: [&str; 2] = ["colour", "size"];
pub const RANKINGS: [&str; 2] = ["popRank", "hotRank"];
const VALUES: [&str; 8] = ["a", "b", "c", "d", "é", "", "long value", "unknown to all"];

fn some_values(most: usize) -> impl Strategy<Value = Vec<String>> {
    let known = subsequence(&VALUES[..7], 0..=most).prop_shuffle();
    known.prop_map(|values| values.into_iter().map(str::to_owned).collect())
}

fn by_name<T: std::fmt::Debug>(
    names: &'static [&'static str],
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = BTreeMap<String, T>> {
    prop::collection::btree_map(select(names).prop_map(str::to_owned), value, 0..=names.len())
}

pub fn document() -> impl Strategy<Value = Document> {
    let small = (-3i32..4).prop_map(f64::from);
    (
        by_name(&INDICATORS, some_values(5)),
        by_name(&KEYWORDS, prop::collection::vec(select(&VALUES[..7]).prop_map(str::to_owned), 0..4)),
        by_name(&["price", "size"], prop::collection::vec(small, 0..3)),
        by_name(&["until"], prop::collection::vec(-3i64..4, 0..3)),
        by_name(&RANKINGS, (0i8..4).prop_map(f32::from)),
    )
        .prop_map(|(correlators, keywords, numbers, dates, ranks)| Document {
            correlators,
            keywords,
            numbers,
            dates,
            ranks,
            text: None,
        })
}

/// Up to 90, so that the sets of rows have more than one word.
pub fn documents() -> impl Strategy<Value = Documents> {
    prop::collection::btree_map("[a-zé😀 ]{0,4}", document(), 0..90)
}

fn boost() -> impl Strategy<Value = f32> {
    prop_oneof![4 => Just(1.0), 2 => 0.3f32..20.0, 1 => -3.0f32..3.0, 1 => Just(0.0)]
}

fn clause() -> impl Strategy<Value = Clause> {
    let field = select(&["view", "buy", "colour", "size", "no such field"][..]);
    let values = prop::collection::vec(select(&VALUES[..]).prop_map(str::to_owned), 0..6);
    (field, values, boost()).prop_map(|(field, values, boost)| Clause {
        field: field.to_owned(),
        values,
        boost,
    })
}

fn bounds() -> impl Strategy<Value = Bounds> {
    let limit = || prop::option::weighted(0.3, (-3i32..4).prop_map(f64::from));
    let field = select(&["price", "size", "until", "colour", "no such field"][..]);
    (field, any::<bool>(), limit(), limit(), limit(), limit()).prop_map(|(field, dates, gt, gte, lt, lte)| {
        Bounds { field: field.to_owned(), dates, gt, gte, lt, lte }
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![clause().prop_map(Condition::Values), bounds().prop_map(Condition::Within)]
}

pub fn plan() -> impl Strategy<Value = SearchPlan> {
    use prop::collection::vec;
    (
        (vec(clause(), 0..5), vec((bounds(), boost()), 0..2), vec(condition(), 0..2), vec(condition(), 0..2)),
        (vec("[a-zé😀 ]{0,2}", 0..4), vec((condition(), prop_oneof![Just(2.0f32), Just(0.5)]), 0..3)),
        (any::<bool>(), select(&[Scoring::Global, Scoring::Es5Compat][..]), 0usize..20, 0usize..30),
    )
        .prop_map(|((should, should_within, must, must_not), (exclude_items, factors), page)| {
            let (by_ranking, scoring, from, num) = page;
            let conditions = (must, must_not, exclude_items, factors);
            let (must, must_not, exclude_items, factors) = conditions;
            #[rustfmt::skip]
            let plan = SearchPlan { should, should_within, must, must_not, exclude_items, factors, by_ranking, scoring, from, num };
            plan
        })
}

/// The naive twin.
struct Twin<'a>(&'a Documents);

impl Twin<'_> {
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

    fn score(&self, id: &str, document: &Document, plan: &SearchPlan) -> f32 {
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
        let fields = ["view", "buy", "colour", "price", "size", "until"];
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

    fn passes(id: &str, document: &Document, plan: &SearchPlan) -> bool {
        !plan.exclude_items.iter().any(|excluded| excluded == id)
            && plan.must.iter().all(|condition| holds(document, condition))
            && !plan.must_not.iter().any(|condition| holds(document, condition))
    }

    fn search(&self, plan: &SearchPlan, rankings: &[&str]) -> Vec<(String, u32)> {
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
        !(bounds.gt.is_some_and(|bound| value <= bound)
            || bounds.gte.is_some_and(|bound| value < bound)
            || bounds.lt.is_some_and(|bound| value >= bound)
            || bounds.lte.is_some_and(|bound| value > bound))
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn search_equals_twin(
        documents in documents(),
        plans in prop::collection::vec(plan(), 1..6),
        rankings in subsequence(&RANKINGS[..], 0..=2),
    ) {
        let model = build::model(&build::parts(&documents, &INDICATORS, &rankings));
        let twin = Twin(&documents);
        for plan in &plans {
            let hits = model.search(plan);
            let found: Vec<_> =
                hits.iter().map(|hit| (model.item(hit.item).unwrap().to_owned(), hit.score.to_bits())).collect();
            prop_assert_eq!(found, twin.search(plan, &rankings), "{:?}", plan);
            for (id, document) in documents.iter().take(8) {
                let explanation = model.explain(plan, model.find(id).unwrap());
                let sum: f64 = explanation.evidence.iter().map(|evidence| f64::from(evidence.weight)).sum();
                let factor: f64 = explanation.factors.iter().map(|(_, factor)| f64::from(*factor)).product();
                let score = f64::from(twin.score(id, document, plan));
                prop_assert!((sum * factor - score).abs() < 1e-3, "{} {}", sum * factor, score);
                let shown = Twin::passes(id, document, plan) && (plan.by_ranking || score.abs() > 1e-3);
                if shown || plan.by_ranking {
                    prop_assert_eq!(explanation.rejected_by.is_empty(), shown);
                }
            }
        }
    }

    #[test]
    fn what_went_in_comes_out(documents in documents(), other in documents()) {
        let parts = build::parts(&documents, &INDICATORS, &RANKINGS);
        let model = build::model(&parts);
        prop_assert_eq!(model.indicators().collect::<Vec<_>>(), INDICATORS);
        prop_assert_eq!(model.rankings().collect::<Vec<_>>(), RANKINGS);
        prop_assert_eq!(model.counts().items as usize, documents.len());
        for (id, document) in &documents {
            let row = model.find(id).unwrap();
            prop_assert_eq!(model.item(row), Some(id.as_str()));
            for name in INDICATORS {
                let list = document.correlators.get(name).into_iter().flatten();
                let wanted: Vec<_> = list.enumerate().map(|(place, thing)| (thing.as_str(), build::llr(place))).collect();
                prop_assert_eq!(model.correlators(name, row).collect::<Vec<_>>(), wanted);
            }
            let ranks: BTreeMap<String, f32> = model.ranks(row).map(|(name, rank)| (name.to_owned(), rank)).collect();
            prop_assert_eq!(&ranks, &document.ranks);
        }
        for id in other.keys() {
            prop_assert_eq!(model.find(id).is_some(), documents.contains_key(id));
        }
        prop_assert_eq!(build::bytes(&parts), model.as_bytes());
    }
}
