//! `arblast flight train`

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arblast::cli::train::{Stages, conclude, time};
use arblast::cli::{Context, EngineFile};
use arblast::clock;
use arblast::failure::{Failure, Result};
use arblast::identity::{BUILD, VERSION};
use arblast::jobs::{Ask, Published, Road, TrainJob, new_id};
use engine::{Observer, RecsModel, TrainOptions, TrainReport, Trained};
use model::Model;
use stores::{ModelDirectory, Models, TrainedBy};

use super::driver::Site;
use super::executor::runtime;
use super::folder::Place;
use super::place::Where;
use super::road::ClusterRoad;
use super::task::Format;

const LOGGER: &str = "FlightTrain";

/// Train on a cluster.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The model is the one that `arblast train` makes of the same events at the same time. Without --events those of the store are read,
by this process. Paths and URLs (file://, hdfs://, s3://) must mean the same to all processes of the cluster.

Examples:
  arblast flight train --scheduler 10.0.0.1:20050 --scratch /shared/scratch
  arblast flight train --scheduler 10.0.0.1:20050 --scratch hdfs://name/scratch --events hdfs://name/events --models /srv/models")]
pub struct Args {
    /// Where the scheduler listens
    #[arg(long, value_name = "HOST:PORT")]
    scheduler: String,
    /// Engine file [default: --variant in --engine-dir]
    #[arg(long, value_name = "FILE")]
    engine: Option<PathBuf>,
    /// Files, folders or patterns of events, by path or URL [default: the store of the home]
    #[arg(long, value_name = "URL", num_args = 1.., value_delimiter = ',')]
    events: Vec<String>,
    /// How events are written, if names do not tell (.parquet)
    #[arg(long)]
    format: Option<Format>,
    /// Count and skip what is no event, instead of failing
    #[arg(long)]
    skip_bad_lines: bool,
    /// Folder of models to publish in, without a record [default: the home's, with a record as of `arblast train`]
    #[arg(long, value_name = "URL")]
    models: Option<String>,
    /// Folder that all processes of the cluster reach, for what goes between them [default: `scratch` in the home]
    #[arg(long, value_name = "URL")]
    scratch: Option<String>,
    /// Where correlators are counted
    #[arg(long, default_value = "auto")]
    count: Where,
    /// Label of this run
    #[arg(long, default_value = "")]
    batch: String,
    /// Publish the model even if it is much smaller than the one in use
    #[arg(long)]
    force: bool,
    /// Threads of this process [default: one per processor]
    #[arg(long)]
    threads: Option<usize>,
    /// The time of training, e.g. 2026-01-31T00:00:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    now: Option<i64>,
    /// When to give up [default: never]
    #[arg(long, value_name = "SECONDS")]
    deadline: Option<u64>,
    /// When to give up if no task ends
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(10..))]
    stalled_after: u64,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let engine = match &args.engine {
        Some(path) => context.engine_at("--engine", path)?,
        None => context.engine()?,
    };
    let options = TrainOptions {
        threads: context.threads(args.threads),
        now_ms: args.now.unwrap_or_else(clock::now_ms),
    };
    let road = args.road(context)?;
    let stages = Stages::new(context.console, context.passed().memory_bytes_max);
    let watch = Watch { stages: &stages, is_interrupted: AtomicBool::new(false) };
    let published = watch.until_interrupted(|| match &args.models {
        Some(models) => args.publish_in(models, &engine, options, &road, &watch),
        None => {
            let storage = context.storage()?;
            let job = TrainJob {
                storage: &storage,
                config: &engine.config,
                config_text: &engine.text,
                batch: &args.batch,
                options,
                force: args.force,
                spark: None,
                road: Some(&road),
            };
            job.run(&watch)
        }
    })?;
    conclude(context.console, &engine, &published, &stages.finish());
    Ok(())
}

impl Args {
    fn road(&self, context: &Context) -> Result<ClusterRoad> {
        let console = context.console;
        let scratch = match &self.scratch {
            Some(scratch) => scratch.clone(),
            None => context.home()?.join("scratch").display().to_string(),
        };
        let site = Site {
            scheduler: self.scheduler.clone(),
            scratch,
            count: self.count,
            deadline: self.deadline.map(Duration::from_secs),
            stalled_after: Duration::from_secs(self.stalled_after),
            told: Box::new(move |text| console.info(LOGGER, text)),
        };
        Ok(ClusterRoad {
            site: Arc::new(site),
            events: self.events.clone(),
            format: self.format,
            skip_bad: self.skip_bad_lines,
        })
    }

