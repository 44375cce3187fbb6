//! The events that a caller gave, as a store to train on, and what users did in them, to answer queries from afterwards.

use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use engine::{EngineConfig, TrainOptions};
use events::{
    Error, Event, EventFilter, EventRef, EventStore, EventTime, EventVersion, Kind, Result as StoreResult,
    Scope, Visit, VisitDeed,
};

use crate::border::{Fault, Result, Stop};
use crate::event_rows::{self, Times};
use crate::frames::Table;
use crate::histories::{Histories, Noting};
use crate::lines;
use crate::pairs::Interactions;
use crate::texts::{Texts, check};

/// Where events come from.
pub enum Source {
    /// A file of JSON lines.
    File(PathBuf),
    /// A table with the columns of events.
    Events(Table),
    /// A table of (user, item) rows under one event name, and its column of times.
    Pairs(Interactions, Option<String>),
    /// A table of items: the column of their ids, the others are properties.
    Items(Table, String),
}

/// Told of each event.
pub type Take<'a> = &'a mut dyn FnMut(&EventRef<'_>) -> Result<()>;

/// How sources are read.
struct Reading<'a> {
    sources: &'a [Source],
    now: EventTime,
    threads: usize,
    /// Do (user, item) rows need ids? They do where equal events count once.
    ids: bool,
    stop: &'a Stop,
}

/// Events that were given, in the place of a store. It is read as often as who trains likes, and knows the histories of users afterwards.
pub struct Told<'a> {
    reading: Option<Reading<'a>>,
    remember: bool,
    histories: OnceLock<Histories>,
    /// The error of a caller's source: a store's own error has no room for the system's.
    fault: Mutex<Option<Fault>>,
}

impl<'a> Told<'a> {
    /// By these sources, accepted at the time of training. `remember`: take note of histories at the next scan.
    pub fn new(
        config: &EngineConfig,
        sources: &'a [Source],
        options: TrainOptions,
        remember: bool,
        stop: &'a Stop,
    ) -> Self {
        let TrainOptions { threads, now_ms } = options;
        let ids = config.window.remove_duplicates;
        let reading = Reading { sources, now: EventTime::utc(now_ms), threads, ids, stop };
        Self { reading: Some(reading), remember, histories: OnceLock::new(), fault: Mutex::default() }
    }

    /// The histories alone, if they were noted.
    pub fn remembered(self) -> Option<Told<'static>> {
        let histories = OnceLock::from(self.histories.into_inner()?);
        Some(Told { reading: None, remember: false, histories, fault: Mutex::default() })
    }

    /// Why it failed, more exactly than a store's error says it.
    pub fn fault(&self, error: engine::Error) -> Fault {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
        fault.unwrap_or_else(|| error.into())
    }

    fn read(&self, take: Take<'_>) -> Result<()> {
        let Some(reading) = &self.reading else { return Ok(()) };
        let mut noting = (self.remember && self.histories.get().is_none()).then(Noting::default);
        reading.read(&mut |event| {
            if let Some(noting) = &mut noting {
                noting.push(event).map_err(engine::Error::from)?;
            }
            take(event)
        })?;
        if let Some(noting) = noting {
            // Set by nobody else: one scan runs at a time.
            let _ = self.histories.set(noting.finish());
        }
        Ok(())
    }
}

