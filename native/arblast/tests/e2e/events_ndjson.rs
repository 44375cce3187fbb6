//! `POST /events.ndjson`: streams.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::events_batch::gzip;
use crate::events_client::{AS_JSON, Answer, EventServer, buy, shop};
use crate::program::{at, number, text};
use crate::queries_client::{PATIENCE, until};

const PATH: &str = "/events.ndjson?accessKey=key";

fn post(server: &EventServer, body: &[u8]) -> Answer {
    server.request("POST", PATH, &[("Content-Type", "application/x-ndjson")], body)
}

#[test]
fn each_line_is_stored_or_named() {
    let program = shop();
    program.ok(&["accesskey", "new", "shop", "buy", "--key", "few"]);
    let server = EventServer::start(&program, &["--set", "eventBytesMax=500"]);
    let lines = [
        buy("u1", "i1"),
        String::new(),
        "{".to_owned(),
        r#"{"event":"view","entityType":"user","entityId":"u"}"#.to_owned(),
        format!("{}{}", buy("u2", "i1"), " ".repeat(500)),
        format!("{}\r", buy("u3", "i1")),
        r#"{"event":"","entityType":"user","entityId":"u"}"#.to_owned(),
        buy("u4", "i1"),
    ];
    let answer = server.request("POST", "/events.ndjson?accessKey=few", &[], lines.join("\n").as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    let expected = r#"{"lines":8,"stored":3,"refused":4,"errors":[{"line":3,"status":400,"message":"column 2: truncated: `}` is missing"},{"line":4,"status":403,"message":"view events are not allowed"},{"line":5,"status":413,"message":"the line has more than 500 bytes"},{"line":7,"status":400,"message":"event must not be empty."}],"errorsLeftOff":0}"#;
    assert_eq!(answer.body, expected);
    assert_eq!(server.found("/events.json?accessKey=key"), 3);
    let empty = post(&server, b"");
    assert_eq!((empty.status, number(&empty.json(), "lines")), (200, 0));
}

#[test]
fn many_errors_are_counted_and_some_are_told() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let answer = post(&server, "x\n".repeat(100_000).as_bytes());
    let json = answer.json();
    assert_eq!((number(&json, "lines"), number(&json, "refused")), (100_000, 100_000));
    assert_eq!(
        (at(&json, "errors").as_array().unwrap().len(), number(&json, "errorsLeftOff")),
        (100, 99_900)
    );
}

#[test]
fn compressed_streams_are_inflated_as_they_come() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let lines: String = (0..30_000).map(|i| format!("{}\n", buy(&format!("u{i}"), "i"))).collect();
    let send = |body: &[u8]| {
        let headers = [("Content-Type", "application/x-ndjson"), ("Content-Encoding", "gzip")];
        server.request("POST", PATH, &headers, body)
    };
    let answer = send(&gzip(lines.as_bytes()));
    assert_eq!((answer.status, number(&answer.json(), "stored")), (200, 30_000), "{answer:?}");
    // a line that never ends is one error, whatever it inflates to
    let letter = |i: u32| b'a' + u8::try_from(i.wrapping_mul(0x9E37_79B1) >> 28).unwrap();
    let answer = send(&gzip(&(0..20 << 20).map(letter).collect::<Vec<u8>>()));
    assert_eq!(
        answer.body,
        r#"{"lines":1,"stored":0,"refused":1,"errors":[{"line":1,"status":413,"message":"the line has more than 1048576 bytes"}],"errorsLeftOff":0}"#
    );
    let whole = gzip(lines.as_bytes());
    let answer = send(&whole[..whole.len() / 2]);
    let json = answer.json();
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.message().contains("gzip"), "{answer:?}");
    assert!(number(&json, "stored") > 0, "what came is stored and counted");
    let all = "/events.json?accessKey=key&limit=-1";
    assert_eq!(i64::try_from(server.found(all)).unwrap(), 30_000 + number(&json, "stored"));
}

