//! `arblast import`

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::ValueEnum;
use events::EventTime;
use events::json::Object;

use super::Context;
use super::context::{self, AppChoice};
use super::progress::{self, Follow, grouped};
use crate::clock;
use crate::failure::{Failure, Result};
use crate::import::{Form, Import, Names, OnError, Report, Source, Totals, sources};

const LOGGER: &str = "FileToEvents$";

/// Read events from JSON lines.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every line is one event as the event API takes it. Blank lines are passed over. An interrupted import goes on where it
was when it is started again; a file imported twice is there once, since lines without an eventId get one made of the
file and their place in it. --fresh gives them new ids instead, and stores them once more.

Examples:
  arblast import --app myapp --input events.jsonl
  arblast import --appid 1 --input 'export/part-*' --channel mobile
  arblast import --app myapp --input mirror/myengine --harness
  zcat old.json.gz | arblast import --app myapp --input - --on-error abort")]
pub struct Args {
    #[command(flatten)]
    app: AppChoice,
    /// File, directory, glob in quotes, or - for standard input; *.gz is unpacked, Parquet read by arblast-flight
    #[arg(long, value_name = "PATH")]
    input: String,
    /// Channel [default: the default channel]
    #[arg(long)]
    channel: Option<String>,
    /// What to do with a line that is no event, or not of a name that the app declares, if others are rejected
    #[arg(long, value_enum, default_value = "skip")]
    on_error: OnBadLine,
    /// Where to report lines that are no events, as JSON lines [default: a new file in the home's `reports`]
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Store the events once more if the file was imported before
    #[arg(long)]
    fresh: bool,
    /// Lines are in the form of Harness, as its mirror keeps them: targets are items, and the $delete of a user removes what he did before
    #[arg(long)]
    harness: bool,
    /// Threads that parse [default: one per processor]
    #[arg(long)]
    threads: Option<usize>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnBadLine {
    /// Check each file first, and store nothing of a file with a bad line
    Abort,
    /// Report it and go on
    Skip,
}

pub fn run(args: Args, context: &Context) -> Result<()> {
    let home = context.home()?;
    let storage = context.storage()?;
    let app = args.app.find(&storage)?;
    let scope = context::scope(&storage, &app, args.channel.as_deref())?;
    let sources = sources("--input", &args.input)?;
    let now_ms = clock::now_ms();
    let import = Import {
        by: "--input",
        store: storage.events.as_ref(),
        scope,
        home: &home,
        now_ms,
        parsers: context.threads(args.threads),
        on_error: match args.on_error {
            OnBadLine::Abort => OnError::Abort,
            OnBadLine::Skip => OnError::Skip,
        },
        form: if args.harness { Form::Harness } else { Form::Api },
        names: Names::new(app.declared.clone()),
        fresh: args.fresh,
        bytes_read: Arc::default(),
        events_stored: Arc::default(),
    };
    storage.events.init(scope)?;
    let mut report = Report::new(&args.report.unwrap_or_else(|| default_report(&home, now_ms)));
    let started = Instant::now();
    let totals = import_all(&import, &sources, &mut report)?;
    for name in import.names.undeclared() {
        let app = &app.name;
        context
            .console
            .warn(LOGGER, format_args!("app {app:?} gets events {name:?}, whose name is not declared"));
    }
    conclude(context, totals, started.elapsed().as_secs_f64(), &report);
    Ok(())
}

fn import_all(import: &Import<'_>, sources: &[Source], report: &mut Report) -> Result<Totals> {
    let mut sum = Totals::default();
    for source in sources {
        import.bytes_read.store(0, Ordering::Relaxed);
        let stored = Arc::clone(&import.events_stored);
        let message = move || format!("{} events", grouped(stored.load(Ordering::Relaxed)));
        let _following = Follow::new(progress::bytes(source.size()), Arc::clone(&import.bytes_read), message);
        let name = source.name();
        let totals = import.run(source, &mut |bad| {
            report.bad_line(&name, bad).map_err(|error| {
                Failure::io(
                    format_args!(
                        "cannot write the report {} (--report FILE names another)",
                        report.path().display()
                    ),
                    &error,
                )
            })
        });
        report.finish().map_err(|error| Failure::io("cannot write the report", &error))?;
        let totals = totals?;
        sum.lines += totals.lines;
        sum.events += totals.events;
        sum.bad += totals.bad;
        sum.resumed += totals.resumed;
    }
    Ok(sum)
}

fn conclude(context: &Context, totals: Totals, seconds: f64, report: &Report) {
    let console = context.console;
    if totals.resumed > 0 {
        let lines = grouped(totals.resumed);
        console.info(LOGGER, format_args!("Resumed: {lines} lines were stored by an earlier run."));
    }
    if totals.bad > 0 {
        let (bad, path) = (grouped(totals.bad), report.path().display());
        console
            .warn(LOGGER, format_args!("{bad} lines are no events and were skipped; line by line: {path}"));
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate for people"
    )]
    let rate = (totals.events as f64 / seconds.max(1e-3)) as u64;
    let (events, lines) = (grouped(totals.events), grouped(totals.lines));
    console.info(
        LOGGER,
        format_args!("{events} events of {lines} lines in {seconds:.1} s, {} events/s.", grouped(rate)),
    );
    console.info(LOGGER, "Events are imported.");
    console.info(LOGGER, "Done.");
    if console.json() {
        let mut result = Object::new()
            .with("lines", totals.lines)
            .with("events", totals.events)
            .with("badLines", totals.bad)
            .with("resumedLines", totals.resumed);
        if totals.bad > 0 {
            result.insert("report", report.path().display().to_string());
        }
        console.value(result);
    }
}

fn default_report(home: &std::path::Path, now_ms: i64) -> PathBuf {
    let time = EventTime::utc(now_ms).to_string();
    home.join("reports").join(format!("import-{}.jsonl", time.replace([':', '.'], "-")))
}
