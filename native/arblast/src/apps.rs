//! What is done to apps, whoever asks: commands and the admin server. An app is its record, its access keys, its channels,
//! and the events of each.

use std::path::Path;

use events::{AccessKey, App, NewApp, Scope};
use stores::Storage;

use crate::failure::{Failure, Result};
use crate::import::progress;
use crate::keys;

/// Creates an app with a place for its events and a key, which may write and read everything; `None` = a random one.
///
/// # Errors
/// The name, the id or the key is taken or cannot be; whatever the stores report.
pub fn create(storage: &Storage, app: &NewApp, key: Option<String>) -> Result<(App, String)> {
    check_free(storage, app)?;
    let key = key.map_or_else(keys::generate, keys::checked)?;
    if storage.registry.access_key(&key)?.is_some() {
        return Err(Failure::invalid(format!("Access key {key} already exists. Aborting.")));
    }
    let app = storage.registry.create_app(app)?;
    storage.events.init(Scope { app: app.id, channel: None })?;
    storage.registry.create_access_key(&AccessKey::new(key.clone(), app.id))?;
    Ok((app, key))
}

/// Nobody has the name or the id.
///
/// # Errors
/// Somebody has; whatever the registry reports.
pub fn check_free(storage: &Storage, wanted: &NewApp) -> Result<()> {
    if wanted.name.is_empty() {
        return Err(Failure::invalid("the name of an app must not be empty"));
    }
    let apps = storage.registry.apps()?;
    if apps.iter().any(|app| app.name == wanted.name) {
        return Err(Failure::invalid(format!("App {} already exists. Aborting.", wanted.name)));
    }
    if let Some(taken) = apps.iter().find(|app| Some(app.id) == wanted.id) {
        return Err(Failure::invalid(format!(
            "App ID {} already exists and maps to the app '{}'. Aborting.",
            taken.id, taken.name
        )));
    }
    Ok(())
}

/// The app of this name.
///
/// # Errors
/// There is none; whatever the registry reports.
pub fn find(storage: &Storage, name: &str) -> Result<App> {
    let missing = || Failure::not_found(format!("App {name} does not exist. Aborting."));
    storage.registry.app_by_name(name)?.ok_or_else(missing)
}

/// The default channel and the others, each with its name for people.
pub fn scopes(storage: &Storage, app: &App) -> Result<Vec<(Scope, String)>> {
    let mut scopes = vec![(Scope { app: app.id, channel: None }, "default channel".to_owned())];
    for channel in storage.registry.channels(app.id)? {
        scopes.push((Scope { app: app.id, channel: Some(channel.id) }, format!("channel {}", channel.name)));
    }
    Ok(scopes)
}

/// Deletes an app with its events of all channels, its channels and its keys.
pub fn delete(storage: &Storage, home: &Path, app: &App) -> Result<()> {
    for (scope, _) in scopes(storage, app)? {
        remove(storage, home, scope)?;
    }
    storage.registry.delete_app(app.id)?;
    Ok(())
}

/// Removes the events of a scope, and first what imports remember of it.
pub fn remove(storage: &Storage, home: &Path, scope: Scope) -> Result<()> {
    progress::forget(home, scope)
        .map_err(|error| Failure::io("cannot remove the progress of imports", &error))?;
    Ok(storage.events.remove(scope)?)
}

/// Removes the events of a scope, which takes new ones at once.
pub fn empty(storage: &Storage, home: &Path, scope: Scope) -> Result<()> {
    remove(storage, home, scope)?;
    Ok(storage.events.init(scope)?)
}
