//! Kill -9 while events come in: what was acknowledged is there once, and the store opens at once.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::events_client::{EventServer, shop};
use crate::program::{Program, number};
use crate::queries_client::{Client, until};

const BATCH_EVENTS: usize = 50;
const STREAM_EVENTS: usize = 2000;
/// From the start of the process to its first `/ready`: milliseconds, unless the machine is busy.
const OPEN_TIME_MAX: Duration = Duration::from_secs(30);

/// How a writer sends events.
#[derive(Clone, Copy)]
enum Kind {
    Single,
    Batch,
    Stream,
}

const WRITERS: [Kind; 10] = [
    Kind::Single,
    Kind::Single,
    Kind::Single,
    Kind::Single,
    Kind::Single,
    Kind::Batch,
    Kind::Batch,
    Kind::Batch,
    Kind::Stream,
    Kind::Stream,
];

fn event(entity: &str) -> String {
    format!(r#"{{"event":"buy","entityType":"user","entityId":"{entity}"}}"#)
}

impl Kind {
    fn events(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Batch => BATCH_EVENTS,
            Self::Stream => STREAM_EVENTS,
        }
    }

    /// Sends one request; is all of it acknowledged?
    fn send(self, client: &mut Client, entities: &[String]) -> Option<bool> {
        let events: Vec<String> = entities.iter().map(|entity| event(entity)).collect();
        let (path, body) = match self {
            Self::Single => ("/events.json", events.concat()),
            Self::Batch => ("/batch/events.json", format!("[{}]", events.join(","))),
            Self::Stream => ("/events.ndjson", events.join("\n")),
        };
        let path = format!("{path}?accessKey=key");
        let answer = client.try_send("POST", &path, "", body.as_bytes()).ok()?;
        Some(match self {
            Self::Single => answer.status == 201,
            Self::Batch => {
                answer.status == 200 && answer.body.matches("\"status\":201").count() == entities.len()
            }
            Self::Stream => {
                answer.status == 200
                    && number(&answer.json(), "stored") == i64::try_from(entities.len()).unwrap()
            }
        })
    }

    /// Sends events of entities that no other writer has, each once, until the server goes away; gives the entities
    /// that were acknowledged, and counts the requests in `heard`.
    fn write(self, mut client: Client, name: &str, heard: &AtomicUsize) -> Vec<String> {
        let mut acknowledged = Vec::new();
        for n in 0.. {
            let entities: Vec<String> = (0..self.events()).map(|i| format!("{name}n{n}e{i}")).collect();
            match self.send(&mut client, &entities) {
                Some(true) => {
                    acknowledged.extend(entities);
                    heard.fetch_add(1, Ordering::Relaxed);
                }
                Some(false) => {}
                None => break,
            }
        }
        acknowledged
    }
}

/// How often each entity is in the store.
fn counts(program: &Program) -> BTreeMap<String, usize> {
    let text = program.ok(&["export", "--app", "shop", "--output", "-"]);
    let mut counts = BTreeMap::new();
    for line in text.lines() {
        let (_, rest) = line.split_once(r#""entityId":""#).unwrap();
        *counts.entry(rest.split('"').next().unwrap().to_owned()).or_insert(0) += 1;
    }
    counts
}

fn check(program: &Program, acknowledged: &[String], round: u64) {
    let counts = counts(program);
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).take(5).collect();
    assert!(twice.is_empty(), "round {round}: more than once: {twice:?}");
    let lost: Vec<_> = acknowledged.iter().filter(|entity| !counts.contains_key(*entity)).take(5).collect();
    assert!(lost.is_empty(), "round {round}: acknowledged and not there: {lost:?}");
}

/// `ARBLAST_KILL_ROUNDS` = more rounds.
#[test]
fn what_was_acknowledged_is_there_once_after_each_kill() {
    let rounds = std::env::var("ARBLAST_KILL_ROUNDS").map_or(6, |rounds| rounds.parse::<u64>().unwrap());
    let program = shop();
    let (mut acknowledged, mut opened) = (Vec::new(), Vec::new());
    let heard = &AtomicUsize::new(0);
    for round in 0..rounds {
        let start = Instant::now();
        let server = EventServer::start(&program, &["--set", "accessLog=false"]);
        assert_eq!(server.get("/ready").status, 200);
        opened.push(start.elapsed());
        let clients: Vec<_> = WRITERS.iter().map(|kind| (*kind, Client::new(server.port))).collect();
        // spread over the work of a group commit and of many
        let life = Duration::from_micros(2_000 + round.wrapping_mul(2_654_435_761) % 300_000);
        let sent = std::thread::scope(|scope| {
            let writers: Vec<_> = clients
                .into_iter()
                .enumerate()
                .map(|(w, (kind, client))| {
                    scope.spawn(move || kind.write(client, &format!("r{round}w{w}"), heard))
                })
                .collect();
            std::thread::sleep(life);
            if round + 1 == rounds {
                // lives may have been too short on a busy machine
                until("something is acknowledged", || (heard.load(Ordering::Relaxed) > 0).then_some(()));
            }
            drop(server);
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
        });
        acknowledged.extend(sent);
        // what is lost stays lost: not every one of many rounds must look
        if rounds <= 10 || round % (rounds / 10) == 0 || round + 1 == rounds {
            check(&program, &acknowledged, round);
        }
    }
    opened.sort();
    let (median, longest) = (opened[opened.len() / 2], opened[opened.len() - 1]);
    let events = acknowledged.len();
    let told = format!(
        "{rounds} kills, {events} acknowledged events; open to ready: median {median:?}, longest {longest:?}\n"
    );
    std::io::stderr().write_all(told.as_bytes()).unwrap();
    assert!(events > 0);
    assert!(longest < OPEN_TIME_MAX, "{told}");
}
