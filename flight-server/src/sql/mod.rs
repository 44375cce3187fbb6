//! What SQL sees: tables and functions over events, models and recommendations, bound to what a client may see.

mod correlators;
mod cross_occurrence;
mod files;
mod filters;
mod functions;
mod parameters;
mod quota;
mod rows;
mod session;
mod size;
mod statement;
mod tables;
mod yielding;

pub use parameters::{Bound, numbered, of_batch};
pub use session::{CATALOG, Limits, SCHEMA, Session};
pub use size::TABLES_MAX;
pub use tables::Sight;
