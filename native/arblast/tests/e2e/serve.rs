//! Both servers in one process, and webhooks.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command};

use events::json;

use crate::events_client::{AS_JSON, exchange};
use crate::program::{Program, http, own_port};
use crate::queries_client::until;

pub struct Both {
    pub child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Both {
    pub fn start(program: &Program, options: &[&str]) -> Self {
        Self::of(program.start(&[&["serve", "--ip", "127.0.0.1"], options].concat()))
    }

    pub fn of(mut child: Child) -> Self {
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The port in the next line with these words.
    pub fn says(&mut self, words: &str) -> String {
        let line = self.lines.by_ref().map_while(Result::ok).find(|line| line.contains(words));
        line.unwrap_or_else(|| panic!("the server ended without: {words}"))
    }

    pub fn port(&mut self, words: &str) -> u16 {
        self.says(words).trim_end_matches('.').rsplit(':').next().unwrap().parse().unwrap()
    }

    pub fn ended(&mut self) -> Option<i32> {
        until("both servers end", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Both {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn post(port: u16, path: &str, body: &str) -> (u16, String) {
    let answer = exchange(port, "POST", path, &[AS_JSON], body.as_bytes()).unwrap();
    (answer.status, answer.body)
}

pub const EVENT: &str =
    r#"{"event":"view","entityType":"user","entityId":"new","targetEntityType":"item","targetEntityId":"i"}"#;

pub fn shop() -> Program {
    let program = Program::new();
    program.ok(&["sample", "."]);
    program.ok(&["app", "new", "shop", "--access-key", "key"]);
    program.ok(&["import", "--app", "shop", "--input", "events.jsonl"]);
    program
}

#[test]
fn events_are_taken_in_before_there_is_a_model_and_queries_answered_after_the_first_train() {
    let program = shop();
    let mut both = Both::start(&program, &["--event-port", "0", "--query-port", "0"]);
    both.says("no model yet");
    let (events, early) = (both.port("Event API is live at"), both.port("Query API is live at"));
    assert_eq!(post(events, "/events.json?accessKey=key", EVENT).0, 201);
    program.ok(&["train"]);
    let queries = both.port("Engine API is live at");
    assert_eq!(queries, early);
    let (status, answer) = http(queries, "POST", "/queries.json", r#"{"user":"maya"}"#).unwrap();
    assert!(status == 200 && answer.contains("\"item\""), "{answer}");
    let (_, metrics) = http(queries, "GET", "/metrics", "").unwrap();
    for line in
        ["arblast_events_stored_total 1", "arblast_queries_answered_total 1", "arblast_model_generation 1"]
    {
        assert!(metrics.lines().any(|found| found == line), "{line} in\n{metrics}");
    }
    // A sign to read files again ends neither.
    let id = both.child.id().to_string();
    assert!(Command::new("kill").args(["-s", "HUP", &id]).status().unwrap().success());
    assert_eq!(http(events, "GET", "/ready", "").unwrap().0, 200);
    assert_eq!(http(queries, "GET", "/ready", "").unwrap().0, 200);
    assert_eq!(http(queries, "POST", "/stop", "").unwrap().0, 200);
    assert_eq!(both.ended(), Some(0), "the event server ends with the query server");
}

#[test]
fn one_port_serves_both() {
    let program = shop();
    let port = own_port().to_string();
    let mut both = Both::start(&program, &["--port", &port]);
    let port = both.port("Event API is live at");
    assert_eq!(post(port, "/events.json?accessKey=key", EVENT).0, 201);
    program.ok(&["train"]);
    both.says("Engine API is live at");
    assert_eq!(post(port, "/events.json?accessKey=key", EVENT).0, 201);
    let (status, answer) = http(port, "POST", "/queries.json", r#"{"num":1}"#).unwrap();
    assert!(status == 200 && answer.contains("\"item\""), "{answer}");
    let harness = EVENT.replace("{", r#"{"eventTime":"2026-01-02T03:04:05Z","#);
    let (status, stored) = http(port, "POST", "/engines/shop/events", &harness).unwrap();
    assert!(status == 201 && stored.contains("eventId"), "{stored}");
    let (_, metrics) = http(port, "GET", "/metrics", "").unwrap();
    let counted = "arblast_events_stored_total 3";
    assert!(metrics.lines().any(|line| line == counted), "both ways in share what stores: {metrics}");
    assert_eq!(http(port, "GET", "/stats.json?accessKey=key", "").unwrap().0, 404);
    let id = both.child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    assert_eq!(both.ended(), Some(0));
}

#[test]
fn webhooks_become_events() {
    let program = shop();
    let mapping = r#"{"connectors": {"shop.json": {"otherwise": "exampleJson"}}}"#;
    program.write("webhooks.json", mapping);
    let mut both = Both::start(
        &program,
        &["--event-port", "0", "--query-port", "0", "--set", "webhooksFile=webhooks.json"],
    );
    let port = both.port("Event API is live at");
    let call = r#"{"version":"1","type":"track","sent_at":"2026-01-01T00:00:00Z","timestamp":"2026-01-01T00:00:00Z",
        "user_id":"u","event":"Bought","properties":{"sku":"s"}}"#;
    let (status, body) = post(port, "/webhooks/segmentio.json?accessKey=key", call);
    assert_eq!(status, 201, "{body}");
    let id = json::parse(body.as_bytes()).unwrap().get("eventId").unwrap().as_str().unwrap().to_owned();
    let (status, event) = http(port, "GET", &format!("/events/{id}.json?accessKey=key"), "").unwrap();
    assert!(status == 200 && event.contains(r#""event":"track""#), "{event}");
    let action = r#"{"type":"userAction","userId":"u","event":"do","timestamp":"2026-01-01T00:00:00Z","anotherProperty1":1}"#;
    assert_eq!(post(port, "/webhooks/shop.json?accessKey=key", action).0, 201);
    let refused = [
        ("/webhooks/segmentio.json", call, 401, "Missing accessKey."),
        (
            "/webhooks/segmentio.form?accessKey=key",
            call,
            404,
            "webhooks connection for segmentio is not supported.",
        ),
        (
            "/webhooks/nobody.json?accessKey=key",
            call,
            404,
            "webhooks connection for nobody is not supported.",
        ),
        ("/webhooks/segmentio.json?accessKey=key", "{}", 400, "Failed to get segment.io API version."),
        ("/webhooks/segmentio.json?accessKey=key", "[", 400, "JSON"),
        ("/webhooks/mailchimp.form?accessKey=key", "{}", 415, "x-www-form-urlencoded"),
    ];
    for (path, body, status, words) in refused {
        let answer = post(port, path, body);
        assert!(answer.0 == status && answer.1.contains(words), "{path}: {answer:?}");
    }
    assert_eq!(
        http(port, "GET", "/webhooks/mailchimp.form?accessKey=key", "").unwrap(),
        (200, r#"{"message":"Ok"}"#.to_owned())
    );
    assert_eq!(http(port, "GET", "/webhooks/x.form?accessKey=key", "").unwrap().0, 404);
}
