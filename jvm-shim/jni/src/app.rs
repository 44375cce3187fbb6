//! Events of an app in an embedded store, without an engine: out batch by batch, in by one commit.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use events::{App, Event, EventStore, EventTime, Kind, OnUnknown, Scope};
use stores::Storage;

use crate::border::{Fault, Result};
use crate::jobs::spawn;
use crate::tables::EventRows;

/// Batches that wait for Java, at most.
const AHEAD: usize = 2;
/// Names that a warning lists, at most.
const NAMES_MAX: usize = 20;

/// The store of a home that exists.
pub fn store(home: &Path) -> Result<Storage> {
    if !home.join("store").is_dir() {
        let text = format!("{} is no home of Arblast: it has no folder \"store\"", home.display());
        return Err(Fault::new(Kind::NotFound, text));
    }
    Ok(stores::open(home)?)
}

/// The store of a home, and an app in it. Events are in its default channel.
fn app(home: &str, name: &str) -> Result<(Storage, App)> {
    let storage = store(Path::new(home))?;
    let apps = storage.registry.apps()?;
    let names: Vec<&str> = apps.iter().map(|app| app.name.as_str()).take(NAMES_MAX).collect();
    let missing = format!("app \"{name}\" does not exist in {home}; there are: {}", names.join(", "));
    let app = apps.into_iter().find(|app| app.name == name);
    Ok((storage, app.ok_or_else(|| Fault::new(Kind::NotFound, missing))?))
}

fn scope(app: &App) -> Scope {
    Scope { app: app.id, channel: None }
}

/// All events of an app as they were when it was opened, batch by batch. A thread reads ahead until nobody listens.
pub struct Cursor(Mutex<Receiver<Result<Vec<u8>>>>);

impl Cursor {
    /// Begins to read.
    pub fn open(home: &str, name: &str) -> Result<Self> {
        let (storage, app) = app(home, name)?;
        let scope = scope(&app);
        let (sender, receiver) = sync_channel(AHEAD);
        let read = move || {
            let read = catch_unwind(AssertUnwindSafe(|| send_all(storage.events.as_ref(), scope, &sender)));
            let read = read.unwrap_or_else(|payload| Err(Fault::of_panic(payload.as_ref())));
            if let Err(fault) = read {
                // an error here: it was closed, and nobody wants to know
                let _ = sender.send(Err(fault));
            }
        };
        spawn(read)?;
        Ok(Self(Mutex::new(receiver)))
    }

    /// The next batch in the form of [`EventRows`]; without rows at the end.
    pub fn next(&self) -> Result<Vec<u8>> {
        let receiver = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        receiver.recv().unwrap_or_else(|_| Ok(EventRows::default().take()))
    }
}

fn send_all(store: &dyn EventStore, scope: Scope, sender: &SyncSender<Result<Vec<u8>>>) -> Result<()> {
    let mut rows = EventRows::default();
    let mut is_heard = true;
    store.scan(scope, &mut |event| {
        rows.push(event);
        is_heard = !rows.is_full() || sender.send(Ok(rows.take())).is_ok();
        if is_heard { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    if is_heard && !rows.is_empty() {
        // an error here: it was closed
        let _ = sender.send(Ok(rows.take()));
    }
    Ok(())
}

/// Events on their way into an app: gathered here, stored all or none by [`Append::commit`].
pub struct Append {
    store: Arc<dyn EventStore>,
    app: App,
    now: EventTime,
    gathered: Mutex<Gathered>,
}

#[derive(Default)]
struct Gathered {
    events: Vec<Event>,
    /// Names that the app does not declare, though it does not refuse them.
    undeclared: BTreeSet<String>,
}

impl Append {
    /// To an app. `now_ms`: creation time of events that have none.
    pub fn open(home: &str, name: &str, now_ms: i64) -> Result<Self> {
        let (storage, app) = app(home, name)?;
        Ok(Self { store: storage.events, app, now: EventTime::utc(now_ms), gathered: Mutex::default() })
    }

    /// Creation time of events that have none.
    pub fn now(&self) -> EventTime {
        self.now
    }

    /// Adds events, unless one is wrong or the app refuses its name: none then.
    pub fn add(&self, events: impl Iterator<Item = Result<Event>>) -> Result<()> {
        let events = events.collect::<Result<Vec<Event>>>()?;
        let declared = self.app.declared.as_ref();
        let foreign = |name: &str| declared.filter(|declared| !declared.allows(name));
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        for event in &events {
            match foreign(&event.event) {
                Some(declared) if declared.unknown() == OnUnknown::Reject => {
                    return Err(Fault::argument(declared.refusal(&event.event)));
                }
                Some(_) if !gathered.undeclared.contains(&event.event) => {
                    gathered.undeclared.insert(event.event.clone());
                }
                _ => {}
            }
        }
        gathered.events.extend(events);
        Ok(())
    }

    /// Stores all that was added, durably. Gives what there is to warn of, or an empty text.
    pub fn commit(&self) -> Result<String> {
        let gathered = std::mem::take(&mut *self.gathered.lock().unwrap_or_else(PoisonError::into_inner));
        self.store.append(scope(&self.app), &gathered.events)?;
        let names: Vec<&str> = gathered.undeclared.iter().map(String::as_str).take(NAMES_MAX).collect();
        if names.is_empty() {
            return Ok(String::new());
        }
        Ok(format!(
            "stored, though app \"{}\" does not declare these events: {}",
            self.app.name,
            names.join(", ")
        ))
    }
}
