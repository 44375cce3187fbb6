//! What the servers tell their operators: log lines and metrics.

pub mod log;
pub mod metrics;
