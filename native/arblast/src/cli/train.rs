//! `arblast train`

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use engine::{Observer, TrainOptions, TrainReport};
use events::json::Object;
use events::{EventTime, Json, Scope};
use indicatif::ProgressBar;
use stores::Storage;

use super::Context;
use super::console::Console;
use super::context::EngineFile;
use super::progress::{self, grouped};
use super::prune;
use crate::clock;
use crate::failure::{Failure, Result};
use crate::jobs::{Published, TrainJob};
use crate::storage::Places;

const LOGGER: &str = "CoreWorkflow$";

/// Make a model from the events of the engine's app.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads engine.json, counts, and publishes the model; servers switch to it within a second. What follows `--` is meant
for Spark. With a --master that is not local, spark-submit of $SPARK_HOME trains there, with all of it (docs/spark.md). Else it is
ignored, except --master local[n], which sets the threads, and --driver-memory, which limits the memory.

Examples:
  arblast train
  arblast train --variant best.json --batch nightly
  arblast train --now 2026-01-31T00:00:00Z      as if it were that time: windows end there
  pio train -- --master local[4] --driver-memory 20g
  SPARK_HOME=/opt/spark arblast train -- --master spark://host:7077 --executor-memory 4g")]
pub struct Args {
    /// Label of this run
    #[arg(long, default_value = "")]
    batch: String,
    /// Publish the model even if it is much smaller than the one in use
    #[arg(long)]
    force: bool,
    /// Threads that count; the model is the same for any number [default: one per processor]
    #[arg(long)]
    threads: Option<usize>,
    /// The time of training, e.g. 2026-01-31T00:00:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    now: Option<i64>,
    #[command(flatten)]
    obsolete: Obsolete,
}

/// Options of `pio train` without a meaning here.
#[derive(Debug, clap::Args)]
struct Obsolete {
    #[arg(long, hide = true)]
    params_path: Option<String>,
    #[arg(long, hide = true)]
    metrics_params: Option<String>,
    #[arg(long, hide = true)]
    skip_sanity_check: bool,
    #[arg(long, hide = true)]
    stop_after_read: bool,
    #[arg(long, hide = true)]
    stop_after_prepare: bool,
    #[arg(long, hide = true)]
    uber_jar: bool,
    #[arg(long, hide = true)]
    verbosity: Option<String>,
    #[arg(long, hide = true)]
    engine_factory: Option<String>,
    #[arg(long, hide = true)]
    engine_params_key: Option<String>,
    #[arg(long, hide = true)]
    main_py_file: Option<String>,
    #[arg(long, hide = true)]
    json_extractor: Option<String>,
}

/// Trains as the options say.
///
/// # Errors
/// See [`TrainJob::run`].
pub fn run(args: Args, context: &Context) -> Result<()> {
    let engine = context.engine()?;
    let console = context.console;
    if args.obsolete.stop_after_read || args.obsolete.stop_after_prepare {
        console.info(LOGGER, "Training stops here, as asked; the engine file is valid. No model was made.");
        return Ok(());
    }
    let storage = context.storage()?;
    let spark = context.spark()?;
    let options = TrainOptions {
        threads: context.threads(args.threads),
        now_ms: args.now.unwrap_or_else(clock::now_ms),
    };
    let job = TrainJob {
        storage: &storage,
        config: &engine.config,
        config_text: &engine.text,
        batch: &args.batch,
        options,
        force: args.force,
        spark: spark.as_ref(),
        road: None,
    };
    let master = engine.config.spark_conf.get("spark.master").filter(|master| !master.starts_with("local"));
    if let (None, Some(master)) = (&spark, master) {
        let text = format_args!(
            "sparkConf names the master {master}, but this train counts here; `arblast train -- --master {master}` counts there."
        );
        console.info(LOGGER, text);
    }
    if engine.config.window.prune_store {
        console.info(LOGGER, "pruneStore: first removes from the store what eventWindow leaves out.");
    }
    let stages = Stages::new(console, context.passed().memory_bytes_max);
    let app_name = &engine.config.app_name;
    let published = job.run(&stages).map_err(|failure| looked_at(failure, context, &storage, app_name))?;
    conclude(console, &engine, &published, &stages.finish());
    Ok(())
}

/// Who finds nothing at all may have looked at the wrong place.
fn looked_at(failure: Failure, context: &Context, storage: &Storage, app_name: &str) -> Failure {
    let place = || {
        let url = context.places().ok()?.events.as_deref()?;
        let app = storage.registry.app_by_name(app_name).ok()??;
        let count = storage.events.count(Scope { app: app.id, channel: None }).ok()?;
        Places::shown(url).ok().filter(|_| count == 0)
    };
    match place() {
        None => failure,
        Some(place) => Failure::new(
            failure.kind(),
            format!(
                "{failure}; eventsUrl, {place}, has no event of it at all: is that the database, with the right event= or \
                 namespace=?"
            ),
        ),
    }
}

