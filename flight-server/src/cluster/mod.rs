//! Training on a cluster: a scheduler and executors of Ballista that know our one operator, and a driver that asks them.
//!
//! A train is two kinds of independent tasks and no shuffle: `Read` makes a portion of a range of a file, `Count` the block of a
//! range of items. Each task leaves one file in the folder of its job, on storage that all processes reach, and that
//! folder is the only thing the driver believes: a file is there whole, or the task has to run again; one that is damaged ends the train.
//! So executors may die, tasks may run twice and reports may get lost, and the model is the same or there is none.

mod codec;
mod count;
mod driver;
pub mod executor;
mod folder;
mod identity;
mod inputs;
mod interactions;
mod lines;
mod link;
mod logged;
mod operator;
mod parquet;
mod place;
mod read;
mod road;
pub mod scheduler;
mod supervise;
mod task;
pub mod train;
mod worker;

pub use driver::Site;
pub use executor::runtime;
pub use place::Where;
pub use road::ClusterRoad;
