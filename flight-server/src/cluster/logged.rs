//! Ballista's own warnings and errors, among the lines of the log.

use log::{Level, LevelFilter, Metadata, Record};

struct Forward;

impl log::Log for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn && metadata.target().starts_with("ballista")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            tracing::warn!("{}: {}", record.target(), record.args());
        }
    }

    fn flush(&self) {}
}

/// From now on.
pub fn forward() {
    if log::set_logger(&Forward).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}
