//! `arblast app channel-new` and `arblast app channel-delete`

use events::json::Object;
use events::{NewChannel, Scope};
use stores::Storage;

use crate::apps;
use crate::cli::console;
use crate::cli::context::{self, Context};
use crate::failure::Result;

#[derive(Debug, clap::Args)]
pub struct New {
    /// Name of the app
    name: String,
    /// Name of the channel: letters, digits and -, at most 16
    channel: String,
    /// Id of the channel, for events that are there already [default: the next one]
    #[arg(long, value_name = "N")]
    id: Option<u32>,
}

#[derive(Debug, clap::Args)]
pub struct Delete {
    /// Name of the app
    name: String,
    /// Name of the channel
    channel: String,
    /// Do not ask
    #[arg(long, short)]
    force: bool,
}

pub fn new(args: &New, context: &Context, storage: &Storage) -> Result<()> {
    let app = apps::find(storage, &args.name)?;
    let name = &args.channel;
    let new = NewChannel { id: args.id, ..NewChannel::named(app.id, name) };
    let channel = storage.registry.create_channel(&new)?;
    storage.events.init(Scope { app: app.id, channel: Some(channel.id) })?;
    let console = context.console;
    console.info("App$", format_args!("Initialized Event Store for the channel: {name}."));
    console.info("Pio$", "Created a new channel:");
    console.info("Pio$", format_args!("    App Name: {}", app.name));
    console.info("Pio$", format_args!("Channel Name: {name}"));
    console.info("Pio$", format_args!("  Channel ID: {}", channel.id));
    if console.json() {
        console.value(Object::new().with("app", app.name).with("name", channel.name).with("id", channel.id));
    }
    Ok(())
}

pub fn delete(args: &Delete, context: &Context, storage: &Storage) -> Result<()> {
    let app = apps::find(storage, &args.name)?;
    let scope = context::scope(storage, &app, Some(&args.channel))?;
    let console = context.console;
    if !args.force {
        console.info("Pio$", "The following channel will be deleted. Are you sure?");
        console.info("Pio$", format_args!("    App Name: {}", app.name));
        console.info("Pio$", format_args!("Channel Name: {}", args.channel));
        if !console::confirmed() {
            console.info("Pio$", "Aborted.");
            return Ok(());
        }
    }
    apps::remove(storage, &context.home()?, scope)?;
    console.info("App$", format_args!("Removed Event Store of the channel: {}.", args.channel));
    if let Some(id) = scope.channel {
        storage.registry.delete_channel(id)?;
    }
    console.info("App$", format_args!("Deleted channel {}.", args.channel));
    console.info("Pio$", "Done.");
    Ok(())
}
