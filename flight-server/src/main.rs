//! `arblast-flight`, reached as `arblast flight`: SQL and Arrow Flight over events, models and recommendations, and
//! training on a cluster.

mod cluster;
mod counting;
mod engines;
mod errors;
mod export;
mod lines;
mod query;
mod serve;
mod sql;

use std::process::ExitCode;

use arblast::cli::argv::{self, Passed};
use arblast::cli::{Context, Global};
use arblast::failure::Result;
use arblast::observe::log::{self, Log};
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

/// SQL and Arrow Flight over events, models and recommendations; training on a cluster.
#[derive(Debug, Parser)]
#[command(name = "arblast flight", version = arblast::identity::VERSION, max_term_width = 110, subcommand_required = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer SQL and Arrow Flight clients
    Serve(serve::Args),
    /// Answer one statement here, without a server
    Query(query::Args),
    /// Write events as Parquet: `arblast export --format parquet`
    Export(export::Args),
    /// Print the events of a Parquet file as JSON lines
    #[command(hide = true)]
    Lines(lines::Args),
    /// Run the scheduler of a cluster
    Scheduler(cluster::scheduler::Args),
    /// Work for a cluster
    Executor(cluster::executor::Args),
    /// Train on a cluster
    Train(cluster::train::Args),
}

fn main() -> ExitCode {
    arblast::outlive_size_limit();
    let argv = argv::split(std::env::args());
    let parsed = match Cli::try_parse_from(&argv.own) {
        Ok(parsed) => parsed,
        Err(error) => {
            let help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let _ = error.print();
            return if help { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    match run(parsed, &argv.passed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::last_words(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: Cli, passed: &[String]) -> Result<()> {
    let context = Context::new(cli.global, Passed::parse(passed), false);
    let is_server = matches!(cli.command, Command::Serve(_) | Command::Scheduler(_) | Command::Executor(_));
    let _log = (!is_server).then(Log::of_command);
    match cli.command {
        Command::Serve(args) => serve::run(&args, &context),
        Command::Query(args) => query::run(&args, &context),
        Command::Export(args) => export::run(&args, &context),
        Command::Lines(args) => lines::run(&args),
        Command::Scheduler(args) => cluster::scheduler::run(&args, &context),
        Command::Executor(args) => cluster::executor::run(&args, &context),
        Command::Train(args) => cluster::train::run(&args, &context),
    }
}
