use std::sync::atomic::AtomicBool;

use events::conformance::{Deviation, Double};
use events::{Entity, EventTime};

use super::*;

const SCOPE: Scope = Scope { app: 1, channel: None };

/// A store whose appends wait for a gate, and which cannot take events called `bad`; `panic` is a defect.
#[derive(Default)]
struct Gated {
    is_open: Mutex<bool>,
    opened: Condvar,
    is_waiting: AtomicBool,
    groups: Mutex<Vec<usize>>,
}

impl Gated {
    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn wait_for_append(&self) {
        while !self.is_waiting.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    }
}

impl Deviation for Gated {
    fn append(&self, store: &dyn EventStore, scope: Scope, events: &[Event]) -> Answer {
        self.is_waiting.store(true, Ordering::SeqCst);
        drop(self.opened.wait_while(self.is_open.lock().unwrap(), |open| !*open).unwrap());
        self.groups.lock().unwrap().push(events.len());
        assert!(!events.iter().any(|event| event.event == "panic"), "a defect");
        if events.iter().any(|event| event.event == "bad") {
            return Err(Error::new(Kind::Internal, "bad"));
        }
        store.append(scope, events)
    }
}

fn event(name: &str, id: &str) -> Event {
    Event {
        event_id: Some(id.to_owned()),
        event: name.to_owned(),
        entity: Entity { kind: "user".to_owned(), id: "u".to_owned() },
        target: None,
        properties: events::json::Object::new(),
        event_time: EventTime::utc(0),
        pr_id: None,
        tags: Vec::new(),
        creation_time: EventTime::utc(0),
    }
}

fn gated(events_max: usize) -> (Arc<Double<Gated>>, Ingest) {
    let store = Arc::new(Double::new(Gated::default()));
    store.init(SCOPE).unwrap();
    let ingest = Ingest::start(Arc::<Double<Gated>>::clone(&store), events_max).unwrap();
    (store, ingest)
}

#[test]
fn what_arrives_during_a_commit_is_stored_by_the_next() {
    let (store, ingest) = gated(1000);
    let first = ingest.submit(SCOPE, vec![event("buy", "first")]).unwrap();
    store.wait_for_append();
    let others: Vec<_> =
        (0..50).map(|i| ingest.submit(SCOPE, vec![event("buy", &format!("{i}")); 2]).unwrap()).collect();
    assert_eq!(ingest.counters().queued.load(Ordering::Relaxed), 101);
    store.open();
    assert_eq!(first.blocking_recv().unwrap().unwrap(), ["first"]);
    for (i, other) in others.into_iter().enumerate() {
        assert_eq!(other.blocking_recv().unwrap().unwrap(), [i.to_string(), i.to_string()]);
    }
    assert_eq!(*store.groups.lock().unwrap(), [1, 100]);
    assert_eq!(ingest.counters().commits.load(Ordering::Relaxed), 2);
    drop(ingest);
    assert_eq!(store.count(SCOPE).unwrap(), 51);
}

#[test]
fn one_that_cannot_be_stored_harms_no_other() {
    let (store, ingest) = gated(1000);
    let first = ingest.submit(SCOPE, vec![event("buy", "first")]).unwrap();
    store.wait_for_append();
    let names = ["buy", "bad", "view", "buy"];
    let answers: Vec<_> =
        names.iter().map(|name| (name, ingest.submit(SCOPE, vec![event(name, name)]).unwrap())).collect();
    store.open();
    first.blocking_recv().unwrap().unwrap();
    for (name, answer) in answers {
        assert_eq!(answer.blocking_recv().unwrap().is_err(), *name == "bad", "{name}");
    }
    assert_eq!(ingest.counters().failed.load(Ordering::Relaxed), 1);
    assert_eq!(ingest.counters().stored.load(Ordering::Relaxed), 4);
    // a defect of the store loses the answer of its group only
    assert!(ingest.submit(SCOPE, vec![event("panic", "p")]).unwrap().blocking_recv().is_err());
    ingest.submit(SCOPE, vec![event("buy", "after")]).unwrap().blocking_recv().unwrap().unwrap();
}

#[test]
fn a_full_queue_refuses_and_recovers() {
    let (store, ingest) = gated(10);
    let first = ingest.submit(SCOPE, vec![event("buy", "a"); 100]).unwrap();
    assert!(ingest.submit(SCOPE, vec![event("buy", "b")]).is_err(), "100 wait already");
    assert!(ingest.is_saturated());
    assert_eq!(ingest.counters().saturated.load(Ordering::Relaxed), 1);
    let calm = std::thread::scope(|threads| {
        let waiting = threads.spawn(|| ingest.submit_when_calm(SCOPE, vec![event("buy", "c")]));
        store.open();
        first.blocking_recv().unwrap().unwrap();
        waiting.join().unwrap()
    });
    calm.blocking_recv().unwrap().unwrap();
    ingest.submit(SCOPE, vec![event("buy", "d")]).unwrap().blocking_recv().unwrap().unwrap();
}

#[test]
fn scopes_do_not_wait_for_each_other_and_the_end_waits_for_all() {
    let (store, ingest) = gated(1_000_000);
    store.open();
    let scopes: Vec<Scope> = (1..9).map(|app| Scope { app, channel: None }).collect();
    scopes.iter().for_each(|scope| store.init(*scope).unwrap());
    let mut answers = Vec::new();
    for round in 0..500 {
        for scope in &scopes {
            answers.push(ingest.submit(*scope, vec![event("buy", &round.to_string())]).unwrap());
        }
    }
    drop(ingest);
    assert!(answers.into_iter().all(|mut answer| answer.try_recv().unwrap().is_ok()));
    assert!(scopes.iter().all(|scope| store.count(*scope).unwrap() == 500));
}

#[test]
fn an_app_that_is_gone_is_told() {
    let (store, ingest) = gated(10);
    store.open();
    let unknown = Scope { app: 99, channel: None };
    let answer = ingest.submit(unknown, vec![event("buy", "x")]).unwrap().blocking_recv().unwrap();
    assert_eq!(answer.unwrap_err().kind(), Kind::NotFound);
}
