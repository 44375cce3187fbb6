//! Every route of the query server and every row of its errors, through HTTP.

use events::Json;

use crate::program::{Program, at, own_port, text};
use crate::queries_client::{Client, send};
use crate::server::Server;

fn trained() -> Program {
    let program = Program::new();
    program.sample_shop();
    program.ok(&["train"]);
    program
}

#[test]
fn every_route_answers() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let query = r#"{"user": "maya", "num": 4}"#;
    let expected = program.json(&["query", query]);
    let cases = [
        ("POST", "/queries.json", query, 200),
        ("POST", "/queries.json/", query, 200),
        ("POST", "/queries.json?accessKey=whatever", query, 200),
        ("POST", "/queries.json", "", 200),
        ("POST", "/queries.json", "{}", 200),
        ("POST", "/batch/queries.json", "[]", 200),
        ("GET", "/", "", 200),
        ("GET", "/health", "", 200),
        ("GET", "/reload", "", 200),
        ("POST", "/reload", "", 200),
        ("GET", "/plugins.json", "", 200),
        ("GET", "/engines", "", 200),
        ("GET", "/engines/shop", "", 200),
        ("GET", "/engines/shop/jobs", "", 200),
    ];
    for (method, path, body, status) in cases {
        let answer = send(server.port, method, path, body);
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{method} {path}");
        if body == query {
            assert_eq!(answer.json(), expected, "{path}");
            assert_eq!(answer.header("x-arblast-generation"), Some("1"), "{path}");
            assert_eq!(answer.header("x-arblast-degraded"), None, "{path}");
        }
    }
    let plugins = r#"{"plugins":{"outputblockers":{},"outputsniffers":{}}}"#;
    assert_eq!(send(server.port, "GET", "/plugins.json", "").body, plugins);
    assert_eq!(text(&send(server.port, "POST", "/stop", "").json(), "message"), "Shutting down...");
    assert_eq!(server.ended(), Some(0));
}

