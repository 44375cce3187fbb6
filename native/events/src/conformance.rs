//! The suites that every store must pass, [`event_store`] and [`registry`]; and for tests of what uses a store, a
//! [`Double`] of one that does something else where the test says so.
//!
//! A store's tests call them with two hooks: `fresh` makes an empty store, `reopen` closes one and opens what it left
//! behind (the identity for a store without a disk). They panic at the first difference, naming it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test suite, compiled into the library so that stores can use it"
)]

mod double;
mod events;
mod registry;

pub use double::{Deviation, Double};
pub use events::event_store;
pub use registry::registry;
