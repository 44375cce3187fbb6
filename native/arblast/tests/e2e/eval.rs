//! Evaluation: what the sample shop shows, and that nothing but files of its own is written.

use std::process::Command;

use events::Json;

use crate::program::{Program, at, number, text};
use crate::server::Server;

fn shop() -> Program {
    let program = Program::new();
    program.sample_shop();
    program
}

/// What a setting is worth at the first length.
fn scores<'a>(evaluation: &'a Json, setting: &str) -> &'a Json {
    let settings = at(evaluation, "settings").as_array().unwrap();
    let found = settings.iter().find(|found| text(found, "setting") == setting);
    at(found.unwrap_or_else(|| panic!("{setting}: {evaluation}")), "scores.0")
}

fn real(json: &Json, path: &str) -> f64 {
    at(json, path).as_f64().unwrap_or_else(|| panic!("{path}: {json}"))
}

/// The difference to the engine, in standard errors.
fn errors_apart(evaluation: &Json, setting: &str, metric: &str) -> f64 {
    let scores = scores(evaluation, setting);
    real(scores, &format!("{metric}.difference.mean"))
        / real(scores, &format!("{metric}.difference.standardError"))
}

#[test]
fn evidence_beats_popularity_and_many_indicators_beat_one() {
    let program = shop();
    let evaluation = program.json(&["eval", "--ablation"]);
    for metric in ["map", "ndcg", "precision", "recall", "hitRate"] {
        for weaker in ["popular", "recently popular", "only purchase"] {
            let apart = errors_apart(&evaluation, weaker, metric);
            assert!(apart < -4.0, "{weaker} {metric}: {apart} standard errors");
        }
    }
}

#[test]
fn the_numbers_of_the_sample_shop_are_always_the_same() {
    let program = shop();
    let evaluation = program.json(&["eval"]);
    // the shop is the same on every day, but for its dates
    assert_eq!(number(&evaluation, "users.tested"), 852);
    assert_eq!(number(&evaluation, "right"), 1730);
    let ndcg = |setting: &str| (real(scores(&evaluation, setting), "ndcg.mean") * 1e4).round() / 1e4;
    assert_eq!([ndcg("engine"), ndcg("popular"), ndcg("recently popular")], [0.222, 0.0245, 0.0357]);
    let without_time = |json: &Json| {
        let Json::Object(object) = json else { panic!("{json}") };
        object
            .iter()
            .filter(|(name, _)| *name != "seconds")
            .map(|(_, value)| value.to_string())
            .collect::<Vec<_>>()
    };
    let alone = program.json(&["eval", "--threads", "1"]);
    assert_eq!(without_time(&alone), without_time(&evaluation), "for any number of threads");
    let files = Program::new();
    files.write("engine.json", &std::fs::read_to_string(program.path("engine.json")).unwrap());
    let events = program.path("events.jsonl");
    let from_files = files.json(&["eval", "--events", events.to_str().unwrap()]);
    assert_eq!(without_time(&from_files), without_time(&evaluation), "from a store or from files");
    assert!(!files.home().exists(), "no store is made for files");
}

#[test]
fn a_table_a_sweep_and_curves() {
    let program = shop();
    let args =
        ["eval", "--ablation", "--sweep", "--min-llr", "0,5,1000", "--correlators", "2,50", "--k", "10,5"];
    let out = program.ok(&[&args[..], &["--plot", "curves.svg"]].concat());
    let starts = |line: &str| out.lines().filter(|shown| shown.starts_with(line)).count();
    for line in
        ["at 5 ", "at 10 ", "engine ", "popular ", "only purchase ", "without search ", "minLLR 5, top 2 "]
    {
        let expected = if line.starts_with("at ") { 1 } else { 2 };
        assert_eq!(starts(line), expected, "{line}: {out}");
    }
    assert!(out.contains("Best NDCG of the sweep at 10: minLLR "), "{out}");
    assert!(
        out.contains("users with \"purchase\" in the test") && out.contains("Curves are in curves.svg"),
        "{out}"
    );
    let drawn = std::fs::read_to_string(program.path("curves.svg")).unwrap();
    assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"));
    for text in ["precision@k", "NDCG@10", "without category-pref", "top 50", ">1000<", "minLLR"] {
        assert!(drawn.contains(text), "{text}");
    }
    assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "every point has a place");
    let swept = program.json(&args);
    let strict = scores(&swept, "minLLR 1000, top 50");
    assert!(real(strict, "ndcg.mean") < real(scores(&swept, "minLLR 5, top 50"), "ndcg.mean"), "{strict}");
    assert_eq!(number(strict, "k"), 5);
}

