//! The command line: one file per command, each with its options and its `run`.

mod accesskey;
mod adminserver;
mod app;
pub mod argv;
mod batchpredict;
mod build;
mod check;
pub mod config;
pub mod console;
mod context;
mod deploy;
mod doctor;
mod eval;
mod eventserver;
mod export;
mod flight;
mod import;
mod itemsimilarity;
mod models;
mod progress;
mod prune;
mod query;
mod query_server;
mod refused;
mod rollback;
mod sample;
mod serve;
pub mod servers;
mod status;
mod table;
pub mod train;
mod undeploy;
mod version;
mod webhook;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::failure::Result;
use crate::observe::log::Log;
use argv::Passed;
pub use context::{Context, EngineFile};

/// Recommendations from correlated events, in one program.
#[derive(Debug, Parser)]
#[command(name = "arblast", version = crate::identity::VERSION, max_term_width = 110, subcommand_required = true)]
#[command(after_help = "\
Examples:
  arblast sample shop && cd shop      a small shop to play with; prints what to do next
  arblast app new myapp               an app keeps events; prints its access key
  arblast import --app myapp --input events.jsonl
  arblast eventserver                 takes in events on port 7070
  arblast train                       reads engine.json of the working directory
  arblast query '{\"user\": \"u1\"}'
  arblast deploy                      answers queries on port 8000

`arblast <command> --help` shows the options of a command and examples.")]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// The engine file, unless another is named.
const ENGINE_FILE: &str = "engine.json";

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Directory that holds events, apps and models [default: $ARBLAST_HOME, else arblast in the XDG data directory]
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Directory of the engine (short: -ed)
    #[arg(long, global = true, value_name = "DIR", default_value = ".")]
    engine_dir: PathBuf,
    /// Engine file, relative to the engine directory
    #[arg(long, short = 'v', global = true, value_name = "FILE", default_value = ENGINE_FILE)]
    variant: PathBuf,
    /// Take members of a wrong type in engine.json as absent, as the originals did
    #[arg(long, global = true)]
    lenient: bool,
    /// Results as JSON on standard output, log lines on standard error
    #[arg(long, global = true)]
    json: bool,
    /// Settings file [default: $ARBLAST_CONFIG, else arblast.json in the home directory]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set any member of the settings; may be repeated
    #[arg(long, global = true, value_name = "NAME=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    obsolete: ObsoleteGlobal,
}

/// PredictionIO's global options that have no meaning here.
#[derive(Debug, Clone, Args)]
struct ObsoleteGlobal {
    #[arg(long, global = true, hide = true)]
    pio_home: Option<String>,
    #[arg(long, global = true, hide = true)]
    spark_home: Option<String>,
    #[arg(long, global = true, hide = true)]
    engine_id: Option<String>,
    #[arg(long, global = true, hide = true)]
    engine_version: Option<String>,
    #[arg(long, global = true, hide = true)]
    sbt: Option<String>,
    #[arg(long, global = true, hide = true)]
    verbose: bool,
    #[arg(long, global = true, hide = true)]
    spark_kryo: bool,
    #[arg(long, global = true, hide = true)]
    scratch_uri: Option<String>,
}

impl Global {
    /// The options again, as far as they were given.
    fn args(&self) -> Vec<OsString> {
        let paths = [("--engine-dir", &self.engine_dir), ("--variant", &self.variant)];
        let named = [("--home", &self.home), ("--config", &self.config)];
        let named = named.into_iter().filter_map(|(name, path)| Some((name, path.as_ref()?)));
        let mut args: Vec<OsString> =
            named.chain(paths).flat_map(|(name, path)| [name.into(), path.clone().into()]).collect();
        args.extend(self.set.iter().flat_map(|set| ["--set".into(), set.into()]));
        let flags = [("--lenient", self.lenient), ("--json", self.json)];
        args.extend(flags.iter().filter(|(_, given)| *given).map(|(name, _)| (*name).into()));
        args
    }
}

