//! `arblast build`

use super::Context;
use crate::failure::Result;

const LOGGER: &str = "Engine$";

/// Check engine.json (there is nothing to compile).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  arblast build
  arblast build --variant best.json")]
pub struct Args {
    #[arg(long, hide = true)]
    sbt_extra: Option<String>,
    #[arg(long, hide = true)]
    clean: bool,
    #[arg(long, hide = true)]
    no_asm: bool,
    #[arg(long, hide = true)]
    uber_jar: bool,
    #[arg(long, hide = true)]
    generate_pio_sbt: bool,
}

pub fn run(_: &Args, context: &Context) -> Result<()> {
    let engine = context.engine()?;
    context
        .console
        .info(LOGGER, format_args!("{} is valid; there is nothing to compile.", engine.path.display()));
    context.console.info(LOGGER, "Your engine is ready for training.");
    Ok(())
}
