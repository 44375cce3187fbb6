//! Pruning of the event store.

use std::time::{Duration, Instant};

use events::{Json, json};

use crate::program::{Program, at, number, text};

/// The sample shop with this `eventWindow` in its engine file.
fn shop(window: &str) -> Program {
    let program = Program::new();
    program.sample_shop();
    set_window(&program, window);
    program
}

fn set_window(program: &Program, window: &str) {
    let engine = std::fs::read_to_string(program.path("engine.json")).unwrap();
    let Ok(Json::Object(mut engine)) = json::parse(engine.as_bytes()) else { panic!("{engine}") };
    let Ok(window) = json::parse(window.as_bytes()) else { panic!("{window}") };
    let params = json::Object::new().with("appName", "shop").with("eventWindow", window);
    engine.insert("datasource", json::Object::new().with("params", params));
    program.write("engine.json", &engine.to_string());
}

/// The lines of an export, sorted.
fn exported(program: &Program) -> Vec<String> {
    let text = program.ok(&["export", "--app", "shop", "--output", "-"]);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The middle of the times of the events.
fn middle(program: &Program) -> String {
    let mut times: Vec<String> = exported(program)
        .iter()
        .map(|line| text(&json::parse(line.as_bytes()).unwrap(), "eventTime").to_owned())
        .collect();
    times.sort();
    times[times.len() / 2].clone()
}

const WINDOW: &str = r#"{"duration": "1 minute", "removeDuplicates": true, "compressProperties": true}"#;

#[test]
fn prune_asks_counts_and_changes_no_model() {
    let program = shop(WINDOW);
    let now = middle(&program);
    let train = ["train", "--force", "--now", &now];
    let digest = text(&program.json(&train), "digest").to_owned();
    let whole = exported(&program);

    let survey = program.json(&["prune", "--dry-run", "--now", &now]);
    assert!(at(&survey, "dryRun").as_bool().unwrap());
    assert_eq!(number(&survey, "before"), i64::try_from(whole.len()).unwrap());
    let age = number(&survey, "removed.age");
    assert!(age > 0 && number(&survey, "byEvent.purchase.age") > 0, "{survey}");
    let out = program.ok(&["prune", "--dry-run", "--now", &now]);
    assert!(out.contains("Too old |") && out.contains("purchase |"), "{out}");
    assert!(out.ends_with("Nothing was removed.\n"), "{out}");
    let outcome = program.run_with_input(&["prune", "--now", &now], "no\n");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.ends_with("Enter 'YES' to proceed: [INFO] [Prune$] Aborted.\n"), "{outcome:?}");
    assert_eq!(exported(&program), whole, "nothing has gone so far");

    let outcome = program.run_with_input(&["prune", "--now", &now], "YES\n");
    assert!(outcome.stdout.ends_with("[INFO] [Prune$] Done.\n"), "{outcome:?}");
    let left = exported(&program);
    assert_eq!(number(&survey, "after"), i64::try_from(left.len()).unwrap());
    assert!(left.iter().all(|line| whole.binary_search(line).is_ok()), "what stays is as it was");
    assert_eq!(text(&program.json(&train), "digest"), digest);

    let again = program.json(&["prune", "-f", "--now", &now]);
    for reason in ["age", "duplicates", "folded"] {
        assert_eq!(number(&again, &format!("removed.{reason}")), 0, "{again}");
    }
    assert_eq!(number(&again, "after"), number(&survey, "after"));
    assert!(
        program.ok(&["prune", "--now", &now]).ends_with("Nothing was removed.\n"),
        "no question for nothing"
    );
}

#[test]
fn prune_refusals_and_a_window_that_holds_everything() {
    let program = Program::new();
    assert!(program.refused(1, &["prune"]).contains("engine.json does not exist"));
    program.ok(&["sample", "."]);
    assert!(program.refused(1, &["prune", "-f"]).contains("`arblast app new shop` creates it"));
    program.ok(&["app", "new", "shop"]);
    let out = program.ok(&["prune"]);
    assert!(out.contains("leaves nothing out") && out.ends_with("Nothing was removed.\n"), "{out}");
    let outcome = program.run(&["prune", "--now", "soon"]);
    assert!(outcome.code == Some(1) && outcome.stderr.contains("2026-01-31T00:00:00Z"), "{outcome:?}");
}

