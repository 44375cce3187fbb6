//! The Universal Recommender's own integration case, if the reference data is at hand.

use events::{Json, json};

use crate::program::{Program, at, shared, text};

#[test]
fn the_handmade_queries_give_the_published_answers() {
    give_the_published_answers(&Program::new(), "{}");
}

/// In a home with these settings.
pub fn give_the_published_answers(program: &Program, settings: &str) {
    let Some(data) = shared("data/ur-handmade") else {
        // Not a print macro: the test runner would swallow it.
        use std::io::Write as _;
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: ../shared/data/ur-handmade is not there; the published answers were not compared"
        );
        return;
    };
    let file = |name: &str| std::fs::read_to_string(data.join(name)).unwrap();
    let engine =
        file("engine.json").replacen("\"indexName\"", "\"scoring\": \"es5-compat\", \"indexName\"", 1);
    assert!(engine.contains("es5-compat"));
    program.write("engine.json", &engine);
    program.ok(&["app", "new", "handmade"]);
    program.write("home/arblast.json", settings);
    program.ok(&["import", "--app", "handmade", "--input", data.join("events.jsonl").to_str().unwrap()]);
    program.ok(&["train", "--now", "2026-01-15T12:00:00Z"]);

    let cases: Vec<Json> =
        file("queries.jsonl").lines().map(|line| json::parse(line.as_bytes()).unwrap()).collect();
    assert_eq!(cases.len(), 28);
    let queries: Vec<String> = cases.iter().map(|case| at(case, "query").to_string()).collect();
    program.write("queries.jsonl", &queries.join("\n"));
    let answers = program.ok(&["batchpredict", "--input", "queries.jsonl", "--output", "-"]);
    let answers: Vec<Json> = answers.lines().map(|line| json::parse(line.as_bytes()).unwrap()).collect();
    assert_eq!(answers.len(), cases.len());
    for (case, answer) in cases.iter().zip(&answers) {
        compare(case, answer);
    }
}

fn compare(case: &Json, answer: &Json) {
    let name = text(case, "name");
    let expected = at(case, "expected").as_array().unwrap();
    let found = at(answer, "prediction.itemScores").as_array().unwrap();
    let ids = |items: &[Json]| items.iter().map(|item| text(item, "item").to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(found), ids(expected), "{name}");
    for (found, expected) in found.iter().zip(expected) {
        let score = |item: &Json| at(item, "score").as_f64().unwrap();
        assert!((score(found) - score(expected)).abs() <= 1e-6, "{name}: {found} instead of {expected}");
    }
}
