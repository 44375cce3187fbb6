//! A train as Java sees it: one object that takes events, then trains, then publishes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::{
    Correlating, EngineConfig, Error, IndicatorReport, Leniency, Portion, RecsModel, Trained, Training,
};
use events::{Event, EventRef, EventTime, Kind, Position};
use stores::ModelDirectory;

use crate::border::{Fault, Result};
use crate::columns::Texts;
use crate::jobs::Job;
use crate::requests::Request;

/// A train, from its first event to its model. One caller at a time; a second one is refused.
pub struct Session {
    config: Arc<EngineConfig>,
    now: EventTime,
    inner: Mutex<Inner>,
}

struct Inner {
    stage: Stage,
    running: Option<Arc<Job<(Stage, String)>>>,
    /// JSON of the last request that ended.
    result: String,
}

/// Where a train is.
pub enum Stage {
    /// Takes events.
    Reading(Box<Reading>),
    /// Has read; counts.
    Training(Box<Training>, Option<Position>),
    /// Has a model.
    Trained(Box<Trained>, Option<Position>),
    /// Has given all away, or failed.
    Over,
}

/// Events on their way in.
pub struct Reading {
    /// What has been read.
    pub portion: Portion,
    /// Where the store was before it was read.
    pub position: Option<Position>,
    /// With `removeDuplicates`: all events, until none is to come.
    held: Vec<Event>,
}

/// What [`Session::count`] tells, in the order of Java's constants.
const COUNTS: [fn(&Correlating) -> u64; 5] = [
    |correlating| u64::from(correlating.items()),
    |correlating| correlating.indicators() as u64,
    Correlating::cells,
    Correlating::increments,
    |correlating| u64::from(correlating.things()),
];

