//! Correlated cross-occurrence, the mathematics alone: plain numbers in, plain numbers out.
//!
//! [`Interactions`] say which user did something with which thing, once. [`CrossOccurrence`] counts, for each thing of a
//! primary indicator, the users that it shares with each thing of another (or the same) indicator, tests the count by the
//! log-likelihood ratio ([`llr`]), and keeps the strongest as [`Correlators`].
//!
//! Nothing here does I/O, knows a string or a clock, or depends on the number of threads, the order of the input or the
//! platform's mathematical library: equal input gives equal bits.

mod correlators;
mod counting;
mod cross_occurrence;
mod frequency;
mod interactions;
mod llr;
mod pairs;
mod prefetch;
mod row_test;
mod sample;
mod strongest;
mod sums;
mod threads;

pub use correlators::Correlators;
pub use cross_occurrence::{CrossOccurrence, Params};
pub use interactions::{Error, Interactions};
pub use llr::llr;
pub use sample::Sampling;
pub use sums::Sums;
