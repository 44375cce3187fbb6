//! What every command needs: where things are, and how to speak.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use engine::{ConfigError, EngineConfig, Leniency, Warning};
use events::{App, Kind, Scope};
use stores::Storage;

use super::argv::Passed;
use super::console::Console;
use super::{ENGINE_FILE, Global, config};
use crate::apps;
use crate::failure::{Failure, Result};
use crate::jobs::SparkSubmit;
use crate::settings::PioEnv;
use crate::storage::Places;

/// Global options, made usable. Nothing is opened before a command asks for it.
#[derive(Clone)]
pub struct Context {
    global: Global,
    passed: Passed,
    pio_env: OnceLock<PioEnv>,
    places: OnceLock<Places>,
    storage: OnceLock<Storage>,
    /// Speaks for the command.
    pub console: Console,
}

/// An engine file, read and checked.
pub struct EngineFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// What it says.
    pub config: EngineConfig,
}

impl Context {
    /// `trains`: what was passed for Spark may be wanted.
    pub fn new(global: Global, passed: Passed, trains: bool) -> Self {
        let console = Console::new(global.json);
        let on_spark = trains && passed.names_cluster;
        for name in global.obsolete.given().filter(|name| !on_spark || *name != "--spark-home") {
            console.warn("Console$", format_args!("{name} has no meaning here and is ignored."));
        }
        if !on_spark && !passed.ignored.is_empty() {
            console.info(
                "Console$",
                format_args!("Ignored, as there is no Spark: {}", passed.ignored.join(" ")),
            );
        }
        Self {
            global,
            passed,
            pio_env: OnceLock::new(),
            places: OnceLock::new(),
            storage: OnceLock::new(),
            console,
        }
    }

    /// The directory that holds everything.
    pub fn home(&self) -> Result<PathBuf> {
        self.pio_env()?;
        crate::home::resolve(self.global.home.as_deref(), |name| self.variable(name))
    }

    /// PredictionIO's `pio-env.sh`, if there is one.
    pub fn pio_env(&self) -> Result<&PioEnv> {
        if let Some(found) = self.pio_env.get() {
            return Ok(found);
        }
        let found = PioEnv::find(&|name| std::env::var(name).ok())?;
        Ok(self.pio_env.get_or_init(|| found))
    }

    /// A variable of the environment, else of `pio-env.sh`; an empty one counts as not set.
    pub fn variable(&self, name: &str) -> Option<String> {
        let of_file = || self.pio_env().ok()?.get(name).map(str::to_owned);
        let is_set = |value: &String| !value.is_empty();
        std::env::var(name).ok().filter(is_set).or_else(of_file).filter(is_set)
    }

    /// Opens events, registry and models, where the settings say; once.
    pub fn storage(&self) -> Result<Storage> {
        if let Some(opened) = self.storage.get() {
            return Ok(opened.clone());
        }
        let opened = self.places()?.open(&self.home()?)?;
        Ok(self.storage.get_or_init(|| opened).clone())
    }

    /// Where events, registry and models are.
    pub fn places(&self) -> Result<&Places> {
        if let Some(known) = self.places.get() {
            return Ok(known);
        }
        let places = config::places(self)?;
        Ok(self.places.get_or_init(|| places))
    }

    /// The file of the settings, if it is named, and each `NAME=VALUE` that was set.
    pub(super) fn named_settings(&self) -> (Option<&Path>, &[String]) {
        (self.global.config.as_deref(), &self.global.set)
    }

    /// The global options again, for another program of the product.
    pub(super) fn global_args(&self) -> Vec<OsString> {
        self.global.args()
    }

    /// What was given after `--`.
    pub fn passed(&self) -> &Passed {
        &self.passed
    }

    /// A way to train on Spark, if what was passed names a cluster.
    pub fn spark(&self) -> Result<Option<SparkSubmit>> {
        if !self.passed.names_cluster {
            return Ok(None);
        }
        let spark_home = self.global.obsolete.spark_home.clone();
        let variable =
            |name: &str| spark_home.clone().filter(|_| name == "SPARK_HOME").or_else(|| self.variable(name));
        SparkSubmit::find(&self.passed.all, &variable).map(Some)
    }

