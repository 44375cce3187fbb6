//! Which model directory belongs to an engine, and what its generations are in JSON.

use events::EventTime;
use events::json::Object;
use stores::{Listed, ModelDirectory, Status, Storage};

/// The models of an app and a variant, wherever the engine file is.
pub fn of(storage: &Storage, app: &str, variant: &str) -> ModelDirectory {
    storage.models.of(app, variant)
}

/// A generation as JSON, for programs.
pub fn described(listed: &Listed) -> Object {
    let (status, why) = match &listed.status {
        Status::Ready => ("ready", None),
        Status::Version(why) => ("version", Some(why)),
        Status::Corrupt(why) => ("corrupt", Some(why)),
    };
    let mut object = Object::new()
        .with("generation", listed.generation)
        .with("current", listed.current)
        .with("status", status);
    if let Some(why) = why {
        object.insert("message", why.as_str());
    }
    if let Some(info) = &listed.info {
        object.insert("digest", info.digest.as_str());
        object.insert("items", info.items);
        object.insert("users", info.users);
        object.insert("correlators", info.correlators);
        object.insert("bytes", info.bytes);
        object.insert("build", info.trained.build.as_str());
        object.insert("engineInstanceId", info.trained.engine_instance.as_str());
        object.insert("started", EventTime::utc(info.trained.started_ms).to_string());
        object.insert("published", EventTime::utc(info.trained.published_ms).to_string());
    }
    object
}
