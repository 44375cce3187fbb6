//! `arblast flight`: the commands of `arblast-flight`.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;

use super::Context;
use crate::failure::{Failure, Result};
use crate::flight;

/// SQL over events, models and recommendations, and training on a cluster: arblast-flight.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// `serve`, `train`, `scheduler` or `executor`, with their options; `--help` shows them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    words: Vec<OsString>,
}

/// Becomes `arblast-flight`, so signals and the exit code are its own.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    become_flight(&args.words, context)
}

/// The same with these arguments.
pub(super) fn become_flight(
    words: impl IntoIterator<Item = impl AsRef<OsStr>>,
    context: &Context,
) -> Result<()> {
    let mut command = flight::program().map_err(|failure| failure.of("flight"))?;
    command.args(context.global_args()).args(words);
    if let passed @ [_, ..] = context.passed().all.as_slice() {
        command.arg("--").args(passed);
    }
    let error = command.exec();
    Err(Failure::io("cannot start arblast-flight", &error))
}
