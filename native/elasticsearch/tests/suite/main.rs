//! Models in real servers, which these tests start and stop.
#![allow(missing_docs)]
// As in tests beside the code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
#![allow(clippy::cast_possible_truncation)]

use model::conformance as build;

mod answers;
mod connections;
mod faults;
#[path = "../../../model/tests/suite/handmade.rs"]
mod handmade;
#[path = "../../../model/tests/suite/plans.rs"]
mod plans;
mod publishing;
mod server;