impl Reading<'_> {
    fn read(&self, take: Take<'_>) -> Result<()> {
        let Self { sources, now, threads, stop, ids: _ } = self;
        for (number, source) in (0..).zip(*sources) {
            match source {
                Source::File(path) => lines::read(path, number, *now, *threads, stop, take)?,
                Source::Events(table) => event_rows::read(table, number, *now, stop, take)?,
                Source::Pairs(pairs, time) => self.read_pairs(pairs, time.as_deref(), number, take)?,
                Source::Items(table, id) => {
                    event_rows::read_items(table, id, number, self.just_before(), stop, take)?;
                }
            }
        }
        Ok(())
    }

    /// When that happened which has no time: a ranking ends at the time of training, and that is not in it.
    fn just_before(&self) -> EventTime {
        EventTime::utc(self.now.millis.saturating_sub(1))
    }

    /// Each row is an event of a user on an item.
    fn read_pairs(
        &self,
        pairs: &Interactions,
        time: Option<&str>,
        source: u64,
        take: Take<'_>,
    ) -> Result<()> {
        let (user, item) = (pairs.table.position(&pairs.user)?, pairs.table.position(&pairs.item)?);
        let mut number = 0_u64;
        for batch in pairs.table.batches() {
            let column = |position: usize, name: &str| {
                check(batch.column(position), name)?;
                Texts::new(batch.column(position), name)
            };
            let (users, items) = (column(user, &pairs.user)?, column(item, &pairs.item)?);
            let times = time.map(|time| Times::of(batch, time)).transpose()?.flatten();
            for row in 0..batch.num_rows() {
                if number.is_multiple_of(65_536) {
                    self.stop.check()?;
                }
                number += 1;
                let (Some(user), Some(item)) = (users.get(row), items.get(row)) else { continue };
                let wrong = |reason: String| {
                    Fault::argument(format!("row {} of \"{}\": {reason}", number - 1, pairs.name))
                };
                if user.is_empty() || item.is_empty() {
                    return Err(wrong("an id must not be empty".to_owned()));
                }
                let time = times.as_ref().map_or(Ok(None), |times| times.get(row)).map_err(wrong)?;
                let time = time.unwrap_or_else(|| self.just_before());
                let id = if self.ids { lines::place_id(source, number) } else { String::new() };
                take(&EventRef { event_id: &id, ..deed(&pairs.name, user, item, time) })?;
            }
        }
        Ok(())
    }
}

/// The event of a user on an item.
fn deed<'e>(name: &'e str, user: &'e str, item: &'e str, time: EventTime) -> EventRef<'e> {
    EventRef {
        event_id: "",
        event: name,
        entity_type: "user",
        entity_id: user,
        target: Some(("item", item)),
        properties: "{}",
        event_time: time,
        pr_id: None,
        tags: "",
        creation_time: time,
    }
}

fn no_store<T>() -> StoreResult<T> {
    Err(Error::new(Kind::Unavailable, "these are the events of a caller, and no store"))
}

impl EventStore for Told<'_> {
    fn scan(&self, _: Scope, visit: Visit<'_>) -> StoreResult<()> {
        let mut ended = false;
        let read = self.read(&mut |event| {
            ended = visit(event).is_break();
            if ended { Err(engine::Error::Stopped.into()) } else { Ok(()) }
        });
        match read {
            Err(fault) if !ended => {
                *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
                no_store()
            }
            _ => Ok(()),
        }
    }

    fn history(&self, _: Scope, (kind, id): (&str, &str), visit: VisitDeed<'_>) -> StoreResult<()> {
        if let Some(histories) = self.histories.get().filter(|_| kind == "user") {
            histories.visit(id, visit);
        }
        Ok(())
    }

    fn count(&self, _: Scope) -> StoreResult<u64> {
        Ok(0)
    }

    fn find(&self, _: Scope, _: &EventFilter, _: Visit<'_>) -> StoreResult<()> {
        no_store()
    }

    fn get(&self, _: Scope, _: &str) -> StoreResult<Option<Event>> {
        no_store()
    }

    fn init(&self, _: Scope) -> StoreResult<()> {
        no_store()
    }

    fn remove(&self, _: Scope) -> StoreResult<()> {
        no_store()
    }

    fn append(&self, _: Scope, _: &[Event]) -> StoreResult<Vec<String>> {
        no_store()
    }

    fn delete(&self, _: Scope, _: &str) -> StoreResult<bool> {
        no_store()
    }

    fn delete_entity(&self, _: Scope, _: &str, _: &str) -> StoreResult<u64> {
        no_store()
    }

    fn replace(&self, _: Scope, _: &[EventVersion], _: &[Event]) -> StoreResult<bool> {
        no_store()
    }
}
