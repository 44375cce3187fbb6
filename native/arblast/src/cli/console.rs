//! What a command says. Log lines and results go to standard output, as people's scripts expect; progress, warnings
//! about options and errors go to standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use events::Json;

/// Writes for one command.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    json: bool,
}

impl Console {
    /// With `json`, log lines move to standard error, so that standard output is JSON only.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Is JSON wanted?
    pub fn json(self) -> bool {
        self.json
    }

    /// `[INFO] [logger] text`
    pub fn info(self, logger: &str, text: impl Display) {
        self.log("INFO", logger, &text);
    }

    /// `[WARN] [logger] text`
    pub fn warn(self, logger: &str, text: impl Display) {
        self.log("WARN", logger, &text);
    }

    fn log(self, level: &str, logger: &str, text: &dyn Display) {
        if self.json {
            to_stderr(format_args!("[{level}] [{logger}] {text}"));
        } else {
            to_stdout(format_args!("[{level}] [{logger}] {text}"));
        }
    }

    /// A line without prefix.
    pub fn line(self, text: impl Display) {
        to_stdout(text);
    }

    /// One JSON value as a line.
    pub fn value(self, value: impl Into<Json>) {
        to_stdout(value.into());
    }
}

/// Is standard output a terminal?
pub fn interactive() -> bool {
    io::stdout().is_terminal()
}

/// Asks on standard output and reads the answer from standard input: `true` for `YES`.
pub fn confirmed() -> bool {
    let mut out = io::stdout().lock();
    let _ = write!(out, "Enter 'YES' to proceed: ").and_then(|()| out.flush());
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.is_ok() && answer.trim_end_matches(['\r', '\n']) == "YES"
}

/// A reader that went away (`| head`) is no error of the command, so failures to print are dropped.
fn to_stdout(text: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

fn to_stderr(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
