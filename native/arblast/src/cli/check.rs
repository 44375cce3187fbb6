//! `arblast check`

use std::path::PathBuf;

use engine::Warning;
use events::Json;
use events::json::Object;

use super::context::{self, Context};
use crate::failure::{Failure, Result};

/// Check any engine file and list every finding.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads both forms, PredictionIO's and Harness'. Exit status 1 if there is an error; warnings alone are 0.

Examples:
  arblast check engine.json
  arblast check --json old/engine.json")]
pub struct Args {
    /// The engine file [default: the engine's]
    file: Option<PathBuf>,
}

pub fn run(args: Args, context: &Context) -> Result<()> {
    let given = args.file.map(|path| ("the argument FILE", path));
    let (by, path) = given.unwrap_or_else(|| (context::VARIANT, context.engine_path()));
    let (errors, warnings, name) = match context::check_engine(by, &path)? {
        Ok((config, warnings)) => (Vec::new(), warnings, Some(config.variant)),
        Err(error) => (error.problems, Vec::new(), None),
    };
    let console = context.console;
    if console.json() {
        let list =
            |found: &[Warning]| Json::Array(found.iter().map(|finding| described(finding).into()).collect());
        console.value(Object::new().with("errors", list(&errors)).with("warnings", list(&warnings)));
    } else {
        for (level, findings) in [("error", &errors), ("warning", &warnings)] {
            for finding in findings {
                console.line(format_args!("{level}: {finding}"));
            }
        }
    }
    match name {
        Some(name) => {
            let verdict = format!("{} is a valid engine file (\"{name}\").", path.display());
            console.info("Engine$", verdict);
            Ok(())
        }
        None => Err(Failure::invalid(format!(
            "{}: {} errors; correct what is listed above",
            path.display(),
            errors.len()
        ))),
    }
}

fn described(finding: &Warning) -> Object {
    Object::new().with("path", finding.path.as_str()).with("message", finding.message.as_str())
}
