//! `arblast sample`

use std::path::PathBuf;

use events::json::Object;

use super::Context;
use super::progress::grouped;
use crate::clock;
use crate::failure::{Failure, Result};
use crate::sample;

/// Write a small sample shop: events and an engine.json.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  arblast sample shop && cd shop")]
pub struct Args {
    /// Directory to write to; it is made if it does not exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let directory = args.directory.display();
    if args.directory.join("engine.json").exists() {
        return Err(Failure::invalid(format!(
            "{directory} has an engine.json already; give another directory"
        )));
    }
    let shop = sample::write(&args.directory, clock::now_ms())
        .map_err(|error| Failure::io(format_args!("cannot write {directory}"), &error))?;
    let console = context.console;
    if console.json() {
        console
            .value(Object::new().with("directory", directory.to_string()).with("events", shop.events as u64));
        return Ok(());
    }
    let (events, users) = (grouped(shop.events as u64), grouped(shop.users as u64));
    console.line(format_args!(
        "{directory}: a shop with {} products, {users} users and {events} events. Next:",
        shop.items
    ));
    console.line("");
    console.line(format_args!("  cd {directory} && arblast app new shop"));
    console.line("  arblast import --app shop --input events.jsonl && arblast train");
    console.line("  arblast query '{\"user\": \"maya\"}'");
    Ok(())
}