#[test]
fn what_came_before_a_connection_broke_is_there_and_can_be_sent_again() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let line =
        |i: usize| format!(r#"{{"eventId":"id{i}","event":"buy","entityType":"user","entityId":"u{i}"}}"#);
    let whole: Vec<String> = (0..20_000).map(line).collect();
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n");
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(whole[..10_000].join("\n").as_bytes()).unwrap();
    // half a line, which alone would be an event
    stream.write_all(format!("\n{}", line(10_000)).as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 400"), "{rest}");
    let all = "/events.json?accessKey=key&limit=-1";
    until("what came is stored", || (server.found(all) >= 10_000).then_some(()));
    assert_eq!(server.found(all), 10_000);
    assert_eq!(number(&post(&server, whole.join("\n").as_bytes()).json(), "stored"), 20_000);
    assert_eq!(server.found(all), 20_000, "the same ids replace, they do not add");
}

#[test]
fn too_many_streams_are_refused_and_others_go_on() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let head =
        format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{}\n", buy("u", "i"));
    let open = || {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let mut slow: Vec<TcpStream> = (0..8).map(|_| open()).collect();
    let answer = until("a stream is refused", || {
        let answer = post(&server, b"");
        // while a question held a place, streams may have been refused in its stead
        slow.push(open());
        (answer.status == 429).then_some(answer)
    });
    assert!(answer.head.contains("retry-after: 1"), "{answer:?}");
    assert!(answer.message().contains("too many streams"), "{answer:?}");
    server.stored("/events.json?accessKey=key", &buy("u", "i"));
    drop(slow);
    until("streams are taken again", || (post(&server, b"").status == 200).then_some(()));
}

#[test]
fn a_line_holds_one_event_in_utf8() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let one = buy("u", "i");
    let second = one.len() + 1;
    let lines: [(Vec<u8>, String); 7] = [
        ([one.as_str(), &one].concat().into(), format!("column {second}: expected one object")),
        ([one.as_str(), " ", &one].concat().into(), format!("column {}: expected one object", second + 1)),
        ([one.as_str(), "\r", &one].concat().into(), format!("column {}: expected one object", second + 1)),
        ([one.as_str(), ",", &one].concat().into(), format!("column {}: expected one object", second + 1)),
        ([one.as_str(), " x"].concat().into(), format!("column {}: text after the value", second + 1)),
        (["\u{feff}", &one].concat().into(), "column 1: byte order mark".to_owned()),
        ([b"\xff", one.as_bytes()].concat(), "column 1: not UTF-8".to_owned()),
    ];
    for (line, message) in &lines {
        let summary = post(&server, line).json();
        assert_eq!((number(&summary, "stored"), number(&summary, "refused")), (0, 1), "{summary}");
        assert!(text(&summary, "errors.0.message").starts_with(message), "{message}: {summary}");
        // the same as a whole body
        let answer = server.request("POST", "/events.json?accessKey=key", &[AS_JSON], line);
        assert!(answer.status == 400 && answer.message().contains(message), "{message}: {answer:?}");
    }
    let batch = |body: String| server.post("/batch/events.json?accessKey=key", &body);
    for body in [format!("{one}{one}"), format!("[{one}][{one}]"), format!("[{one}]{one}")] {
        assert_eq!(batch(body).status, 400);
    }
    assert_eq!(server.found("/events.json?accessKey=key"), 0, "nothing was stored");
}

#[test]
fn a_stream_that_stalls_is_told_what_was_stored() {
    let program = shop();
    let server = EventServer::start(&program, &["--set", "bodyIdleSecondsMax=1"]);
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("{head}{}\n{}", buy("u1", "i"), buy("u2", "i")).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let expected = r#"{"message":"the body pauses longer than 1 s","lines":1,"stored":1,"refused":0,"errors":[],"errorsLeftOff":0}"#;
    assert!(answer.ends_with(expected), "{answer}");
    assert_eq!(server.found("/events.json?accessKey=key"), 1);
}
