//! `arblast rollback`

use events::json::Object;

use super::Context;
use crate::failure::Result;
use crate::models;

/// Serve an earlier generation of the engine's model again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Servers switch within a second. The next train publishes a new generation as always.

Examples:
  arblast rollback          the generation before the one in use
  arblast rollback 12")]
pub struct Args {
    /// Generation to serve [default: the one before the one in use]
    generation: Option<u64>,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let config = context.engine()?.config;
    let models = models::of(&context.storage()?, &config.app_name, &config.variant);
    let generation = models.rollback(args.generation)?;
    let console = context.console;
    console.info("Models$", format_args!("Generation {generation} of \"{}\" is in use.", config.variant));
    if console.json() {
        console.value(Object::new().with("generation", generation));
    }
    Ok(())
}
