//! `arblast app delete` and `arblast app data-delete`

use stores::Storage;

use super::show;
use crate::apps;
use crate::cli::console;
use crate::cli::context::{self, Context};
use crate::failure::Result;

#[derive(Debug, clap::Args)]
pub struct Delete {
    /// Name of the app
    name: String,
    /// Do not ask
    #[arg(long, short)]
    force: bool,
}

#[derive(Debug, clap::Args)]
pub struct DataDelete {
    /// Name of the app
    name: String,
    /// Only the events of this channel [default: of the default channel]
    #[arg(long)]
    channel: Option<String>,
    /// The events of all channels
    #[arg(long, conflicts_with = "channel")]
    all: bool,
    /// Do not ask
    #[arg(long, short)]
    force: bool,
}

pub fn app(args: &Delete, context: &Context, storage: &Storage) -> Result<()> {
    let app = apps::find(storage, &args.name)?;
    let console = context.console;
    if !args.force {
        console.info("Pio$", "The following app (including all channels) will be deleted. Are you sure?");
        show::print(&app, context, storage)?;
        if !console::confirmed() {
            console.info("Pio$", "Aborted.");
            return Ok(());
        }
    }
    apps::delete(storage, &context.home()?, &app)?;
    console.info("App$", format_args!("Removed Event Store for the app ID: {}", app.id));
    console.info("App$", format_args!("Deleted app {}", app.name));
    console.info("Pio$", "Done.");
    Ok(())
}

pub fn data(args: &DataDelete, context: &Context, storage: &Storage) -> Result<()> {
    let app = apps::find(storage, &args.name)?;
    let console = context.console;
    let scopes = if args.all {
        apps::scopes(storage, &app)?
    } else {
        let label =
            args.channel.as_ref().map_or("default channel".to_owned(), |name| format!("channel {name}"));
        vec![(context::scope(storage, &app, args.channel.as_deref())?, label)]
    };
    if !args.force {
        let labels: Vec<&str> = scopes.iter().map(|(_, label)| label.as_str()).collect();
        console.info(
            "Pio$",
            format_args!("Data of the following ({}) will be deleted. Are you sure?", labels.join(", ")),
        );
        show::print(&app, context, storage)?;
        if !console::confirmed() {
            console.info("Pio$", "Aborted.");
            return Ok(());
        }
    }
    for (scope, label) in scopes {
        apps::empty(storage, &context.home()?, scope)?;
        console.info("App$", format_args!("Removed Event Store for the app ID: {} ({label})", app.id));
        console.info("App$", format_args!("Initialized Event Store for the app ID: {} ({label}).", app.id));
    }
    console.info("Pio$", "Done.");
    Ok(())
}
