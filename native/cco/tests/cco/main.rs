//! What must hold for any implementation: known values, a naive twin, and the results of Apache Mahout.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod golden;
mod properties;
mod twin;
mod values;

use cco::Interactions;

/// From pairs that are known to be right.
fn interactions(users: u32, things: u32, pairs: &[(u32, u32)]) -> Interactions {
    Interactions::from_pairs(users, things, pairs.iter().copied()).unwrap()
}

fn quiet(_: u64, _: u64) {}
