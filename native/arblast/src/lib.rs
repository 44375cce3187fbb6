//! `arblast`, also as `pio`: events in, recommendations out.
//!
//! A library so that `arblast-flight` shares what every program of the product knows: where the home is, settings, keys,
//! engines that answer, trains and their records.

mod apps;
pub mod cli;
pub mod clock;
pub mod deployable;
pub mod failure;
mod flight;
mod harness;
pub mod home;
pub mod http;
pub mod identity;
mod import;
pub mod jobs;
mod keys;
pub mod live;
pub mod models;
pub mod observe;
mod sample;
pub mod searching;
pub mod serving;
pub mod settings;
pub mod storage;
mod takeover;
mod webhooks;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

/// A limit of the size of files (`ulimit -f`, `LimitFSIZE=`) makes writes fail as a full disk does, and does not end the
/// process. The handler stays when the runtime has gone.
pub fn outlive_size_limit() {
    const SIGXFSZ: i32 = 25;
    if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() {
        let _entered = runtime.enter();
        let _ = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(SIGXFSZ));
    }
}

/// The program `arblast`: reads the command line of the process and runs one command.
pub fn main() -> ExitCode {
    outlive_size_limit();
    let argv = cli::argv::split(std::env::args());
    let parsed = match cli::Cli::try_parse_from(&argv.own) {
        Ok(parsed) => parsed,
        Err(error) => {
            let help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let _ = error.print();
            // PredictionIO's tools end with 1 on any wrong argument.
            return if help { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    match cli::run(parsed, &argv.passed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            observe::log::last_words(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}
