//! Cross-occurrence of interactions that a client brings or selects: how it is asked for, and who counts it.

use std::sync::Arc;
use std::time::Duration;

use arblast::failure::{Failure, Result};
use arblast::jobs::new_id;
use arrow::array::RecordBatch;
use columnar::{Counted, Counting, Options};
use engine::{Observer, TrainReport};
use events::Json;
use events::json::{self, Object};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use crate::cluster::Site;

/// What may be asked for.
pub const USAGE: &str = "options are a JSON object such as {\"indicators\": [\"purchase\", \"view\"], \"maxCorrelators\": 50, \"maxPrefs\": \
                         500, \"minLLR\": 5, \"seed\": 0}";

/// Names of indicators.
const INDICATORS_MAX: usize = 256;
/// Items of a batch.
const ITEMS: u32 = 1024;
/// How often is looked whether a client takes more.
const LOOK: Duration = Duration::from_millis(10);

/// Hands over as soon as there is room, unless it is time to end; was it taken?
pub fn send<T>(sender: &Sender<T>, mut value: T, stopped: &dyn Fn() -> bool) -> bool {
    loop {
        match sender.try_send(value) {
            Ok(()) => return true,
            Err(TrySendError::Closed(_)) => return false,
            Err(TrySendError::Full(_)) if stopped() => return false,
            Err(TrySendError::Full(back)) => value = back,
        }
        std::thread::sleep(LOOK);
    }
}

/// Reads what to count, and how.
///
/// # Errors
/// It is no JSON object, or has a member that is wrong.
pub fn options(text: &str) -> Result<Options> {
    match json::parse(text.as_bytes()) {
        Ok(Json::Object(object)) => read(&object),
        _ => Err(Failure::invalid(USAGE)),
    }
}

/// What is counted if nothing is said.
pub fn default_options() -> Options {
    Options { indicators: vec!["purchase".to_owned()], ..Options::default() }
}

fn read(object: &Object) -> Result<Options> {
    let mut options = default_options();
    for (name, value) in object.iter() {
        let wrong =
            |right: &str| Failure::invalid(format!("{name} must be {right}, got {}", value.excerpt()));
        let whole =
            || value.as_i64().and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0);
        match name {
            "indicators" => {
                let names =
                    value.as_array().map(<[Json]>::iter).ok_or_else(|| wrong("an array of strings"))?;
                let names = names.map(|name| name.as_str().map(str::to_owned));
                options.indicators =
                    names.collect::<Option<_>>().ok_or_else(|| wrong("an array of strings"))?;
                if options.indicators.len() > INDICATORS_MAX {
                    return Err(Failure::invalid(format!("indicators: at most {INDICATORS_MAX} are taken")));
                }
            }
            "maxCorrelators" => {
                options.max_correlators = whole().ok_or_else(|| wrong("a whole number from 1"))?
            }
            "maxPrefs" => options.max_prefs = whole().ok_or_else(|| wrong("a whole number from 1"))?,
            "minLLR" => options.min_llr = Some(value.as_f64().ok_or_else(|| wrong("a number"))?),
            "seed" => {
                let seed = value.as_i64().and_then(|seed| u64::try_from(seed).ok());
                options.seed = seed.ok_or_else(|| wrong("a whole number from 0"))?;
            }
            _ => return Err(Failure::invalid(format!("{name} is no option; {USAGE}"))),
        }
    }
    Ok(options)
}

/// Who counts.
#[derive(Clone)]
pub struct Counter {
    /// Of this process.
    pub threads: usize,
    /// A cluster that counts what takes long.
    pub site: Option<Arc<Site>>,
}

impl Counter {
    /// Counts, in a thread that may wait; `send` takes the correlators by batches, and says whether more are wanted. `stopped` says
    /// when to end.
    ///
    /// # Errors
    /// The interactions contradict the options; the cluster is gone; [`engine::Error::Stopped`].
    pub fn count(
        &self,
        counting: Counting,
        stopped: &(dyn Fn() -> bool + Sync),
        mut send: impl FnMut(RecordBatch) -> bool,
    ) -> Result<()> {
        let counted = self.counted(counting, stopped)?;
        for start in (0..counted.items()).step_by(ITEMS as usize) {
            let batch = counted.batch(start..start.saturating_add(ITEMS)).map_err(|error| failure(&error))?;
            if !send(batch) {
                break;
            }
        }
        Ok(())
    }

    fn counted(&self, counting: Counting, stopped: &(dyn Fn() -> bool + Sync)) -> Result<Counted> {
        let mut ready = counting.prepare(self.threads, stopped).map_err(|error| failure(&error))?;
        let is_counted = match &self.site {
            Some(site) if site.is_worth_while(ready.correlating(), self.threads) => {
                let (job, asked) = (new_id()?, Asked(stopped));
                let counted = site.drive(&job, &asked, async |driver| {
                    driver.correlate(ready.correlating(), self.threads).await
                });
                crate::cluster::runtime()?.block_on(counted)?
            }
            _ => false,
        };
        if !is_counted {
            ready.count(self.threads, stopped).map_err(|error| failure(&error))?;
        }
        ready.finish().map_err(|error| failure(&error))
    }
}

/// What is wrong with interactions or their columns.
pub fn failure(error: &columnar::Error) -> Failure {
    match error {
        columnar::Error::Engine(engine::Error::Stopped) => Failure::new(
            events::Kind::Unavailable,
            "it takes longer than the setting flightQuerySecondsMax allows, or was cancelled",
        ),
        error => Failure::new(error.kind(), error.to_string()),
    }
}

/// Hears when to end, and has nothing to show.
struct Asked<'a>(&'a (dyn Fn() -> bool + Sync));

impl Observer for Asked<'_> {
    fn stage(&self, _: &str, _: u64) {}
    fn progress(&self, _: u64) {}
    fn preflight(&self, _: &TrainReport) {}
    fn is_stopped(&self) -> bool {
        (self.0)()
    }
}
