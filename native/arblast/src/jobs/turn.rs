//! One train per engine at a time on a machine, in whatever process: whoever trains holds a lock that the system releases with
//! the process. So a record without an end whose lock is free belongs to a process that died. Of a lock on another machine
//! only the record is seen, which is written again and again while the train runs.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use events::json::Object;
use events::{EngineInstance, EventTime, InstanceStatus, Json, json};
use stores::{ModelDirectory, Storage};

use super::report::{CANCELLED, CANCELLING, LOCKED, SEEN, SERVER_STOPPED, STOPPING, new_id};
use crate::failure::{Failure, Result};
use crate::{clock, models};

/// Whoever looks after the dead holds the lock for a moment; a train waits that long.
const PATIENCE: Duration = Duration::from_millis(500);
const LOCK: &str = "TRAIN";
const STOP: &str = "TRAIN.stop";
const ID_CHARACTERS: usize = 32;
const DIED: &str = "its process ended before the train did";

const DIED_ELSEWHERE: &str = "nothing was heard of it for minutes from the machine that it ran on";
/// A record that another machine writes every second is not that old, clocks that differ a little included.
const SILENCE_MS: i64 = 5 * 60 * 1000;

/// The right to train an engine, as long as it lives.
#[derive(Debug)]
pub struct Turn {
    id: String,
    #[expect(dead_code, reason = "closing the file releases the lock")]
    file: File,
}

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
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
        let mut file = file.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut id = String::new();
        if file.read_to_string(&mut id).is_err() || id.len() != ID_CHARACTERS {
            id = new_id()?;
            let written = file.rewind().and_then(|()| file.set_len(0));
            written.and_then(|()| file.write_all(id.as_bytes())).map_err(failed)?;
        }
        Ok(Some(Self { id, file }))
    }

    /// What tells its lock from those of other machines.
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

/// Training runs of an engine, newest first. Those whose process died have failed.
pub fn runs(storage: &Storage, app: &str, variant: &str) -> Result<Vec<EngineInstance>> {
    let found = of(storage, app, variant)?;
    if found.iter().all(|run| run.status != InstanceStatus::Init) {
        return Ok(found);
    }
    let turn = Turn::try_take(&models::of(storage, app, variant))?;
    bury(storage, app, variant, turn.as_ref())?;
    of(storage, app, variant)
}

/// Marks runs as failed that are dead. `turn` proves that nobody trains on this machine.
pub(super) fn bury(storage: &Storage, app: &str, variant: &str, turn: Option<&Turn>) -> Result<()> {
    for mut run in of(storage, app, variant)?.into_iter().filter(|run| run.status == InstanceStatus::Init) {
        let Some(why) = why_dead(&run, turn) else { continue };
        run.status = InstanceStatus::Failed(why.to_owned());
        run.end_ms = clock::now_ms();
        storage.registry.put_instance(&run)?;
    }
    Ok(())
}

/// Why a run without an end is dead; `None`: it may live.
fn why_dead(run: &EngineInstance, turn: Option<&Turn>) -> Option<&'static str> {
    let report = json::parse(run.report.as_bytes()).unwrap_or_default();
    let lock = report.get(LOCKED).and_then(Json::as_str);
    // Those that name none are of versions that knew one machine.
    if turn.is_some_and(|turn| lock.is_none_or(|lock| lock == turn.id)) {
        return Some(why_ended(&report).unwrap_or(DIED));
    }
    let seen = report.get(SEEN).and_then(Json::as_str).and_then(EventTime::parse);
    let seen_ms = seen.map_or(run.start_ms, |seen| seen.millis);
    (seen_ms < clock::now_ms() - SILENCE_MS).then(|| why_ended(&report).unwrap_or(DIED_ELSEWHERE))
}

/// The report of a run that begins.
pub(super) fn first_report(turn: &Turn) -> String {
    Json::from(Object::new().with(LOCKED, turn.id())).to_string()
}

/// Why a run without an end has none, as far as it knew.
fn why_ended(report: &Json) -> Option<&'static str> {
    match (report.get(CANCELLING), report.get(STOPPING)) {
        (Some(_), _) => Some(CANCELLED),
        (None, Some(_)) => Some(SERVER_STOPPED),
        (None, None) => None,
    }
}

fn of(storage: &Storage, app: &str, variant: &str) -> Result<Vec<EngineInstance>> {
    let mut runs = storage.registry.instances()?;
    runs.retain(|run| run.app == app && run.variant == variant);
    Ok(runs)
}

