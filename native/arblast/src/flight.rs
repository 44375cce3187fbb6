//! What needs Arrow and DataFusion is a program of its own beside this one: `arblast-flight`.

use std::path::PathBuf;
use std::process::Command;

use crate::failure::{Failure, Result};

const PROGRAM: &str = "arblast-flight";

/// The program, ready to get its arguments.
///
/// # Errors
/// It does not stand in the directory of this one (links resolved: `pio` may be a link from elsewhere).
pub fn program() -> Result<Command> {
    let own = std::env::current_exe().and_then(|path| path.canonicalize());
    let own = own.map_err(|error| Failure::io("cannot tell where this program is", &error))?;
    let path: PathBuf = own.with_file_name(PROGRAM);
    if path.exists() {
        return Ok(Command::new(path));
    }
    Err(Failure::not_found(format!(
        "there is no {}; {PROGRAM} must stand in the same directory as this program: take it from the release archive, or \
         `cargo build --release --package {PROGRAM}`",
        path.display()
    )))
}
