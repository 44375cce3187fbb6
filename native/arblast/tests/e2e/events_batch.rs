//! `POST /batch/events.json`, compressed bodies, statistics.

use std::io::Write;

use events::Json;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::events_client::{AS_JSON, EventServer, buy, shop};
use crate::program::{at, number, text};

const BATCH: &str = "/batch/events.json?accessKey=key";

pub fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn batch(count: usize) -> String {
    let events: Vec<String> = (0..count).map(|i| buy(&format!("u{i}"), "i")).collect();
    format!("[{}]", events.join(","))
}

#[test]
fn each_event_has_its_status() {
    let program = shop();
    program.ok(&["accesskey", "new", "shop", "buy", "--key", "few"]);
    let server = EventServer::start(&program, &[]);
    let events = [
        buy("u1", "i1"),
        r#"{"event":"","entityType":"user","entityId":"u"}"#.to_owned(),
        r#"{"event":"view","entityType":"user","entityId":"u"}"#.to_owned(),
        "7".to_owned(),
        r#"{"eventId":"mine","event":"buy","entityType":"user","entityId":"u"}"#.to_owned(),
        r#"{"event":"$unset","entityType":"user","entityId":"u"}"#.to_owned(),
    ];
    let answer = server.post("/batch/events.json?accessKey=few", &format!("[{}]", events.join(",")));
    assert_eq!(answer.status, 200);
    let json = answer.json();
    let id = text(&json, "0.eventId");
    let expected = format!(
        r#"[{{"status":201,"eventId":"{id}"}},{{"status":400,"message":"event must not be empty."}},{{"status":403,"message":"view events are not allowed"}},{{"status":400,"message":"An event must be a JSON object, got 7."}},{{"status":201,"eventId":"mine"}},{{"status":400,"message":"properties cannot be empty for $unset event"}}]"#
    );
    assert_eq!(answer.body, expected);
    assert_eq!(server.get(&format!("/events/{id}.json?accessKey=key")).status, 200);
    assert_eq!(server.found("/events.json?accessKey=key"), 2);
    assert_eq!(server.post("/batch/events.json?accessKey=few", "[]").json(), Json::Array(Vec::new()));
}

#[test]
fn a_batch_that_is_none_stores_nothing() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let too_many = batch(51);
    let broken = format!("{},", &batch(3)[..batch(3).len() - 1]);
    let cases = [
        (too_many.as_str(), "Batch request must have less than or equal to 50 events"),
        ("{}", "A batch must be a JSON array of events, got {}."),
        ("\"x\"", "A batch must be a JSON array of events, got \"x\"."),
        (&broken, "truncated"),
        ("[}", "expected a value"),
        ("", "empty"),
    ];
    for (body, word) in cases {
        let (status, message) = server.post(BATCH, body).refusal();
        assert!(status == 400 && message.contains(word), "{body}: {status} {message}");
    }
    assert_eq!(server.found("/events.json?accessKey=key"), 0);
    let answer = server.post(BATCH, &batch(50)).json();
    assert!(answer.as_array().unwrap().iter().all(|status| number(status, "status") == 201));
    assert_eq!(server.found("/events.json?accessKey=key&limit=-1"), 50);
    let wide = EventServer::start(&program, &["--max-batch", "1000"]);
    assert_eq!(wide.post(BATCH, &batch(1000)).json().as_array().unwrap().len(), 1000);
    assert!(wide.post(BATCH, &batch(1001)).message().ends_with("1000 events"));
}

#[test]
fn an_event_of_a_batch_is_as_long_as_one_may_be() {
    let program = shop();
    let server = EventServer::start(&program, &["--set", "eventBytesMax=300"]);
    let batch = format!("[{}, {}]", buy("u", "i"), buy("u", &"i".repeat(300)));
    let statuses = server.post(BATCH, &batch).json();
    assert_eq!((number(&statuses, "0.status"), number(&statuses, "1.status")), (201, 413), "{statuses}");
    assert_eq!(text(&statuses, "1.message"), "the event has more than 300 bytes");
    assert_eq!(server.found("/events.json?accessKey=key"), 1);
}

