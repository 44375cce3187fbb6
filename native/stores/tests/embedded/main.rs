//! The embedded store as its users see it: alone, in several processes, killed, and on bad disks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests, also their helpers"
)]

mod child;
mod conformance;
mod faults;
mod killed;
mod processes;
mod twin;