impl ObsoleteGlobal {
    fn given(&self) -> impl Iterator<Item = &'static str> {
        [
            ("--pio-home", self.pio_home.is_some()),
            ("--spark-home", self.spark_home.is_some()),
            ("--engine-id", self.engine_id.is_some()),
            ("--engine-version", self.engine_version.is_some()),
            ("--sbt", self.sbt.is_some()),
            ("--spark-kryo", self.spark_kryo),
            ("--scratch-uri", self.scratch_uri.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the version
    Version,
    #[command(flatten)]
    Data(Data),
    #[command(flatten)]
    Engine(Engine),
    /// SQL, BI tools and clusters: the commands of arblast-flight
    #[command(disable_help_flag = true)]
    Flight(flight::Args),
    #[command(flatten)]
    Refused(refused::Command),
}

impl Command {
    /// Does it run until it is stopped, with a log?
    fn is_server(&self) -> bool {
        matches!(
            self,
            Self::Data(Data::Eventserver(_) | Data::Adminserver(_))
                | Self::Engine(Engine::Deploy(_) | Engine::Serve(_))
        )
    }
}

/// Apps and their events.
#[derive(Debug, Subcommand)]
enum Data {
    /// Create, list and delete apps and channels
    App(app::Args),
    /// Create, list and delete access keys
    Accesskey(accesskey::Args),
    /// Read events from JSON lines
    Import(import::Args),
    /// Write events as JSON lines
    Export(export::Args),
    /// Take in events over HTTP
    Eventserver(eventserver::Args),
    /// Create, list and delete apps over HTTP, as tools of PredictionIO do
    Adminserver(adminserver::Args),
    /// Write a small sample shop: events and an engine.json
    Sample(sample::Args),
    /// Show the settings of the servers, and where each comes from
    Config(config::Args),
    /// Check that this installation works
    Status(status::Args),
    /// Try what webhooks make of a payload
    Webhook(webhook::Args),
}

/// Models and queries.
#[derive(Debug, Subcommand)]
enum Engine {
    /// Check engine.json (there is nothing to compile)
    Build(build::Args),
    /// Check any engine file and list every finding
    Check(check::Args),
    /// Make a model from the events of the engine's app
    Train(train::Args),
    /// Remove the events that the engine's eventWindow leaves out, for good
    Prune(prune::Args),
    /// Answer queries over HTTP
    Deploy(deploy::Args),
    /// Take in events and answer queries, in one process
    Serve(serve::Args),
    /// Stop a query server
    Undeploy(undeploy::Args),
    /// Ask for recommendations
    Query(query::Args),
    /// Answer a file of queries
    Batchpredict(batchpredict::Args),
    /// List the generations of the engine's model
    Models(models::Args),
    /// Serve an earlier generation of the engine's model again
    Rollback(rollback::Args),
    /// Find out why results are empty or scores are zero
    Doctor(doctor::Args),
    /// Measure how good the engine's recommendations are
    Eval(eval::Args),
    /// Correlated items of plain `user,item` files, without app and engine
    Itemsimilarity(itemsimilarity::Args),
}

/// Runs one command.
pub fn run(cli: Cli, passed: &[String]) -> Result<()> {
    let trains = matches!(cli.command, Command::Engine(Engine::Train(_)));
    let context = Context::new(cli.global, Passed::parse(passed), trains);
    let _log = (!cli.command.is_server()).then(Log::of_command);
    match cli.command {
        Command::Version => version::run(&context),
        Command::Data(command) => run_data(command, &context),
        Command::Engine(command) => run_engine(command, &context),
        Command::Flight(args) => flight::run(&args, &context),
        Command::Refused(command) => Err(refused::refuse(&command)),
    }
}

fn run_data(command: Data, context: &Context) -> Result<()> {
    match command {
        Data::App(args) => app::run(args, context),
        Data::Accesskey(args) => accesskey::run(args, context),
        Data::Import(args) => import::run(args, context),
        Data::Export(args) => export::run(args, context),
        Data::Eventserver(args) => eventserver::run(&args, context),
        Data::Adminserver(args) => adminserver::run(&args, context),
        Data::Sample(args) => sample::run(&args, context),
        Data::Config(_) => config::run(context),
        Data::Status(_) => status::run(context),
        Data::Webhook(args) => webhook::run(&args, context),
    }
}

fn run_engine(command: Engine, context: &Context) -> Result<()> {
    match command {
        Engine::Build(args) => build::run(&args, context),
        Engine::Check(args) => check::run(args, context),
        Engine::Train(args) => train::run(args, context),
        Engine::Prune(args) => prune::run(&args, context),
        Engine::Deploy(args) => deploy::run(args, context.clone()),
        Engine::Serve(args) => serve::run(&args, context),
        Engine::Undeploy(args) => undeploy::run(&args, context),
        Engine::Query(args) => query::run(&args, context),
        Engine::Batchpredict(args) => batchpredict::run(&args, context),
        Engine::Models(_) => models::run(context),
        Engine::Rollback(args) => rollback::run(&args, context),
        Engine::Doctor(args) => doctor::run(&args, context),
        Engine::Eval(args) => eval::run(&args, context),
        Engine::Itemsimilarity(args) => itemsimilarity::run(args, context),
    }
}

/// A real number as JSON; what JSON cannot say becomes `null`.
fn real(value: f64) -> events::Json {
    events::json::Number::real(value).map_or(events::Json::Null, events::Json::Number)
}
