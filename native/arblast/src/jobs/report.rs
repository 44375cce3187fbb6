//! The record of a training run, and the JSON that programs see of it.

use events::json::{self, Number, Object};
use events::{EngineInstance, EventTime, InstanceStatus, Json, Kind};

use crate::failure::{Failure, Result};

/// Why a cancelled train has failed.
pub(super) const CANCELLED: &str = "cancelled";
/// Why a train has failed whose server was stopped or replaced.
pub(super) const SERVER_STOPPED: &str = "its server was stopped before the train ended";

/// Member of a record without an end: the lock that its process holds.
pub(super) const LOCKED: &str = "lock";
/// When it was written.
pub(super) const SEEN: &str = "seen";
/// Members that say why it is about to end: whoever finds it without an end knows the reason.
pub(super) const CANCELLING: &str = "cancelling";
pub(super) const STOPPING: &str = "stopping";

/// An id that no other job has.
///
/// # Errors
/// The system gives no random bytes.
pub fn new_id() -> Result<String> {
    let bits = || {
        getrandom::u64().map_err(|error| Failure::new(Kind::Unavailable, format!("no random bytes: {error}")))
    };
    Ok(format!("{:016x}{:016x}", bits()?, bits()?))
}

/// A real number as JSON; what JSON cannot say becomes `null`.
pub(super) fn real(value: f64) -> Json {
    Number::real(value).map_or(Json::Null, Json::Number)
}

/// Did a training run end because somebody asked it to?
pub fn is_cancelled(run: &EngineInstance) -> bool {
    matches!(&run.status, InstanceStatus::Failed(reason) if reason == CANCELLED)
}

/// A training run as a job: where it stands, and what it reported so far.
pub fn job(run: &EngineInstance) -> Object {
    let time = |ms| EventTime::utc(ms).to_string();
    let (status, reason) = match &run.status {
        InstanceStatus::Init => ("executing", None),
        InstanceStatus::Completed => ("successful", None),
        InstanceStatus::Failed(_) if is_cancelled(run) => ("cancelled", None),
        InstanceStatus::Failed(reason) => ("failed", Some(reason.as_str())),
    };
    let mut job = Object::new()
        .with("jobId", run.id.as_str())
        .with("engineId", run.variant.as_str())
        .with("app", run.app.as_str())
        .with("status", status)
        .with("startTime", time(run.start_ms));
    if run.status != InstanceStatus::Init {
        job.push("endTime", time(run.end_ms));
    }
    if let Some(reason) = reason {
        job.push("reason", reason);
    }
    if let Some(generation) = run.generation {
        job.push("generation", generation);
    }
    if !run.batch.is_empty() {
        job.push("batch", run.batch.as_str());
    }
    if let Ok(Json::Object(mut report)) = json::parse(run.report.as_bytes()) {
        // Where it stands is of the job; what was seen and made is its report.
        for name in ["stage", "done", "total", "stages", "seen", "cancelling", "stopping"] {
            if let Some(value) = report.get(name).cloned() {
                job.push(name, value);
            }
        }
        report = report.into_iter().filter(|(name, _)| !job.contains(name) && name != LOCKED).collect();
        if !report.is_empty() {
            job.push("report", report);
        }
    }
    job
}
