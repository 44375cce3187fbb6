//! Generations: complete or not at all, one of them current, the last few kept.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

use elasticsearch::{Indexes, Listed, Observer};
use events::Kind;
use model::{ChangedItem, Clause, Condition, Model, ModelIndex, PropertyPart, SearchPlan};

use crate::answers::Silent;
use crate::build::{self, Document, Documents};
use crate::server;

/// A model of some items, each with a long text, so that it takes more than one bulk request from 6000 on.
pub fn model(items: usize) -> Model {
    let document = |number: usize| {
        let mut document = Document { text: Some("x".repeat(1_000)), ..Document::default() };
        document.correlators.insert("buy".into(), vec![format!("t{}", number % 10)]);
        document.keywords.insert("kind".into(), vec!["a".into()]);
        document.ranks.insert("popRank".into(), number as f32);
        (format!("item {number}"), document)
    };
    let documents: Documents = (0..items).map(document).collect();
    build::model(&build::parts(&documents, &["buy"], &["popRank"]))
}

/// Calls something at the first progress.
pub struct AtFirst<F: Fn()>(pub Cell<bool>, pub F);

impl<F: Fn()> Observer for AtFirst<F> {
    fn progress(&self, done: u64, total: u64) {
        assert!(done <= total);
        if !self.0.replace(true) {
            assert!(done < total, "the model is too small for this test");
            (self.1)();
        }
    }
}

pub fn at_first<F: Fn()>(act: F) -> AtFirst<F> {
    AtFirst(Cell::new(false), act)
}

fn numbers(indexes: &Indexes) -> Vec<(u64, bool)> {
    let complete = |listed: Listed| {
        assert!(listed.complete, "{listed:?}");
        (listed.generation, listed.current)
    };
    indexes.list().unwrap().into_iter().map(complete).collect()
}

/// The best items by ranking.
pub fn top(index: &impl ModelIndex) -> Vec<String> {
    let plan = SearchPlan { by_ranking: true, num: 2, ..SearchPlan::default() };
    index
        .search(&plan)
        .unwrap_or_else(|error| panic!("{error}"))
        .into_iter()
        .map(|found| found.item)
        .collect()
}

#[test]
fn the_last_generations_stay_and_one_is_current() {
    let indexes = server::indexes("generations").keeping(3);
    assert_eq!((indexes.list().unwrap(), indexes.current_number().unwrap()), (vec![], None));
    assert!(indexes.current().unwrap().is_none());
    indexes.check().unwrap();
    assert_eq!(indexes.rollback(None).unwrap_err().kind(), Kind::NotFound);
    indexes.publish(&model(1), &Silent).unwrap();
    let first = indexes.current().unwrap().unwrap();
    for items in 2..=4 {
        indexes.publish(&model(items), &Silent).unwrap();
        if items == 3 {
            assert_eq!(numbers(&indexes), [(1, false), (2, false), (3, true)]);
            assert_eq!(top(&first).len(), 1, "a generation answers as long as it is kept");
            assert_eq!(indexes.rollback(Some(1)).unwrap(), 1);
            assert_eq!(indexes.current_number().unwrap(), Some(1));
            assert_eq!(indexes.rollback(Some(7)).unwrap_err().to_string().lines().count(), 1);
        }
    }
    assert_eq!(numbers(&indexes), [(2, false), (3, false), (4, true)]);
    let error = first.search(&SearchPlan { num: 1, by_ranking: true, ..SearchPlan::default() }).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    assert_eq!(indexes.rollback(None).unwrap(), 3);
    assert_eq!(top(&indexes.current().unwrap().unwrap()), ["item 2", "item 1"]);
    assert_eq!(indexes.open(9).unwrap_err().kind(), Kind::NotFound);
    let noted = indexes.clone().noting("digest");
    assert_eq!(noted.publish(&model(1), &Silent).unwrap(), 5);
    assert_eq!(indexes.find("digest").unwrap().unwrap().generation(), 5);
    assert!(indexes.find("another").unwrap().is_none());
}

