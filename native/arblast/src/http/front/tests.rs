//! A router behind the front, through a socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use axum::response::IntoResponse;
use axum::routing::{get, post};
use tokio::sync::Notify;

use super::*;
use crate::http::refused::Refused;

/// Longest wait for what must happen; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that lives as long as this.
struct Running {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    stop: Arc<Notify>,
    thread: Option<std::thread::JoinHandle<Result<()>>>,
}

impl Running {
    /// `options` as for `--set`.
    fn start(
        options: &[(&str, &str)],
        router: Router,
        adapt: impl FnOnce(&mut Front) + Send + 'static,
    ) -> Self {
        let settings = Settings::with(options);
        let (metrics, stop) = (Metrics::new(), Arc::new(Notify::new()));
        let (own, stopped) = (Arc::clone(&metrics), Arc::clone(&stop));
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let listener = listen("127.0.0.1:0".parse().unwrap(), false).unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let mut front = Front::new("test", listener, &settings, &own)?;
                adapt(&mut front);
                serve(front, router, async move { stopped.notified().await }).await
            })
        });
        Self { address: told.recv().unwrap(), metrics, stop, thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Status line, headers and body, as they came.
    fn exchange(&self, request: &str) -> String {
        let mut stream = self.connect();
        let request = request.replace('\n', "\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        rest(&mut stream)
    }

    fn get(&self, path: &str) -> String {
        self.exchange(&format!("GET {path} HTTP/1.1\nhost: x\nconnection: close\n\n"))
    }

    /// Also to a client that the machine lets wait, whose connection may be cut.
    fn answers(&self, path: &str) {
        let asked = Instant::now();
        while !self.get(path).contains("200 OK") {
            assert!(asked.elapsed() < PATIENCE, "{path} is not answered");
        }
    }

    /// Waits until the metrics have this line.
    fn counts(&self, line: &str) {
        let asked = Instant::now();
        while !self.metrics.text().lines().any(|found| found == line) {
            assert!(asked.elapsed() < PATIENCE, "{line} in\n{}", self.metrics.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn end(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

/// What comes until the server closes.
fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn has(answer: &str, words: &[&str]) {
    for word in words {
        assert!(answer.contains(word), "{word} in\n{answer}");
    }
}

fn hello() -> Router {
    Router::new().route("/hello/{name}", get(async || "hello"))
}

/// Says whether the whole body came.
fn upload() -> Router {
    let read = async |request: Request| match read_body::<Refused>(request.into_body(), 10, |_| Ok(())).await
    {
        Ok(body) => reply::json(StatusCode::OK, format!("{{\"bytes\":{}}}", body.len())),
        Err(refused) => refused.into_response(),
    };
    Router::new().route("/upload", post(read)).route("/stream", post(read))
}

#[test]
fn routes_are_counted_by_template() {
    let server = Running::start(&[], hello(), |_| {});
    has(&server.get("/hello/anna?accessKey=hunter2"), &["HTTP/1.1 200 OK", "hello"]);
    server.exchange("DELETE /hello/anna HTTP/1.1\nhost: x\nconnection: close\n\n");
    server.get("/none/hunter2");
    server.counts(
        r#"arblast_http_requests_total{server="test",route="/hello/{name}",method="GET",status="200"} 1"#,
    );
    server.counts(
        r#"arblast_http_requests_total{server="test",route="/hello/{name}",method="DELETE",status="405"} 1"#,
    );
    server.counts(r#"arblast_http_requests_total{server="test",route="other",method="GET",status="404"} 1"#);
    server
        .counts(r#"arblast_http_request_seconds_count{server="test",route="/hello/{name}",method="GET"} 1"#);
    server.counts(r#"arblast_http_connections{server="test"} 0"#);
    server.counts(r#"arblast_http_requests_in_flight{server="test"} 0"#);
    let shown = server.get("/metrics");
    has(&shown, &["text/plain; version=0.0.4", "process_resident_memory_bytes ", "arblast_build_info{"]);
    assert!(!shown.contains("anna") && !shown.contains("hunter2"));
}

#[test]
fn every_answer_has_an_id_and_errors_are_json() {
    let server = Running::start(&[], hello(), |_| {});
    has(
        &server.get("/none"),
        &["404", "application/json", r#"{"message":"nothing here"}"#, "x-request-id: "],
    );
    let answer =
        server.exchange("PUT /hello/a HTTP/1.1\nhost: x\nx-request-id: abc-1\nconnection: close\n\n");
    has(&answer, &["405", "allow: GET,HEAD", r#"{"message":"method not allowed"}"#, "x-request-id: abc-1"]);
    has(&server.get("/health"), &["200", r#"{"status":"ok"}"#]);
    let answer = server.exchange("POST /health HTTP/1.1\nhost: x\nconnection: close\n\n");
    has(&answer, &["405", "allow: GET,HEAD", r#"{"message":"method not allowed"}"#]);
    has(&server.get("/ready"), &["200", r#"{"status":"ready"}"#]);
}

#[test]
fn a_panic_costs_one_request() {
    let router = hello().route("/panic", get(async || -> &'static str { panic!("on purpose") }));
    let server = Running::start(&[], router, |_| {});
    let twice = "GET /panic HTTP/1.1\nhost: x\n\nGET /hello/a HTTP/1.1\nhost: x\nconnection: close\n\n";
    has(&server.exchange(twice), &["500", "a defect of the server", "200 OK"]);
    server.counts(r#"arblast_http_requests_total{server="test",route="/panic",method="GET",status="500"} 1"#);
}

#[test]
fn a_server_that_is_not_ready_says_why() {
    let server = Running::start(&[], hello(), |front| {
        front.ready_when(|| Err(Failure::not_found("there is no model yet")));
    });
    has(&server.get("/ready"), &["503", r#"{"message":"there is no model yet"}"#]);
}

#[test]
fn metrics_can_be_kept_from_strangers() {
    let server = Running::start(&[("metricsKey", "hunter2")], hello(), |_| {});
    let with = |key: &str| {
        server.exchange(&format!(
            "GET /metrics HTTP/1.1\nhost: x\nauthorization: Bearer {key}\nconnection: close\n\n"
        ))
    };
    has(&server.get("/metrics"), &["401"]);
    has(&with("hunter3"), &["401"]);
    has(&with("hunter2"), &["200", "# TYPE"]);
}

#[test]
fn pages_of_configured_origins_may_call() {
    let server = Running::start(&[("corsOrigins", "https://a.example, https://b.example")], upload(), |_| {});
    let preflight = |origin: &str| {
        server.exchange(&format!(
            "OPTIONS /upload HTTP/1.1\nhost: x\norigin: {origin}\naccess-control-request-method: POST\n\
             access-control-request-headers: content-type\nconnection: close\n\n"
        ))
    };
    let allowed = "access-control-allow-origin: https://b.example";
    let answer = preflight("https://b.example");
    has(&answer, &["204", allowed, "access-control-allow-methods: GET, POST", "vary: origin"]);
    has(&answer, &["access-control-allow-headers: content-type", "access-control-max-age: 600"]);
    let refused = preflight("https://c.example");
    has(&refused, &["403"]);
    assert!(!refused.contains("allow-origin"));
    let post = |origin: &str| {
        server.exchange(&format!("POST /upload HTTP/1.1\nhost: x\norigin: {origin}\nconnection: close\n\n"))
    };
    has(&post("https://b.example"), &["200", allowed]);
    assert!(!post("https://c.example").contains("allow-origin"));
    let any = Running::start(&[("corsOrigins", "*")], upload(), |_| {});
    let answer = any.exchange("POST /upload HTTP/1.1\nhost: x\norigin: null\nconnection: close\n\n");
    has(&answer, &["access-control-allow-origin: *"]);
    let none = Running::start(&[], upload(), |_| {});
    let answer = none.exchange(
        "OPTIONS /upload HTTP/1.1\nhost: x\norigin: https://b.example\n\
         access-control-request-method: POST\nconnection: close\n\n",
    );
    has(&answer, &["405"]);
    assert!(!answer.contains("access-control"));
}

#[test]
fn bodies_have_a_limit() {
    let server = Running::start(&[], upload(), |_| {});
    let send = |head: &str, body: &str| {
        server.exchange(&format!("POST /upload HTTP/1.1\nhost: x\nconnection: close\n{head}\n\n{body}"))
    };
    has(&send("content-length: 10", "0123456789"), &["200", r#"{"bytes":10}"#]);
    has(&send("content-length: 11", ""), &["413", "more than 10 bytes"]);
    has(&send("transfer-encoding: chunked", "3\nabc\n4\nabcd\n0\n\n"), &["200", r#"{"bytes":7}"#]);
    has(&send("transfer-encoding: chunked", "6\nabcdef\n6\nabcdef\n0\n\n"), &["413"]);
    has(&send("transfer-encoding: chunked", "zz\n"), &["400"]);
}

#[test]
fn a_body_that_pauses_is_given_up() {
    let server = Running::start(&[("bodyIdleSecondsMax", "1")], upload(), |_| {});
    let answer =
        server.exchange("POST /upload HTTP/1.1\nhost: x\ncontent-length: 5\nconnection: close\n\nab");
    has(&answer, &["408", "pauses longer than 1 s"]);
}

#[test]
fn requests_have_a_deadline_unless_they_stream() {
    let server =
        Running::start(&[("requestSecondsMax", "1")], upload(), |front| front.allow_streaming("/stream"));
    let mut streaming = server.connect();
    streaming
        .write_all(b"POST /stream HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nconnection: close\r\n\r\na")
        .unwrap();
    let answer = server.exchange("POST /upload HTTP/1.1\nhost: x\ncontent-length: 2\nconnection: close\n\na");
    has(&answer, &["503", "requestSecondsMax", "application/json", "retry-after: 1"]);
    streaming.write_all(b"b").unwrap();
    has(&rest(&mut streaming), &["200", r#"{"bytes":2}"#]);
}

#[test]
fn headers_that_trickle_are_cut() {
    let server = Running::start(&[("headerSecondsMax", "1")], hello(), |_| {});
    let started = Instant::now();
    let mut silent = server.connect();
    let mut trickling = server.connect();
    // A byte now and then keeps no connection alive.
    trickling.write_all(b"GET /hello/a HTTP/1.1\r\nx-a: ").unwrap();
    while trickling.write_all(b"a").is_ok() {
        assert!(started.elapsed() < PATIENCE, "bytes are still taken");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(rest(&mut trickling), "");
    assert_eq!(rest(&mut silent), "");
    server.answers("/hello/a");
}

#[test]
fn idle_connections_are_closed_after_their_time_and_not_before() {
    let ask = |stream: &mut TcpStream| {
        let mut answer = [0; 400];
        stream.write_all(b"GET /hello/a HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let read = stream.read(&mut answer).unwrap();
        has(&String::from_utf8_lossy(&answer[..read]), &["200 OK"]);
    };
    let patient = Running::start(&[("idleSecondsMax", "60"), ("headerSecondsMax", "1")], hello(), |_| {});
    let mut stream = patient.connect();
    patient.counts(r#"arblast_http_connections{server="test"} 1"#);
    ask(&mut stream);
    std::thread::sleep(Duration::from_millis(1500));
    ask(&mut stream);
    let server = Running::start(&[("idleSecondsMax", "2"), ("headerSecondsMax", "60")], hello(), |_| {});
    let mut stream = server.connect();
    let asked = Instant::now();
    ask(&mut stream);
    assert_eq!(rest(&mut stream), "");
    // the server counts from its answer, which was later
    assert!(asked.elapsed() >= Duration::from_secs(2), "{:?}", asked.elapsed());
}

#[test]
fn an_answer_may_take_longer_than_a_connection_may_idle() {
    // More than the socket takes at once, so that it is read bit by bit.
    let bytes = 24 << 20;
    let large = Router::new().route("/large", get(async move || "x".repeat(bytes)));
    let server = Running::start(&[("idleSecondsMax", "1"), ("bodyIdleSecondsMax", "60")], large, |_| {});
    let mut stream = server.connect();
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let (mut buffer, mut sum) = (vec![0; 1 << 20], 0);
    loop {
        std::thread::sleep(Duration::from_millis(100));
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            read => sum += read,
        }
    }
    assert!(sum > bytes, "{sum}");
}

#[test]
fn long_headers_are_refused() {
    let server = Running::start(&[("headerBytesMax", "2048")], hello(), |_| {});
    let answer = server.exchange(&format!("GET /hello/a HTTP/1.1\nhost: x\nx-a: {}\n\n", "a".repeat(4000)));
    has(&answer, &["HTTP/1.1 431"]);
    let many: String = (0..300).map(|i| format!("a{i}: b\n")).collect();
    has(&server.exchange(&format!("GET /hello/a HTTP/1.1\nhost: x\n{many}\n")), &["HTTP/1.1 431"]);
    let endless = server.exchange(&format!("GET /{} HTTP/1.1\nhost: x\n\n", "a".repeat(200_000)));
    assert!(endless.is_empty() || endless.contains(" 414 ") || endless.contains(" 431 "), "{endless}");
    has(&server.get("/hello/a"), &["200"]);
}

#[test]
fn too_many_connections_are_told_so() {
    let server = Running::start(&[("connectionsMax", "2"), ("headerSecondsMax", "60")], hello(), |_| {});
    let held = [server.connect(), server.connect()];
    server.counts(r#"arblast_http_connections{server="test"} 2"#);
    has(&server.get("/hello/a"), &["503", "retry-after: 1", "too many connections; try again\"}"]);
    server.counts(r#"arblast_http_connections_refused_total{server="test"} 1"#);
    drop(held);
    server.counts(r#"arblast_http_connections{server="test"} 0"#);
    has(&server.get("/hello/a"), &["200"]);
}

#[test]
fn a_client_that_does_not_read_is_cut() {
    let endless = Router::new().route("/large", get(async || "x".repeat(64 << 20)));
    let server = Running::start(&[("bodyIdleSecondsMax", "1")], endless, |_| {});
    let mut stream = server.connect();
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    server.counts(r#"arblast_http_requests_total{server="test",route="/large",method="GET",status="200"} 1"#);
    server.counts(r#"arblast_http_connections{server="test"} 0"#);
}

#[test]
fn a_client_that_goes_away_is_counted() {
    let server = Running::start(&[], upload(), |_| {});
    let mut stream = server.connect();
    stream.write_all(b"POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\na").unwrap();
    server.counts(r#"arblast_http_requests_in_flight{server="test"} 1"#);
    drop(stream);
    server.counts(r#"arblast_http_requests_in_flight{server="test"} 0"#);
}

#[test]
fn requests_in_work_are_finished() {
    let mut server = Running::start(&[], upload(), |_| {});
    let mut idle = server.connect();
    idle.write_all(b"POST /upload HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut working = server.connect();
    working.write_all(b"POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\na").unwrap();
    server.counts(r#"arblast_http_requests_in_flight{server="test"} 1"#);
    server.stop.notify_one();
    has(&rest(&mut idle), &["200"]);
    assert!(TcpStream::connect(server.address).is_err(), "it still listens");
    // Each connection hears of it by itself, and nothing shows when this one has.
    std::thread::sleep(Duration::from_secs(1));
    working.write_all(b"b").unwrap();
    has(&rest(&mut working), &["200", r#"{"bytes":2}"#, "connection: close"]);
    server.end();
}

#[test]
fn draining_has_an_end() {
    let forever = [("drainSecondsMax", "1"), ("bodyIdleSecondsMax", "3600"), ("requestSecondsMax", "3600")];
    let mut server = Running::start(&forever, upload(), |_| {});
    let mut working = server.connect();
    working.write_all(b"POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\na").unwrap();
    server.counts(r#"arblast_http_requests_in_flight{server="test"} 1"#);
    let asked = Instant::now();
    server.end();
    assert!(asked.elapsed() < PATIENCE, "{:?}", asked.elapsed());
}

#[test]
fn while_a_server_stops_it_serves_on_and_is_not_ready() {
    let server = Running::start(&[("stopDelaySeconds", "3600")], hello(), |_| {});
    server.stop.notify_one();
    let asked = Instant::now();
    while !server.get("/ready").contains("503") {
        assert!(asked.elapsed() < PATIENCE, "it is still ready");
    }
    has(&server.get("/ready"), &[r#"{"message":"the server is about to stop"}"#]);
    has(&server.get("/hello/a"), &["200"]);
    let mut server = Running::start(&[("stopDelaySeconds", "1")], hello(), |_| {});
    server.end();
    assert!(TcpStream::connect(server.address).is_err());
}
