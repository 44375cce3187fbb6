//! Work that takes long and has a record: run by commands in the foreground, by servers in the background.

mod report;
mod train;

pub use report::described;
pub use train::{Published, TrainJob, app_of};
