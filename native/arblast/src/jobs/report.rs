//! The report of a train as JSON, for records and for programs.

use engine::{IndicatorReport, TrainReport};
use events::Json;
use events::json::Object;

/// All of the report.
pub fn described(report: &TrainReport) -> Object {
    let rankings: Object =
        report.rankings.iter().map(|(name, items)| (name.clone(), Json::from(*items))).collect();
    Object::new()
        .with("events", report.events)
        .with("users", report.users)
        .with("items", report.items)
        .with("indicators", Json::Array(report.indicators.iter().map(indicator).collect()))
        .with("rankings", rankings)
        .with("memoryBytes", report.memory_bytes)
        .with("warnings", report.warnings.clone())
}

fn indicator(report: &IndicatorReport) -> Json {
    Object::new()
        .with("name", report.name.as_str())
        .with("events", report.events)
        .with("users", report.users)
        .with("things", report.things)
        .with("cells", report.cells)
        .with("sampled", report.sampled)
        .with("correlators", report.correlators)
        .into()
}
