//! What every way in has in common: may this event be stored, and the answer of the store.

use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use events::json::JsonError;
use events::{Event, OnUnknown};
use tokio::sync::oneshot::error::RecvError;

use super::EventServer;
use super::auth::Caller;
use super::refusal::Refusal;
use crate::http::ingest::{Answer, stored};

impl EventServer {
    /// The event, if this caller may store it. 400: it is invalid or not declared; 403: not in the key's list.
    pub fn admit(&self, caller: &Caller, event: events::Result<Event>) -> Result<Event, Refusal> {
        let admitted = event.map_err(Refusal::from).and_then(|event| self.check_name(caller, event));
        if let Err(refusal) = &admitted {
            let counters = self.ingest.counters();
            let is_forbidden = refusal.status == StatusCode::FORBIDDEN;
            let counter = if is_forbidden { &counters.forbidden } else { &counters.invalid };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    fn check_name(&self, caller: &Caller, event: Event) -> Result<Event, Refusal> {
        let (access, name) = (&caller.access, event.event.as_str());
        if !access.allows(name) {
            return Err(Refusal::forbidden(format!("{name} events are not allowed")));
        }
        let Some(declared) = access.app.declared.as_ref().filter(|declared| !declared.allows(name)) else {
            return Ok(event);
        };
        if declared.unknown() == OnUnknown::Warn {
            self.notes.undeclared(access.app.id, &access.app.name, name);
            return Ok(event);
        }
        let some: Vec<&str> = declared.names().iter().take(20).map(String::as_str).collect();
        let more = if declared.names().len() > some.len() { ", …" } else { "" };
        let some = some.join(", ");
        Err(Refusal::invalid(format!(
            "The event {name} is not declared for this app; declared: {some}{more}."
        )))
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
}
