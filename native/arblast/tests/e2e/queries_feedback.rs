//! The feedback loop and the log of failures, against a real listening socket, with TLS and without.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use events::{Json, json};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::program::{Program, at, text};
use crate::queries_client::{PATIENCE, send, until};
use crate::server::Server;

/// What was posted: path and body.
type Posts = Receiver<(String, String)>;

fn tls(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/tls").join(name)
}

/// Listens, tells what was posted, and answers 201. Gives the port.
fn listener(secure: bool) -> (u16, Posts) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = channel();
    let config = secure.then(|| {
        let chain = CertificateDer::pem_file_iter(tls("server.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(tls("server.key")).unwrap();
        Arc::new(ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap())
    });
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, config, tell) = (stream.unwrap(), config.clone(), tell.clone());
            std::thread::spawn(move || match config {
                Some(config) => {
                    let connection = ServerConnection::new(config).unwrap();
                    answer(StreamOwned::new(connection, stream), &tell);
                }
                None => answer(stream, &tell),
            });
        }
    });
    (port, told)
}

pub fn answer(stream: impl Read + Write, tell: &std::sync::mpsc::Sender<(String, String)>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        if tell.send((path, String::from_utf8(body).unwrap())).is_err() {
            return;
        }
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";
        if stream.get_mut().write_all(answer).and_then(|()| stream.get_mut().flush()).is_err() {
            return;
        }
    }
}

fn trained() -> Program {
    let program = Program::new();
    program.sample_shop();
    program.ok(&["train"]);
    program
}

fn start(program: &Program, options: &[&str]) -> Server {
    let mut command = program.command(&[&["deploy", "--ip", "127.0.0.1", "--port", "0"], options].concat());
    Server::of(command.env("SSL_CERT_FILE", tls("ca.pem")).spawn().unwrap())
}

/// The event that one query made.
fn predicted(server: &Server, posts: &Posts, query: &str) -> (Json, Json) {
    let answer = send(server.port, "POST", "/queries.json", query);
    assert_eq!(answer.status, 200, "{answer:?}");
    let (path, body) = posts.recv_timeout(PATIENCE).unwrap();
    assert_eq!(path, "/events.json?accessKey=k%2B1");
    (answer.json(), json::parse(body.as_bytes()).unwrap())
}