    /// Trains, and publishes in a folder that is no home's.
    fn publish_in(
        &self,
        models: &str,
        engine: &EngineFile,
        options: TrainOptions,
        road: &ClusterRoad,
        observer: &dyn Observer,
    ) -> Result<Published> {
        if self.events.is_empty() {
            return Err(Failure::invalid("--models needs --events: without both, the home has them"));
        }
        let scratch =
            tempfile::tempdir().map_err(|error| Failure::io("cannot make a folder for the model", &error))?;
        let all = match Place::open(models)?.local() {
            Some(folder) => Models::at(folder),
            None => Models::shared(objects::open(models, &[])?, scratch.path()),
        };
        let models = all.of(&engine.config.app_name, &engine.config.variant);
        let current = models.current_info()?;
        // Others are not looked into: it may be far away.
        let keeps = engine.config.recs_model == RecsModel::Backfill && current.is_some();
        let kept = keeps.then(|| models.reader()).transpose()?.map(|reader| reader.current());
        let kept = kept.as_ref().map(|generation| &generation.model);
        let made = self.made(engine, options, road, kept, observer)?;
        let published =
            self.publish_made(&models, engine, made, current.map(|info| info.correlators), observer)?;
        (road.site.told)(&format!("published in {}", models.place()));
        Ok(published)
    }

    fn made(
        &self,
        engine: &EngineFile,
        options: TrainOptions,
        road: &ClusterRoad,
        current: Option<&Model>,
        observer: &dyn Observer,
    ) -> Result<Made> {
        let (started_ms, run) = (clock::now_ms(), new_id()?);
        let (config, config_text) = (&engine.config, engine.text.as_str());
        let ask = Ask { run: &run, config, config_text, options, events: None, current };
        let trained = road.train(&ask, observer)?;
        Ok(Made { run, started_ms, trained })
    }

    /// `correlators`: of the model that it replaces.
    fn publish_made(
        &self,
        models: &ModelDirectory,
        engine: &EngineFile,
        made: Made,
        correlators: Option<u64>,
        observer: &dyn Observer,
    ) -> Result<Published> {
        let Made { run, started_ms, trained } = made;
        if !self.force {
            trained.report.check_size(correlators, engine.config.min_model_ratio)?;
        }
        observer.stage("publish", 0);
        let by = TrainedBy {
            build: format!("{VERSION} {BUILD}"),
            engine_instance: run.clone(),
            started_ms,
            published_ms: clock::now_ms(),
            position: None,
        };
        let published = models.publish_unless(&trained.parts, by, &|| observer.is_stopped())?;
        let (generation, model) = published.ok_or(engine::Error::Stopped)?;
        Ok(Published { instance: run, generation, model, report: trained.report, pruned: None })
    }
}

/// A model that is to be published.
struct Made {
    run: String,
    started_ms: i64,
    trained: Trained,
}

/// Shows how a train goes, and stops it at Ctrl-C.
struct Watch<'a> {
    stages: &'a Stages,
    is_interrupted: AtomicBool,
}

impl Watch<'_> {
    /// The first interruption asks for an end, which takes the job from the cluster; the second does not wait for it.
    fn until_interrupted<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let listening = runtime()?;
        let over = tokio::sync::Notify::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                listening.block_on(async {
                    tokio::select! {
                        () = over.notified() => return,
                        () = super::executor::ended() => self.is_interrupted.store(true, Ordering::Relaxed),
                    }
                    tokio::select! {
                        () = over.notified() => {}
                        () = super::executor::ended() => std::process::exit(75),
                    }
                });
            });
            let _over = Over(&over);
            work()
        })
    }
}

/// Tells that it is over, also if the work panics.
struct Over<'a>(&'a tokio::sync::Notify);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Observer for Watch<'_> {
    fn stage(&self, name: &str, total: u64) {
        self.stages.stage(name, total);
    }

    fn progress(&self, done: u64) {
        self.stages.progress(done);
    }

    fn preflight(&self, report: &TrainReport) {
        self.stages.preflight(report);
    }

    fn is_stopped(&self) -> bool {
        self.is_interrupted.load(Ordering::Relaxed)
    }
}
