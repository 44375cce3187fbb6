//! Import and export.

use std::io::Write;
use std::time::{Duration, Instant};

use events::{Json, json};

use crate::program::{Program, number, text};

fn line(target: &str) -> String {
    format!(
        "{{\"event\":\"view\",\"entityType\":\"user\",\"entityId\":\"u\",\"targetEntityType\":\"item\",\"targetEntityId\":\"{target}\"}}\n"
    )
}

fn app() -> Program {
    let program = Program::new();
    program.ok(&["app", "new", "a"]);
    program
}

#[test]
fn import_says_so_and_counts() {
    let program = app();
    program.write("e.jsonl", &[line("x"), "\n".to_owned(), line("y")].concat());
    let out = program.ok(&["import", "--appid", "1", "--input", "e.jsonl"]);
    assert!(out.contains("2 events of 3 lines"), "{out}");
    assert!(out.ends_with("Events are imported.\n[INFO] [FileToEvents$] Done.\n"), "{out}");
    assert_eq!(program.targets("a"), ["x", "y"]);
}

#[test]
fn a_bad_line_is_reported_and_stops_nothing() {
    let program = app();
    program.write("e.jsonl", &[line("x"), "{\"event\": \"view\"}\n".to_owned(), line("y")].concat());
    let json = program.json(&["import", "--app", "a", "--input", "e.jsonl", "--report", "r/bad.jsonl"]);
    assert_eq!((number(&json, "events"), number(&json, "badLines")), (2, 1));
    let report = std::fs::read_to_string(program.path("r/bad.jsonl")).unwrap();
    let bad = json::parse(report.as_bytes()).unwrap();
    assert_eq!((text(&bad, "file"), number(&bad, "line")), ("e.jsonl", 2));
    assert_eq!(number(&bad, "offset"), i64::try_from(line("x").len()).unwrap());
    assert_eq!(text(&bad, "text"), "{\"event\": \"view\"}");
    assert!(text(&bad, "reason").contains("entityType"), "{bad}");
    assert_eq!(program.targets("a"), ["x", "y"]);

    let program = app();
    program.write("e.jsonl", &[line("x"), "nonsense\n".to_owned(), line("y")].concat());
    let error = program.refused(1, &["import", "--app", "a", "--input", "e.jsonl", "--on-error", "abort"]);
    assert!(error.starts_with("malformed json => e.jsonl, line 2"), "{error}");
    assert!(program.targets("a").is_empty());
}

#[test]
fn inputs_are_files_directories_globs_and_standard_input() {
    let program = app();
    std::fs::create_dir(program.path("in")).unwrap();
    program.write("in/part-00000", &line("p0"));
    program.write("in/part-00001", &line("p1"));
    program.write("in/_SUCCESS", "not an event");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(line("packed").as_bytes()).unwrap();
    std::fs::write(program.path("e.json.gz"), packed.finish().unwrap()).unwrap();
    for input in ["in", "in/part-*", "e.json.gz"] {
        program.ok(&["import", "--app", "a", "--input", input]);
    }
    let outcome = program.run_with_input(&["import", "--app", "a", "--input", "-"], &line("stdin"));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(program.targets("a"), ["p0", "p1", "packed", "stdin"]);
}

#[test]
fn names_that_are_not_declared_are_bad_lines_or_told_once() {
    let program = app();
    let lines = [line("x"), line("y").replace("view", "vew"), line("z").replace("view", "vew")].concat();
    program.write("e.jsonl", &lines);
    program.ok(&["app", "events", "a", "--declare", "view", "--unknown", "reject"]);
    let import = ["import", "--app", "a", "--input", "e.jsonl", "--report", "bad.jsonl"];
    let totals = program.json(&import);
    assert_eq!((number(&totals, "events"), number(&totals, "badLines")), (1, 2), "{totals}");
    let report = std::fs::read_to_string(program.path("bad.jsonl")).unwrap();
    assert_eq!(
        report.matches("The event vew is not declared for this app; declared: view.").count(),
        2,
        "{report}"
    );
    assert!(program.refused(1, &[&import[..], &["--on-error", "abort"]].concat()).contains("line 2"));
    program.ok(&["app", "events", "a", "--unknown", "warn"]);
    let outcome = program.run(&import);
    let told = [outcome.stdout.as_str(), &outcome.stderr].concat();
    assert_eq!(
        told.matches("app \"a\" gets events \"vew\", whose name is not declared").count(),
        1,
        "{told}"
    );
    assert_eq!(program.targets("a"), ["x", "y", "z"]);
}

