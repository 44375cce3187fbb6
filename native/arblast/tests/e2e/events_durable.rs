//! What was acknowledged is there, whoever else writes and however the server ends.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::events_client::{EventServer, buy, shop};
use crate::program::Program;
use crate::queries_client::until;

/// Sends single events on one connection, as long as it lasts and `more` allows; gives the ids that were acknowledged.
fn send(port: u16, connection: usize, more: impl Fn(usize) -> bool) -> Vec<String> {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return Vec::new() };
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut acknowledged = Vec::new();
    for n in (0..).take_while(|n| more(*n)) {
        let id = format!("c{connection}-{n}");
        let event = format!(r#"{{"eventId":"{id}","event":"buy","entityType":"user","entityId":"u{n}"}}"#);
        let length = event.len();
        let request = format!(
            "POST /events.json?accessKey=key HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{event}"
        );
        if stream.write_all(request.as_bytes()).is_err() || read_status(&mut answers) != Some(201) {
            break;
        }
        acknowledged.push(id);
    }
    acknowledged
}

/// The status of the next answer, which is read to its end.
fn read_status(answers: &mut BufReader<TcpStream>) -> Option<u16> {
    let (mut status, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if answers.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if status.is_none() {
            status = Some(line.split(' ').nth(1)?.parse().ok()?);
        } else if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        } else if line.is_empty() {
            answers.read_exact(&mut vec![0; length]).ok()?;
            return status;
        }
    }
}

fn ids(program: &Program) -> Vec<String> {
    let text = program.ok(&["export", "--app", "shop", "--output", "-"]);
    let id = |line: &str| line.strip_prefix("{\"eventId\":\"").unwrap().split('"').next().unwrap().to_owned();
    text.lines().map(id).collect()
}

#[test]
fn many_connections_share_commits() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let threads = |server: &EventServer| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("Threads:")).unwrap().to_owned();
        line["Threads:".len()..].trim().parse::<usize>().unwrap()
    };
    let port = server.port;
    let (acknowledged, most) = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..64).map(|c| scope.spawn(move || send(port, c, |n| n < 50))).collect();
        let mut most = 0;
        while senders.iter().any(|sender| !sender.is_finished()) {
            most = most.max(threads(&server));
            std::thread::sleep(Duration::from_millis(1));
        }
        (senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect::<BTreeSet<_>>(), most)
    });
    assert_eq!(acknowledged.len(), 64 * 50);
    assert!(most < 32, "{most} threads for 64 connections");
    assert_eq!(ids(&program).into_iter().collect::<BTreeSet<_>>(), acknowledged);
}

#[test]
fn a_server_that_is_asked_to_end_answers_what_it_has() {
    let program = shop();
    for signal in ["TERM", "INT"] {
        let mut server = EventServer::start(&program, &[]);
        server.stored("/events.json?accessKey=key", &buy("u", "i"));
        let id = server.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        let status = until("the server stops", || server.child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{signal}");
    }
    assert_eq!(ids(&program).len(), 2);
}

#[test]
fn more_than_can_be_stored_is_refused_with_advice() {
    let program = shop();
    // an event counts until shortly after its answer: a client alone needs room for two
    let server = EventServer::start(&program, &["--set", "queuedEventsMax=2"]);
    let port = server.port;
    let refused = AtomicBool::new(false);
    let answers: Vec<(String, u16)> = std::thread::scope(|scope| {
        let one = |c: usize| {
            let mut answers = Vec::new();
            // until there was too much at once, however the machine shares its time
            for n in (0..10_000).take_while(|n| *n < 100 || !refused.load(Ordering::Relaxed)) {
                let id = format!("c{c}-{n}");
                let event =
                    format!(r#"{{"eventId":"{id}","event":"buy","entityType":"user","entityId":"u"}}"#);
                let path = "/events.json?accessKey=key";
                let answer =
                    crate::events_client::exchange(port, "POST", path, &[], event.as_bytes()).unwrap();
                assert_eq!(answer.status == 429, answer.head.contains("retry-after: 1"), "{answer:?}");
                refused.fetch_or(answer.status == 429, Ordering::Relaxed);
                answers.push((id, answer.status));
            }
            answers
        };
        let senders: Vec<_> = (0..16).map(|c| scope.spawn(move || one(c))).collect();
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
    });
    // a client alone is refused nothing afterwards
    (0..21).for_each(|n| drop(server.stored("/events.json?accessKey=key", &buy(&format!("calm{n}"), "i"))));
    let wrong = answers.iter().find(|(_, status)| ![201, 429].contains(status));
    assert_eq!(wrong, None);
    let of =
        |wanted: u16| answers.iter().filter(move |(_, status)| *status == wanted).map(|(id, _)| id.clone());
    assert!(of(201).count() > 0 && of(429).count() > 0, "{answers:?}");
    let there: BTreeSet<String> = ids(&program).into_iter().collect();
    assert!(of(201).all(|id| there.contains(&id)), "an acknowledged event is not there");
    assert!(!of(429).any(|id| there.contains(&id)), "a refused event is there");
}
