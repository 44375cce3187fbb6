//! Correlators of plain files: the job behind `arblast itemsimilarity`.
//!
//! Each indicator is a file of `user,item` lines, or with a tab in the place of the comma. Lines end with LF or CRLF; blank
//! lines do not count. There is no quoting: ids hold no comma, tab or line end, and a quote is part of the id. The
//! result is a file of JSON lines `{"item":…,"indicator":…,"correlators":[["id",llr],…]}`, items by id and for each
//! item the indicators as given; an item without correlators of an indicator has no line for it.

pub(crate) mod read;
mod write;

pub use write::push_line;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use cco::{Correlators, Params, Sampling};

use crate::{Preparation, Prepared, Statistics, TrainingSet};

/// What to correlate, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// (name, file); the first is primary: its things are the items.
    pub indicators: Vec<(String, PathBuf)>,
    /// Written under a temporary name beside it, then renamed.
    pub output: PathBuf,
    /// K: correlators per item and indicator.
    pub max_correlators: u32,
    /// M: users and things with more interactions are thinned to about as many.
    pub max_prefs: u32,
    /// Weaker correlators are left out.
    pub min_llr: Option<f64>,
    /// Of the sampling.
    pub seed: u64,
    /// The result is the same for any number.
    pub threads: usize,
}

/// What was read and written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Users of the primary indicator.
    pub users: u32,
    /// In the order of the options.
    pub indicators: Vec<(String, Statistics)>,
    /// Correlators in the output.
    pub correlators: u64,
}

/// A part of the job; progress comes with (stage, done, total), from any thread. Reading counts bytes, correlating items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// All files.
    Read,
    /// The indicator at this place.
    Correlate(usize),
    /// The output, in items.
    Write,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The options contradict themselves.
    #[error("{0}")]
    Options(String),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line is not `user,item`.
    #[error("{}, line {line}: {reason}; expected user,item (comma or tab, no quoting)", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The interactions cannot be counted.
    #[error(transparent)]
    Counting(#[from] crate::Error),
}

/// Told how the job goes.
pub type Progress<'a> = &'a (dyn Fn(Stage, u64, u64) + Sync);

/// Runs the job. The output appears complete or not at all.
///
/// # Errors
/// See [`Error`]. Of several bad lines the first of the first bad file is named.
pub fn run(options: &Options, progress: Progress<'_>) -> Result<Summary, Error> {
    check(options)?;
    let training = read::read(options, progress)?;
    let prepared = prepare(options, training)?;
    let params =
        Params { max_correlators: options.max_correlators, min_llr: options.min_llr, positive_only: false };
    let correlators = (0..options.indicators.len())
        .map(|index| {
            let told = |done, total| {
                progress(Stage::Correlate(index), done, total);
                ControlFlow::Continue(())
            };
            prepared.correlators(index, params, options.threads, &told)
        })
        .collect::<crate::Result<Vec<Correlators>>>()?;
    write::write(options, &prepared, &correlators, progress)?;
    Ok(Summary {
        users: prepared.users(),
        indicators: names(options).map(str::to_owned).zip(prepared.statistics()).collect(),
        correlators: correlators.iter().map(|correlators| correlators.len() as u64).sum(),
    })
}

fn check(options: &Options) -> Result<(), Error> {
    let wrong = |text: String| Err(Error::Options(text));
    if options.indicators.is_empty() {
        return wrong("no indicator: give at least one as NAME=FILE, the primary first".to_owned());
    }
    for (place, name) in names(options).enumerate() {
        if names(options).take(place).any(|earlier| earlier == name) {
            return wrong(format!("indicator \"{name}\" is given twice: names must differ"));
        }
    }
    if options.min_llr.is_some_and(|least| !least.is_finite()) {
        return wrong("the least LLR must be a finite number".to_owned());
    }
    Ok(())
}

fn prepare(options: &Options, training: TrainingSet) -> Result<Prepared, Error> {
    let sampling = names(options).map(|name| Sampling {
        seed: options.seed,
        indicator: model::key(name.as_bytes()),
        cap: options.max_prefs,
    });
    let preparation = Preparation { min_events_per_user: 1, sampling: sampling.collect() };
    Ok(training.finish(options.threads, &preparation, &|| false)?)
}

fn names(options: &Options) -> impl Iterator<Item = &str> {
    options.indicators.iter().map(|(name, _)| name.as_str())
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    |source| Error::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
