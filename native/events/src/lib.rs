//! What happened: events, the entities they speak of, and the contract of whatever keeps them.
//!
//! An [`Event`] says that an entity did something, optionally to a target entity. This crate knows the rules of an
//! event (parsing, validation, times, the fold of `$set`/`$unset`/`$delete` into properties) and the two contracts that
//! a store fulfils: [`EventStore`] and [`Registry`]. It never knows users, items, models or HTTP.

pub mod conformance;
mod error;
mod event;
pub mod json;
mod lines;
mod memory;
mod parsed;
pub mod properties;
mod registry;
mod store;
mod time;
mod validate;

pub use error::{Error, Kind, Result};
pub use event::{Entity, Event, EventRef, EventTexts};
pub use json::Json;
pub use lines::lines;
pub use memory::MemoryStore;
pub use parsed::{BatchElement, ParsedBatch, ParsedEvent};
pub use registry::{
    AccessKey, App, Channel, DeclaredEvents, EngineInstance, InstanceStatus, NewApp, NewChannel, OnUnknown,
    Registry, Rights,
};
pub use store::{
    Changes, Deed, EventFilter, EventStore, EventVersion, Position, Scope, Visit, VisitDeed, VisitEntity,
};
pub use time::EventTime;
pub use validate::{MAX_EVENT_BYTES, MAX_NAME_BYTES};
