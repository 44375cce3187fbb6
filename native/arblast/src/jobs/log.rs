//! A log per train, beside the models of its engine: what it did and when, to be read while it runs and after.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use events::EventTime;
use stores::ModelDirectory;

use crate::clock;
use crate::failure::{Failure, Result};

/// What a train says beyond this is left out.
const LOG_BYTES_MAX: usize = 64 << 10;
/// Logs that are kept of an engine; the oldest go first.
const LOGS_MAX: usize = 100;
const DIRECTORY: &str = "logs";

/// Where a train writes. It is no reason to fail: what cannot be written is left out.
pub(super) struct JobLog(Mutex<Option<Open>>);

struct Open {
    file: File,
    bytes: usize,
}

impl JobLog {
    /// Begins the log of `run`, and removes the oldest.
    pub(super) fn create(models: &ModelDirectory, run: &str) -> Self {
        let path = path(models, run);
        let open = || {
            let directory = path.parent().unwrap_or(Path::new(""));
            fs::create_dir_all(directory)?;
            remove_oldest(directory, LOGS_MAX - 1)?;
            File::create(&path)
        };
        let file = open().inspect_err(|error| tracing::warn!("no log {}: {error}", path.display()));
        Self(Mutex::new(file.ok().map(|file| Open { file, bytes: 0 })))
    }

    /// A line with the time before it.
    pub(super) fn line(&self, text: impl Display) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(log) = &mut *open else { return };
        let text = text.to_string().replace(['\n', '\r'], " ");
        let mut line = format!("{} {text}\n", EventTime::utc(clock::now_ms()));
        log.bytes += line.len();
        let is_full = log.bytes > LOG_BYTES_MAX;
        if is_full {
            line = "the rest is left out\n".to_owned();
        }
        if log.file.write_all(line.as_bytes()).is_err() || is_full {
            *open = None;
        }
    }
}

fn path(models: &ModelDirectory, run: &str) -> PathBuf {
    models.path().join(DIRECTORY).join(format!("{run}.log"))
}

fn remove_oldest(directory: &Path, keep: usize) -> std::io::Result<()> {
    let mut logs: Vec<(SystemTime, PathBuf)> = fs::read_dir(directory)?
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    logs.sort();
    let superfluous = logs.len().saturating_sub(keep);
    logs.iter().take(superfluous).try_for_each(|(_, path)| fs::remove_file(path))
}

/// What the train `run` wrote so far; `None` if there is no log, or no more.
///
/// # Errors
/// It cannot be read.
pub fn log_of(models: &ModelDirectory, run: &str) -> Result<Option<String>> {
    let path = path(models, run);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io(format_args!("cannot read {}", path.display()), &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_bounded_in_size_and_number() {
        let home = tempfile::tempdir().unwrap();
        let models = ModelDirectory::new(home.path(), "e@a");
        for run in 0..LOGS_MAX + 3 {
            JobLog::create(&models, &format!("r{run}")).line("begun\nhere");
        }
        let logs = fs::read_dir(models.path().join(DIRECTORY)).unwrap().count();
        assert_eq!(logs, LOGS_MAX);
        let last = log_of(&models, &format!("r{}", LOGS_MAX + 2)).unwrap().unwrap();
        assert!(last.ends_with("Z begun here\n") && last.lines().count() == 1, "{last}");
        assert_eq!(log_of(&models, "none").unwrap(), None);
        let long = JobLog::create(&models, "long");
        (0..1000).for_each(|_| long.line("x".repeat(1000)));
        let text = log_of(&models, "long").unwrap().unwrap();
        assert!(text.len() <= LOG_BYTES_MAX + 100 && text.ends_with("left out\n"), "{}", text.len());
    }
}
