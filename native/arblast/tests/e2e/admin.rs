//! The admin server of PredictionIO: apps over HTTP.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command};

use events::Json;

use crate::events_client::EventServer;
use crate::operation::wait_for;
use crate::program::{Program, at, number, text};
use crate::queries_client::{Client, send};

struct Admin {
    child: Child,
    port: u16,
    said: Vec<String>,
}

impl Admin {
    fn start(program: &Program, options: &[&str]) -> Self {
        let mut child = program.start(&[&["adminserver", "--port", "0"], options].concat());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let live = lines.find(|line| {
            said.push(line.clone());
            line.contains("Admin API is live at")
        });
        let Some(line) = live else { panic!("{said:?} {:?}", child.wait_with_output()) };
        let port = line.trim_end_matches('.').rsplit(':').next().unwrap().parse().unwrap();
        Self { child, port, said }
    }

    /// What it answers; 200 always.
    fn ask(&self, method: &str, path: &str, body: &str) -> Json {
        let answer = send(self.port, method, path, body);
        assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
        answer.json()
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn apps_come_and_go_as_tools_of_the_original_expect() {
    let program = Program::new();
    let mut admin = Admin::start(&program, &[]);
    assert!(!admin.said.iter().any(|line| line.contains("WARN")), "{:?}", admin.said);
    assert_eq!(admin.ask("GET", "/", "").to_string(), r#"{"status":"alive"}"#);
    let none = admin.ask("GET", "/cmd/app", "");
    let empty = r#"{"status":1,"message":"Successful retrieved app list.","apps":[]}"#;
    assert_eq!(none.to_string(), empty);
    let created = admin.ask("POST", "/cmd/app", r#"{"id":7,"name":"my shop","description":"d"}"#);
    assert_eq!((number(&created, "status"), number(&created, "id")), (1, 7), "{created}");
    assert_eq!(text(&created, "message"), "App created successfully.");
    assert_eq!(text(&created, "name"), "my shop");
    let key = text(&created, "key").to_owned();
    assert_eq!(key.len(), 64);
    let listed = admin.ask("GET", "/cmd/app", "");
    assert_eq!((number(&listed, "apps.0.id"), text(&listed, "apps.0.name")), (7, "my shop"));
    let (shown, app) = (text(&listed, "apps.0.keys.0.key"), number(&listed, "apps.0.keys.0.appid"));
    assert_eq!((shown, app), (key.as_str(), 7), "{listed}");
    assert_eq!(at(&listed, "apps.0.keys.0.events").to_string(), "[]");
    // What the command sees is the same.
    assert_eq!(text(&program.json(&["app", "show", "my shop"]), "description"), "d");

    for (method, path, body, words) in [
        ("POST", "/cmd/app", r#"{"name":"my shop"}"#, "App my shop already exists."),
        ("POST", "/cmd/app", r#"{"name":"other","id":7}"#, "App ID 7 already exists"),
        ("POST", "/cmd/app", r#"{"name":""}"#, "must not be empty"),
        ("POST", "/cmd/app", r#"{"id":8}"#, "name is missing"),
        ("POST", "/cmd/app", r#"{"name":"x","id":"8"}"#, "id must be a whole number"),
        ("POST", "/cmd/app", r#"{"name":5}"#, "name must be a string"),
        ("POST", "/cmd/app", "{", "no JSON"),
        ("DELETE", "/cmd/app/nobody", "", "App nobody does not exist."),
        ("DELETE", "/cmd/app/nobody/data", "", "App nobody does not exist."),
    ] {
        let refused = admin.ask(method, path, body);
        assert_eq!(number(&refused, "status"), 0, "{method} {path} {body}: {refused}");
        assert!(text(&refused, "message").contains(words), "{method} {path} {body}: {refused}");
    }
    assert_eq!(send(admin.port, "GET", "/cmd/apps", "").status, 404);
    assert_eq!(send(admin.port, "PUT", "/cmd/app", "").status, 405);
    let foreign = Client::new(admin.port).send("POST", "/cmd/app", "Origin: http://evil.example\r\n", b"{}");
    assert_eq!(foreign.status, 403, "{foreign:?}");
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", admin.port)).unwrap();
    std::io::Write::write_all(
        &mut stream,
        b"GET /cmd/app HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    )
    .unwrap();
    let rebound = std::io::read_to_string(stream).unwrap();
    assert!(rebound.starts_with("HTTP/1.1 403"), "a name that was made to lead here: {rebound}");
    let id = admin.child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    let ended = wait_for(|| admin.child.try_wait().unwrap()).and_then(|status| status.code());
    assert_eq!(ended, Some(0));
}

#[test]
fn what_is_deleted_is_gone_with_its_keys_and_channels() {
    let program = Program::new();
    let admin = Admin::start(&program, &[]);
    let created = admin.ask("POST", "/cmd/app", r#"{"name":"shop"}"#);
    let key = text(&created, "key");
    program.ok(&["app", "channel-new", "shop", "web"]);
    let events = EventServer::start(&program, &[]);
    let event = r#"{"event":"buy","entityType":"user","entityId":"u"}"#;
    let [own, web] = ["", "&channel=web"].map(|channel| format!("/events.json?accessKey={key}{channel}"));
    events.stored(&own, event);
    events.stored(&web, event);
    let stored = |path: &str| events.get(path).json().as_array().map_or(0, <[Json]>::len);
    assert_eq!((stored(&own), stored(&web)), (1, 1));

    let emptied = admin.ask("DELETE", "/cmd/app/shop/data", "");
    assert_eq!(number(&emptied, "status"), 1, "{emptied}");
    assert_eq!((stored(&own), stored(&web)), (0, 1), "the default channel, as the command does");
    events.stored(&own, event);

    let deleted = admin.ask("DELETE", "/cmd/app/shop", "");
    assert_eq!(number(&deleted, "status"), 1, "{deleted}");
    assert_eq!(admin.ask("GET", "/cmd/app", "").get("apps").unwrap().to_string(), "[]");
    assert_eq!(program.json(&["accesskey", "list"]).to_string(), "[]");
    wait_for(|| (events.get(&own).status == 401).then_some(())).expect("the key is gone");
    // Another app of this id finds nothing of the old one.
    let id = number(&created, "id").to_string();
    program.ok(&["app", "new", "shop", "--id", &id, "--access-key", "next"]);
    program.ok(&["app", "channel-new", "shop", "web"]);
    for channel in [&[][..], &["--channel", "web"]] {
        let export = [&["export", "--app", "shop", "--output", "-"], channel].concat();
        assert_eq!(program.ok(&export), "", "{channel:?}");
    }
}

#[test]
fn whoever_opens_it_to_others_is_warned() {
    let admin = Admin::start(&Program::new(), &["--ip", "0.0.0.0"]);
    let warning =
        |line: &String| line.contains("[WARN]") && line.contains("may delete every app without a key");
    assert!(admin.said.iter().any(warning), "{:?}", admin.said);
}