#[test]
fn every_wrong_request_is_told_what_is_wrong() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let long = format!("{{\"user\": \"{}\"}}", "x".repeat(1 << 20));
    let queries = format!("[{}]", vec!["{}"; 101].join(","));
    let window = r#"{"from": 9990, "num": 20}"#;
    let cases = [
        ("POST", "/queries.json", "{user: 1}", 400, "JSON"),
        ("POST", "/queries.json", "'x'", 400, "JSON"),
        ("POST", "/queries.json", "{\"user\": \"u5\"", 400, "JSON"),
        ("POST", "/queries.json", "{} x", 400, "JSON"),
        ("POST", "/queries.json", "[\"a\"]", 400, "object"),
        ("POST", "/queries.json", "7", 400, "object"),
        ("POST", "/queries.json", r#"{"userBias": "2"}"#, 400, "userBias"),
        (
            "POST",
            "/queries.json",
            r#"{"fields": [{"name": "c", "values": "x", "bias": 1}]}"#,
            400,
            "fields[0].values",
        ),
        ("POST", "/queries.json", r#"{"fields": [{"name": "c", "values": ["x"]}]}"#, 400, "fields[0]"),
        ("POST", "/queries.json", r#"{"dateRange": {"name": "d", "after": "soon"}}"#, 400, "dateRange"),
        ("POST", "/queries.json", r#"{"currentDate": "soon"}"#, 400, "currentDate"),
        ("POST", "/queries.json", r#"{"num": -1}"#, 400, "num"),
        ("POST", "/queries.json", window, 400, "10000"),
        ("POST", "/queries.json", r#"{"eventNames": ["nonsense"]}"#, 400, "nonsense"),
        ("POST", "/queries.json", &long, 413, "1048576 bytes"),
        ("GET", "/queries.json", "", 405, "method"),
        ("PUT", "/queries.json", "{}", 405, "method"),
        ("GET", "/batch/queries.json", "", 405, "method"),
        ("POST", "/batch/queries.json", "{}", 400, "array"),
        ("POST", "/batch/queries.json", "[", 400, "JSON"),
        ("POST", "/batch/queries.json", &queries, 400, "at most 100"),
        ("DELETE", "/reload", "", 405, "method"),
        ("PUT", "/stop", "", 405, "method"),
        ("POST", "/plugins.json", "", 405, "method"),
        ("GET", "/plugins/outputblocker/x/y", "", 404, "no plugins"),
        ("GET", "/nonsense", "", 404, "nothing here"),
        ("POST", "/", "", 405, "method"),
        ("GET", "/engines/none", "", 404, "no engine none"),
        ("POST", "/engines/none/queries", "{}", 404, "no engine none"),
        ("POST", "/engines/shop/queries", "{", 400, "JSON"),
        ("GET", "/engines/shop/queries", "", 405, "method"),
        ("GET", "/engines/shop/jobs/none", "", 404, "no job none"),
        ("DELETE", "/engines/shop/jobs/none", "", 404, "no job none"),
        ("POST", "/engines/shop/jobs", "{\"threads\": 0}", 400, "threads"),
        ("POST", "/engines/shop/jobs", "{\"speed\": 1}", 400, "speed"),
        ("DELETE", "/engines/shop", "", 409, "deployed"),
        ("POST", "/engines", "{}", 400, "engineId"),
    ];
    for (method, path, body, status, word) in cases {
        let answer = send(server.port, method, path, body);
        let shown: String = body.chars().take(60).collect();
        assert_eq!(answer.status, status, "{method} {path} {shown}: {answer:?}");
        assert!(text(&answer.json(), "message").contains(word), "{method} {path} {shown}: {answer:?}");
        assert!(!answer.body.contains("panicked") && !answer.body.contains(".rs:"), "{answer:?}");
    }
    // It still serves, also on a connection that saw an error.
    let mut client = Client::new(server.port);
    assert_eq!(client.send("POST", "/queries.json", "", b"[]").status, 400);
    assert_eq!(client.send("POST", "/queries.json", "", b"{}").status, 200);
}

#[test]
fn a_batch_is_answered_in_order_with_a_status_where_it_failed() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let queries = ["{\"user\":\"maya\"}", "{\"num\":\"many\"}", "5", "{\"user\":\"otto\",\"num\":2}", "null"];
    let answer = send(server.port, "POST", "/batch/queries.json", &format!("[{}]", queries.join(",")));
    assert_eq!((answer.status, answer.header("x-arblast-generation")), (200, Some("1")));
    let answers = answer.json();
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), queries.len());
    for (query, answer) in queries.iter().zip(answers) {
        match *query {
            "{\"num\":\"many\"}" | "5" | "null" => {
                assert_eq!(at(answer, "status").as_i64(), Some(400), "{query}: {answer}");
                assert!(!text(answer, "message").is_empty(), "{query}: {answer}");
            }
            query => assert_eq!(*answer, program.json(&["query", query]), "{query}"),
        }
    }
}

#[test]
fn keys_open_and_close() {
    let program = trained();
    let server = Server::start(&program, &["--server-key", "s3rver", "--query-key", "qu3ry"]);
    let bearer = |key: &str| format!("Authorization: Bearer {key}\r\n");
    let cases = [
        ("POST", "/queries.json", String::new(), 401),
        ("POST", "/queries.json?accessKey=wrong", String::new(), 401),
        ("POST", "/queries.json?accessKey=qu3ry", String::new(), 200),
        ("POST", "/queries.json", bearer("qu3ry"), 200),
        ("POST", "/batch/queries.json", String::new(), 401),
        ("POST", "/engines/shop/queries", String::new(), 401),
        ("POST", "/engines/shop/queries", bearer("qu3ry"), 200),
        ("GET", "/status.json", String::new(), 401),
        ("GET", "/status.json", bearer("s3rver"), 401),
        ("GET", "/status.json", bearer("qu3ry"), 200),
        ("GET", "/status.json?accessKey=qu3ry", String::new(), 200),
        ("GET", "/", "Accept: text/html\r\n".to_owned(), 200),
        ("GET", "/page.js", String::new(), 200),
        ("GET", "/health", String::new(), 200),
        ("GET", "/ready", String::new(), 200),
        ("GET", "/engines", String::new(), 401),
        ("GET", "/engines?accessKey=s3rver", String::new(), 200),
        ("GET", "/engines", bearer("qu3ry"), 401),
        ("GET", "/engines/shop/jobs", String::new(), 401),
        ("DELETE", "/engines/shop/entities/maya", String::new(), 401),
        ("POST", "/reload", String::new(), 401),
        ("POST", "/reload?accessKey=s3rver", String::new(), 200),
        ("POST", "/stop", bearer("wrong"), 401),
    ];
    for (method, path, headers, status) in cases {
        let answer = Client::new(server.port).send(method, path, &headers, b"");
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert!(!answer.body.contains("s3rver") && !answer.body.contains("qu3ry"), "{answer:?}");
    }
    // What the server is known by is no secret: `undeploy` and `deploy` ask for it. What it does is.
    let about = |headers: &str| Client::new(server.port).send("GET", "/", headers, b"").json();
    let (stranger, known) = (about(""), about(&bearer("qu3ry")));
    assert_eq!((text(&stranger, "app"), text(&stranger, "variant")), ("shop", "shop"), "{stranger}");
    assert!(stranger.get("model").is_none() && stranger.get("requestCount").is_none(), "{stranger}");
    assert!(known.get("model").is_some() && known.get("requestCount").is_some(), "{known}");
    let port = server.port.to_string();
    let undeploy = ["undeploy", "--ip", "127.0.0.1", "--port", &port];
    assert!(program.refused(1, &undeploy).contains("refuses to stop"));
    program.ok(&[&undeploy[..], &["--server-key", "s3rver"]].concat());
    assert_eq!(server.ended(), Some(0));
}

#[test]
fn deploy_replaces_a_server_of_the_same_engine_and_no_other() {
    let program = trained();
    let port = own_port().to_string();
    let deploy = ["deploy", "--ip", "127.0.0.1", "--port", &port];
    let old = Server::of(program.start(&deploy));
    let new = Server::of(program.start(&deploy));
    assert_eq!(new.port, old.port);
    assert_eq!(old.ended(), Some(0));
    assert_eq!(send(new.port, "POST", "/queries.json", "{}").status, 200);
    // Another engine of the same home.
    let engine = std::fs::read_to_string(program.path("engine.json")).unwrap();
    let Json::Object(engine) = events::json::parse(engine.as_bytes()).unwrap() else { panic!("{engine}") };
    program.write("other.json", &engine.with("id", "other").to_string());
    program.ok(&["train", "--variant", "other.json"]);
    let error = program.refused(75, &[&deploy[..], &["--variant", "other.json"]].concat());
    assert!(error.contains("engine shop of app shop runs there"), "{error}");
    assert_eq!(send(new.port, "POST", "/queries.json", "{}").status, 200);
}
