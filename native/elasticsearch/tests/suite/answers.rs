//! The same answers as the embedded index.

use std::sync::atomic::{AtomicUsize, Ordering};

use elasticsearch::{Index, Indexes, Observer};
use events::Kind;
use model::conformance::{Document, Documents, InMemory, Twin, Update, model_index};
use model::{Clause, ModelIndex, ModelParts, SearchPlan};
use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::{Config, TestRunner};

use crate::build;
use crate::plans::{INDICATORS, RANKINGS, documents, plan};
use crate::server;

pub struct Silent;

impl Observer for Silent {
    fn progress(&self, _done: u64, _total: u64) {}
}

/// Publishes under a new name, and tells what became of items.
fn publish(indexes: &Indexes, parts: &ModelParts, updates: &[Update]) -> Index {
    let generation = indexes.publish(&build::model(parts), &Silent).unwrap();
    let index = indexes.current().unwrap().unwrap();
    assert_eq!((index.generation(), index.items()), (generation, u64::from(parts.items.len())));
    for (items, properties) in updates {
        index.apply(items, properties).unwrap();
    }
    index
}

fn suite(name: &str, shards: u32) {
    let count = AtomicUsize::new(0);
    model_index(|parts, updates| {
        let name = format!("{name} {}", count.fetch_add(1, Ordering::Relaxed));
        publish(&server::indexes(&name).spread(shards, Some(0)), parts, updates)
    });
}

#[test]
fn conformance_with_one_shard() {
    suite("conformance", 1);
}

#[test]
fn conformance_with_three_shards() {
    suite("conformance of 3", 3);
}

/// Servers take no negative weights, and queries make none.
fn positive(mut plan: SearchPlan) -> SearchPlan {
    plan.should.iter_mut().for_each(|clause| clause.boost = clause.boost.abs());
    plan.should_within.iter_mut().for_each(|(_, boost)| *boost = boost.abs());
    plan
}

fn random(name: &str, shards: u32) {
    const MODELS: u32 = 6;
    let models = (
        documents(),
        prop::collection::vec(plan().prop_map(positive), 15..20),
        subsequence(&RANKINGS[..], 0..=2),
    );
    let indexes = server::indexes(name).spread(shards, Some(0)).keeping(1);
    let mut runner = TestRunner::new(Config { cases: MODELS, max_shrink_iters: 40, ..Config::default() });
    let outcome = runner.run(&models, |(documents, plans, rankings)| {
        let parts = build::parts(&documents, &INDICATORS, &rankings);
        let index = publish(&indexes, &parts, &[]);
        let embedded = InMemory::new(&parts, &[]);
        for plan in &plans {
            let found = index.search(plan).unwrap();
            let found: Vec<_> = found.into_iter().map(|found| (found.item, found.score.to_bits())).collect();
            let expected = ModelIndex::search(&embedded, plan).unwrap();
            let expected: Vec<_> =
                expected.into_iter().map(|found| (found.item, found.score.to_bits())).collect();
            prop_assert_eq!(&found, &expected, "{:?}", plan);
            prop_assert_eq!(&found, &Twin::new(&documents).search(plan, &rankings), "{:?}", plan);
            let items: Vec<&str> = documents.keys().take(8).map(String::as_str).collect();
            let explained = index.explain(plan, &items).unwrap();
            prop_assert_eq!(explained, embedded.explain(plan, &items).unwrap(), "{:?}", plan);
        }
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn random_plans_with_one_shard() {
    random("random", 1);
}

#[test]
fn random_plans_with_four_shards() {
    random("random of 4", 4);
}

#[test]
fn more_values_than_the_server_takes_are_told() {
    let values: Vec<String> = (0..9_000).map(|value| format!("t{value}")).collect();
    let mut document = Document::default();
    document.correlators.insert("buy".into(), values.clone());
    let documents = Documents::from([("item".to_owned(), document)]);
    let index = publish(&server::indexes("clauses"), &build::parts(&documents, &["buy"], &[]), &[]);
    let should = vec![Clause { field: "buy".into(), values, boost: 1.0 }];
    let error = index.search(&SearchPlan { should, num: 1, ..SearchPlan::default() }).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    assert!(error.to_string().contains("max_clause_count") && !error.to_string().contains('\n'), "{error}");
}

#[test]
fn the_28_answers_of_the_original() {
    crate::handmade::check_all(|parts| {
        let indexes = server::indexes("handmade").spread(2, Some(0));
        publish(&indexes, parts, &[])
    });
}
