//! Work that takes long and has a record: run by commands in the foreground, by servers in the background.

mod background;
mod imports;
mod log;
mod recorder;
mod report;
mod spark;
mod train;
mod turn;

pub use background::{Background, Order};
pub use imports::{ImportOrder, Imports};
pub use log::log_of;
pub use report::{is_cancelled, job, new_id};
pub use spark::SparkSubmit;
pub use train::{Ask, Published, Road, TrainJob, app_of};
pub use turn::{ask_to_stop, runs};