#[test]
fn compressed_bodies() {
    let program = shop();
    let server = EventServer::start(&program, &["--set", "eventBytesMax=100000"]);
    let post = |path: &str, coding: &str, body: &[u8]| {
        server.request("POST", path, &[AS_JSON, ("Content-Encoding", coding)], body)
    };
    let single = "/events.json?accessKey=key";
    assert_eq!(post(single, "gzip", &gzip(buy("u", "i").as_bytes())).status, 201);
    assert_eq!(post(single, "GZIP", &gzip(buy("u", "i").as_bytes())).status, 201);
    assert_eq!(post(single, "identity", buy("u", "i").as_bytes()).status, 201);
    assert_eq!(post(BATCH, "gzip", &gzip(batch(50).as_bytes())).json().as_array().unwrap().len(), 50);
    let bomb = gzip(&vec![b' '; 64 << 20]);
    let plain = buy("u", "i");
    let (cut, nothing) = (gzip(plain.as_bytes()), gzip(b""));
    let cases = [
        ("gzip", bomb.as_slice(), 413, "100000 bytes"),
        ("gzip", plain.as_bytes(), 400, "gzip"),
        ("gzip", &cut[..40], 400, "gzip"),
        ("gzip", &nothing, 400, "empty"),
        ("br", b"x", 415, "gzip"),
        ("gzip, gzip", b"x", 415, "gzip"),
    ];
    for (coding, body, status, word) in cases {
        let refusal = post(single, coding, body).refusal();
        assert!(refusal.0 == status && refusal.1.contains(word), "{coding}: {refusal:?}");
    }
    assert_eq!(server.found("/events.json?accessKey=key&limit=-1"), 53);
}

#[test]
fn statistics_count_what_was_stored_and_what_not() {
    let program = shop();
    program.ok(&["app", "channel-new", "shop", "web"]);
    program.ok(&["app", "new", "other", "--access-key", "k2"]);
    let server = EventServer::start(&program, &["--stats"]);
    let single = "/events.json?accessKey=key";
    server.stored(single, &buy("u", "i"));
    server.stored("/events.json?accessKey=key&channel=web", &buy("u", "i"));
    server.stored("/events.json?accessKey=k2", &buy("u", "i"));
    assert_eq!(server.post(single, "{}").status, 400);
    assert_eq!(server.post(BATCH, &format!(r#"[{},{{}}]"#, buy("u", "i"))).status, 200);
    let lines =
        format!("{}\nx\n{}\n", buy("u", "i"), r#"{"event":"$set","entityType":"item","entityId":"i"}"#);
    assert_eq!(server.request("POST", "/events.ndjson?accessKey=key", &[], lines.as_bytes()).status, 200);
    // requests that are refused whole
    program.ok(&["accesskey", "new", "shop", "--key", "reader", "--scope", "read"]);
    assert_eq!(server.post("/events.json?accessKey=reader", &buy("u", "i")).status, 403);
    let image = [("Content-Type", "image/png")];
    assert_eq!(server.request("POST", "/events.ndjson?accessKey=key", &image, b"").status, 415);
    let stats = server.get("/stats.json?accessKey=key").json();
    let basic = r#"[{"key":{"entityType":"item","event":"$set"},"value":1},{"key":{"entityType":"user","targetEntityType":"item","event":"buy"},"value":4}]"#;
    let statuses =
        r#"[{"key":201,"value":5},{"key":400,"value":3},{"key":403,"value":1},{"key":415,"value":1}]"#;
    for period in ["currentHour", "longLive"] {
        assert_eq!(at(&stats, &format!("{period}.basic")).to_string(), basic);
        assert_eq!(at(&stats, &format!("{period}.statusCode")).to_string(), statuses);
    }
    assert_eq!(at(&stats, "prevHour.basic").to_string(), "[]");
    for time in
        ["time", "currentHour.startTime", "currentHour.endTime", "prevHour.startTime", "longLive.startTime"]
    {
        assert!(events::EventTime::parse(text(&stats, time)).is_some(), "{time}");
    }
    let other = server.get("/stats.json?accessKey=k2").json();
    assert_eq!(at(&other, "longLive.statusCode").to_string(), r#"[{"key":201,"value":1}]"#);
}