#[test]
fn import_refusals() {
    let program = app();
    let refused = |args: &[&str]| program.refused(1, &[&["import"], args].concat());
    assert!(refused(&["--app", "a", "--input", "absent"]).contains("absent"));
    assert_eq!(refused(&["--app", "b", "--input", "x"]), "App b does not exist. Aborting.");
    assert_eq!(refused(&["--appid", "9", "--input", "x"]), "App ID 9 does not exist. Aborting.");
    assert_eq!(refused(&["--app", "a", "--channel", "c", "--input", "x"]), "Channel c doesn't exist.");
}

#[test]
fn an_export_imports_into_another_app_as_it_was() {
    let program = app();
    let event = line("x").replacen(
        '{',
        "{\"properties\":{\"b\":[1,2.50],\"a\":\"é\"},\"eventTime\":\"2014-09-09T16:17:42.937-08:00\",",
        1,
    );
    program.write("e.jsonl", &[event, line("y")].concat());
    program.ok(&["import", "--app", "a", "--input", "e.jsonl"]);
    program.ok(&["export", "--app", "a", "--output", "backup"]);
    assert!(program.refused(1, &["export", "--app", "a", "--output", "backup"]).contains("exists already"));
    program.ok(&["app", "new", "b"]);
    program.ok(&["app", "channel-new", "b", "c"]);
    for _ in 0..2 {
        program.ok(&["import", "--app", "b", "--channel", "c", "--input", "backup"]);
    }
    let export = |args: &[&str]| {
        let text = program.ok(&[&["export", "--output", "-"], args].concat());
        let mut lines: Vec<String> = text.lines().map(without_creation_time).collect();
        lines.sort();
        lines
    };
    let lines = export(&["--app", "a"]);
    assert_eq!(lines, export(&["--app", "b", "--channel", "c"]));
    assert_eq!(lines.len(), 2);
    assert!(
        lines.iter().any(|line| line.contains("\"eventTime\":\"2014-09-09T16:17:42.937-08:00\"")),
        "{lines:?}"
    );
}

fn without_creation_time(line: &str) -> String {
    let Ok(Json::Object(event)) = json::parse(line.as_bytes()) else { panic!("{line}") };
    event.into_iter().filter(|(name, _)| name != "creationTime").collect::<json::Object>().to_string()
}

#[test]
fn a_killed_import_goes_on_and_stores_each_line_once() {
    // on a busy machine an import may end before this test looks again
    let kills: Vec<u64> = (0..5).map_while(import_with_kills).collect();
    assert!(kills.len() < 5, "the file is too small to be killed in: {kills:?}");
}

/// Kills an import again and again, as soon as it has noted progress that the run before had not, until it ends. Gives
/// how often, unless that was often enough.
fn import_with_kills(_: u8) -> Option<u64> {
    const LINES: usize = 700_000;
    let program = app();
    let targets: Vec<String> = (0..LINES).map(|n| format!("i{n:06}")).collect();
    program.write("e.jsonl", &targets.iter().map(|target| line(target)).collect::<String>());
    let import = ["import", "--app", "a", "--input", "e.jsonl"];
    let mut seen = String::new();
    let mut kills = 0;
    loop {
        let mut child = program.start(&import);
        let started = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success());
                break true;
            }
            let progress = noted(&program);
            // Somewhere in the work after the commit that was noted.
            if !progress.is_empty() && progress != seen {
                seen = progress;
                std::thread::sleep(Duration::from_millis(kills * 37 % 100));
                break false;
            }
            assert!(started.elapsed() < Duration::from_secs(600), "no progress");
            std::thread::sleep(Duration::from_millis(2));
        };
        if ended {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(program.targets("a") == targets, "lost or doubled after {kills} kills");
    (kills < 2).then_some(kills)
}

/// What the import noted of its progress; empty if nothing.
fn noted(program: &Program) -> String {
    let records = std::fs::read_dir(program.home().join("imports/1")).into_iter().flatten().flatten();
    let complete = records.filter(|entry| entry.path().extension().is_none());
    complete.map(|entry| std::fs::read_to_string(entry.path()).unwrap_or_default()).collect()
}

#[test]
fn two_objects_on_a_line_are_no_event() {
    let program = app();
    let two = [line("x").trim_end(), line("y").trim_end(), "\n"].concat();
    program.write("e.jsonl", &[two, line("z")].concat());
    let json = program.json(&["import", "--app", "a", "--input", "e.jsonl", "--report", "bad.jsonl"]);
    assert_eq!((number(&json, "events"), number(&json, "badLines")), (1, 1));
    let bad = std::fs::read_to_string(program.path("bad.jsonl")).unwrap();
    assert!(bad.contains("expected one object, a second begins here"), "{bad}");
    assert_eq!(program.targets("a"), ["z"]);
}
