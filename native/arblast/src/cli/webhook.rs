//! `arblast webhook …`

use std::path::{Path, PathBuf};

use clap::Subcommand;
use events::json::Object;
use events::{Event, EventTime, Json};

use super::context::Context;
use crate::clock;
use crate::failure::{Failure, Result};
use crate::webhooks::{Connectors, Form};

/// Try what webhooks make of a payload.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is stored. docs/webhooks.md describes the mapping file.

Examples:
  arblast webhook check webhooks.json
  arblast webhook check webhooks.json --name shop.json --payload order.json
  arblast webhook check --name segmentio.json --payload call.json")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a mapping file; with a payload, print the events that it becomes
    Check {
        /// The mapping file [default: only the built-in connectors]
        mapping: Option<PathBuf>,
        /// Connector, as its path ends: NAME.json or NAME.form
        #[arg(long, requires = "payload")]
        name: Option<String>,
        /// File with the body of a request
        #[arg(long, value_name = "FILE", requires = "name")]
        payload: Option<PathBuf>,
    },
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let Command::Check { mapping, name, payload } = &args.command;
    let connectors = match mapping {
        Some(path) => Connectors::with_mappings("the argument MAPPING", path)?,
        None => Connectors::builtin(),
    };
    match (name, payload) {
        (Some(name), Some(payload)) => convert(&connectors, name, payload, context),
        _ => {
            list(&connectors, context);
            Ok(())
        }
    }
}

/// Prints the paths of all connectors.
fn list(connectors: &Connectors, context: &Context) {
    let paths = connectors.iter().map(|one| format!("/webhooks/{}.{}", one.name(), one.form().ending()));
    if context.console.json() {
        context.console.value(Object::new().with("webhooks", paths.collect::<Vec<String>>()));
    } else {
        paths.for_each(|path| context.console.line(path));
    }
}

/// Prints the events of a payload, each as a line that `arblast import` takes; they are validated before the first is
/// printed.
fn convert(connectors: &Connectors, name: &str, payload: &Path, context: &Context) -> Result<()> {
    let (name, form) = name
        .rsplit_once('.')
        .and_then(|(name, ending)| Some((name, Form::of_ending(ending)?)))
        .ok_or_else(|| Failure::invalid(format!("--name must be NAME.json or NAME.form, got {name}")))?;
    let connector = connectors.get(name, form)?;
    let body = std::fs::read(payload).map_err(Failure::file("read", "--payload", payload))?;
    let now = EventTime::utc(clock::now_ms());
    let mut lines = Vec::new();
    for object in connector.events(&body)? {
        let event = Event::from_json(&Json::Object(object.clone()), now)
            .map_err(|error| Failure::invalid(format!("{error} The event is {object}")))?;
        let mut line = String::new();
        event.write_json(&mut line);
        lines.push(line);
    }
    lines.iter().for_each(|line| context.console.line(line));
    Ok(())
}
