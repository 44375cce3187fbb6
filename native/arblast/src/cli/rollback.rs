//! `arblast rollback`

use events::json::Object;
use stores::EngineName;

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
    let storage = context.storage()?;
    let models = models::of(&storage, &config.app_name, &config.variant);
    let generation = models.rollback(args.generation)?;
    if let Some(servers) = &storage.search {
        let engine = EngineName { app: &config.app_name, variant: &config.variant };
        servers.make_current(engine, &models.generation(generation)?.info.digest)?;
    }
    let console = context.console;
    console.info("Models$", format_args!("Generation {generation} of \"{}\" is in use.", config.variant));
    if console.json() {
        console.value(Object::new().with("generation", generation));
    }
    Ok(())
}