#[test]
fn each_prediction_becomes_an_event() {
    let program = trained();
    for secure in [false, true] {
        let (port, posts) = listener(secure);
        let url = format!("{}://localhost:{port}/", if secure { "https" } else { "http" });
        let server = start(&program, &["--feedback", "--accesskey", "k+1", "--event-server-url", &url]);
        let (answer, event) =
            predicted(&server, &posts, r#"{"user":"maya","num":2,"prId":"earlier","withPrId":true}"#);
        assert_eq!(text(&event, "event"), "predict");
        assert_eq!(text(&event, "entityType"), "pio_pr");
        assert_eq!(text(&event, "prId"), "earlier");
        assert_eq!(text(&event, "entityId"), text(&answer, "prId"));
        assert_eq!(text(&event, "entityId").len(), 64);
        assert_eq!(text(&event, "properties.query.user"), "maya");
        assert_eq!(*at(&event, "properties.prediction.itemScores"), *at(&answer, "itemScores"));
        let instance = program.json(&["models"]);
        assert_eq!(text(&event, "properties.engineInstanceId"), text(&instance, "0.engineInstanceId"));
        // The event server of this product takes it.
        let now = events::EventTime::utc(0);
        assert!(events::Event::from_json(&event, now).is_ok(), "{event}");
        let (answer, event) = predicted(&server, &posts, r#"{"user":"otto"}"#);
        assert!(answer.get("prId").is_none() && event.get("prId").is_none(), "{answer} {event}");
        // In the form of Harness, too.
        let harness =
            send(server.port, "POST", "/engines/shop/queries", r#"{"user":"otto","withPrId":true}"#);
        let event = json::parse(posts.recv_timeout(PATIENCE).unwrap().1.as_bytes()).unwrap();
        assert_eq!(text(&event, "entityId"), text(&harness.json(), "prId"), "{harness:?}");
        assert!(
            at(&harness.json(), "result").as_array().is_some_and(|result| !result.is_empty()),
            "{harness:?}"
        );
        // A query that fails is no prediction.
        assert_eq!(send(server.port, "POST", "/queries.json", "[]").status, 400);
        let (_, event) = predicted(&server, &posts, r#"{"user":"maya"}"#);
        assert_eq!(text(&event, "properties.query.user"), "maya");
    }
}

#[test]
fn failures_are_posted_and_an_absent_event_server_harms_nobody() {
    let program = trained();
    let (port, posts) = listener(false);
    let (url, nobody) = (format!("http://127.0.0.1:{port}/log?k=v"), "1".to_owned());
    let options = ["--log-url", &url, "--log-prefix", "arblast: ", "--feedback", "--accesskey", "k"];
    let server = start(&program, &[&options[..], &["--event-server-port", &nobody, "--with-pr-id"]].concat());
    assert_eq!(send(server.port, "POST", "/queries.json", r#"{"num":"many"}"#).status, 400);
    let (path, body) = posts.recv_timeout(PATIENCE).unwrap();
    assert_eq!(path, "/log?k=v");
    let entry = json::parse(body.strip_prefix("arblast: ").unwrap().as_bytes()).unwrap();
    assert_eq!(text(&entry, "engineInstance.engineVariant"), "shop");
    let message = text(&entry, "message");
    assert!(message.starts_with("Query:\n{\"num\":\"many\"}\n\n400") && message.contains("num"), "{message}");
    assert_eq!(send(server.port, "POST", "/engines/shop/queries", r#"{"num":"few"}"#).status, 400);
    let (_, body) = posts.recv_timeout(PATIENCE).unwrap();
    assert!(body.contains("few"), "{body}");
    for _ in 0..50 {
        let answer = send(server.port, "POST", "/queries.json", "{}");
        assert_eq!((answer.status, text(&answer.json(), "prId").len()), (200, 64));
    }
    until("all posts are counted", || {
        let metrics = send(server.port, "GET", "/metrics", "").body;
        let counts = |kind: &str, outcome: &str, count: u32| {
            let line =
                format!(r#"arblast_feedback_posts_total{{kind="{kind}",outcome="{outcome}"}} {count}"#);
            metrics.lines().any(|found| found == line)
        };
        let sent = counts("failure", "sent", 2) && counts("failure", "failed", 0);
        let lost = counts("prediction", "failed", 50) && counts("prediction", "sent", 0);
        (sent && lost && counts("prediction", "dropped", 0)).then_some(())
    });
    let status = send(server.port, "GET", "/status.json", "");
    let posts = |on, sent, failed| format!(r#"{{"on":{on},"sent":{sent},"failed":{failed},"dropped":0}}"#);
    let feedback = format!(r#"{{"predictions":{},"failures":{}}}"#, posts(true, 0, 50), posts(true, 2, 0));
    assert_eq!(at(&status.json(), "feedback").to_string(), feedback);
    assert!(!status.body.contains("127.0.0.1") && !status.body.contains("k=v"), "{status:?}");
    let port = server.port.to_string();
    program.ok(&["undeploy", "--ip", "127.0.0.1", "--port", &port]);
    assert_eq!(server.ended(), Some(0));
}

#[test]
fn feedback_that_cannot_be_is_told_at_the_start() {
    let program = trained();
    let deploy = ["deploy", "--ip", "127.0.0.1", "--port", "0", "--feedback"];
    let refused = |options: &[&str]| program.refused(1, &[&deploy[..], options].concat());
    let error = refused(&["--accesskey", "s3cret", "--event-server-url", "ftp://h"]);
    assert!(error.contains("http://") && !error.contains("s3cret"), "{error}");
    assert!(
        refused(&["--accesskey", "k", "--event-server-url", "http://h/?x=y"]).contains("--event-server-url")
    );
    assert!(refused(&["--log-url", "nonsense"]).contains("nonsense"));
    // As the original: logged, and off.
    let server = Server::start(&program, &["--feedback"]);
    let answer = send(server.port, "POST", "/queries.json", r#"{"withPrId":true}"#);
    assert!(answer.status == 200 && answer.json().get("prId").is_none(), "{answer:?}");
}

#[test]
fn feedback_is_set_by_file_and_environment_for_both_commands() {
    let program = trained();
    let (port, posts) = listener(false);
    let settings = format!(
        r#"{{"feedback": true, "feedbackUrl": "http://127.0.0.1:{port}/", "logUrl": "http://127.0.0.1:{port}/log?k=v", "withPrId": true, "withDegraded": true}}"#
    );
    let file = program.write("settings.json", &settings).display().to_string();
    let deploy = ["deploy", "--ip", "127.0.0.1", "--port", "0"];
    let serve = ["serve", "--ip", "127.0.0.1", "--event-port", "0", "--query-port", "0"];
    for command in [&deploy[..], &serve] {
        let args = [command, &["--config", &file, "--query-key", "q", "--server-key", "s"]].concat();
        let server = Server::of(program.command(&args).env("ARBLAST_FEEDBACK_KEY", "k+1").spawn().unwrap());
        assert_eq!(send(server.port, "POST", "/queries.json", "{}").status, 401);
        assert_eq!(send(server.port, "POST", "/queries.json?accessKey=q", "[]").status, 400);
        assert_eq!(posts.recv_timeout(PATIENCE).unwrap().0, "/log?k=v", "{command:?}");
        let answer = send(server.port, "POST", "/queries.json?accessKey=q", "{}").json();
        let (path, event) = posts.recv_timeout(PATIENCE).unwrap();
        assert_eq!(path, "/events.json?accessKey=k%2B1", "{command:?}");
        let event = json::parse(event.as_bytes()).unwrap();
        assert_eq!(text(&event, "entityId"), text(&answer, "prId"), "{answer}");
        assert_eq!(send(server.port, "POST", "/reload?accessKey=s", "").status, 200);
    }
    let mut shown = program.command(&["config", "--config", &file, "--json"]);
    let shown = shown.env("ARBLAST_FEEDBACK_KEY", "k+1").output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(!shown.contains("k+1") && !shown.contains("k=v"), "{shown}");
    let shown = json::parse(shown.as_bytes()).unwrap();
    assert_eq!((text(&shown, "feedbackKey.value"), text(&shown, "logUrl.value")), ("***", "***"));
}