impl Session {
    /// For an engine file and a time of training. `part`: it only reads, for a session elsewhere, so variables of the
    /// environment that the file names may be missing here.
    pub fn new(engine: &[u8], now_ms: i64, part: bool) -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().or_else(|| part.then(String::new));
        let (config, _) = EngineConfig::parse(engine, Leniency::Strict, &variable).map_err(Error::from)?;
        let config = Arc::new(config);
        let portion = Portion::new(Arc::clone(&config), now_ms);
        let reading = Reading { portion, position: None, held: Vec::new() };
        let inner = Inner { stage: Stage::Reading(Box::new(reading)), running: None, result: String::new() };
        Ok(Self { config, now: EventTime::utc(now_ms), inner: Mutex::new(inner) })
    }

    /// The time of training.
    pub fn now(&self) -> EventTime {
        self.now
    }

    fn inner(&self) -> Result<MutexGuard<'_, Inner>> {
        let inner = match self.inner.try_lock() {
            Ok(inner) => inner,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => {
                let mut inner = poisoned.into_inner();
                inner.stage = Stage::Over;
                self.inner.clear_poison();
                inner
            }
            Err(std::sync::TryLockError::WouldBlock) => return Err(busy()),
        };
        if inner.running.is_some() { Err(busy()) } else { Ok(inner) }
    }

    fn reading<T>(&self, body: impl FnOnce(&mut Reading) -> Result<T>) -> Result<T> {
        match &mut self.inner()?.stage {
            Stage::Reading(reading) => body(reading),
            _ => Err(Fault::state("this session does not take events any more")),
        }
    }

    fn training<T>(&self, body: impl FnOnce(&mut Training) -> Result<T>) -> Result<T> {
        match &mut self.inner()?.stage {
            Stage::Training(training, _) => body(training),
            _ => Err(Fault::state("this session is not between prepare and publish")),
        }
    }

    /// Adds what `push` gives to its argument, one event after the other.
    pub fn push<T>(
        &self,
        push: impl FnOnce(&mut dyn FnMut(&EventRef<'_>) -> Result<()>) -> Result<T>,
    ) -> Result<T> {
        self.reading(|reading| push(&mut |event| reading.push(event)))
    }

    /// Adds (user, thing) pairs of an indicator.
    pub fn push_pairs(&self, indicator: usize, rows: usize, users: &Texts, things: &Texts) -> Result<()> {
        let pair = |row| (users.get(row).unwrap_or_default(), things.get(row).unwrap_or_default());
        self.reading(|reading| Ok(reading.portion.push_pairs(indicator, (0..rows).map(pair))?))
    }

    /// Adds lines `user,item` of an indicator.
    pub fn push_text(&self, indicator: usize, text: &[u8]) -> Result<()> {
        self.reading(|reading| Ok(reading.portion.push_text(indicator, text)?))
    }

    /// Adds what another session read.
    pub fn merge(&self, bytes: &[u8]) -> Result<()> {
        self.reading(|reading| Ok(reading.portion.merge(bytes)?))
    }

    /// Gives away what has been read.
    pub fn portion(&self) -> Result<Vec<u8>> {
        let mut inner = self.inner()?;
        match std::mem::replace(&mut inner.stage, Stage::Over) {
            Stage::Reading(reading) => Ok(reading.settled()?.into_bytes()),
            other => {
                inner.stage = other;
                Err(Fault::state("this session does not take events any more"))
            }
        }
    }

    /// What tasks elsewhere count with.
    pub fn counting(&self, part: u32, parts: u32) -> Result<Vec<u8>> {
        let none =
            || Fault::argument(format!("there is no part {part} of {parts}, or nothing is to be counted"));
        self.training(|training| {
            let counting = training.correlating().and_then(|correlating| correlating.counting(part, parts));
            counting.ok_or_else(none)
        })
    }

    /// Adds a block that was counted elsewhere.
    pub fn add(&self, block: &[u8]) -> Result<()> {
        let none = || Fault::argument("a block where none is to be counted");
        self.training(|training| Ok(training.correlating().ok_or_else(none)?.add(block)?))
    }

    /// What will be counted, in a line for people.
    pub fn summary(&self) -> Result<String> {
        self.training(|training| {
            let report = training.report();
            let indicators = report.indicators.iter().map(|indicator| {
                let IndicatorReport { name, sampled, things, .. } = indicator;
                format!("{name} {sampled} pairs with {things} things")
            });
            let indicators: Vec<String> = indicators.collect();
            let warnings = report.warnings.iter().map(|warning| format!("; warning: {warning}"));
            let (events, users) = (report.events, report.users);
            let warnings: String = warnings.collect();
            Ok(format!("{events} events, {users} users count; {}{warnings}", indicators.join(", ")))
        })
    }

    /// Name of the engine's folder in a folder of models.
    pub fn folder(&self) -> String {
        let models = ModelDirectory::of(Path::new(""), &self.config.app_name, &self.config.variant);
        models.path().to_string_lossy().into_owned()
    }

    /// `sparkConf` of the engine file, flattened.
    pub fn spark_conf(&self) -> &BTreeMap<String, String> {
        &self.config.spark_conf
    }

    /// Does the window want equal events to meet in one session?
    pub fn learns(&self) -> bool {
        self.config.window.remove_duplicates
    }

    /// Are the correlators of the model in use kept?
    pub fn keeps(&self) -> bool {
        self.config.recs_model == RecsModel::Backfill
    }

    /// A number of the train; see [`COUNTS`].
    pub fn count(&self, what: usize) -> Result<i64> {
        let count =
            COUNTS.get(what).ok_or_else(|| Fault::argument(format!("no count has the number {what}")))?;
        self.training(|training| {
            let count = training.correlating().map_or(0, |correlating| count(correlating));
            Ok(i64::try_from(count).unwrap_or(i64::MAX))
        })
    }

    /// Begins what a request asks for.
    pub fn start(&self, request: Request) -> Result<()> {
        let mut inner = self.inner()?;
        let stage = std::mem::replace(&mut inner.stage, Stage::Over);
        let stage = match request.check(stage) {
            Ok(stage) => stage,
            Err((stage, fault)) => {
                inner.stage = stage;
                return Err(fault);
            }
        };
        let config = Arc::clone(&self.config);
        inner.running = Some(Job::start(move |progress| request.run(stage, &config, progress))?);
        Ok(())
    }

    /// Has it ended? Waits at most this long. If it failed, says why, once.
    pub fn wait(&self, time: Duration) -> Result<bool> {
        let running = self.inner.lock().unwrap_or_else(PoisonError::into_inner).running.clone();
        let Some(job) = running else { return Ok(true) };
        let Some(outcome) = job.wait(time) else { return Ok(false) };
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.running = None;
        let (stage, result) = outcome?;
        (inner.stage, inner.result) = (stage, result);
        Ok(true)
    }

    /// How far the running request is.
    pub fn progress(&self) -> String {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.running.as_ref().map(|job| job.progress()).unwrap_or_default()
    }

    /// What the last request gave, as JSON.
    pub fn result(&self) -> Result<String> {
        Ok(self.inner()?.result.clone())
    }

    /// Asks the running request to end.
    pub fn stop(&self) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.running.iter().for_each(|job| job.stop());
    }
}

impl Reading {
    fn push(&mut self, event: &EventRef<'_>) -> Result<()> {
        if self.portion.learns() {
            self.held.push(event.to_event()?);
            return Ok(());
        }
        Ok(self.portion.push(event)?)
    }

    /// With all held events, too.
    pub fn settled(mut self) -> Result<Portion> {
        self.held.iter().for_each(|event| lent(event, |event| self.portion.learn(event)));
        self.held.iter().try_for_each(|event| lent(event, |event| self.portion.push(event)))?;
        Ok(self.portion)
    }
}

fn lent<T>(event: &Event, body: impl FnOnce(&EventRef<'_>) -> T) -> T {
    body(&event.lend(&event.texts()))
}

fn busy() -> Fault {
    Fault::state("busy: another call of this session has not ended")
}

impl Stage {
    /// For messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reading(_) => "taking events",
            Self::Training(..) => "counting",
            Self::Trained(..) => "trained",
            Self::Over => "over",
        }
    }
}

/// The engine file names an app that does not exist.
pub fn no_app(config: &EngineConfig) -> Fault {
    let name = &config.app_name;
    Fault::new(
        Kind::NotFound,
        format!(
            "app \"{name}\", which the engine file names, does not exist in this home; `arblast app list` shows all"
        ),
    )
}
