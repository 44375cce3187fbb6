//! `arblast`, also as `pio`: events in, recommendations out.

mod apps;
mod cli;
mod clock;
mod failure;
mod home;
mod http;
mod identity;
mod import;
mod jobs;
mod keys;
mod live;
mod models;
mod observe;
mod sample;
mod serving;
mod settings;
mod webhooks;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

fn main() -> ExitCode {
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
