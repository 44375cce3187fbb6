//! The Universal Recommender's hand-made documents: order and score bits as its servers gave them.

use model::conformance::InMemory;
use model::{Bounds, Clause, Condition, ModelIndex, ModelParts, Scoring, SearchPlan};
use serde_json::Value;

use crate::build::{self, Document, Documents};

const INDICATORS: [&str; 3] = ["purchase", "view", "category-pref"];
const DATES: [&str; 3] = ["available", "expires", "date"];

/// The file, if this checkout has it.
fn handmade() -> Option<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/spec/scoring-handmade.json");
    match std::fs::read_to_string(path) {
        Ok(text) => Some(serde_json::from_str(&text).expect("valid JSON")),
        Err(_) => {
            // Not a print macro: the test runner would swallow it.
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "SKIPPED: there is no {path}");
            None
        }
    }
}

/// `2026-01-10T12:00:00+00:00` → ms since 1970; January 2026 is all that the file has.
fn january(text: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().expect("digits");
    assert!(text.starts_with("2026-01-") && text.ends_with("+00:00"), "{text}");
    let days = 20_454 + number(8..10) - 1;
    1000 * (((days * 24 + number(11..13)) * 60 + number(14..16)) * 60 + number(17..19))
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().expect("array").iter().map(|text| text.as_str().expect("string").to_owned()).collect()
}

fn documents(file: &Value) -> Documents {
    let document = |value: &Value| {
        let mut document = Document::default();
        for (name, value) in value.as_object().expect("object") {
            match value {
                Value::Array(_) if INDICATORS.contains(&name.as_str()) => {
                    document.correlators.insert(name.clone(), strings(value));
                }
                Value::Array(_) => {
                    document.keywords.insert(name.clone(), strings(value));
                }
                Value::String(text) if DATES.contains(&name.as_str()) => {
                    document.dates.insert(name.clone(), vec![january(text)]);
                }
                Value::Number(number) if name == "popRank" => {
                    document.ranks.insert(name.clone(), number.as_f64().expect("f64") as f32);
                }
                _ => {}
            }
        }
        (value["id"].as_str().expect("id").to_owned(), document)
    };
    file["docs"].as_array().expect("docs").iter().map(document).collect()
}

fn clause(value: &Value) -> Clause {
    Clause {
        field: value["field"].as_str().expect("field").to_owned(),
        values: strings(&value["values"]),
        boost: value.get("boost").map_or(1.0, |boost| boost.as_f64().expect("number") as f32),
    }
}

fn plan(case: &Value, scoring: Scoring) -> SearchPlan {
    let list = |name: &str| case[name].as_array().expect("array").iter();
    let bound =
        |value: &Value, name: &str| value.get(name).map(|text| january(text.as_str().expect("date")) as f64);
    let range = |value: &Value| {
        Condition::Within(Bounds {
            field: value["field"].as_str().expect("field").to_owned(),
            dates: true,
            gt: bound(value, "gt"),
            gte: bound(value, "gte"),
            lt: bound(value, "lt"),
            lte: bound(value, "lte"),
        })
    };
    SearchPlan {
        should: list("should").map(clause).collect(),
        must: list("filter").map(clause).map(Condition::Values).chain(list("range").map(range)).collect(),
        must_not: list("must_not").map(clause).map(Condition::Values).collect(),
        exclude_items: strings(&case["must_not_ids"]),
        by_ranking: true,
        scoring,
        from: usize::try_from(case["from"].as_u64().expect("from")).expect("small"),
        num: usize::try_from(case["size"].as_u64().expect("size")).expect("small"),
        ..SearchPlan::default()
    }
}

fn check(file: &Value, index: &impl ModelIndex, scoring: Scoring, expected: &str) {
    let cases = file["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 28);
    for (number, case) in cases.iter().enumerate() {
        let plan = plan(case, scoring);
        let hits = index.search(&plan).expect("an answer");
        let found: Vec<_> = hits.iter().map(|hit| (hit.item.clone(), hit.score.to_bits())).collect();
        let pair = |pair: &Value| {
            // Parsed as f32, as they were printed.
            let score: f32 = pair[1].to_string().parse().expect("number");
            (pair[0].as_str().expect("id").to_owned(), score.to_bits())
        };
        let wanted: Vec<_> = case[expected].as_array().expect("answers").iter().map(pair).collect();
        assert_eq!(found, wanted, "case {number} under {scoring:?}: {}", case["query"]);
        let ids: Vec<&str> = hits.iter().map(|hit| hit.item.as_str()).collect();
        for (hit, explanation) in hits.iter().zip(index.explain(&plan, &ids).expect("an answer")) {
            assert_eq!(explanation.rejected_by, Vec::<String>::new());
            let sum: f64 = explanation.evidence.iter().map(|evidence| f64::from(evidence.weight)).sum();
            assert!((sum - f64::from(hit.score)).abs() < 1e-6, "case {number}: {explanation:?}");
        }
    }
}

/// All answers, by both ways of counting, and an explanation.
pub fn check_all<I: ModelIndex>(serve: impl Fn(&ModelParts) -> I) {
    let Some(file) = handmade() else { return };
    let index = serve(&build::parts(&documents(&file), &INDICATORS, &["popRank"]));
    check(&file, &index, Scoring::Global, "expected_global");
    check(&file, &index, Scoring::Es5Compat, "expected_5_shards");
    let plan = plan(&file["cases"][0], Scoring::Global);
    let explanation = index.explain(&plan, &["Iphone 6"]).expect("an answer").remove(0);
    assert_eq!(explanation.rejected_by, ["item Iphone 6 is excluded", "must: expires > 1768046400000"]);
    let strongest = &explanation.evidence[0];
    assert_eq!(
        (strongest.field.as_str(), strongest.value.as_str(), strongest.llr),
        ("purchase", "Ipad-retina", Some(100.0))
    );
}

#[test]
fn answers_of_the_original() {
    check_all(|parts| InMemory::new(parts, &[]));
}
