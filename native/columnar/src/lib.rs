//! The Arrow face of the engine: what it keeps and answers as record batches, and record batches of events and
//! interactions as what the engine takes. The schemas are a contract with every client that speaks Arrow.
//!
//! No JVM, no Python, no network here: leaves bring those.

mod counting;
mod error;
mod events;
mod models;
pub mod schema;
#[cfg(test)]
mod tests;

pub use counting::{Counted, Counting, Options, Ready};
pub use error::{Error, Result};
pub use events::{EventRows, event_texts};
pub use models::{correlators, items, rankings, recommendations};
