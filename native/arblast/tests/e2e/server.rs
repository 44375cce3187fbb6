//! The query server.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command};

use events::{Json, json};

use crate::program::{Program, http, number, text};
use crate::queries_client::until;

pub struct Server {
    pub child: Child,
    pub port: u16,
}

impl Server {
    /// Starts on a free port and waits for the line that says so.
    pub fn start(program: &Program, options: &[&str]) -> Self {
        Self::of(program.start(&[&["deploy", "--ip", "127.0.0.1", "--port", "0"], options].concat()))
    }

    /// Waits for the line that says that it runs.
    pub fn of(mut child: Child) -> Self {
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let line = stdout.lines().map_while(Result::ok).find(|line| line.contains("Engine API is live at"));
        let Some(line) = line else { panic!("{:?}", child.wait_with_output()) };
        let port = line.trim_end_matches('.').rsplit(':').next().unwrap().parse().unwrap();
        Self { child, port }
    }

    pub fn request(&self, method: &str, path: &str, body: &str) -> (u16, Json) {
        let (status, body) = http(self.port, method, path, body).unwrap();
        (status, json::parse(body.as_bytes()).unwrap_or_else(|error| panic!("{path}: {error}: {body}")))
    }

    pub fn generation(&self) -> i64 {
        number(&self.request("GET", "/health", "").1, "generation")
    }

    /// Waits for the end.
    pub fn ended(mut self) -> Option<i32> {
        until("the server stops", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn trained() -> Program {
    let program = Program::new();
    program.sample_shop();
    program.ok(&["train"]);
    program
}

#[test]
fn the_server_answers_as_the_command_does() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let query = r#"{"user": "maya", "num": 6}"#;
    assert_eq!(server.request("POST", "/queries.json", query), (200, program.json(&["query", query])));
    assert_eq!(server.request("POST", "/queries.json", "").0, 200);
    let (status, health) = server.request("GET", "/health", "");
    assert_eq!((status, text(&health, "status")), (200, "ok"));
    let (_, about) = server.request("GET", "/", "");
    assert_eq!((text(&about, "app"), number(&about, "requestCount")), ("shop", 2));
}

#[test]
fn every_error_is_json_with_a_message() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let large = format!("{{\"user\": \"{}\"}}", "x".repeat(2 << 20));
    let wrong = [
        ("POST", "/queries.json", r#"{"num": "many"}"#, 400, "num"),
        ("POST", "/queries.json", r#"{"user": "#, 400, "JSON"),
        ("POST", "/queries.json", "[]", 400, "object"),
        ("POST", "/queries.json", r#"{"eventNames": ["nonsense"]}"#, 400, "nonsense"),
        ("POST", "/queries.json", &large, 413, "bytes"),
        ("GET", "/queries.json", "", 405, "method"),
        ("GET", "/nonsense", "", 404, "nothing"),
    ];
    for (method, path, body, status, word) in wrong {
        let answer = server.request(method, path, body);
        assert_eq!(answer.0, status, "{method} {path}: {}", answer.1);
        assert!(text(&answer.1, "message").contains(word), "{method} {path}: {}", answer.1);
    }
}

#[test]
fn a_new_generation_serves_by_itself_without_a_gap() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let pinned = text(&program.json(&["models"]), "0.engineInstanceId").to_owned();
    assert_eq!(server.generation(), 1);
    program.ok(&["train"]);
    until("the new model serves", || (server.generation() == 2).then_some(()));
    let old = Server::start(&program, &["--engine-instance-id", &pinned]);
    assert_eq!(old.generation(), 1);
    assert_eq!(server.request("POST", "/queries.json", r#"{"user": "otto"}"#).0, 200);
}

#[test]
fn reload_reads_the_engine_file_and_keeps_the_old_one_if_it_is_broken() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let count = || {
        server.request("POST", "/queries.json", "{}").1.get("itemScores").unwrap().as_array().unwrap().len()
    };
    let before = count();
    let engine = std::fs::read_to_string(program.path("engine.json")).unwrap();
    program.write("engine.json", "{");
    assert_eq!(server.request("POST", "/reload", "").0, 400);
    assert_eq!(count(), before);
    let Json::Object(mut fewer) = json::parse(engine.as_bytes()).unwrap() else { panic!("{engine}") };
    let mut algorithm = fewer.get("algorithms").unwrap().as_array().unwrap()[0].as_object().unwrap().clone();
    let params = algorithm.get("params").unwrap().as_object().unwrap().clone().with("num", 3);
    algorithm.insert("params", params);
    fewer.insert("algorithms", Json::Array(vec![algorithm.into()]));
    program.write("engine.json", &fewer.to_string());
    for method in ["GET", "POST"] {
        let (status, answer) = server.request(method, "/reload", "");
        assert_eq!((status, text(&answer, "message")), (200, "Reloading..."));
    }
    assert_ne!(before, 3);
    assert_eq!(count(), 3);
}

#[test]
fn the_server_ends_on_request_and_on_signals() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let port = server.port.to_string();
    program.ok(&["undeploy", "--ip", "127.0.0.1", "--port", &port]);
    assert_eq!(server.ended(), Some(0));
    // not the port of before: the server of another test may have got it
    assert!(program.refused(1, &["undeploy", "--ip", "127.0.0.1", "--port", "1"]).contains("Nothing at"));
    for signal in ["TERM", "INT"] {
        let server = Server::start(&program, &[]);
        let id = server.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        assert_eq!(server.ended(), Some(0), "{signal}");
    }
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let program = trained();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let deploy = ["deploy", "--ip", "127.0.0.1", "--port", &port];
    drop(taken);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let running = taken.local_addr().unwrap().port().to_string();
    let error = program.refused(75, &["deploy", "--ip", "127.0.0.1", "--port", &running]);
    assert!(error.contains("another program has the port"), "{error}");
    let error = program.refused(1, &[&deploy[..], &["--engine-instance-id", "x"]].concat());
    assert!(error.starts_with("Invalid engine instance ID x. Aborting."), "{error}");
    let untrained = Program::new();
    untrained.ok(&["sample", "."]);
    untrained.ok(&["app", "new", "shop"]);
    assert!(untrained.refused(1, &deploy).starts_with("No valid engine instance found for engine"));
}