#[test]
fn what_is_built_answers_only_when_made_current() {
    let indexes = server::indexes("built");
    indexes.publish(&model(1), &Silent).unwrap();
    let built = indexes.build(&model(2), &Silent).unwrap();
    assert_eq!(indexes.current_number().unwrap(), Some(1));
    assert!(indexes.list().unwrap().iter().any(|listed| !listed.complete && listed.generation == 2));
    built.discard().unwrap();
    assert_eq!(numbers(&indexes), [(1, true)]);
    let built = indexes.build(&model(2), &Silent).unwrap();
    assert_eq!((built.make_current().unwrap(), numbers(&indexes)), (2, vec![(1, false), (2, true)]));
}

#[test]
fn a_publish_that_dies_leaves_the_old_generation_and_the_next_cleans_up() {
    let indexes = server::indexes("dies");
    indexes.publish(&model(2), &Silent).unwrap();
    let large = model(6_000);
    let died =
        catch_unwind(AssertUnwindSafe(|| indexes.publish(&large, &at_first(|| panic!("as if killed")))));
    assert!(died.is_err());
    let listed: Vec<bool> = indexes.list().unwrap().iter().map(|listed| listed.complete).collect();
    assert_eq!(listed, [true, false]);
    assert_eq!(top(&indexes.current().unwrap().unwrap()), ["item 1", "item 0"]);
    assert_eq!(indexes.rollback(Some(2)).unwrap_err().kind(), Kind::NotFound, "half a model is none");
    indexes.publish(&model(3), &Silent).unwrap();
    assert_eq!(numbers(&indexes), [(1, false), (3, true)]);
}

/// Wants to stop after the first request.
struct Stopped(RefCell<Vec<u64>>);

impl Observer for Stopped {
    fn progress(&self, done: u64, total: u64) {
        assert_eq!(total, 6_000);
        self.0.borrow_mut().push(done);
    }

    fn is_stopped(&self) -> bool {
        true
    }
}

#[test]
fn a_stopped_publish_leaves_nothing() {
    let indexes = server::indexes("stopped");
    let observer = Stopped(RefCell::default());
    let error = indexes.publish(&model(6_000), &observer).unwrap_err();
    assert_eq!((error.kind(), observer.0.into_inner().len()), (Kind::Unavailable, 1));
    assert_eq!(indexes.list().unwrap(), []);
}

#[test]
fn a_second_publish_takes_over() {
    let indexes = server::indexes("two");
    let observer = at_first(|| assert_eq!(indexes.publish(&model(2), &Silent).unwrap(), 2));
    let error = indexes.publish(&model(6_000), &observer).unwrap_err();
    assert!(error.to_string().contains("another train has begun"), "{error}");
    assert_eq!(error.kind(), Kind::Unavailable);
    let [(_, true)] = *numbers(&indexes) else { panic!("{:?}", indexes.list()) };
    assert_eq!(top(&indexes.current().unwrap().unwrap()), ["item 1", "item 0"]);
    // What was built before is gone when it is to become current.
    let built = indexes.build(&model(1), &Silent).unwrap();
    indexes.publish(&model(3), &Silent).unwrap();
    assert!(built.make_current().unwrap_err().to_string().contains("another train"));
    assert_eq!(top(&indexes.current().unwrap().unwrap()), ["item 2", "item 1"]);
}

/// Asks the shared server for something that is not under test.
fn arrange(method: &str, path: &str, body: &str) {
    let (status, answer) = server::http(server::shared_port(), method, path, body).unwrap();
    assert!(status < 300, "{path}: {answer}");
}

