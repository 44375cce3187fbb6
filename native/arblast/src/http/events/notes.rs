//! What the server tells its operator, in the log. Access keys are never among it.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use events::json::JsonError;
use events::{Error, Kind};

use crate::observe::log::AUDIT;

/// Things that are told once each are remembered up to this number, and beyond it not told.
const REMEMBERED_MAX: usize = 1000;

/// A deletion, for whoever must prove it later.
pub fn audit(text: impl Display) {
    tracing::info!(target: AUDIT, "{text}");
}

/// Warnings that are given once.
pub struct Notes {
    /// Is what is JSON by tolerance only taken?
    is_lenient: bool,
    lenient: Mutex<BTreeSet<Option<IpAddr>>>,
    undeclared: Mutex<BTreeSet<(u32, String)>>,
}

impl Notes {
    pub fn new(is_lenient: bool) -> Self {
        Self { is_lenient, lenient: Mutex::default(), undeclared: Mutex::default() }
    }

    /// What a client sent. JSON by tolerance only is remarked, or, where nothing is tolerated, `Kind::Invalid`.
    pub fn tolerated<T>(
        &self,
        client: Option<IpAddr>,
        parsed: events::Result<(T, Option<JsonError>)>,
    ) -> events::Result<T> {
        let (value, leniency) = parsed?;
        match leniency {
            Some(what) if !self.is_lenient => Err(Error::new(Kind::Invalid, what.to_string())),
            Some(what) => {
                self.lenient(client, &what);
                Ok(value)
            }
            None => Ok(value),
        }
    }

    fn lenient(&self, client: Option<IpAddr>, what: &JsonError) {
        if is_new(&self.lenient, client) {
            let who = client.map_or_else(|| "unknown".to_owned(), |client| client.to_string());
            tracing::warn!("client {who} sends malformed JSON, which was tolerated: {what}");
        }
    }

    /// An event was let in though its name is not declared.
    pub fn undeclared(&self, app: u32, app_name: &str, event: &str) {
        if is_new(&self.undeclared, (app, event.to_owned())) {
            tracing::warn!("app {app_name:?} gets events {event:?}, whose name is not declared");
        }
    }
}

fn is_new<T: Ord>(known: &Mutex<BTreeSet<T>>, thing: T) -> bool {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    known.len() < REMEMBERED_MAX && known.insert(thing)
}
