//! The snapshot and its search as a whole.
#![allow(missing_docs)]
// As in tests beside the code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
#![allow(clippy::cast_possible_truncation)]

mod build;
mod changes;
mod conformance;
mod corruption;
mod handmade;
mod plans;
mod twin;
mod writing;
