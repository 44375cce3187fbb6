//! What every way in has in common: may this event be stored, and the answer of the store; and how an entity is erased.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use events::json::JsonError;
use events::{Event, EventStore, OnUnknown, Scope};
use stores::Storage;
use tokio::sync::oneshot::error::RecvError;

use super::about::{About, Erased};
use super::auth::Caller;
use super::directory::Directory;
use super::notes::{self, Notes};
use super::refusal::Refusal;
use crate::http::Ingest;
use crate::http::ingest::{Answer, stored};

/// Takes in events of whoever may send them. The servers that do so have one each.
pub struct Intake {
    pub(super) directory: Directory,
    store: Arc<dyn EventStore>,
    ingest: Arc<Ingest>,
    notes: Notes,
}

impl Intake {
    /// Into `storage`, where `ingest` makes events durable. `is_lenient`: is what is JSON by tolerance only taken?
    pub fn new(storage: &Storage, ingest: Arc<Ingest>, is_lenient: bool) -> Self {
        let directory = Directory::new(Arc::clone(&storage.registry));
        Self { directory, store: Arc::clone(&storage.events), ingest, notes: Notes::new(is_lenient) }
    }

    /// What makes events durable.
    pub fn ingest(&self) -> &Ingest {
        &self.ingest
    }

    /// The event, if this caller may store it. 400: it is invalid or not declared; 403: not in the key's list. Within a
    /// runtime of several threads.
    pub fn admit(&self, caller: &Caller, event: events::Result<Event>) -> Result<Event, Refusal> {
        let admitted = event.map_err(Refusal::from).and_then(|event| {
            self.check_name(caller, &event.event)?;
            self.check_replaced(caller, &event)?;
            Ok(event)
        });
        if let Err(refusal) = &admitted {
            let counters = self.ingest.counters();
            let is_forbidden = refusal.status == StatusCode::FORBIDDEN;
            let counter = if is_forbidden { &counters.forbidden } else { &counters.invalid };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    fn check_name(&self, caller: &Caller, name: &str) -> Result<(), Refusal> {
        let access = &caller.access;
        if !access.allows(name) {
            return Err(Refusal::forbidden(format!("{name} events are not allowed")));
        }
        let Some(declared) = access.app.declared.as_ref().filter(|declared| !declared.allows(name)) else {
            return Ok(());
        };
        if declared.unknown() == OnUnknown::Warn {
            self.notes.undeclared(access.app.id, &access.app.name, name);
            return Ok(());
        }
        Err(Refusal::invalid(declared.refusal(name)))
    }

    /// Whoever may write some events only may not replace others, either.
    fn check_replaced(&self, caller: &Caller, event: &Event) -> Result<(), Refusal> {
        let Some(id) = event.event_id.as_deref().filter(|_| caller.access.has_list()) else { return Ok(()) };
        let earlier = tokio::task::block_in_place(|| self.store.get(caller.scope, id))?;
        match earlier.filter(|earlier| !caller.access.allows(&earlier.event)) {
            Some(earlier) => Err(Refusal::forbidden(format!(
                "eventId {id:?} is that of a stored {} event, and those are not allowed",
                earlier.event
            ))),
            None => Ok(()),
        }
    }

    /// Makes events durable and gives their ids. 429 if too many wait already.
    pub async fn store(&self, caller: &Caller, events: Vec<Event>) -> Result<Vec<String>, Refusal> {
        self.stored(self.ingest.submit(caller.scope, events)?.await)
    }

    /// What the store answered, or that it did not.
    pub fn stored(&self, answer: Result<Answer, RecvError>) -> Result<Vec<String>, Refusal> {
        stored(answer).map_err(|error| self.failed(error))
    }

    /// The outcome of a write that did not go through the queue.
    pub fn outcome<T>(&self, outcome: events::Result<T>) -> Result<T, Refusal> {
        self.ingest.outage().observe(outcome).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: events::Error) -> Refusal {
        match self.ingest.outage().told(&error) {
            Some(text) => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text),
            None => error.into(),
        }
    }

    /// What a client sent, unless it is JSON by tolerance only and the settings want none of that.
    pub fn tolerated<T>(
        &self,
        caller: &Caller,
        parsed: events::Result<(T, Option<JsonError>)>,
    ) -> events::Result<T> {
        self.notes.tolerated(caller.client, parsed)
    }

    /// Deletes what `about` shows of one of the app's scopes, and leaves a line for whoever must prove it later. `channel` is the
    /// name of that scope. 503 if the store takes no writes.
    pub fn erase(
        &self,
        caller: &Caller,
        about: &About,
        scope: Scope,
        channel: Option<&str>,
    ) -> Result<Erased, Refusal> {
        let erased = self.outcome(about.erase(self.store.as_ref(), scope))?;
        let client = caller.client.as_ref().map_or_else(|| "unknown".to_owned(), IpAddr::to_string);
        let (About { kind, id, .. }, app) = (about, &caller.access.app);
        notes::audit(format_args!(
            "deleted {} events of entity {kind:?} {id:?}: app {} {:?}, channel {}, client {client}",
            erased.own + erased.as_target,
            app.id,
            app.name,
            channel.unwrap_or("default")
        ));
        Ok(erased)
    }
}
