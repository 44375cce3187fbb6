//! `GET /events.json`: filters, order, limits, and answers of any length.

use events::Json;

use crate::events_client::{AS_JSON, EventServer, shop};
use crate::program::text;
use crate::queries_client::until;

/// Ids of the events that are found.
fn ids(server: &EventServer, query: &str) -> Vec<String> {
    let answer = server.get(&format!("/events.json?accessKey=key&{query}"));
    if answer.status == 404 {
        assert_eq!(answer.message(), "Not Found");
        return Vec::new();
    }
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    answer.json().as_array().unwrap().iter().map(|event| text(event, "eventId").to_owned()).collect()
}

#[test]
fn filters_are_anded_and_ordered() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let events = [
        ("e3", "buy", "user", "u1", Some(("item", "i1")), "2020-01-03T00:00:00Z"),
        ("e1", "view", "user", "u1", Some(("item", "i2")), "2020-01-01T00:00:00Z"),
        ("e2", "view", "user", "u2", Some(("list", "i1")), "2020-01-02T02:00:00+02:00"),
        ("e4", "like", "shop", "u1", None, "2020-01-04T00:00:00Z"),
        ("e5b", "view", "user", "u1", None, "2020-01-05T00:00:00Z"),
        ("e5a", "view", "user", "u1", None, "2020-01-05T00:00:00Z"),
    ];
    let event = |(id, name, kind, entity, target, time): (
        &str,
        &str,
        &str,
        &str,
        Option<(&str, &str)>,
        &str,
    )| {
        let target = target.map_or(String::new(), |(kind, id)| {
            format!(r#","targetEntityType":"{kind}","targetEntityId":"{id}""#)
        });
        format!(
            r#"{{"eventId":"{id}","event":"{name}","entityType":"{kind}","entityId":"{entity}","eventTime":"{time}"{target}}}"#
        )
    };
    // one batch, so that creation times are equal and ids break ties
    let batch: Vec<String> = events.into_iter().map(event).collect();
    assert_eq!(
        server.post("/batch/events.json?accessKey=key", &format!("[{}]", batch.join(","))).status,
        200
    );
    let cases: [(&str, &[&str]); 28] = [
        ("", &["e1", "e2", "e3", "e4", "e5a", "e5b"]),
        ("limit=2", &["e1", "e2"]),
        ("limit=-1", &["e1", "e2", "e3", "e4", "e5a", "e5b"]),
        ("limit=-7", &["e1", "e2", "e3", "e4", "e5a", "e5b"]),
        ("limit=0", &[]),
        ("event=view", &["e1", "e2", "e5a", "e5b"]),
        ("event=like&event=buy", &["e3", "e4"]),
        ("event=none", &[]),
        ("entityType=shop", &["e4"]),
        ("entityId=u2", &["e2"]),
        ("entityType=user&entityId=u1", &["e1", "e3", "e5a", "e5b"]),
        ("entityType=", &[]),
        ("targetEntityType=item", &["e1", "e3"]),
        ("targetEntityId=i1", &["e2", "e3"]),
        ("targetEntityType=list&targetEntityId=i1&event=view", &["e2"]),
        ("startTime=2020-01-03T00:00:00Z", &["e3", "e4", "e5a", "e5b"]),
        ("untilTime=2020-01-03T00:00:00.000Z", &["e1", "e2"]),
        ("startTime=2020-01-02T02:00:00%2B02:00&untilTime=2020-01-02T00:00:00.001Z", &["e2"]),
        ("startTime=2020-01-02T02:00:00+02:00&limit=1", &["e2"]),
        ("startTime=2020-01-02T02:00:00%2002:00&limit=1", &["e2"]),
        ("startTime=2021-01-01T00:00:00Z", &[]),
        ("reversed=false", &["e1", "e2", "e3", "e4", "e5a", "e5b"]),
        ("reversed=off&limit=1", &["e1"]),
        ("entityType=user&entityId=u1&reversed=true", &["e5b", "e5a", "e3", "e1"]),
        ("entityType=user&entityId=u1&reversed=YES&limit=2", &["e5b", "e5a"]),
        ("entityType=user&entityId=u1&reversed=1&event=buy", &["e3"]),
        ("entityType=user&entityId=u1&reversed=on&untilTime=2020-01-04T00:00:00Z", &["e3", "e1"]),
        ("entityType=user&entityId=%75%31&reversed=0&limit=1", &["e1"]),
    ];
    for (query, expected) in cases {
        assert_eq!(ids(&server, query), expected, "{query}");
    }
}

#[test]
fn malformed_parameters_are_named() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let reversed = "the parameter reversed can only be used with both entityType and entityId specified.";
    let cases = [
        ("limit=many", "the parameter limit must be a whole number; -1 = all, got 'many'"),
        ("limit=", "the parameter limit must be a whole number; -1 = all, got ''"),
        ("limit=1.5", "the parameter limit must be a whole number; -1 = all, got '1.5'"),
        ("reversed=maybe", "the parameter reversed must be true or false, got 'maybe'"),
        ("reversed=true", reversed),
        ("reversed=true&entityType=user", reversed),
        ("reversed=true&entityId=u", reversed),
        (
            "startTime=yesterday",
            "the parameter startTime must be an ISO 8601 time with a zone, such as 2014-09-09T16:17:42.937Z, got 'yesterday'",
        ),
        (
            "untilTime=2020-01-01",
            "the parameter untilTime must be an ISO 8601 time with a zone, such as 2014-09-09T16:17:42.937Z, got '2020-01-01'",
        ),
        ("entityId=%zz", "the parameter entityId is no percent-encoded UTF-8 text"),
    ];
    for (query, message) in cases {
        let answer = server.get(&format!("/events.json?accessKey=key&{query}"));
        assert_eq!(answer.refusal(), (400, message.to_owned()), "{query}");
    }
}

#[test]
fn everything_is_streamed() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let line = |i: usize| {
        let padding = "x".repeat(100);
        format!(
            r#"{{"eventId":"{i:05}","event":"e","entityType":"user","entityId":"u{}","eventTime":{i},"properties":{{"p":"{padding}"}}}}"#,
            i % 2
        )
    };
    let lines: Vec<String> = (0..20_000).map(line).collect();
    let headers = [("Content-Type", "application/x-ndjson")];
    let answer =
        server.request("POST", "/events.ndjson?accessKey=key", &headers, lines.join("\n").as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    let all = server.get("/events.json?accessKey=key&limit=-1");
    assert!(all.head.contains("transfer-encoding: chunked"), "{}", all.head);
    let all = all.json();
    let all: Vec<&str> = all.as_array().unwrap().iter().map(|event| text(event, "eventId")).collect();
    assert_eq!(all.len(), 20_000);
    assert!(all.is_sorted());
    let one = server.get("/entities/user/u1/events.json?accessKey=key").json();
    let one = one.as_array().unwrap();
    assert_eq!(one.len(), 10_000);
    assert!(one.iter().all(|event| text(event, "entityId") == "u1"));
    // a client that goes away in the middle harms nobody
    for _ in 0..70 {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        let request = b"GET /events.json?accessKey=key&limit=-1 HTTP/1.1\r\nHost: x\r\n\r\n";
        std::io::Write::write_all(&mut stream, request).unwrap();
        std::io::Read::read_exact(&mut stream, &mut [0; 100]).unwrap();
    }
    let answer = until("reads are answered again", || {
        let answer = server.request("GET", "/events.json?accessKey=key", &[AS_JSON], b"");
        (answer.status == 200).then_some(answer)
    });
    assert_eq!(answer.json().as_array().map(<[Json]>::len), Some(20));
}
