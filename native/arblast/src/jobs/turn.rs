//! One train per engine at a time, in whatever process: whoever trains holds a lock that the system releases with the
//! process. So a record without an end whose lock is free belongs to a process that died.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use events::{EngineInstance, InstanceStatus, json};
use stores::{ModelDirectory, Storage};

use super::recorder::{CANCELLING, STOPPING};
use super::train::{CANCELLED, SERVER_STOPPED};
use crate::failure::{Failure, Result};
use crate::{clock, models};

/// Whoever looks after the dead holds the lock for a moment; a train waits that long.
const PATIENCE: Duration = Duration::from_millis(500);
const LOCK: &str = "TRAIN";
const STOP: &str = "TRAIN.stop";
const DIED: &str = "its process ended before the train did";

/// The right to train an engine, as long as it lives.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "closing the file releases the lock")] File);

impl Turn {
    /// `None` if somebody else trains this engine.
    pub(super) fn take(directory: &ModelDirectory) -> Result<Option<Self>> {
        let asked = Instant::now();
        loop {
            if let Some(turn) = Self::try_take(directory)? {
                return Ok(Some(turn));
            }
            if asked.elapsed() > PATIENCE {
                return Ok(None);
            }
            sleep(Duration::from_millis(10));
        }
    }

    fn try_take(directory: &ModelDirectory) -> Result<Option<Self>> {
        let failed = |error| Failure::io(format_args!("cannot lock {}", directory.path().display()), &error);
        fs::create_dir_all(directory.path()).map_err(failed)?;
        let path = directory.path().join(LOCK);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

/// Training runs of an engine, newest first. Those whose process died have failed.
pub fn runs(storage: &Storage, app: &str, variant: &str) -> Result<Vec<EngineInstance>> {
    let mut found = of(storage, app, variant)?;
    if found.iter().any(|run| run.status == InstanceStatus::Init)
        && let Some(turn) = Turn::try_take(&models::of(storage, app, variant))?
    {
        bury(storage, app, variant, &turn)?;
        found = of(storage, app, variant)?;
    }
    Ok(found)
}

/// Marks what has no end as failed; `_turn` proves that nobody trains.
pub(super) fn bury(storage: &Storage, app: &str, variant: &str, _turn: &Turn) -> Result<()> {
    let unfinished = of(storage, app, variant)?;
    for mut run in unfinished.into_iter().filter(|run| run.status == InstanceStatus::Init) {
        run.status = InstanceStatus::Failed(why_ended(&run).to_owned());
        run.end_ms = clock::now_ms();
        storage.registry.put_instance(&run)?;
    }
    Ok(())
}

/// Why a run without an end has none.
fn why_ended(run: &EngineInstance) -> &'static str {
    let report = json::parse(run.report.as_bytes()).unwrap_or_default();
    match (report.get(CANCELLING), report.get(STOPPING)) {
        (Some(_), _) => CANCELLED,
        (None, Some(_)) => SERVER_STOPPED,
        (None, None) => DIED,
    }
}

fn of(storage: &Storage, app: &str, variant: &str) -> Result<Vec<EngineInstance>> {
    let mut runs = storage.registry.instances()?;
    runs.retain(|run| run.app == app && run.variant == variant);
    Ok(runs)
}

/// Asks the train `run` to end without a model, in whatever process it is.
pub fn ask_to_stop(directory: &ModelDirectory, run: &str) -> Result<()> {
    let path = stop_path(directory);
    fs::write(&path, run)
        .map_err(|error| Failure::io(format_args!("cannot write {}", path.display()), &error))
}

/// Was `run` asked to end?
pub(super) fn is_asked_to_stop(path: &PathBuf, run: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|asked| asked == run)
}

pub(super) fn stop_path(directory: &ModelDirectory) -> PathBuf {
    directory.path().join(STOP)
}