/// Reads the value of `--now`: ms since 1970.
///
/// # Errors
/// It is no time.
pub fn time(text: &str) -> std::result::Result<i64, String> {
    EventTime::parse_date(text)
        .map(|time| time.millis)
        .ok_or_else(|| "not a time; write it like 2026-01-31T00:00:00Z".to_owned())
}

/// Tells what was trained and published.
pub fn conclude(console: Console, engine: &EngineFile, published: &Published, seconds: &[(String, f64)]) {
    let report = &published.report;
    if let Some(pruned) = &published.pruned {
        console.info(LOGGER, format_args!("Pruned: {}", prune::counts(pruned, false)));
    }
    for indicator in report.indicators.iter().filter(|indicator| indicator.correlators > 0) {
        let (found, name) = (grouped(indicator.correlators as u64), &indicator.name);
        console.info(LOGGER, format_args!("{found} correlators by \"{name}\"."));
    }
    for warning in &report.warnings {
        console.warn(LOGGER, warning);
    }
    let times: Vec<String> =
        seconds.iter().map(|(stage, seconds)| format!("{stage} {seconds:.2} s")).collect();
    console.info(LOGGER, format_args!("Time: {}.", times.join(", ")));
    let (generation, digest, variant) =
        (published.generation, &published.model.digest, &engine.config.variant);
    console.info(
        LOGGER,
        format_args!(
            "Published generation {generation} of \"{variant}\": {} items, digest {digest}.",
            grouped(u64::from(report.items))
        ),
    );
    console.info(LOGGER, format_args!("Your engine instance ID is {}.", published.instance));
    console.info(LOGGER, "Training completed successfully.");
    if console.json() {
        let times: Object =
            seconds.iter().map(|(stage, seconds)| (stage.clone(), super::real(*seconds))).collect();
        let pruned = published.pruned.as_ref();
        console.value(
            Object::new()
                .with("engineInstanceId", published.instance.as_str())
                .with("generation", generation)
                .with("digest", digest.as_str())
                .with("seconds", times)
                .with("pruned", pruned.map_or(Json::Null, |report| prune::described(report, false).into()))
                .with("report", report.to_json()),
        );
    }
}

/// Shows the stages of a train as progress bars, times them, and prints the report before the long part.
pub struct Stages {
    console: Console,
    memory_bytes_max: Option<u64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<(String, Instant, ProgressBar)>,
    seconds: Vec<(String, f64)>,
}

impl Stages {
    /// `memory_bytes_max`: what the user allows, if he said so.
    pub fn new(console: Console, memory_bytes_max: Option<u64>) -> Self {
        Self { console, memory_bytes_max, state: Mutex::default() }
    }

    fn with_state<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Seconds of each stage.
    pub fn finish(&self) -> Vec<(String, f64)> {
        self.with_state(|state| {
            state.end();
            std::mem::take(&mut state.seconds)
        })
    }
}

impl State {
    fn end(&mut self) {
        if let Some((name, started, bar)) = self.current.take() {
            bar.finish_and_clear();
            self.seconds.push((name, started.elapsed().as_secs_f64()));
        }
    }
}

impl Observer for Stages {
    fn stage(&self, name: &str, total: u64) {
        self.with_state(|state| {
            state.end();
            let bar = progress::steps(total);
            bar.set_prefix(name.to_owned());
            state.current = Some((name.to_owned(), Instant::now(), bar));
        });
    }

    fn progress(&self, done: u64) {
        self.with_state(|state| {
            if let Some((_, _, bar)) = &state.current {
                bar.set_position(done);
            }
        });
    }

    fn preflight(&self, report: &TrainReport) {
        self.with_state(State::end);
        let console = self.console;
        console.info(LOGGER, format_args!("{} events read.", grouped(report.events)));
        console.info(
            LOGGER,
            format_args!(
                "{:>20} | {:>12} | {:>10} | {:>10} | {:>12} | {:>12}",
                "Indicator", "Events", "Users", "Things", "Pairs", "Sampled"
            ),
        );
        for indicator in &report.indicators {
            console.info(
                LOGGER,
                format_args!(
                    "{:>20} | {:>12} | {:>10} | {:>10} | {:>12} | {:>12}",
                    indicator.name,
                    grouped(indicator.events),
                    grouped(indicator.users),
                    grouped(indicator.things),
                    grouped(indicator.cells),
                    grouped(indicator.sampled)
                ),
            );
        }
        let (users, memory) = (grouped(u64::from(report.users)), report.memory_bytes.div_ceil(1 << 20));
        console.info(LOGGER, format_args!("{users} users count; counting needs about {memory} MiB."));
        if let Some(limit) = self.memory_bytes_max.filter(|limit| *limit < report.memory_bytes) {
            console.warn(LOGGER, format_args!("That is more than --driver-memory ({} MiB).", limit >> 20));
        }
    }
}