#[test]
fn a_full_disk_is_told_and_the_old_generation_answers() {
    let indexes = server::indexes("full");
    indexes.publish(&model(2), &Silent).unwrap();
    // What the server does to indexes of a node beyond the flood stage.
    let full = format!("/{}-*/_settings", indexes.alias());
    let block =
        |on: &str| arrange("PUT", &full, &format!(r#"{{"index.blocks.read_only_allow_delete":{on}}}"#));
    let error = indexes.publish(&model(6_000), &at_first(|| block("true"))).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("disk is full") && !error.to_string().contains('\n'), "{error}");
    assert_eq!(numbers(&indexes), [(1, true)]);
    let index = indexes.current().unwrap().unwrap();
    assert_eq!(top(&index), ["item 1", "item 0"]);
    let changed = ChangedItem { id: "item 0".into(), ranks: vec![None], ..ChangedItem::default() };
    let error = index.apply(std::slice::from_ref(&changed), &[]).unwrap_err();
    assert!(error.to_string().contains("disk is full"), "{error}");
    block("null");
    index.apply(&[changed], &[]).unwrap();
}

#[test]
fn indexes_of_others_are_told() {
    let indexes = server::indexes("foreign");
    arrange("PUT", &format!("/{}", indexes.alias()), "");
    for error in [indexes.check().unwrap_err(), indexes.publish(&model(1), &Silent).unwrap_err()] {
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains("remove or rename the index"), "{error}");
    }

    let indexes = server::indexes("other-program");
    arrange("PUT", &format!("/{}-0000000001", indexes.alias()), r#"{"mappings":{"properties":{}}}"#);
    let error = indexes.open(1).unwrap_err();
    assert_eq!(error.kind(), Kind::Version, "{error}");
}

#[test]
fn templates_and_mappings_that_conflict_are_told() {
    let indexes = server::indexes("template");
    indexes.publish(&model(1), &Silent).unwrap();
    let name = indexes.alias();
    let template = format!(
        r#"{{"index_patterns":["{name}-*"],"template":{{"settings":{{"index.default_pipeline":"none such"}},
            "mappings":{{"_routing":{{"required":true}},"properties":{{"keyword":{{"type":"text"}}}}}}}}}}"#
    );
    arrange("PUT", "/_index_template/conflict", &template);
    let error = indexes.publish(&model(2), &Silent).unwrap_err();
    arrange("DELETE", "/_index_template/conflict", "");
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    assert!(error.to_string().contains("index template") && !error.to_string().contains('\n'), "{error}");
    assert_eq!(numbers(&indexes), [(1, true)]);

    let other = r#"{"properties":{"keyword":{"properties":{"colour":{"type":"integer"}}}}}"#;
    arrange("PUT", &format!("/{name}-0000000001/_mapping"), other);
    let (item, properties) = coloured("item 0", "red");
    let index = indexes.current().unwrap().unwrap();
    let error = index.apply(&[item], &properties).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    assert!(
        error.to_string().contains("the mapping conflicts") && !error.to_string().contains('\n'),
        "{error}"
    );
    assert_eq!(top(&index), ["item 0"]);
}

fn coloured(id: &str, colour: &str) -> (ChangedItem, Vec<PropertyPart>) {
    let item = ChangedItem { id: id.into(), document: Some(colour.into()), ranks: vec![None], gone: false };
    let keywords = vec![(0, colour.to_owned())];
    let part = PropertyPart { name: "colour".into(), keywords, ..PropertyPart::default() };
    (item, vec![part])
}

#[test]
fn changes_never_make_a_removed_index_again() {
    let indexes = server::indexes("removed");
    indexes.publish(&model(2), &Silent).unwrap();
    let index = indexes.current().unwrap().unwrap();
    arrange("DELETE", &format!("/{}-0000000001", indexes.alias()), "");
    let (item, properties) = coloured("item 0", "red");
    let error = index.apply(&[item], &properties).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    assert_eq!(indexes.list().unwrap(), []);
}

#[test]
fn several_may_change_the_same_items() {
    let indexes = server::indexes("writers");
    indexes.publish(&model(3), &Silent).unwrap();
    std::thread::scope(|scope| {
        for colour in ["red", "green", "blue"] {
            let indexes = &indexes;
            scope.spawn(move || {
                let index = indexes.current().unwrap().unwrap();
                for id in ["item 0", "item 1", "new"].into_iter().cycle().take(15) {
                    let (item, properties) = coloured(id, colour);
                    index.apply(&[item], &properties).unwrap();
                }
            });
        }
    });
    let index = indexes.current().unwrap().unwrap();
    for described in index.describe(&["item 0", "item 1", "new"]).unwrap() {
        let colour = described.document.unwrap();
        let values = Clause { field: "colour".into(), values: vec![colour.clone().into_owned()], boost: 1.0 };
        let must = vec![Condition::Values(values)];
        let plan = SearchPlan { must, by_ranking: true, num: 5, ..SearchPlan::default() };
        assert!(!index.search(&plan).unwrap().is_empty(), "{colour}: text and field are of one state");
    }
    assert_eq!(index.correlators("item 1").unwrap(), [("buy".to_owned(), vec![("t1".to_owned(), 100.0)])]);
}
