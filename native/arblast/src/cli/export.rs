//! `arblast export`

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::ValueEnum;
use events::Scope;
use events::json::Object;
use stores::Storage;

use super::Context;
use super::context::{self, AppChoice};
use super::flight;
use super::progress::{self, Follow, grouped};
use crate::failure::{Failure, Result};

const LOGGER: &str = "EventsToFile$";

/// Write events as JSON lines or Parquet.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Writes the directory PATH with one file of JSON lines, or all lines to standard output with `-`. The order of lines is
that of the store. `arblast import` and `pio import` read what this writes; eventIds are kept.

Examples:
  arblast export --app myapp --output backup
  arblast export --appid 1 --channel mobile --output - | gzip > mobile.json.gz
  arblast export --app myapp --output events --format parquet")]
pub struct Args {
    #[command(flatten)]
    app: AppChoice,
    /// Directory to make, or - for standard output
    #[arg(long, value_name = "PATH")]
    output: String,
    /// Channel [default: the default channel]
    #[arg(long)]
    channel: Option<String>,
    /// Format of the files
    #[arg(long, value_enum, default_value = "json")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One event per line
    Json,
    /// One file of columns
    Parquet,
}

pub fn run(args: Args, context: &Context) -> Result<()> {
    let storage = context.storage()?;
    let app = args.app.find(&storage)?;
    let scope = context::scope(&storage, &app, args.channel.as_deref())?;
    if args.format == Format::Parquet {
        let channel = args.channel.iter().flat_map(|channel| ["--channel", channel]);
        let words = ["export", "--app", &app.name, "--output", &args.output].into_iter().chain(channel);
        return flight::become_flight(words, context);
    }
    if args.output == "-" {
        let written = write_events(&storage, scope, BufWriter::with_capacity(1 << 16, io::stdout().lock()))?;
        // The reader of the events has standard output, so the count goes elsewhere.
        console_note(written);
        return Ok(());
    }
    let written = export_directory(&storage, scope, Path::new(&args.output))?;
    let console = context.console;
    console.info(LOGGER, format_args!("{} events are exported to {}.", grouped(written), args.output));
    console.info(LOGGER, "Done.");
    if console.json() {
        console.value(Object::new().with("events", written).with("output", args.output));
    }
    Ok(())
}

fn console_note(written: u64) {
    let _ = writeln!(io::stderr().lock(), "[INFO] [{LOGGER}] {} events are exported.", grouped(written));
}

/// Writes under another name and renames, so that a directory of this name is always complete.
fn export_directory(storage: &Storage, scope: Scope, output: &Path) -> Result<u64> {
    let failed = Failure::file("write", "--output", output);
    if output.exists() {
        return Err(Failure::invalid(format!(
            "--output {}: exists already; give a new path, or remove it first",
            output.display()
        )));
    }
    let unfinished = PathBuf::from(format!("{}.unfinished", output.display()));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(failed)?;
    }
    fs::create_dir_all(&unfinished).map_err(failed)?;
    let part = File::create(unfinished.join("part-00000")).map_err(failed)?;
    let written = write_events(storage, scope, BufWriter::with_capacity(1 << 20, &part))?;
    part.sync_all().map_err(failed)?;
    fs::rename(&unfinished, output).map_err(failed)?;
    Ok(written)
}

fn write_events(storage: &Storage, scope: Scope, mut out: impl Write) -> Result<u64> {
    let counter = Arc::new(AtomicU64::new(0));
    let bar = progress::steps(storage.events.count(scope)?);
    bar.set_prefix("export");
    let following = Follow::new(bar, Arc::clone(&counter), String::new);
    let mut written = 0;
    let mut line = String::new();
    let mut failed = None;
    storage.events.scan(scope, &mut |event| {
        line.clear();
        event.write_json(&mut line);
        line.push('\n');
        written += 1;
        counter.store(written, Ordering::Relaxed);
        match out.write_all(line.as_bytes()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    drop(following);
    failed
        .map_or_else(|| out.flush(), Err)
        .map_err(|error| Failure::io("cannot write the events", &error))?;
    Ok(written)
}
