//! `arblast app list` and `arblast app show`

use ::events::json::Object;
use ::events::{AccessKey, App, Channel, Json};
use stores::Storage;

use super::events;
use crate::apps;
use crate::cli::context::Context;
use crate::cli::table::{allowed_events, app_row, channel_row};
use crate::failure::Result;

pub fn list(context: &Context, storage: &Storage) -> Result<()> {
    let console = context.console;
    let apps = storage.registry.apps()?;
    if console.json() {
        let apps = apps.iter().map(|app| described(app, storage).map(Json::from));
        console.value(Json::Array(apps.collect::<Result<_>>()?));
        return Ok(());
    }
    console.info("Pio$", app_row("Name", "ID", "Access Key", "Allowed Event(s)"));
    for app in &apps {
        for key in storage.registry.access_keys(Some(app.id))? {
            console.info("Pio$", app_row(&app.name, &app.id.to_string(), &key.key, &allowed_events(&key)));
        }
    }
    console.info("Pio$", format_args!("Finished listing {} app(s).", apps.len()));
    Ok(())
}

pub fn show(name: &str, context: &Context, storage: &Storage) -> Result<()> {
    let app = apps::find(storage, name)?;
    if context.console.json() {
        context.console.value(described(&app, storage)?);
        return Ok(());
    }
    print(&app, context, storage)
}

/// Prints the block of `app show`, which deletions print, too.
pub(super) fn print(app: &App, context: &Context, storage: &Storage) -> Result<()> {
    let console = context.console;
    console.info("Pio$", format_args!("    App Name: {}", app.name));
    console.info("Pio$", format_args!("      App ID: {}", app.id));
    console.info("Pio$", format_args!(" Description: {}", app.description.as_deref().unwrap_or_default()));
    for (index, key) in storage.registry.access_keys(Some(app.id))?.iter().enumerate() {
        let label = if index == 0 { "  Access Key: " } else { "              " };
        console.info("Pio$", format_args!("{label}{} | {}", key.key, allowed_events(key)));
    }
    if let Some(declared) = events::line(app) {
        console.info("Pio$", format_args!("    Declared: {declared}"));
    }
    let channels = storage.registry.channels(app.id)?;
    if !channels.is_empty() {
        console.info("Pio$", format_args!("    Channels: {} ", channel_row("Channel Name", "Channel ID")));
    }
    for channel in channels {
        console.info(
            "Pio$",
            format_args!("              {} ", channel_row(&channel.name, &channel.id.to_string())),
        );
    }
    Ok(())
}

fn described(app: &App, storage: &Storage) -> Result<Object> {
    let keys = storage.registry.access_keys(Some(app.id))?;
    let channels = storage.registry.channels(app.id)?;
    let object = Object::new()
        .with("name", app.name.as_str())
        .with("id", app.id)
        .with("description", app.description.as_deref().map_or(Json::Null, Json::from))
        .with("accessKeys", Json::Array(keys.iter().map(key).collect()))
        .with("channels", Json::Array(channels.iter().map(channel).collect()));
    Ok(events::described(app, object))
}

fn key(key: &AccessKey) -> Json {
    Object::new().with("key", key.key.as_str()).with("events", key.events.clone()).into()
}

fn channel(channel: &Channel) -> Json {
    Object::new().with("name", channel.name.as_str()).with("id", channel.id).into()
}
