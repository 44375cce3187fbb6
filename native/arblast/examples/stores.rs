//! How fast are the stores of events on this machine, side by side? `bench/stores` starts them and runs this with NAME=URL for each; a
//! path in place of a URL is a home of the embedded store. Prints a table in Markdown.
//!
//! Each store gets the same events in an app of its own. What is timed takes turns between the stores, and of the rounds the median
//! counts: durable appends of 1, 50 and 1000 events per call by two threads; a scan as training does it; histories of users.

#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "a program that prints figures")]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arblast::storage::Places;
use events::{Entity, Event, EventStore, EventTime, Kind, Result, Scope};

const SCOPE: Scope = Scope { app: 4_000_000, channel: None };
const THREADS: usize = 2;
const ROUNDS: usize = 3;
const HISTORIES: usize = 1000;
/// Of a user.
const DEEDS: usize = 25;
/// (events per call, share of all events)
const APPENDS: [(usize, usize); 3] = [(1, 200), (50, 20), (1000, 1)];

fn mix(number: usize) -> usize {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn user(number: usize, users: usize) -> String {
    format!("user-{}", mix(number) % users)
}

fn event(number: usize, users: usize) -> Event {
    let random = mix(number);
    let entity = |kind: &str, id: String| Entity { kind: kind.into(), id };
    let millis = 1_600_000_000_000 + i64::try_from(random % 100_000_000_000).unwrap_or_default();
    Event {
        event_id: None,
        event: ["view", "view", "view", "buy"][random >> 62].into(),
        entity: entity("user", user(number, users)),
        target: Some(entity("item", format!("item-{}", (random >> 20) % 5000))),
        properties: Default::default(),
        event_time: EventTime::utc(millis),
        pr_id: None,
        tags: Vec::new(),
        creation_time: EventTime::utc(millis + 5),
    }
}

struct Store {
    name: String,
    events: Arc<dyn EventStore>,
    appended: usize,
    /// Events per second, per entry of [`APPENDS`].
    appends: [Vec<f64>; 3],
    scans: Vec<f64>,
    histories: Vec<Duration>,
}

impl Store {
    fn open(argument: &str) -> Result<Self> {
        let wrong = || events::Error::new(Kind::Invalid, format!("{argument}: give NAME=URL or NAME=PATH"));
        let (name, place) = argument.split_once('=').ok_or_else(wrong)?;
        let url = place.contains("://").then(|| place.to_owned());
        let home = std::env::temp_dir().join(format!("arblast-bench-{}", std::process::id()));
        let home = if url.is_some() { home.as_path() } else { Path::new(place) };
        // What is not measured stays at home.
        let places = Places { events: url, ..Places::default() };
        let opened =
            places.open(home).map_err(|failure| events::Error::new(failure.kind(), failure.to_string()))?;
        opened.events.remove(SCOPE)?;
        opened.events.init(SCOPE)?;
        Ok(Self {
            name: name.to_owned(),
            events: opened.events,
            appended: 0,
            appends: Default::default(),
            scans: Vec::new(),
            histories: Vec::new(),
        })
    }

    fn append(&mut self, at: usize, all: usize) -> Result<()> {
        let (batch, share) = APPENDS[at];
        let (first, count, users) = (self.appended, all / share / ROUNDS, all / DEEDS);
        let store = self.events.as_ref();
        let began = Instant::now();
        std::thread::scope(|threads| {
            let part = |thread: usize| {
                let (begin, end) = (first + count * thread / THREADS, first + count * (thread + 1) / THREADS);
                for at in (begin..end).step_by(batch) {
                    let events: Vec<Event> =
                        (at..(at + batch).min(end)).map(|number| event(number, users)).collect();
                    store.append(SCOPE, &events)?;
                }
                Ok(())
            };
            let running: Vec<_> = (0..THREADS).map(|thread| threads.spawn(move || part(thread))).collect();
            running.into_iter().try_for_each(|thread| match thread.join() {
                Ok(done) => done,
                Err(_) => Err(events::Error::new(Kind::Internal, "a thread panicked")),
            })
        })?;
        self.appends[at].push(count as f64 / began.elapsed().as_secs_f64());
        self.appended += count;
        Ok(())
    }

    fn scan(&mut self) -> Result<()> {
        let (began, mut seen) = (Instant::now(), 0_usize);
        self.events.scan(SCOPE, &mut |_| {
            seen += 1;
            ControlFlow::Continue(())
        })?;
        assert_eq!(seen, self.appended, "{} lost events", self.name);
        self.scans.push(seen as f64 / began.elapsed().as_secs_f64());
        Ok(())
    }

    fn histories(&mut self, round: usize, all: usize) -> Result<()> {
        for number in 0..HISTORIES {
            let user = user(number * ROUNDS + round, all / DEEDS);
            let began = Instant::now();
            self.events.history(SCOPE, ("user", &user), &mut |_| ControlFlow::Continue(()))?;
            // The first round warms up.
            if round > 0 {
                self.histories.push(began.elapsed());
            }
        }
        Ok(())
    }

    fn row(&mut self) -> String {
        let [one, fifty, thousand] = self.appends.each_mut().map(|rates| median(rates));
        self.histories.sort_unstable();
        let millis = |share: usize| self.histories[self.histories.len() * share / 100].as_secs_f64() * 1000.0;
        format!(
            "| {} | {} | {} | {} | {} | {:.2} / {:.2} |",
            self.name,
            grouped(one),
            grouped(fifty),
            grouped(thousand),
            grouped(median(&mut self.scans)),
            millis(50),
            millis(99)
        )
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Two digits that count, thousands apart.
fn grouped(rate: f64) -> String {
    let unit = 10_f64.powf((rate.max(1.0).log10().floor() - 1.0).max(0.0));
    let text = format!("{:.0}", (rate / unit).round() * unit);
    let mut grouped = String::new();
    for (at, digit) in text.chars().enumerate() {
        if at > 0 && (text.len() - at).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let all = arguments.first().and_then(|text| text.parse().ok());
    let all = all.inspect(|_| drop(arguments.remove(0))).unwrap_or(300_000);
    let mut stores = arguments.iter().map(|argument| Store::open(argument)).collect::<Result<Vec<_>>>()?;
    for round in 0..ROUNDS {
        for at in 0..APPENDS.len() {
            stores.iter_mut().try_for_each(|store| store.append(at, all))?;
        }
        stores.iter_mut().try_for_each(Store::scan)?;
        stores.iter_mut().try_for_each(|store| store.histories(round, all))?;
    }
    println!("| Store | append by 1, events/s | by 50 | by 1000 | scan, events/s | history p50 / p99, ms |");
    println!("|---|--:|--:|--:|--:|--:|");
    for store in &mut stores {
        println!("{}", store.row());
        store.events.remove(SCOPE)?;
    }
    Ok(())
}
