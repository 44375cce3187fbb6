//! `arblast app …`

mod channel;
mod delete;
mod events;
mod import;
mod show;

use ::events::NewApp;
use ::events::json::Object;
use clap::Subcommand;
use stores::Storage;

use super::Context;
use crate::apps;
use crate::failure::Result;

/// Create, list and delete apps and channels.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  arblast app new myapp
  arblast app new myapp --access-key secret --description 'our shop'
  arblast app list --json
  arblast app data-delete myapp --all --force
  arblast app events myapp --declare purchase,view --unknown reject
  arblast app channel-new myapp mobile
  arblast app import http://localhost:9200")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create an app and an access key
    New(New),
    /// List all apps and their access keys
    List,
    /// Show one app
    Show {
        /// Name of the app
        name: String,
    },
    /// Delete an app: events, channels and access keys
    Delete(delete::Delete),
    /// Delete the events of an app
    DataDelete(delete::DataDelete),
    /// Declare the event names of an app
    Events(events::Args),
    /// Create a channel
    ChannelNew(channel::New),
    /// Create the apps, keys and channels that PredictionIO keeps in Elasticsearch
    Import(import::Import),
    /// Delete a channel and its events
    ChannelDelete(channel::Delete),
}

#[derive(Debug, clap::Args)]
struct New {
    /// Name of the app
    name: String,
    /// Id of the app [default: the next free one]
    #[arg(long)]
    id: Option<u32>,
    /// Free text
    #[arg(long)]
    description: Option<String>,
    /// Access key to create [default: a random one]
    #[arg(long, value_name = "KEY")]
    access_key: Option<String>,
}

pub fn run(args: Args, context: &Context) -> Result<()> {
    let storage = context.storage()?;
    match args.command {
        Command::New(args) => new(args, context, &storage),
        Command::List => show::list(context, &storage),
        Command::Show { name } => show::show(&name, context, &storage),
        Command::Delete(args) => delete::app(&args, context, &storage),
        Command::DataDelete(args) => delete::data(&args, context, &storage),
        Command::Events(args) => events::run(args, context, &storage),
        Command::ChannelNew(args) => channel::new(&args, context, &storage),
        Command::Import(args) => import::import(args, context, &storage),
        Command::ChannelDelete(args) => channel::delete(&args, context, &storage),
    }
}

fn new(args: New, context: &Context, storage: &Storage) -> Result<()> {
    let app = NewApp { id: args.id, name: args.name, description: args.description };
    let (app, key) = apps::create(storage, &app, args.access_key)?;
    let console = context.console;
    console.info("App$", format_args!("Initialized Event Store for this app ID: {}.", app.id));
    console.info("Pio$", "Created a new app:");
    console.info("Pio$", format_args!("      Name: {}", app.name));
    console.info("Pio$", format_args!("        ID: {}", app.id));
    console.info("Pio$", format_args!("Access Key: {key}"));
    if console.json() {
        console.value(Object::new().with("name", app.name).with("id", app.id).with("accessKey", key));
    }
    Ok(())
}
