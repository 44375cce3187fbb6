//! Commands of PredictionIO that Arblast does not need: each is refused by name, with what to use instead.

use clap::Subcommand;

use crate::failure::Failure;

/// A command of PredictionIO, with any options.
#[derive(Debug, Subcommand)]
pub enum Command {
    #[command(hide = true, disable_help_flag = true)]
    Run(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Template(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Unregister(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Upgrade(Rest),
}

/// Whatever follows.
#[derive(Debug, clap::Args)]
pub struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _words: Vec<String>,
}

/// Why, and what to use instead.
pub fn refuse(command: &Command) -> Failure {
    Failure::invalid(match command {
        Command::Run(_) => {
            "run: there is no Spark driver to run programs in; use `arblast train`, or `arblast itemsimilarity` for plain files"
        }
        Command::Template(_) => {
            "template: No longer supported. An engine is one engine.json; `arblast sample DIR` writes one to start from"
        }
        Command::Unregister(_) => {
            "unregister: engines are not registered; models belong to an app and a variant, see `arblast models`"
        }
        Command::Upgrade(_) => {
            "upgrade: No longer supported. Install the new program; `arblast export` and `arblast import` move events between stores"
        }
    })
}
