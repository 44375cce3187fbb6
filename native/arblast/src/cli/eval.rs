//! `arblast eval`

mod plot;
mod svg;
mod table;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::evaluation::{Cut, Options, Sweep};
use engine::{EngineConfig, Evaluation};
use events::Scope;
use stores::Storage;
use tempfile::TempDir;

use super::Context;
use super::console::Console;
use super::progress::{self, Follow, grouped};
use super::train::{Stages, time};
use crate::clock;
use crate::failure::{Failure, Result};
use crate::import::{Form, Import, Names, OnError, Source, Totals, sources};
use crate::jobs::app_of;

const LOGGER: &str = "Eval$";

/// Measure how good the engine's recommendations are.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Trains engine.json on the events before a moment, recommends to everyone who did something new afterwards, and
compares that with what they did, and all of it with recommending what is popular. It only reads events: models and
servers stay as they are.

Examples:
  arblast eval                              the last 20 % of the primary events are the test
  arblast eval --at 2026-01-01T00:00:00Z --k 1,5,10
  arblast eval --ablation                   what is each indicator worth?
  arblast eval --sweep --plot sweep.svg     other thresholds
  arblast eval --sweep --min-llr 0,5,15 --correlators 20,50
  arblast eval --events 'export/part-*' --json > eval.json    without app and store
  arblast eval --variant other.json         another engine file on the same events")]
pub struct Args {
    /// Event files, directories or globs in quotes, to read instead of the app's events; *.gz is unpacked
    #[arg(long, value_name = "FILE", num_args = 1..)]
    events: Vec<String>,
    /// Train on what was before this time, e.g. 2026-01-31T00:00:00Z; test with what came then
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "share")]
    at: Option<i64>,
    /// Test with this last share of the primary events
    #[arg(long, value_name = "X", default_value_t = 0.2)]
    share: f64,
    /// End the test before this time, e.g. 2026-02-28T00:00:00Z [default: with the last event]
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<i64>,
    /// Lengths at which lists of recommendations are judged
    #[arg(long, value_name = "K,…", default_value = "10", value_delimiter = ',')]
    k: Vec<u32>,
    /// Also measure the primary indicator alone, and all without each indicator
    #[arg(long)]
    ablation: bool,
    /// Also measure other values of minLLR and maxCorrelatorsPerItem, each with each, for all indicators alike
    #[arg(long)]
    sweep: bool,
    /// Values of minLLR for --sweep; 0 = any correlator [default: 0,2,5,10,20]
    #[arg(long, value_name = "X,…", value_delimiter = ',', requires = "sweep")]
    min_llr: Option<Vec<f64>>,
    /// Values of maxCorrelatorsPerItem for --sweep [default: 10,20,50,100]
    #[arg(long, value_name = "N,…", value_delimiter = ',', requires = "sweep")]
    correlators: Option<Vec<u32>>,
    /// Ask for at most so many users
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    users: Option<u64>,
    /// With --users: another number, other users
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Ask also for users who had done nothing before
    #[arg(long)]
    newcomers: bool,
    /// Draw curves to this file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Threads; the result is the same for any number [default: one per processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Evaluation classes of PredictionIO
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    classes: Vec<String>,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    if let Some(class) = args.classes.first() {
        return Err(Failure::invalid(format!(
            "eval takes options only, got \"{class}\": evaluation classes written in Scala do not run here, and are not needed; \
             `arblast eval` measures the engine file, see `arblast eval --help`"
        )));
    }
    let engine = context.engine()?;
    let console = context.console;
    let history = args.history(&engine.config, context)?;
    let stages = Stages::new(console, context.passed().memory_bytes_max);
    let events = history.storage.events.as_ref();
    let evaluation = engine::evaluate(&engine.config, events, history.scope, &args.options(context), &stages);
    let seconds: f64 = stages.finish().iter().map(|(_, seconds)| seconds).sum();
    let evaluation = evaluation?;
    drop(history);
    args.conclude(console, &evaluation, seconds)
}

/// Where the events are.
struct History {
    storage: Storage,
    scope: Scope,
    /// Gone with it, if the events came from files.
    _directory: Option<TempDir>,
}