#[test]
fn a_train_prunes_if_the_engine_file_says_so() {
    let program = shop(WINDOW);
    let whole = exported(&program);
    let now = middle(&program);
    let digest = text(&program.json(&["train", "--now", &now]), "digest").to_owned();
    assert_eq!(exported(&program), whole, "training removes nothing");
    set_window(&program, &WINDOW.replace('{', r#"{"pruneStore": true, "#));
    let out = program.ok(&["train", "--now", &now]);
    assert!(out.contains("pruneStore: first removes") && out.contains("Pruned: "), "{out}");
    let left = exported(&program);
    assert!(left.len() < whole.len());
    let json = program.json(&["train", "--now", &now]);
    assert_eq!(text(&json, "digest"), digest);
    assert_eq!(number(&json, "pruned.after"), i64::try_from(left.len()).unwrap());
}

/// Kills the run again and again, each time half as late again, until one comes to its end.
#[test]
fn a_killed_prune_loses_nothing_and_the_next_one_ends_the_job() {
    const EVENTS: usize = 120_000;
    let program = Program::new();
    program.ok(&["sample", "."]);
    set_window(&program, r#"{"duration": "10 days", "removeDuplicates": true, "compressProperties": true}"#);
    program.ok(&["app", "new", "shop"]);
    program.write("e.jsonl", &(0..EVENTS).map(line).collect::<String>());
    program.ok(&["import", "--app", "shop", "--input", "e.jsonl"]);
    let expected: Vec<String> = (0..EVENTS).filter(|n| n % 4 == 1).map(|n| format!("i{n:06}")).collect();
    let prune = ["prune", "--force", "--now", "2026-01-31T00:00:00Z"];
    let mut kills = 0_u64;
    let mut patience = Duration::from_millis(40);
    let mut left = EVENTS;
    loop {
        let mut child = program.start(&prune);
        let started = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success());
                break true;
            }
            if started.elapsed() > patience {
                break false;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        if ended {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        patience += patience / 2;
        let found = program.targets("shop");
        assert!(found.len() <= left, "nothing comes back");
        left = found.len();
        assert!(
            expected.iter().all(|target| found.binary_search(target).is_ok()),
            "lost after {kills} kills"
        );
    }
    assert!(kills >= 2, "the store is too small to be killed in: {kills}");
    let targets: Vec<String> =
        program.targets("shop").into_iter().filter(|target| !target.is_empty()).collect();
    assert_eq!(targets, expected, "after {kills} kills");
    let specials = exported(&program).len() - expected.len();
    assert_eq!(specials, 1000, "one for each item");
    let json = program.json(&["prune", "--dry-run", "--now", "2026-01-31T00:00:00Z"]);
    assert_eq!(number(&json, "after"), number(&json, "before"));
}

/// Of four events one is too old, one stays, one is its older twin, and one sets a property of one of a thousand items.
fn line(n: usize) -> String {
    let (target, time) = match n % 4 {
        0 => (n, "2026-01-01T00:00:00Z"),
        1 => (n, "2026-01-30T00:00:00Z"),
        2 => (n - 1, "2026-01-29T00:00:00Z"),
        _ => {
            return format!(
                "{{\"event\":\"$set\",\"entityType\":\"item\",\"entityId\":\"i{}\",\"properties\":{{\"p\":{n}}},\"eventTime\":\"2026-01-01T00:00:00Z\"}}\n",
                n / 4 % 1000
            );
        }
    };
    format!(
        "{{\"event\":\"view\",\"entityType\":\"user\",\"entityId\":\"u{}\",\"targetEntityType\":\"item\",\"targetEntityId\":\"i{target:06}\",\"eventTime\":\"{time}\"}}\n",
        target / 4 % 500
    )
}
