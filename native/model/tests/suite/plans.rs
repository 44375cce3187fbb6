//! Random documents and random plans.

use std::collections::BTreeMap;

use model::conformance::{Document, Documents};
use model::{Bounds, Clause, Condition, Scoring, SearchPlan};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

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
