//! `arblast app events`

use clap::ValueEnum;
use events::json::Object;
use events::{App, DeclaredEvents, Json, OnUnknown};
use stores::Storage;

use crate::apps;
use crate::cli::context::Context;
use crate::failure::{Failure, Result};

/// Declare which event names an app is meant to have, so that misspelt ones are noticed. Servers take it up within a second,
/// imports when they start. Without options: show what is declared.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the app
    name: String,
    /// The event names, comma-separated; $set, $unset and $delete need not be declared
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "any")]
    declare: Vec<String>,
    /// What becomes of other events; alone, it keeps the names that are declared [default: warn]
    #[arg(long, conflicts_with = "any")]
    unknown: Option<Unknown>,
    /// Declare nothing: all names are good
    #[arg(long)]
    any: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Unknown {
    /// They are stored, with a warning in the log of the server or of the import
    Warn,
    /// They are refused
    Reject,
}

pub fn run(args: Args, context: &Context, storage: &Storage) -> Result<()> {
    let app = apps::find(storage, &args.name)?;
    if args.declare.is_empty() && args.unknown.is_none() && !args.any {
        show(&app, context);
        return Ok(());
    }
    let declared = if args.any { None } else { Some(declared(&app, args.declare, args.unknown)?) };
    storage.registry.declare_events(app.id, declared.as_ref())?;
    show(&App { declared, ..app }, context);
    Ok(())
}

fn declared(app: &App, names: Vec<String>, unknown: Option<Unknown>) -> Result<DeclaredEvents> {
    let unknown = match unknown {
        Some(Unknown::Reject) => OnUnknown::Reject,
        Some(Unknown::Warn) | None => OnUnknown::Warn,
    };
    let names = match &app.declared {
        Some(declared) if names.is_empty() => declared.names().to_vec(),
        None if names.is_empty() => {
            return Err(Failure::invalid(format!(
                "app {} declares no events yet: give --declare NAMES with --unknown",
                app.name
            )));
        }
        _ => names,
    };
    Ok(DeclaredEvents::new(names, unknown)?)
}

fn show(app: &App, context: &Context) {
    let console = context.console;
    if console.json() {
        console.value(described(app, Object::new().with("name", app.name.as_str())));
    } else {
        let line = line(app).unwrap_or_else(|| "(any)".to_owned());
        console.info("Pio$", format_args!("Declared Events: {line}"));
    }
}

/// `buy,view | unknown: warn`; `None` if the app declares nothing.
pub(super) fn line(app: &App) -> Option<String> {
    let declared = app.declared.as_ref()?;
    Some(format!("{} | unknown: {}", declared.names().join(","), name(declared.unknown())))
}

/// With the members `declared` and `unknown`.
pub(super) fn described(app: &App, object: Object) -> Object {
    let declared = app.declared.as_ref();
    object
        .with("declared", declared.map_or(Json::Null, |declared| declared.names().to_vec().into()))
        .with("unknown", declared.map_or(Json::Null, |declared| name(declared.unknown()).into()))
}

fn name(unknown: OnUnknown) -> &'static str {
    match unknown {
        OnUnknown::Warn => "warn",
        OnUnknown::Reject => "reject",
    }
}
