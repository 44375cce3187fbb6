//! `arblast`, also as `pio`.

use std::process::ExitCode;

fn main() -> ExitCode {
    arblast::main()
}
