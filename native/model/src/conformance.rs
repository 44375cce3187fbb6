//! The suite that every [`ModelIndex`](crate::ModelIndex) must pass, [`model_index`]; models from [`Documents`], and the
//! [`Twin`] that the suite compares with.
//!
//! The suite panics at the first difference, naming it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a test suite, compiled into the library so that other indexes can use it"
)]

mod documents;
mod index;
mod twin;

pub use documents::{Document, Documents, bytes, dictionary, llr, model, parts};
pub use index::{InMemory, Update, model_index};
pub use twin::Twin;
