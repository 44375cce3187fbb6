//! How fast event lines become events and turn back into lines; one thread. Prints the best of several rounds, since
//! other work on the machine only ever slows a round down. `cargo bench -p events`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark of known input")]

use std::hint::black_box;
use std::time::Instant;

use events::{Event, EventTime, ParsedEvent, json};

const LINES: usize = 1_000;
const ROUNDS: usize = 400;

fn main() {
    let interactions: Vec<String> = (0..LINES).map(interaction).collect();
    let items: Vec<String> = (0..LINES).map(item).collect();
    for (name, lines) in [("interaction", interactions), ("item properties", items)] {
        let bytes: usize = lines.iter().map(String::len).sum();
        println!("{name}: {} bytes per line", bytes / LINES);
        let now = EventTime::utc(0);
        let events: Vec<Event> =
            lines.iter().map(|line| Event::parse(line.as_bytes(), now).unwrap()).collect();
        report("Event::parse", bytes, || {
            for line in &lines {
                black_box(Event::parse(line.as_bytes(), now).unwrap());
            }
        });
        report("ParsedEvent, lent", bytes, || {
            for line in &lines {
                ParsedEvent::parse(line.as_bytes(), now).unwrap().lend(|event| {
                    black_box(event);
                });
            }
        });
        report("json::parse", bytes, || {
            for line in &lines {
                black_box(json::parse(line.as_bytes()).unwrap());
            }
        });
        report("serde_json::Value", bytes, || {
            for line in &lines {
                black_box(serde_json::from_str::<serde_json::Value>(line).unwrap());
            }
        });
        let texts: Vec<_> = events.iter().map(Event::texts).collect();
        let mut out = String::new();
        report("EventRef::write_json", bytes, || {
            for (event, texts) in events.iter().zip(&texts) {
                out.clear();
                event.lend(texts).write_json(&mut out);
                black_box(&out);
            }
        });
    }
}

fn interaction(i: usize) -> String {
    format!(
        r#"{{"event": "purchase", "entityType": "user", "entityId": "u{}", "targetEntityType": "item", "targetEntityId": "item-{}", "eventTime": "2026-01-{:02}T12:{:02}:00.000Z"}}"#,
        i * 7919 % 100_000,
        i * 104_729 % 5_000,
        i % 28 + 1,
        i % 60,
    )
}

fn item(i: usize) -> String {
    format!(
        r#"{{"event":"$set","entityType":"item","entityId":"item-{i}","properties":{{"title":"A thing with the number {i}","categories":["Phones","Tablets","Apple"],"price":{}.99,"stock":{i},"expireDate":"2026-03-01T00:00:00Z"}},"eventTime":"2026-01-01T00:00:00.000+01:00"}}"#,
        i % 1000,
    )
}

fn report(what: &str, bytes: usize, mut round: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        round();
        best = best.min(start.elapsed().as_secs_f64());
    }
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let (per_second, megabytes) = (LINES as f64 / best, bytes as f64 / best / 1e6);
    println!("  {what:22} {:6.2} M lines/s  {megabytes:5.0} MB/s", per_second / 1e6);
}
