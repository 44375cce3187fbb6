//! The training runs of an engine as JSON.

use events::json::{self, Object};
use events::{EngineInstance, EventTime, InstanceStatus, Json};

use crate::failure::Failure;
use crate::jobs::is_cancelled;

/// Newest runs that are listed.
const RUNS_MAX: usize = 20;

/// The newest runs, and how many there are in all.
pub(super) fn described(runs: &[EngineInstance]) -> Object {
    let newest = runs.iter().take(RUNS_MAX).map(run).collect::<Vec<_>>();
    Object::new().with("runsTotal", runs.len()).with("runs", newest)
}

/// Without an engine.
pub(super) fn none() -> Object {
    described(&[])
}

/// In place of the runs: why they cannot be read.
pub(super) fn unread(failure: &Failure) -> Object {
    none().with("error", format!("the training runs cannot be read: {failure}"))
}

fn run(run: &EngineInstance) -> Object {
    let (status, reason) = match &run.status {
        InstanceStatus::Init => ("running", Json::Null),
        InstanceStatus::Completed => ("completed", Json::Null),
        InstanceStatus::Failed(_) if is_cancelled(run) => ("cancelled", Json::Null),
        InstanceStatus::Failed(reason) => ("failed", reason.as_str().into()),
    };
    let ended = (run.status != InstanceStatus::Init).then_some(run.end_ms);
    // A record of another version may hold anything.
    let report = json::parse(run.report.as_bytes()).ok();
    let report = report.filter(|report| report.as_object().is_some_and(|report| !report.is_empty()));
    Object::new()
        .with("engineInstanceId", run.id.as_str())
        .with("status", status)
        .with("reason", reason)
        .with("batch", run.batch.as_str())
        .with("started", EventTime::utc(run.start_ms).to_string())
        .with("ended", ended.map_or(Json::Null, |ms| EventTime::utc(ms).to_string().into()))
        .with("durationMs", ended.map_or(Json::Null, |ms| ms.saturating_sub(run.start_ms).into()))
        .with("generation", run.generation.map_or(Json::Null, Json::from))
        .with("report", report.unwrap_or_default())
}