#[test]
fn it_changes_nothing_and_works_beside_servers() {
    let program = shop();
    let digest = text(&program.json(&["train"]), "digest").to_owned();
    let server = Server::start(&program, &[]);
    let query = r#"{"user": "maya", "num": 6}"#;
    let before = server.request("POST", "/queries.json", query);
    let events = program.targets("shop");
    program.ok(&["eval", "--users", "50", "--sweep"]);
    let models = program.json(&["models"]);
    assert_eq!(models.as_array().map(<[Json]>::len), Some(1), "{models}");
    assert_eq!(text(&models, "0.digest"), digest);
    assert_eq!(program.targets("shop"), events);
    assert_eq!(server.request("POST", "/queries.json", query), before);
    assert!(program.ok(&["status"]).ends_with("Your system is all ready to go.\n"));
}

#[test]
fn a_sample_is_always_the_same_one() {
    let program = shop();
    let some = |seed: &str| {
        let evaluation = program.json(&["eval", "--users", "40", "--seed", seed]);
        assert!((30..=40).contains(&number(&evaluation, "users.tested")), "{evaluation}");
        scores(&evaluation, "engine").to_string()
    };
    assert_eq!(some("0"), some("0"));
    assert_ne!(some("0"), some("1"));
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let program = Program::new();
    assert!(program.refused(1, &["eval"]).contains("engine.json does not exist"));
    program.ok(&["sample", "."]);
    assert!(program.refused(1, &["eval"]).contains("`arblast app new shop` creates it"));
    program.ok(&["app", "new", "shop"]);
    assert!(program.refused(1, &["eval"]).contains("has no \"purchase\" event"));
    program.ok(&["import", "--app", "shop", "--input", "events.jsonl"]);
    for (args, words) in [
        (&["--at", "2001-01-01T00:00:00Z"][..], "nothing is left to train on before 2001-01-01"),
        (&["--at", "2999-01-01T00:00:00Z"], "nothing is left to test from 2999-01-01"),
        (&["--until", "2001-01-01T00:00:00Z"], "event of a user on an item before 2001-01-01"),
        (&["--share", "1.5"], "must lie between 0 and 1, got 1.5"),
        (&["--k", "0"], "k must be from 1 to 1000"),
        (&["--sweep", "--correlators", "0"], "must be at least 1, got 0"),
        (&["--events", "nowhere.jsonl"], "--events nowhere.jsonl: no such file"),
        (&["--plot", "no/such/folder.svg"], "cannot write no/such/folder.svg, which --plot names"),
        (&["org.example.Evaluation", "--batch", "x"], "evaluation classes written in Scala do not run here"),
    ] {
        let error = program.refused(1, &[&["eval"], args].concat());
        assert!(error.contains(words), "{args:?}: {error}");
    }
    for args in
        [&["--at", "soon"][..], &["--at", "2026-01-01", "--share", "0.1"], &["--min-llr", "5"], &["--k", "x"]]
    {
        let outcome = program.run(&[&["eval"], args].concat());
        assert_eq!(outcome.code, Some(1), "{args:?}: {outcome:?}");
    }
}

#[test]
fn lines_that_are_no_events_are_passed_over_aloud() {
    let program = Program::new();
    program.ok(&["sample", "."]);
    program.write("bad.jsonl", "nonsense\n{}\n");
    let out = program.ok(&["eval", "--events", "events.jsonl", "bad.jsonl", "--users", "100"]);
    assert!(out.contains("2 lines are no events and are passed over; bad.jsonl, line 1: "), "{out}");
    let error = program.refused(1, &["eval", "--events", "bad.jsonl"]);
    assert!(error.contains("no line is an event; bad.jsonl, line 1: "), "{error}");
}

#[test]
fn a_catalogue_that_came_after_the_cut_is_a_warning() {
    let program = Program::new();
    program.ok(&["sample", "."]);
    let events = std::fs::read_to_string(program.path("events.jsonl")).unwrap();
    let late: Vec<String> = events
        .lines()
        .map(|line| match line.split_once("\"eventTime\"") {
            Some((head, _)) if line.contains("\"$set\"") => {
                format!("{head}\"eventTime\":\"2999-01-01T00:00:00.000Z\"}}")
            }
            _ => line.to_owned(),
        })
        .collect();
    program.write("late.jsonl", &late.join("\n"));
    let out = program.ok(&["eval", "--events", "late.jsonl"]);
    assert!(out.contains("events that describe items are from after the cut"), "{out}");
    assert!(out.contains("users are shown nothing at all"), "{out}");
}

/// The blocks of commands, one after the other.
fn commands(text: &str) -> String {
    text.split("```sh\n").skip(1).filter_map(|block| block.split("```").next()).collect()
}

#[test]
fn the_commands_of_the_documentation_work() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/evaluation.md")).unwrap();
    let program = shop();
    let script =
        format!("set -e\narblast() {{ '{}' \"$@\"; }}\n{}", env!("CARGO_BIN_EXE_arblast"), commands(&text));
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(program.path("."))
        .env("ARBLAST_HOME", program.home())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    let shown = text.split("```text\n").nth(1).and_then(|block| block.split("```").next()).unwrap();
    for line in shown.lines().filter(|line| !line.starts_with('$')) {
        assert!(stdout.contains(line), "no longer so: {line}\n{stdout}");
    }
}