/// Asks a train to end without a model, in whatever process of this machine it is; `false` if it runs on another.
pub fn ask_to_stop(directory: &ModelDirectory, run: &EngineInstance) -> Result<bool> {
    let report = json::parse(run.report.as_bytes()).unwrap_or_default();
    let lock = report.get(LOCKED).and_then(Json::as_str);
    let own = fs::read_to_string(directory.path().join(LOCK)).unwrap_or_default();
    if lock.is_some_and(|lock| lock != own) {
        return Ok(false);
    }
    let path = stop_path(directory);
    let written = fs::write(&path, &run.id).map(|()| true);
    written.map_err(|error| Failure::io(format_args!("cannot write {}", path.display()), &error))
}

/// Was `run` asked to end?
pub(super) fn is_asked_to_stop(path: &PathBuf, run: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|asked| asked == run)
}

pub(super) fn stop_path(directory: &ModelDirectory) -> PathBuf {
    directory.path().join(STOP)
}

#[cfg(test)]
mod tests {
    use stores::Models;

    use super::*;

    /// Machines with a registry in common, each with a folder of its own.
    fn machines(folder: &std::path::Path) -> [Storage; 2] {
        let storage = stores::open(folder).unwrap();
        ["a", "b"].map(|name| Storage { models: Models::at(folder.join(name)), ..storage.clone() })
    }

    fn begin(machine: &Storage, id: &str, report: &str, start_ms: i64) {
        let run = EngineInstance {
            id: id.to_owned(),
            status: InstanceStatus::Init,
            start_ms,
            end_ms: start_ms,
            app: "shop".to_owned(),
            variant: "default".to_owned(),
            engine_factory: String::new(),
            batch: String::new(),
            generation: None,
            config: "{}".to_owned(),
            report: report.to_owned(),
        };
        machine.registry.put_instance(&run).unwrap();
    }

    fn status(machine: &Storage, id: &str) -> InstanceStatus {
        let runs = runs(machine, "shop", "default").unwrap();
        runs.into_iter().find(|run| run.id == id).unwrap().status
    }

    fn failed(why: &str) -> InstanceStatus {
        InstanceStatus::Failed(why.to_owned())
    }

    #[test]
    fn a_run_on_another_machine_is_left_alone_while_it_is_heard() {
        let folder = tempfile::tempdir().unwrap();
        let [here, there] = machines(folder.path());
        let turn = Turn::take(&models::of(&here, "shop", "default")).unwrap().unwrap();
        begin(&here, "one", &first_report(&turn), clock::now_ms());
        assert_eq!(status(&there, "one"), InstanceStatus::Init, "its lock is free there, which says nothing");
        let other = Turn::take(&models::of(&there, "shop", "default")).unwrap().unwrap();
        assert_ne!(turn.id(), other.id());
        bury(&there, "shop", "default", Some(&other)).unwrap();
        assert_eq!(status(&here, "one"), InstanceStatus::Init, "it runs");
        let run = runs(&there, "shop", "default").unwrap().remove(0);
        assert!(!ask_to_stop(&models::of(&there, "shop", "default"), &run).unwrap());
        assert!(ask_to_stop(&models::of(&here, "shop", "default"), &run).unwrap());
        // Its process dies: this machine knows at once, by the lock.
        let id = turn.id().to_owned();
        drop(turn);
        assert_eq!(status(&there, "one"), InstanceStatus::Init);
        assert_eq!(status(&here, "one"), failed(DIED));
        assert_eq!(Turn::take(&models::of(&here, "shop", "default")).unwrap().unwrap().id(), id);
    }

    #[test]
    fn a_run_of_which_nothing_is_heard_is_dead() {
        let folder = tempfile::tempdir().unwrap();
        let [here, _] = machines(folder.path());
        let now_ms = clock::now_ms();
        let old = now_ms - SILENCE_MS - 1000;
        let seen =
            |ms, more: &str| format!("{{\"lock\":\"elsewhere\",\"seen\":\"{}\"{more}}}", EventTime::utc(ms));
        begin(&here, "fresh", &seen(now_ms - SILENCE_MS / 2, ""), old);
        begin(&here, "silent", &seen(old, ""), old);
        begin(&here, "cancelled", &seen(old, ",\"cancelling\":true"), old);
        begin(&here, "never seen", "{\"lock\":\"elsewhere\"}", old);
        begin(&here, "of a version before", "{}", now_ms);
        assert_eq!(status(&here, "fresh"), InstanceStatus::Init);
        assert_eq!(status(&here, "silent"), failed(DIED_ELSEWHERE));
        assert_eq!(status(&here, "cancelled"), failed(CANCELLED));
        assert_eq!(status(&here, "never seen"), failed(DIED_ELSEWHERE));
        assert_eq!(status(&here, "of a version before"), failed(DIED));
    }
}
