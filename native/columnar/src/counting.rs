//! Correlators of interactions that come and go as record batches: the job behind `arblast itemsimilarity`, without files.

use std::ops::{ControlFlow, Range};

use arrow::array::{Array, RecordBatch, StringArray};
use cco::{Correlators, Params, Sampling};
use engine::{Correlating, Preparation, Prepared, TrainingSet};

use crate::models::CorrelatorRows;
use crate::{Error, Result, events::texts};

/// Beside what was pushed.
const BYTES_PER_PAIR: usize = 16;
const BYTES_PER_CORRELATOR: usize = 12;

/// What to count, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Names of the indicators, the primary first.
    pub indicators: Vec<String>,
    /// K: correlators per item and indicator.
    pub max_correlators: u32,
    /// M: users and items with more interactions are thinned to about as many.
    pub max_prefs: u32,
    /// Weaker correlators are left out.
    pub min_llr: Option<f64>,
    /// Of the sampling.
    pub seed: u64,
}

/// As `arblast itemsimilarity` counts, for no indicator yet.
impl Default for Options {
    fn default() -> Self {
        Self { indicators: Vec::new(), max_correlators: 50, max_prefs: 500, min_llr: None, seed: 0 }
    }
}

/// Interactions on their way to correlators.
pub struct Counting {
    options: Options,
    training: TrainingSet,
}

/// Interactions that can be counted.
pub struct Ready {
    options: Options,
    correlating: Correlating,
}

/// Correlators by indicator, with their names.
pub struct Counted {
    options: Options,
    prepared: Prepared,
    correlators: Vec<Correlators>,
}

impl Counting {
    /// Without interactions yet.
    ///
    /// # Errors
    /// No indicator, or two of the same name.
    pub fn new(options: Options) -> Result<Self> {
        let names = &options.indicators;
        if names.is_empty() {
            return Err(Error::Options("no indicator: name at least one, the primary first".to_owned()));
        }
        for (place, name) in names.iter().enumerate() {
            if names[..place].contains(name) {
                return Err(Error::Options(format!(
                    "indicator \"{name}\" is named twice: names must differ"
                )));
            }
        }
        if options.min_llr.is_some_and(|least| !least.is_finite()) {
            return Err(Error::Options("the least LLR must be a finite number".to_owned()));
        }
        let training = TrainingSet::new(names.len());
        Ok(Self { options, training })
    }

    /// Adds the rows of a batch with the columns `user_id`, `item_id` and, if there is more than one indicator, `indicator`. Rows with
    /// a null do not count.
    ///
    /// # Errors
    /// A column is missing or no text; a row names an indicator that is not to be counted; too many distinct ids.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let (users, items) = (column(batch, "user_id")?, column(batch, "item_id")?);
        let named = match batch.column_by_name("indicator") {
            None if self.options.indicators.len() == 1 => None,
            _ => Some(column(batch, "indicator")?),
        };
        for row in 0..batch.num_rows() {
            if users.is_null(row) || items.is_null(row) {
                continue;
            }
            let indicator = match &named {
                None => 0,
                Some(named) if named.is_null(row) => continue,
                Some(named) => self.place_of(named.value(row))?,
            };
            self.training.push(indicator, users.value(row), items.value(row))?;
        }
        Ok(())
    }

    fn place_of(&self, name: &str) -> Result<usize> {
        let names = &self.options.indicators;
        names.iter().position(|known| known == name).ok_or_else(|| {
            Error::Options(format!(
                "a row is of indicator \"{name}\"; to be counted are {}",
                names.join(", ")
            ))
        })
    }

    /// Memory that counting will take at its peak, about: what was pushed, then matrices by users and by items, and correlators.
    pub fn bytes(&self) -> usize {
        let most = |indicator| self.training.things(indicator).min(self.options.max_correlators) as usize;
        let per_item: usize = (0..self.options.indicators.len()).map(most).sum();
        let correlators = per_item.saturating_mul(self.training.things(0) as usize);
        let pairs = self.training.pairs() * BYTES_PER_PAIR;
        (self.training.memory_bytes() + pairs)
            .saturating_add(correlators.saturating_mul(BYTES_PER_CORRELATOR))
    }

    /// Counts here. The result is the same for any number of threads and order of rows.
    ///
    /// # Errors
    /// More cells than fit; [`engine::Error::Stopped`] once `stopped` says so.
    pub fn finish(self, threads: usize, stopped: &(dyn Fn() -> bool + Sync)) -> Result<Counted> {
        let mut ready = self.prepare(threads, stopped)?;
        ready.count(threads, stopped)?;
        ready.finish()
    }

    /// Makes matrices, which can be counted here or elsewhere.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn prepare(self, threads: usize, stopped: &(dyn Fn() -> bool + Sync)) -> Result<Ready> {
        let Self { options, training } = self;
        let sampling = options.indicators.iter().map(|name| Sampling {
            seed: options.seed,
            indicator: model::key(name.as_bytes()),
            cap: options.max_prefs,
        });
        let preparation = Preparation { min_events_per_user: 1, sampling: sampling.collect() };
        let prepared = training.finish(threads, &preparation, &|| stopped())?;
        let Options { max_correlators, min_llr, .. } = options;
        let params = Params { max_correlators, min_llr, positive_only: false };
        let correlating = Correlating::new(prepared, vec![params; options.indicators.len()]);
        Ok(Ready { options, correlating })
    }
}

impl Ready {
    /// What is to be counted.
    pub fn correlating(&mut self) -> &mut Correlating {
        &mut self.correlating
    }

    /// Counts here.
    ///
    /// # Errors
    /// As [`Counting::finish`].
    pub fn count(&mut self, threads: usize, stopped: &(dyn Fn() -> bool + Sync)) -> Result<()> {
        let go_on = |_, _| if stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let mut indicators = 0..self.correlating.indicators();
        Ok(indicators.try_for_each(|indicator| self.correlating.count(indicator, threads, &go_on))?)
    }

    /// What was counted.
    ///
    /// # Errors
    /// Something has not been.
    pub fn finish(self) -> Result<Counted> {
        let (prepared, correlators) = self.correlating.finish()?;
        Ok(Counted { options: self.options, prepared, correlators })
    }
}

impl Counted {
    /// Number of items.
    pub fn items(&self) -> u32 {
        self.prepared.things(0).len()
    }

    /// Correlators of some items, by indicator, with the columns of [`schema::correlators`](crate::schema::correlators).
    ///
    /// # Errors
    /// More text than a column holds.
    pub fn batch(&self, rows: Range<u32>) -> Result<RecordBatch> {
        let mut table = CorrelatorRows::default();
        let items = self.prepared.things(0);
        for (place, (name, correlators)) in self.options.indicators.iter().zip(&self.correlators).enumerate()
        {
            let things = self.prepared.things(place);
            for row in rows.start..rows.end.min(items.len()) {
                let found = correlators.row(row as usize).map(|(thing, llr)| (things.get(thing), llr));
                table.push(name, items.get(row), found);
            }
        }
        Ok(table.finish()?)
    }
}

fn column(batch: &RecordBatch, name: &str) -> Result<StringArray> {
    let values = batch.column_by_name(name).ok_or_else(|| {
        let names: Vec<_> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        Error::Column(format!("column {name} is missing; there are {}", names.join(", ")))
    })?;
    texts(name, values, false)
}
