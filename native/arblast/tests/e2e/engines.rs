//! Engine files, training, models, queries.

use events::{Json, json};

use crate::program::{Program, at, number, text};

fn trained() -> Program {
    let program = Program::new();
    program.sample_shop();
    program.ok(&["train"]);
    program
}

fn items(answer: &Json) -> Vec<&str> {
    at(answer, "itemScores").as_array().unwrap().iter().map(|item| text(item, "item")).collect()
}

#[test]
fn the_sample_says_what_to_do_next_and_that_works() {
    let program = Program::new();
    let out = program.ok(&["sample", "shop"]);
    let commands: Vec<&str> = out.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert_eq!(commands.len(), 3, "{out}");
    let directory = std::path::Path::new(env!("CARGO_BIN_EXE_arblast")).parent().unwrap();
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap());
    let script = commands.join("\n");
    let output = std::process::Command::new("sh")
        .args(["-ec", &script])
        .current_dir(program.path(""))
        .env("ARBLAST_HOME", program.home())
        .env("PATH", path)
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("\"itemScores\":[{\"item\":"), "{stdout}");
    assert!(program.refused(1, &["sample", "shop"]).contains("engine.json"));
}

#[test]
fn build_and_check_look_at_the_engine_file() {
    let program = Program::new();
    assert!(program.refused(1, &["build"]).contains("engine.json does not exist"));
    program.ok(&["sample", "shop"]);
    let out = program.ok(&["build", "-ed", "shop"]);
    assert!(out.ends_with("Your engine is ready for training.\n"), "{out}");
    program.ok(&["check", "shop/engine.json"]);
    let broken = std::fs::read_to_string(program.path("shop/engine.json")).unwrap().replace("\"ur\"", "5");
    program.write("shop/broken.json", &broken);
    assert!(
        program.refused(1, &["build", "--engine-dir", "shop", "-v", "broken.json"]).contains("broken.json")
    );
    let outcome = program.run(&["check", "shop/broken.json", "--json"]);
    assert_eq!(outcome.code, Some(1));
    let found = json::parse(outcome.stdout.as_bytes()).unwrap();
    assert!(text(&found, "errors.0.path").starts_with("algorithms"), "{found}");
    program.write("shop/nonsense.json", "{");
    program.refused(1, &["check", "shop/nonsense.json"]);
}

