//! The same events give the same model, whatever the threads, the order and the pieces they came in.

use events::Json;
use events::json::{self, Object};

use crate::program::{Program, text};

/// The digest of the model of these lines, imported file by file.
fn digest(sample: &Program, files: &[Vec<&str>], threads: &str, now: &str) -> String {
    let program = Program::new();
    std::fs::copy(sample.path("engine.json"), program.path("engine.json")).unwrap();
    program.ok(&["app", "new", "shop"]);
    for lines in files {
        program.write("events.jsonl", &lines.join("\n"));
        let import =
            program.json(&["import", "--app", "shop", "--input", "events.jsonl", "--threads", threads]);
        assert_eq!(import.get("events").and_then(Json::as_i64), i64::try_from(lines.len()).ok());
    }
    text(&program.json(&["train", "--now", now, "--threads", threads]), "digest").to_owned()
}

#[test]
fn threads_order_and_pieces_do_not_matter() {
    let sample = Program::new();
    sample.ok(&["sample", "."]);
    let events = std::fs::read_to_string(sample.path("events.jsonl")).unwrap();
    // Without ids of their own, so that the import makes them.
    let lines: Vec<String> = events.lines().map(without_id).collect();
    let in_order: Vec<&str> = lines.iter().map(String::as_str).collect();
    let last = json::parse(lines.last().unwrap().as_bytes()).unwrap();
    let now = text(&last, "eventTime");
    let mut shuffled = in_order.clone();
    shuffle(&mut shuffled);
    assert_ne!(shuffled, in_order);
    let pieces: Vec<Vec<&str>> = shuffled.chunks(in_order.len() / 3).map(<[_]>::to_vec).collect();

    let expected = digest(&sample, std::slice::from_ref(&in_order), "1", now);
    for threads in ["2", "8"] {
        assert_eq!(
            digest(&sample, std::slice::from_ref(&in_order), threads, now),
            expected,
            "{threads} threads"
        );
    }
    assert_eq!(digest(&sample, std::slice::from_ref(&shuffled), "2", now), expected, "shuffled");
    assert_eq!(digest(&sample, &pieces, "1", now), expected, "in pieces");
    assert_ne!(digest(&sample, &pieces[..1], "1", now), expected, "a part is not the whole");
}

fn without_id(line: &str) -> String {
    let Ok(Json::Object(event)) = json::parse(line.as_bytes()) else { panic!("{line}") };
    event.into_iter().filter(|(name, _)| name != "eventId").collect::<Object>().to_string()
}

/// Fisher and Yates, by a fixed linear congruence.
fn shuffle<T>(items: &mut [T]) {
    let mut state = 1u64;
    for last in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(state >> 33).unwrap() % (last + 1);
        items.swap(last, other);
    }
}