    /// Threads to use: `threads` if given, else `--master local[n]`, else all.
    pub fn threads(&self, threads: Option<usize>) -> usize {
        threads
            .or(self.passed.threads)
            .or_else(|| std::thread::available_parallelism().ok().map(usize::from))
            .unwrap_or(1)
    }

    /// Path of the engine file.
    pub fn engine_path(&self) -> PathBuf {
        self.global.engine_dir.join(&self.global.variant)
    }

    /// Reads the engine file; warnings are printed. `None` if there is none and none was named.
    pub fn engine_if_any(&self) -> Result<Option<EngineFile>> {
        let path = self.engine_path();
        let is_named = self.global.variant != Path::new(ENGINE_FILE);
        let directory = &self.global.engine_dir;
        if is_named || !directory.is_dir() || path.exists() { self.engine().map(Some) } else { Ok(None) }
    }

    /// Reads the engine file; warnings are printed.
    pub fn engine(&self) -> Result<EngineFile> {
        self.engine_at(VARIANT, &self.engine_path())
    }

    /// Reads an engine file that `by` names; warnings are printed.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn engine_at(&self, by: &str, path: &Path) -> Result<EngineFile> {
        let leniency = if self.global.lenient { Leniency::Lenient } else { Leniency::Strict };
        let text = read(by, path)?;
        let (config, warnings) = parse(&text, leniency)
            .map_err(|error| Failure::invalid(format!("{}: {}", path.display(), one_line(&error))))?;
        for warning in warnings {
            self.console.warn("Engine$", format_args!("{}: {warning}", path.display()));
        }
        Ok(EngineFile { path: path.to_path_buf(), text, config })
    }
}

/// What names the file of the engine.
pub const VARIANT: &str = "--variant";

/// Reads and checks any engine file, which `by` names.
pub fn check_engine(by: &str, path: &Path) -> Result<Parsed> {
    Ok(parse(&read(by, path)?, Leniency::Strict))
}

/// An engine file with its warnings, or all its errors.
pub type Parsed = std::result::Result<(EngineConfig, Vec<Warning>), ConfigError>;

fn parse(text: &str, leniency: Leniency) -> Parsed {
    EngineConfig::parse(text.as_bytes(), leniency, &|name| std::env::var(name).ok())
}

fn read(by: &str, path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::not_found(format!(
            "{} does not exist, and {by} names it: run this in the directory of the engine, or give --engine-dir DIR \
             or --variant FILE",
            path.display()
        )),
        _ => Failure::file("read", by, path)(error),
    })
}

/// The first problem, and how to see the others.
fn one_line(error: &ConfigError) -> String {
    let first = error.problems.first().map_or_else(String::new, ToString::to_string);
    match error.problems.len() {
        0 | 1 => first,
        several => format!("{first} (and {} more; `arblast check` lists all)", several - 1),
    }
}

/// `--app NAME` or `--appid N`.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct AppChoice {
    /// Name of the app
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Id of the app
    #[arg(long, value_name = "N")]
    appid: Option<u32>,
}

impl AppChoice {
    /// The app that was chosen.
    pub fn find(&self, storage: &Storage) -> Result<App> {
        match (&self.app, self.appid) {
            (Some(name), _) => apps::find(storage, name),
            (None, Some(id)) => app_by_id(storage, id),
            (None, None) => Err(Failure::invalid("give --app NAME or --appid N")),
        }
    }
}

fn app_by_id(storage: &Storage, id: u32) -> Result<App> {
    let apps = storage.registry.apps()?;
    apps.into_iter()
        .find(|app| app.id == id)
        .ok_or_else(|| Failure::not_found(format!("App ID {id} does not exist. Aborting.")))
}

/// Where the events of a channel live; `None` = the default channel.
pub fn scope(storage: &Storage, app: &App, channel: Option<&str>) -> Result<Scope> {
    let Some(name) = channel else { return Ok(Scope { app: app.id, channel: None }) };
    let channels = storage.registry.channels(app.id)?;
    let channel = channels
        .into_iter()
        .find(|channel| channel.name == name)
        .ok_or_else(|| Failure::new(Kind::NotFound, format!("Channel {name} doesn't exist.")))?;
    Ok(Scope { app: app.id, channel: Some(channel.id) })
}