impl Args {
    fn options(&self, context: &Context) -> Options {
        let default = Sweep::default();
        let sweep = self.sweep.then(|| Sweep {
            min_llr: self.min_llr.clone().unwrap_or(default.min_llr),
            max_correlators: self.correlators.clone().unwrap_or(default.max_correlators),
        });
        let mut lengths = self.k.clone();
        if self.plot.is_some() {
            lengths.extend(plot::lengths(&self.k));
        }
        Options {
            cut: self.at.map_or(Cut::Share(self.share), Cut::At),
            until_ms: self.until,
            lengths,
            users_max: self.users.map(|users| usize::try_from(users).unwrap_or(usize::MAX)),
            seed: self.seed,
            newcomers: self.newcomers,
            ablation: self.ablation,
            sweep,
            threads: context.threads(self.threads),
        }
    }

    /// The events of the engine's app, or those of the files in a store of their own.
    fn history(&self, config: &EngineConfig, context: &Context) -> Result<History> {
        if !self.events.is_empty() {
            return self.imported(context);
        }
        let storage = context.storage()?;
        let app = app_of(&storage, config)?;
        Ok(History { storage, scope: Scope { app: app.id, channel: None }, _directory: None })
    }

    fn imported(&self, context: &Context) -> Result<History> {
        let found = self.events.iter().map(|input| sources("--events", input));
        let found: Vec<Source> = found.collect::<Result<Vec<_>>>()?.concat();
        let directory = tempfile::Builder::new().prefix("arblast-eval-").tempdir();
        let directory = directory.map_err(|error| {
            Failure::io("cannot make a temporary directory ($TMPDIR names another place)", &error)
        })?;
        let storage = stores::open(directory.path())?;
        let scope = Scope { app: 1, channel: None };
        storage.events.init(scope)?;
        let import = Import {
            by: "--events",
            store: storage.events.as_ref(),
            scope,
            home: directory.path(),
            now_ms: clock::now_ms(),
            parsers: context.threads(self.threads),
            on_error: OnError::Skip,
            form: Form::Api,
            names: Names::default(),
            fresh: false,
            bytes_read: Arc::default(),
            events_stored: Arc::default(),
        };
        import_all(&import, &found, context.console)?;
        Ok(History { storage, scope, _directory: Some(directory) })
    }

    fn conclude(&self, console: Console, evaluation: &Evaluation, seconds: f64) -> Result<()> {
        for warning in evaluation.training.warnings.iter().chain(&evaluation.warnings) {
            console.warn(LOGGER, warning);
        }
        table::announce(console, evaluation, seconds);
        if console.json() {
            console.value(evaluation.to_json().with("seconds", super::real(seconds)));
        } else {
            table::print(console, evaluation, &self.k);
        }
        // Last, so that a wrong path costs no result.
        if let Some(path) = &self.plot {
            std::fs::write(path, plot::draw(evaluation, &self.k))
                .map_err(Failure::file("write", "--plot", path))?;
            console.info(LOGGER, format_args!("Curves are in {}.", path.display()));
        }
        Ok(())
    }
}

/// Lines that are no events are passed over, but not in silence.
fn import_all(import: &Import<'_>, found: &[Source], console: Console) -> Result<()> {
    let (mut first_bad, mut sum) = (None, Totals::default());
    for source in found {
        import.bytes_read.store(0, Ordering::Relaxed);
        let stored = Arc::clone(&import.events_stored);
        let message = move || format!("{} events", grouped(stored.load(Ordering::Relaxed)));
        let _following = Follow::new(progress::bytes(source.size()), Arc::clone(&import.bytes_read), message);
        let totals = import.run(source, &mut |bad| {
            let place = || format!("{}, line {}: {}", source.name(), bad.line, bad.reason);
            first_bad.get_or_insert_with(place);
            Ok(())
        })?;
        sum.events += totals.events;
        sum.bad += totals.bad;
    }
    console.info(LOGGER, format_args!("{} events are read from files.", grouped(sum.events)));
    let Some(first) = first_bad else { return Ok(()) };
    if sum.events == 0 {
        return Err(Failure::invalid(format!("--events: no line is an event; {first}")));
    }
    console
        .warn(LOGGER, format_args!("{} lines are no events and are passed over; {first}", grouped(sum.bad)));
    Ok(())
}
