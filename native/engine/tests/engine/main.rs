//! The engine from events to answers, on the reference store: what a train makes, and what each member of a query does.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod answers;
mod dither;
mod evaluation;
mod live;
mod portions;
mod pruning;
mod shop;
mod training;
mod worked;
