//! More at once than a server takes, of clients that mean well: what it takes it does, the others are told to come again,
//! and right after all is as before.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::TcpStream;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::events_client::{EventServer, buy, shop};
use crate::program::Program;
use crate::queries_client::{Answer, Client, PATIENCE, until};
use crate::server::{Server, trained};

/// Bursts until there was both an accepted and a refused request.
const BURSTS_TIME_MAX: Duration = Duration::from_secs(20);
const CLIENTS: usize = 32;
/// Of the server's own memory; what it has without load is a tenth.
const ANONYMOUS_MIB_MAX: usize = 128;
const EVENTS: &str = "/events.json?accessKey=key";
const QUERIES: &str = "/queries.json";
const AS_JSON: &str = "Content-Type: application/json\r\n";
const QUERY: &str = r#"{"user":"maya"}"#;

/// `CLIENTS` at once, each with a connection, a request, and an answer; `body` of each by its number.
fn burst(port: u16, path: &str, body: impl Fn(usize) -> String + Sync) -> Vec<(String, Answer)> {
    let start = Barrier::new(CLIENTS);
    std::thread::scope(|scope| {
        let (start, body) = (&start, &body);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn(move || {
                    let (mut client, body) = (Client::new(port), body(number));
                    start.wait();
                    let answer = client.send("POST", path, AS_JSON, body.as_bytes());
                    (body, answer)
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

/// Bursts until a request was accepted and one refused; gives the bodies of accepted requests.
fn accepted_and_refused(
    port: u16,
    path: &str,
    (accepted, refused): (u16, u16),
    body: impl Fn(usize, usize) -> String + Sync,
) -> Vec<String> {
    let (start, mut bodies, mut refusals) = (Instant::now(), Vec::new(), 0);
    for round in 0.. {
        for (body, answer) in burst(port, path, |number| body(round, number)) {
            if answer.status == accepted {
                bodies.push(body);
            } else {
                is_refusal(&answer, refused);
                refusals += 1;
            }
        }
        if !bodies.is_empty() && refusals > 0 {
            break;
        }
        assert!(start.elapsed() < BURSTS_TIME_MAX, "{} accepted, {refusals} refused", bodies.len());
    }
    bodies
}

/// With a reason, and when to come again.
fn is_refusal(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
    assert!(answer.json().get("message").and_then(|text| text.as_str()).is_some(), "{answer:?}");
}

/// A server, and a request that it takes.
struct Target<'a> {
    port: u16,
    pid: u32,
    path: &'a str,
    body: &'a str,
    accepted: u16,
}

fn events(server: &EventServer, check: impl Fn(&Target<'_>)) {
    let (port, pid) = (server.port, server.child.id());
    check(&Target { port, pid, path: EVENTS, body: &buy("u", "i"), accepted: 201 });
}

fn queries(server: &Server, check: impl Fn(&Target<'_>)) {
    let (port, pid) = (server.port, server.child.id());
    check(&Target { port, pid, path: QUERIES, body: QUERY, accepted: 200 });
}

impl Target<'_> {
    fn ask(&self, client: &mut Client) -> Option<u16> {
        let answer = client.try_send("POST", self.path, AS_JSON, self.body.as_bytes());
        answer.ok().map(|answer| answer.status)
    }

    /// Ready, and takes requests again, as soon as it has seen that the others have gone.
    fn is_well(&self) {
        until("ready", || {
            let ready = Client::new(self.port).try_send("GET", "/ready", "", b"").ok()?;
            (ready.status == 200).then_some(())
        });
        until("a normal answer", || {
            let status = self.ask(&mut Client::new(self.port));
            (status == Some(self.accepted)).then_some(())
        });
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = text.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
        let mib = line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() >> 10;
        assert!(mib < ANONYMOUS_MIB_MAX, "{mib} MiB");
    }
}

/// Each of these events is in the store once, and none of any other is twice.
fn are_there_once(program: &Program, events: &[String]) {
    let user = |text: &str| {
        let (_, rest) = text.split_once(r#""entityId":""#).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let mut counts = BTreeMap::new();
    for line in program.ok(&["export", "--app", "shop", "--output", "-"]).lines() {
        *counts.entry(user(line)).or_insert(0) += 1;
    }
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    for event in events {
        assert!(counts.contains_key(&user(event)), "acknowledged and not there: {event}");
    }
}

/// With connections for four only: more of them than the server waits for to read what they are told.
fn is_full(target: &Target<'_>) {
    const KEPT: usize = 4;
    const MORE: usize = 200;
    let mut kept: Vec<Client> = (0..KEPT).map(|_| Client::new(target.port)).collect();
    assert!(kept.iter_mut().all(|client| target.ask(client) == Some(target.accepted)));
    let more: Vec<TcpStream> =
        (0..MORE).map(|_| TcpStream::connect(("127.0.0.1", target.port)).unwrap()).collect();
    for mut stream in more {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer:?}");
        assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer:?}");
        assert!(answer.ends_with(r#"{"message":"too many connections; try again"}"#), "{answer:?}");
    }
    assert!(kept.iter_mut().all(|client| target.ask(client) == Some(target.accepted)), "they are served on");
    drop(kept);
    target.is_well();
}

#[test]
fn events_beyond_the_queue_are_refused_and_none_that_was_acknowledged_is_lost() {
    let program = shop();
    let server = EventServer::start(&program, &["--set", "queuedEventsMax=2"]);
    let event = |round: usize, number: usize| buy(&format!("r{round}n{number}"), "i");
    let acknowledged = accepted_and_refused(server.port, EVENTS, (201, 429), event);
    are_there_once(&program, &acknowledged);
    events(&server, |target| target.is_well());
}

#[test]
fn queries_beyond_the_limit_are_refused() {
    let program = trained();
    let server = Server::start(&program, &["--set", "queriesMax=1"]);
    accepted_and_refused(server.port, QUERIES, (200, 503), |_, _| QUERY.to_owned());
    queries(&server, |target| target.is_well());
}

#[test]
fn every_connection_beyond_the_limit_is_told_so() {
    let options = ["--set", "connectionsMax=4"];
    let program = shop();
    events(&EventServer::start(&program, &options), is_full);
    let program = trained();
    queries(&Server::start(&program, &options), is_full);
}
