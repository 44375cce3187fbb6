//! Engines in JSON.

use events::Json;
use events::json::Object;
use stores::Storage;

use super::Engine;
use crate::failure::Result;
use crate::{jobs, models};

/// Id, app, where it stands.
pub(super) fn in_short(engine: &Engine, storage: &Storage) -> Result<Object> {
    let config = engine.config();
    let source = if engine.is_deployed { "deployed" } else { "kept" };
    let generation = match engine.is.opened() {
        Some(serving) => Some(serving.current().number),
        None => models::of(storage, &config.app_name, &config.variant).current()?,
    };
    let runs = engine.is.runs(storage)?;
    let is_training = runs.iter().any(|run| run.status == events::InstanceStatus::Init);
    let status = match (is_training, generation) {
        (true, _) => "training",
        (false, Some(_)) => "ready",
        (false, None) => "untrained",
    };
    Ok(Object::new()
        .with("engineId", config.variant.as_str())
        .with("engineFactory", config.engine_factory.as_str())
        .with("app", config.app_name.as_str())
        .with("source", source)
        .with("status", status)
        .with("generation", generation.map_or(Json::Null, Json::from)))
}

/// The same with the model that answers, the last train and the engine file, without its secrets.
pub(super) fn in_full(engine: &Engine, storage: &Storage) -> Result<Object> {
    let mut described = in_short(engine, storage)?;
    if let Ok(serving) = engine.is.serving(storage) {
        let generation = serving.current();
        let counts = generation.model.counts();
        let model = Object::new()
            .with("generation", generation.number)
            .with("digest", generation.info.digest.as_str())
            .with("items", counts.items)
            .with("users", counts.users)
            .with("correlators", counts.correlators);
        described.push("model", model);
    }
    if let Some(run) = engine.is.runs(storage)?.first() {
        described.push("lastJob", jobs::job(run));
    }
    let text = engine::redacted(engine.is.text.as_bytes()).map_err(engine::Error::from)?;
    described.push("config", events::json::parse(text.as_bytes()).unwrap_or_default());
    Ok(described)
}
