//! What SQL sees: tables and functions over events, models and recommendations, bound to what a client may see.

mod bounds;
mod correlators;
mod cross_occurrence;
mod files;
mod filters;
mod functions;
mod parameters;
mod quota;
mod rows;
mod session;
mod statement;
mod tables;

pub use bounds::TABLES_MAX;
pub use parameters::{Bound, numbered, of_batch};
pub use session::{CATALOG, Limits, SCHEMA, Session};
pub use tables::Sight;
