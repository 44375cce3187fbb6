//! What a query may look like, member by member, and what around it is refused or understood.

use std::io::{Read, Write};
use std::net::TcpStream;

use events::json;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::operation::Deployed;
use crate::program::{at, number, text};
use crate::queries_client::{Client, send, until};
use crate::server::{Server, trained};

/// A query with values of a wrong type or out of range, and a word of the answer that says so.
const WRONG: &[(&str, &str)] = &[
    (r#"{"user":true}"#, "user must be a string"),
    (r#"{"user":["maya"]}"#, "user must be a string"),
    (r#"{"user":"maya","user":"otto"}"#, "user is given twice"),
    (r#"{"userBias":"2"}"#, "userBias must be a number"),
    (r#"{"userBias":1e39}"#, "userBias must be between -3.4028235e38 and 3.4028235e38"),
    (r#"{"item":{}}"#, "item must be a string"),
    (r#"{"itemBias":"1"}"#, "itemBias must be a number"),
    (r#"{"itemSet":"tent"}"#, "itemSet must be an array of strings"),
    (r#"{"itemSet":["tent",null]}"#, "itemSet[1] must be a string"),
    (r#"{"itemSetBias":[]}"#, "itemSetBias must be a number"),
    (r#"{"fields":{}}"#, "fields must be an array of objects"),
    (r#"{"fields":[],"rules":[]}"#, "rules means the same as \"fields\""),
    (r#"{"fields":[{"name":"c","values":["x"],"bais":1}]}"#, "fields[0].bais is not known"),
    (r#"{"ranges":{"price":1}}"#, "ranges must be an array of objects"),
    (r#"{"ranges":[{"name":"price"}]}"#, "ranges[0] must have a bound"),
    (r#"{"ranges":[{"name":"price","lt":true}]}"#, "ranges[0].lt must be a number"),
    (r#"{"ranges":[{"name":"price","lt":1,"below":2}]}"#, "ranges[0].below is not known"),
    (r#"{"dateRange":[]}"#, "dateRange must be an object"),
    (r#"{"dateRange":{"name":"date","after":0,"untill":1}}"#, "dateRange.untill is not known"),
    (r#"{"dateRange":{"name":"date"}}"#, "dateRange must have a bound"),
    (r#"{"currentDate":true}"#, "currentDate must be a date"),
    (r#"{"blacklistItems":"a"}"#, "blacklistItems must be an array of strings"),
    (r#"{"blacklistItems":["a",true]}"#, "blacklistItems[1] must be a string"),
    (r#"{"returnSelf":"true"}"#, "returnSelf must be true or false"),
    (r#"{"num":"5"}"#, "num must be a whole number from 0 to 10000"),
    // The original took 3; a number that is not what was meant is refused like any other.
    (r#"{"num":3.7}"#, "num must be a whole number from 0 to 10000, got 3.7"),
    (r#"{"from":-1}"#, "from must be a whole number"),
    (r#"{"from":"1"}"#, "from must be a whole number"),
    (r#"{"eventNames":"view"}"#, "eventNames must be an array of strings"),
    (r#"{"withRanks":1}"#, "withRanks must be true or false"),
    (r#"{"resultProps":"price"}"#, "resultProps must be an array of strings"),
    (r#"{"explain":"yes"}"#, "explain must be true or false"),
    (r#"{"history":"view"}"#, "history must be an array of"),
    (r#"{"history":[{"event":"view"}]}"#, "history[0].item is missing"),
    (r#"{"history":{"nonsense":["a"]}}"#, "no indicator \"nonsense\""),
    (r#"{"prId":false}"#, "prId must be a string"),
    (r#"{"withPrId":"x"}"#, "withPrId must be true or false"),
    (r#"{"withDegraded":0}"#, "withDegraded must be true or false"),
    (r#"{"dither":true}"#, "dither must be an object or false"),
    (r#"{"dither":{"sigma":0}}"#, "dither.sigma must be a number ≥ 1"),
    (r#"{"num":NaN}"#, "is not JSON"),
    ("\u{feff}{}", "is not JSON"),
];

#[test]
fn every_member_of_a_wrong_type_is_named() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let mut client = Client::new(server.port);
    for path in ["/queries.json", "/engines/shop/queries"] {
        for (query, words) in WRONG {
            let answer = client.send("POST", path, "", query.as_bytes());
            assert_eq!(answer.status, 400, "{query}: {answer:?}");
            let message = answer.json();
            assert!(text(&message, "message").contains(words), "{query}: {message}");
        }
    }
    let understood = [
        (r#"{"user":"maya" "num":2,,}"#, r#"{"user":"maya","num":2}"#),
        (r#"{"user":"maya","num":2e0,"colour":1}"#, r#"{"user":"maya","num":2}"#),
        (r#"{"user":17}"#, r#"{"user":"17"}"#),
        (r#"{"user":null}"#, ""),
    ];
    for (query, plain) in understood {
        let [found, expected] =
            [query, plain].map(|query| client.send("POST", "/queries.json", "", query.as_bytes()));
        assert_eq!((found.status, found.json()), (200, expected.json()), "{query}");
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_queries_are_inflated_within_the_limits() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let mut client = Client::new(server.port);
    let query = r#"{"user":"maya","num":3}"#;
    let routes = [
        ("/queries.json", query.to_owned()),
        ("/batch/queries.json", format!("[{query},{{}}]")),
        ("/engines/shop/queries", query.to_owned()),
    ];
    for (path, body) in routes {
        let mut ask = |coding: &str, body: &[u8]| client.send("POST", path, coding, body);
        let plain = ask("", body.as_bytes());
        assert_eq!(plain.status, 200, "{path}: {plain:?}");
        let compressed = gzip(body.as_bytes());
        for coding in ["gzip", "x-gzip", "GZIP"] {
            let answer = ask(&format!("Content-Encoding: {coding}\r\n"), &compressed);
            assert_eq!((answer.status, &answer.body), (200, &plain.body), "{path}");
        }
        let bomb = gzip(&vec![b' '; (4 << 20) + 1]);
        let refused = [
            ("Content-Encoding: gzip\r\n", body.as_bytes(), 400, "gzip"),
            ("Content-Encoding: gzip\r\n", &compressed[..compressed.len() - 1], 400, "gzip"),
            ("Content-Encoding: gzip\r\n", &bomb, 413, "bytes"),
            ("Content-Encoding: br\r\n", &compressed, 415, "Content-Encoding must be gzip"),
            ("", &compressed, 400, "JSON"),
        ];
        for (coding, body, status, words) in refused {
            let answer = ask(coding, body);
            assert_eq!(answer.status, status, "{path} {coding}: {answer:?}");
            assert!(text(&answer.json(), "message").contains(words), "{path} {coding}: {answer:?}");
        }
    }
    assert_eq!(client.send("POST", "/queries.json", "Content-Encoding: gzip\r\n", b"").status, 200);
}

/// A request on a connection of its own that closes after the answer: head in lower case, and body.
fn exchange(port: u16, method: &str, path: &str, headers: &str) -> (String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

#[test]
fn pages_of_other_origins_may_ask_and_read_the_headers() {
    let program = trained();
    let server = Deployed::start(&program, &["--set", "corsOrigins=https://shop.example"], &[]);
    let asks = "Access-Control-Request-Method: POST\r\n";
    let origin = "Origin: https://shop.example\r\n";
    let (head, _) = exchange(server.port, "OPTIONS", "/queries.json", &format!("{origin}{asks}"));
    assert!(head.starts_with("http/1.1 204") && head.contains("allow-methods: get, post"), "{head}");
    let foreign = format!("Origin: https://evil.example\r\n{asks}");
    let (head, _) = exchange(server.port, "OPTIONS", "/queries.json", &foreign);
    assert!(head.starts_with("http/1.1 403") && !head.contains("allow-origin"), "{head}");
    let (head, _) = exchange(server.port, "POST", "/queries.json", origin);
    assert!(head.contains("access-control-allow-origin: https://shop.example"), "{head}");
    let exposed = head.lines().find(|line| line.starts_with("access-control-expose-headers: ")).unwrap();
    for name in ["x-request-id", "retry-after", "location", "x-arblast-generation", "x-arblast-degraded"] {
        assert!(exposed.contains(name), "{name}: {exposed}");
    }
    for path in ["/", "/status.json", "/health", "/plugins.json", "/openapi.json"] {
        let (head, body) = exchange(server.port, "HEAD", path, "");
        assert!(head.starts_with("http/1.1 200") && body.is_empty(), "{path}: {head} {body}");
    }
    let (head, body) = exchange(server.port, "HEAD", "/queries.json", "");
    assert!(head.starts_with("http/1.1 405") && body.is_empty(), "{head} {body}");
    let (head, _) = exchange(server.port, "OPTIONS", "/queries.json", "");
    assert!(head.starts_with("http/1.1 405"), "{head}");
}

#[test]
fn metrics_need_their_key() {
    let program = trained();
    let server = Deployed::start(&program, &[], &[("ARBLAST_METRICS_KEY", "m3trics")]);
    let status = |headers: &str| exchange(server.port, "GET", "/metrics", headers).0[9..12].to_owned();
    assert_eq!(status(""), "401");
    assert_eq!(status("Authorization: Bearer wrong\r\n"), "401");
    assert_eq!(status("Authorization: Bearer m3trics\r\n"), "200");
}

#[test]
fn a_history_that_takes_too_long_is_done_without() {
    let program = trained();
    // Always the same item: no newer event ends the reading, which takes far more than a millisecond.
    let event = r#"{"event":"view","entityType":"user","entityId":"busy","targetEntityType":"item","targetEntityId":"Fernway Tent 2 Person","eventTime":"2026-01-01T00:00:00Z"}"#;
    program.write("busy.jsonl", &vec![event; 60_000].join("\n"));
    program.ok(&["import", "--app", "shop", "--input", "busy.jsonl"]);
    let server = Server::start(&program, &["--history-timeout-ms", "1"]);
    let mut client = Client::new(server.port);
    let degraded = until("an answer without history", || {
        let answer = client.send("POST", "/queries.json", "", br#"{"user":"busy","withDegraded":true}"#);
        assert_eq!(answer.status, 200, "{answer:?}");
        (answer.header("x-arblast-degraded") == Some("history")).then_some(answer)
    });
    assert_eq!(at(&degraded.json(), "degraded").as_bool(), Some(true));
    let anonymous = client.send("POST", "/queries.json", "", br#"{"withDegraded":true}"#);
    assert_eq!((anonymous.status, anonymous.header("x-arblast-degraded")), (200, None));
}

#[test]
fn reload_takes_another_variant_once_that_is_trained() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let variant = || text(&send(server.port, "GET", "/", "").json(), "variant").to_owned();
    let engine = std::fs::read_to_string(program.path("engine.json")).unwrap();
    let engine = json::parse(engine.as_bytes()).unwrap().as_object().unwrap().clone();
    program.write("engine.json", &engine.with("id", "other").to_string());
    let refused = send(server.port, "POST", "/reload", "");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(text(&refused.json(), "message").contains("engine other"), "{refused:?}");
    assert_eq!(
        (variant(), send(server.port, "POST", "/queries.json", "{}").status),
        ("shop".to_owned(), 200)
    );
    program.ok(&["train"]);
    assert_eq!(send(server.port, "POST", "/reload", "").status, 200);
    assert_eq!(variant(), "other");
    assert_eq!(send(server.port, "POST", "/queries.json", "{}").status, 200);
}

#[test]
fn only_a_successful_run_of_this_engine_can_be_pinned_and_stays_so() {
    let program = trained();
    let pinned = text(&program.json(&["models"]), "0.engineInstanceId").to_owned();
    let old = Server::start(&program, &["--engine-instance-id", &pinned]);
    program.ok(&["train"]);
    assert_eq!(send(old.port, "POST", "/reload", "").status, 200);
    assert_eq!(number(&send(old.port, "GET", "/health", "").json(), "generation"), 1);
    // What answers, not what was published last.
    assert_eq!(number(&send(old.port, "GET", "/engines", "").json(), "0.generation"), 1);
    assert_eq!(send(old.port, "POST", "/queries.json", "{}").header("x-arblast-generation"), Some("1"));

    let engine = std::fs::read_to_string(program.path("engine.json")).unwrap();
    let engine = json::parse(engine.as_bytes()).unwrap().as_object().unwrap().clone();
    program.write("other.json", &engine.with("id", "other").to_string());
    let deploy = ["deploy", "--ip", "127.0.0.1", "--port", "0", "--engine-instance-id"];
    let foreign = program.refused(1, &[&deploy[..], &[&pinned, "--variant", "other.json"]].concat());
    assert!(foreign.contains("It is of app shop and variant shop."), "{foreign}");
    program.ok(&["app", "data-delete", "shop", "-f"]);
    program.refused(1, &["train"]);
    let jobs = send(old.port, "GET", "/engines/shop/jobs", "").json();
    assert_eq!(text(&jobs, "0.status"), "failed", "{jobs}");
    let failed = program.refused(1, &[&deploy[..], &[text(&jobs, "0.jobId")]].concat());
    assert!(failed.starts_with("Invalid engine instance ID"), "{failed}");
}

#[test]
fn queries_to_kept_engines_are_counted_apart() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let engine = r#"{"engineId":"ur","engineFactory":"com.actionml.engines.ur.UREngine","algorithm":{"indicators":[{"name":"buy"}]}}"#;
    assert_eq!(send(server.port, "POST", "/engines", engine).status, 201);
    assert_eq!(send(server.port, "POST", "/engines/ur/queries", "{}").status, 503);
    for path in ["/queries.json", "/engines/shop/queries"] {
        assert_eq!(send(server.port, "POST", path, "{}").status, 200);
    }
    let status = send(server.port, "GET", "/status.json", "").json();
    let of = |member: &str| number(&status, &format!("requests.{member}"));
    assert_eq!((of("requestCount"), of("failedCount")), (2, 0), "{status}");
    assert_eq!((of("otherEngines.requestCount"), of("otherEngines.failedCount")), (0, 1), "{status}");
    let metrics = send(server.port, "GET", "/metrics", "").body;
    for line in ["arblast_queries_answered_total 2", "arblast_queries_failed_total 1"] {
        assert!(metrics.lines().any(|found| found == line), "{line} in\n{metrics}");
    }
}
