//! The store against real servers, which `scripts/database` starts; `scripts/setup stores` installs them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that panics has failed")]

mod beside;
mod child;
mod conformance;
mod killed;
mod large;
mod processes;
mod refused;
mod server;
mod sight;