#[test]
fn train_reports_publishes_and_records() {
    let program = Program::new();
    program.sample_shop();
    assert!(program.refused(1, &["query", "{}"]).contains("arblast train"));
    let out = program.ok(&["train", "--batch", "b", "--", "--master", "local[2]", "--conf", "x=y"]);
    assert!(out.contains("[INFO] [Console$] Ignored, as there is no Spark: --conf x=y\n"), "{out}");
    assert!(out.contains("Indicator |") && out.contains("correlators by"), "{out}");
    assert!(out.ends_with("Training completed successfully.\n"), "{out}");
    let json = program.json(&["train"]);
    assert_eq!(number(&json, "generation"), 2);
    assert!(number(&json, "report.indicators.0.correlators") > 0);
    let models = program.json(&["models"]);
    assert_eq!(models.as_array().unwrap().len(), 2);
    assert_eq!(text(&models, "1.digest"), text(&json, "digest"));
    assert_eq!(text(&models, "1.engineInstanceId"), text(&json, "engineInstanceId"));
    assert!(at(&models, "1.current").as_bool().unwrap() && !at(&models, "0.current").as_bool().unwrap());
    assert!(program.ok(&["models"]).contains("*2"));
    let engine = std::fs::read_to_string(program.path("engine.json")).unwrap();
    program.write("engine.json", &engine.replacen('{', r#"{"sparkConf": {"master": "spark://h:7077"},"#, 1));
    let out = program.ok(&["train"]);
    assert!(out.contains("`arblast train -- --master spark://h:7077` counts there."), "{out}");
}

#[test]
fn untrainable_events_are_told() {
    let program = Program::new();
    program.ok(&["sample", "."]);
    assert!(program.refused(1, &["train"]).contains("`arblast app new shop` creates it"));
    program.ok(&["app", "new", "shop"]);
    assert!(program.refused(1, &["train"]).contains("no primary events"));
    let problems = program.json(&["doctor"]).to_string();
    assert!(
        problems.contains("no primary events") && problems.contains("no \\\"$set\\\" events"),
        "{problems}"
    );
}

#[test]
fn a_shrunken_model_is_refused_unless_forced() {
    let program = trained();
    program.ok(&["app", "data-delete", "shop", "-f"]);
    let events = std::fs::read_to_string(program.path("events.jsonl")).unwrap();
    let few: Vec<&str> = events.lines().take(12_000).collect();
    program.write("few.jsonl", &few.join("\n"));
    program.ok(&["import", "--app", "shop", "--input", "few.jsonl"]);
    let error = program.refused(1, &["train"]);
    assert!(error.contains("minModelRatio") && error.contains("--force"), "{error}");
    assert_eq!(program.json(&["models"]).as_array().unwrap().len(), 1);
    program.ok(&["train", "--force"]);
    assert_eq!(program.json(&["models"]).as_array().unwrap().len(), 2);
}

#[test]
fn queries_answer_in_json_and_as_a_table() {
    let program = trained();
    let answer = program.json(&["query", r#"{"user": "maya", "num": 6}"#]);
    assert_eq!(items(&answer).len(), 6);
    assert!(at(&answer, "itemScores.0.score").as_f64().unwrap() > 0.0);
    // Not a terminal: the same without being asked.
    assert_eq!(program.ok(&["query", r#"{"user": "maya", "num": 6}"#]).trim_end(), answer.to_string());
    let table = program.ok(&["query", r#"{"user": "maya", "num": 6, "explain": true}"#, "--table"]);
    let mut lines = table.lines();
    assert!(lines.next().unwrap().split_whitespace().take(3).eq(["#", "score", "item"]), "{table}");
    for item in items(&answer) {
        assert!(table.contains(item), "{item}: {table}");
    }
    assert!(table.contains("LLR"), "{table}");
    assert!(program.refused(1, &["query", r#"{"num": "many"}"#]).contains("num"));
    assert!(program.refused(1, &["query", r#"{"user": "#]).contains("JSON"));
}

#[test]
fn batchpredict_answers_line_by_line_in_order() {
    let program = trained();
    let queries = std::fs::read_to_string(program.path("queries.jsonl")).unwrap();
    let out = program.ok(&["batchpredict", "--input", "queries.jsonl", "--output", "answers.jsonl"]);
    assert!(out.contains("8 queries"), "{out}");
    let answers = std::fs::read_to_string(program.path("answers.jsonl")).unwrap();
    assert_eq!(answers.lines().count(), queries.lines().count());
    for (query, line) in queries.lines().zip(answers.lines()) {
        let line = json::parse(line.as_bytes()).unwrap();
        // The query as it was understood asks the same.
        let understood = at(&line, "query").to_string();
        for query in [query, &understood] {
            assert_eq!(*at(&line, "prediction"), program.json(&["query", query]), "{query}");
        }
    }
    program.write("bad.jsonl", "{\"user\": \"maya\"}\n\n{\"num\": -1}\n");
    let outcome = program.run(&["batchpredict", "--input", "bad.jsonl", "--output", "-"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let lines: Vec<Json> = outcome.stdout.lines().map(|line| json::parse(line.as_bytes()).unwrap()).collect();
    assert!(lines.len() == 2 && lines[0].get("prediction").is_some(), "{outcome:?}");
    assert!(text(&lines[1], "error").contains("num"), "{outcome:?}");
}

#[test]
fn rollback_serves_an_earlier_generation() {
    let program = trained();
    assert!(program.refused(1, &["rollback"]).contains("generation"));
    program.ok(&["train"]);
    assert_eq!(number(&program.json(&["rollback"]), "generation"), 1);
    assert!(at(&program.json(&["models"]), "0.current").as_bool().unwrap());
    program.ok(&["rollback", "2"]);
    assert!(at(&program.json(&["models"]), "1.current").as_bool().unwrap());
    program.refused(1, &["rollback", "9"]);
    assert_eq!(number(&program.json(&["train"]), "generation"), 3);
}

#[test]
fn doctor_names_what_is_missing() {
    let program = Program::new();
    program.ok(&["sample", "."]);
    assert!(program.ok(&["doctor"]).contains("PROBLEM  app \"shop\" does not exist"));
    program.ok(&["app", "new", "shop"]);
    program.ok(&["import", "--app", "shop", "--input", "events.jsonl"]);
    assert!(program.ok(&["doctor"]).contains("run `arblast train`"));
    program.ok(&["train"]);
    let healthy = program.ok(&["doctor", "--user", "maya"]);
    assert!(!healthy.contains("PROBLEM") && healthy.contains("of them by correlation"), "{healthy}");
    assert!(program.ok(&["doctor", "--user", "nobody"]).contains("PROBLEM  user \"nobody\" has no history"));
    let engine = std::fs::read_to_string(program.path("engine.json")).unwrap();
    let Json::Object(engine) = json::parse(engine.as_bytes()).unwrap() else { panic!("{engine}") };
    program.write("engine.json", &engine.with("description", "changed").to_string());
    assert!(program.ok(&["doctor"]).contains("changed after the last train"));
}

#[test]
fn itemsimilarity_correlates_plain_files() {
    let program = Program::new();
    let mut buys = String::new();
    for user in 0..40 {
        let thing = if user % 2 == 0 { "tent,lamp" } else { "pan,knife" };
        thing.split(',').for_each(|item| buys.push_str(&format!("u{user},{item}\n")));
    }
    program.write("buys.csv", &buys);
    let arguments = ["itemsimilarity", "--indicator", "buy=buys.csv", "--output", "out.jsonl"];
    let json = program.json(&arguments);
    assert_eq!((number(&json, "users"), number(&json, "correlators")), (40, 4));
    let out = std::fs::read_to_string(program.path("out.jsonl")).unwrap();
    let first = json::parse(out.lines().next().unwrap().as_bytes()).unwrap();
    assert_eq!((text(&first, "item"), text(&first, "indicator")), ("knife", "buy"));
    assert_eq!(text(&first, "correlators.0.0"), "pan");
    assert!(
        program
            .refused(1, &["itemsimilarity", "--indicator", "buy=absent.csv", "--output", "o"])
            .contains("absent.csv")
    );
    program.write("bad.csv", "u1\n");
    assert!(
        program
            .refused(1, &["itemsimilarity", "--indicator", "buy=bad.csv", "--output", "o"])
            .contains("line 1")
    );
}
