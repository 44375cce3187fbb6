//! Training runs as JSON, for records and for programs.

use events::json::{self, Number, Object};
use events::{EngineInstance, EventTime, InstanceStatus, Json};

use super::train::CANCELLED;
use super::turn::LOCKED;

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
