//! `arblast accesskey …`

use clap::Subcommand;
use events::json::Object;
use events::{AccessKey, Json};
use stores::Storage;

use super::context::{self, Context};
use super::table::{allowed_events, key_row};
use crate::failure::{Failure, Result};
use crate::keys;

/// Create, list and delete access keys.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  arblast accesskey new myapp                 a key for every event
  arblast accesskey new myapp view purchase   a key for these events only
  arblast accesskey list myapp
  arblast accesskey delete KEY")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create an access key
    New {
        /// Name of the app
        app: String,
        /// Events that the key may write [default: all]
        events: Vec<String>,
        /// The key [default: a random one]
        #[arg(long)]
        key: Option<String>,
    },
    /// List access keys
    List {
        /// Only those of this app
        app: Option<String>,
    },
    /// Delete an access key
    Delete {
        /// The key
        key: String,
    },
}

pub fn run(args: Args, context: &Context) -> Result<()> {
    let storage = context.storage()?;
    match args.command {
        Command::New { app, events, key } => new(&app, events, key, context, &storage),
        Command::List { app } => list(app.as_deref(), context, &storage),
        Command::Delete { key } => delete(&key, context, &storage),
    }
}

fn new(
    app: &str,
    events: Vec<String>,
    key: Option<String>,
    context: &Context,
    storage: &Storage,
) -> Result<()> {
    let app = context::app(storage, app)?;
    let key = key.map_or_else(keys::generate, keys::checked)?;
    if storage.registry.access_key(&key)?.is_some() {
        return Err(Failure::invalid("Unable to create new access key: it exists already."));
    }
    let key = AccessKey { key, app: app.id, events };
    storage.registry.create_access_key(&key)?;
    context.console.info("AccessKey$", format_args!("Created new access key: {}", key.key));
    if context.console.json() {
        context.console.value(described(&key));
    }
    Ok(())
}

fn list(app: Option<&str>, context: &Context, storage: &Storage) -> Result<()> {
    let app = app.map(|name| context::app(storage, name)).transpose()?;
    let keys = storage.registry.access_keys(app.map(|app| app.id))?;
    let console = context.console;
    if console.json() {
        console.value(Json::Array(keys.iter().map(|key| described(key).into()).collect()));
        return Ok(());
    }
    console.info("Pio$", key_row("Access Key(s)", "App ID", "Allowed Event(s)"));
    for key in &keys {
        console.info("Pio$", key_row(&key.key, &key.app.to_string(), &allowed_events(key)));
    }
    console.info("Pio$", format_args!("Finished listing {} access key(s).", keys.len()));
    Ok(())
}

fn delete(key: &str, context: &Context, storage: &Storage) -> Result<()> {
    if !storage.registry.delete_access_key(key)? {
        return Err(Failure::not_found(format!(
            "Access key {key} does not exist. `arblast accesskey list` shows all."
        )));
    }
    context.console.info("AccessKey$", format_args!("Deleted access key {key}."));
    Ok(())
}

fn described(key: &AccessKey) -> Object {
    Object::new()
        .with("accessKey", key.key.as_str())
        .with("appId", key.app)
        .with("events", key.events.clone())
}
