//! `arblast app events`

use clap::ValueEnum;
use events::json::Object;
use events::{App, DeclaredEvents, Json, OnUnknown};
use stores::Storage;

use crate::apps;
use crate::cli::context::Context;
use crate::failure::Result;

/// Declare which event names an app is meant to have, so that misspelt ones are noticed. Servers take it up within a second;
/// imports do not look at it. Without options: show what is declared.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the app
    name: String,
    /// The event names, comma-separated; $set, $unset and $delete need not be declared
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "any")]
    declare: Vec<String>,
    /// What becomes of other events
    #[arg(long, requires = "declare", default_value = "warn")]
    unknown: Unknown,
    /// Declare nothing: all names are good
    #[arg(long)]
    any: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Unknown {
    /// They are stored, with a warning in the log of the server
    Warn,
    /// They are refused
    Reject,
}

pub fn run(args: Args, context: &Context, storage: &Storage) -> Result<()> {
    let app = apps::find(storage, &args.name)?;
    if args.declare.is_empty() && !args.any {
        show(&app, context);
        return Ok(());
    }
    let unknown = match args.unknown {
        Unknown::Warn => OnUnknown::Warn,
        Unknown::Reject => OnUnknown::Reject,
    };
    let declared = if args.any { None } else { Some(DeclaredEvents::new(args.declare, unknown)?) };
    storage.registry.declare_events(app.id, declared.as_ref())?;
    show(&App { declared, ..app }, context);
    Ok(())
}

fn show(app: &App, context: &Context) {
    let console = context.console;
    let unknown = |declared: &DeclaredEvents| match declared.unknown() {
        OnUnknown::Warn => "warn",
        OnUnknown::Reject => "reject",
    };
    if console.json() {
        let declared = app.declared.as_ref();
        console.value(
            Object::new()
                .with("name", app.name.as_str())
                .with("declared", declared.map_or(Json::Null, |declared| declared.names().to_vec().into()))
                .with("unknown", declared.map_or(Json::Null, |declared| unknown(declared).into())),
        );
    } else if let Some(declared) = &app.declared {
        let names = declared.names().join(",");
        console.info("Pio$", format_args!("Declared Events: {names} | unknown: {}", unknown(declared)));
    } else {
        console.info("Pio$", "Declared Events: (any)");
    }
}
