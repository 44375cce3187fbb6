//! The program as people use it: every test runs the real executable in a home of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed")]

mod apps;
mod engines;
mod handmade;
mod import;
mod program;
mod prune;
mod same;
mod server;
