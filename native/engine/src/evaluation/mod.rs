//! How good is an engine file? Trains on what happened before a moment, asks for recommendations for everyone who did
//! something new afterwards, and compares.
//!
//! The training is that of [`train`](crate::train) at the moment of the cut, the answers are those of a
//! [`Recommender`](crate::Recommender) with the histories of that moment: no event from the cut on has a part in either. The events are
//! read twice and counted once, for however many settings.

mod measure;
mod metrics;
mod past;
mod report;
mod setting;
mod split;

pub use metrics::{Estimate, Metric};
pub use report::{Evaluation, Measured, Scores, TestUsers};
pub use setting::Setting;

use cco::Correlators;
use events::{EventStore, Scope};
use model::{Model, ModelParts, RankingPart};

use crate::{EngineConfig, Error, Observer, RecsModel, Result};
use measure::Measure;
use past::{Past, past};
use setting::{Kept, settings, widest};
use split::{Split, split, time};

/// With fewer users a mean is not yet normally distributed.
const FEW: u64 = 30;

/// Where the past ends and the test begins. The instant itself belongs to the test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cut {
    /// At this time, ms since 1970.
    At(i64),
    /// Where so large a share of the primary events is left, more than 0 and less than 1. Events at the same time stay together.
    Share(f64),
}

/// Thresholds to try, each with each, for all indicators alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// `minLLR`; 0 = any correlator.
    pub min_llr: Vec<f64>,
    /// `maxCorrelatorsPerItem`, each at least 1.
    pub max_correlators: Vec<u32>,
}

impl Default for Sweep {
    fn default() -> Self {
        Self { min_llr: vec![0.0, 2.0, 5.0, 10.0, 20.0], max_correlators: vec![10, 20, 50, 100] }
    }
}

/// What to measure, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Where the test begins.
    pub cut: Cut,
    /// It ends before this time, ms since 1970; `None` = with the last event.
    pub until_ms: Option<i64>,
    /// Lengths at which lists are judged, each from 1 to [`K_MAX`](Self::K_MAX).
    pub lengths: Vec<u32>,
    /// At most so many users are asked for, chosen by a hash of their ids.
    pub users_max: Option<usize>,
    /// Chooses others.
    pub seed: u64,
    /// Ask also for users who had done nothing before the cut: all they can get is what is popular.
    pub newcomers: bool,
    /// Also measure the primary indicator alone, and all without each.
    pub ablation: bool,
    /// Also measure other thresholds.
    pub sweep: Option<Sweep>,
    /// Threads; the result is the same for any number.
    pub threads: usize,
}

impl Options {
    /// Longest list that is judged.
    pub const K_MAX: u32 = 1000;

    fn check(&self) -> Result<()> {
        let wrong = |text: String| Err(Error::Unmeasurable(text));
        if let Cut::Share(share) = self.cut
            && !(share > 0.0 && share < 1.0)
        {
            return wrong(format!("the share of events to test must lie between 0 and 1, got {share}"));
        }
        if self.lengths.is_empty() || self.lengths.iter().any(|k| !(1..=Self::K_MAX).contains(k)) {
            let lengths = &self.lengths;
            return wrong(format!("k must be from 1 to {}, at least one, got {lengths:?}", Self::K_MAX));
        }
        if let (Cut::At(cut), Some(until)) = (self.cut, self.until_ms)
            && until <= cut
        {
            return wrong(format!(
                "the test would end at {}, before it begins at {}",
                time(until),
                time(cut)
            ));
        }
        let Some(sweep) = &self.sweep else { return Ok(()) };
        if sweep.min_llr.iter().any(|least| !(least.is_finite() && *least >= 0.0)) {
            return wrong(format!("minLLR must be a number from 0 on, got {:?}", sweep.min_llr));
        }
        if sweep.max_correlators.contains(&0) {
            return wrong("the number of correlators per item must be at least 1, got 0".to_owned());
        }
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cut: Cut::Share(0.2),
            until_ms: None,
            lengths: vec![10],
            users_max: None,
            seed: 0,
            newcomers: false,
            ablation: false,
            sweep: None,
            threads: 1,
        }
    }
}

/// Evaluates `config` on the events of `scope`, which it only reads.
///
/// # Errors
/// [`Error::Unmeasurable`] names the option that is wrong, or says why there is nobody to test with; otherwise as
/// [`train`](crate::train).
pub fn evaluate(
    config: &EngineConfig,
    store: &dyn EventStore,
    scope: Scope,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Evaluation> {
    options.check()?;
    if config.recs_model == RecsModel::Backfill {
        return Err(Error::Unmeasurable(
            "recsModel \"backfill\" keeps the correlators of the model in use, which has seen the events to test with: \
             evaluate with \"all\""
                .to_owned(),
        ));
    }
    let split = split(config, store, scope, options, observer)?;
    let settings = settings(config, options.ablation, options.sweep.as_ref());
    let past = past(widest(config, &settings), store, scope, &split, options.threads, observer)?;
    Evaluator::new(config, split, past, options)?.evaluation(settings, observer)
}

/// Everything that the settings share.
struct Evaluator<'a> {
    config: EngineConfig,
    options: &'a Options,
    split: Split,
    past: Past,
    /// Correlators of the widest thresholds; the parts have those of a setting instead.
    widest: Vec<Correlators>,
    /// Rankings of the engine.
    rankings: Vec<RankingPart>,
    users: TestUsers,
}

impl<'a> Evaluator<'a> {
    fn new(config: &EngineConfig, mut split: Split, mut past: Past, options: &'a Options) -> Result<Self> {
        let with_something_new = split.users.len() as u64;
        let known = std::mem::take(&mut past.is_known);
        let newcomers = known.iter().filter(|known| !**known).count() as u64;
        if !options.newcomers {
            let keeps = |place: usize| known.get(place) == Some(&true);
            retain(&mut split.users, keeps);
            retain(&mut past.histories, keeps);
        }
        if split.users.is_empty() {
            return Err(nobody(config, &split, newcomers));
        }
        let users = TestUsers {
            tested: split.users.len() as u64,
            active: split.active,
            nothing_new: split.nothing_new,
            newcomers,
            sampled_out: split.active - split.nothing_new - with_something_new,
        };
        let parts = &mut past.trained.parts;
        let widest = parts.indicators.iter_mut().map(|part| std::mem::take(&mut part.correlators)).collect();
        let rankings = std::mem::take(&mut parts.rankings);
        let config = EngineConfig { dither: None, ..config.clone() };
        Ok(Self { config, options, split, past, widest, rankings, users })
    }

    fn evaluation(mut self, settings: Vec<Setting>, observer: &dyn Observer) -> Result<Evaluation> {
        let measure = Measure::new(&self.past.trained.parts.items, &self.split.users, &self.options.lengths);
        let mut measured: Vec<Measured> = Vec::new();
        let (mut reference, mut unserved) = (None, 0);
        for setting in settings {
            observer.stage(&format!("test {}", setting.title()), self.split.users.len() as u64);
            let (model, correlators) = self.model(&setting)?;
            let shown = self.shown(&setting, &model, observer)?;
            if setting == Setting::Engine {
                unserved = shown.iter().filter(|rows| rows.is_empty()).count() as u64;
            }
            let values = measure.values(&shown);
            let scores = measure.scores(&shown, &values, reference.as_ref());
            measured.push(Measured { setting, correlators, scores });
            reference.get_or_insert(values);
        }
        let mut training = self.past.trained.report;
        let kept = Kept::by(&Setting::Engine, &self.config);
        for (report, (widest, kept)) in training.indicators.iter_mut().zip(self.widest.iter().zip(kept)) {
            report.correlators = kept.of(widest).len();
        }
        let (right, unknown) = measure.right();
        let warnings = warnings(&self.config, self.options, self.past.described, self.users.tested, unserved);
        Ok(Evaluation {
            cut_ms: self.split.cut_ms,
            end_ms: self.split.end_ms,
            primary: primary(&self.config).to_owned(),
            training,
            users: self.users,
            right,
            unknown,
            warnings,
            measured,
        })
    }

    /// The model of a setting, and its number of correlators.
    fn model(&mut self, setting: &Setting) -> Result<(Model, u64)> {
        let parts: &mut ModelParts = &mut self.past.trained.parts;
        let kept = Kept::by(setting, &self.config);
        let mut correlators = 0;
        for (part, (widest, kept)) in parts.indicators.iter_mut().zip(self.widest.iter().zip(kept)) {
            part.correlators = kept.of(widest);
            correlators += part.correlators.len() as u64;
        }
        let [popular, recently] = &self.past.popular;
        let ranking = match setting {
            Setting::Popular => Some(popular),
            Setting::RecentlyPopular => Some(recently),
            _ => None,
        };
        parts.rankings = match ranking {
            Some(ranks) => {
                let ranks = ranks.iter().filter_map(|(id, rank)| Some((parts.items.find(id)?, *rank)));
                vec![RankingPart { name: "popular".to_owned(), values: ranks.collect() }]
            }
            None => std::mem::take(&mut self.rankings),
        };
        let mut bytes = Vec::new();
        let written = model::write(parts, &mut bytes);
        if ranking.is_none() {
            self.rankings = std::mem::take(&mut parts.rankings);
        }
        written?;
        Ok((Model::from_bytes(bytes)?, correlators))
    }

    /// Per test user the rows of what he is shown, best first.
    fn shown(&self, setting: &Setting, model: &Model, observer: &dyn Observer) -> Result<Vec<Vec<u32>>> {
        let num = self.options.lengths.iter().max().copied();
        let popularity = setting.is_popularity();
        let recs_model = if popularity { RecsModel::All } else { self.config.recs_model };
        let config = EngineConfig { recs_model, ..self.config.clone() };
        let user_bias = popularity.then_some(0.0); // history off
        let asker = measure::Asker { config: &config, model, num, user_bias, now_ms: self.split.cut_ms };
        asker.ask(&self.split.users, &self.past.histories, self.options.threads, observer)
    }
}

/// `described`: events that describe items, before the cut and later; `unserved`: test users who are shown nothing.
fn warnings(
    config: &EngineConfig,
    options: &Options,
    described: [u64; 2],
    tested: u64,
    unserved: u64,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let [earlier, later] = described;
    if earlier == 0 && later > 0 {
        warnings.push(format!(
            "all {later} events that describe items are from after the cut: rules and dates see no properties; give these \
             events the times from which they held, or cut later"
        ));
    }
    if unserved > 0 {
        warnings.push(format!(
            "{unserved} of {tested} users are shown nothing at all: rules and dates leave nothing, or nothing fills up"
        ));
    }
    if tested < FEW {
        warnings.push(format!("{tested} users are few: below {FEW} the intervals are too narrow"));
    }
    if options.ablation && config.indicators.len() < 2 {
        warnings.push("the engine has one indicator: there is nothing to leave out".to_owned());
    }
    warnings
}

/// The name of the event that is predicted. There is one: a configuration has been checked.
fn primary(config: &EngineConfig) -> &str {
    config.indicators.first().map_or("", |primary| primary.name.as_str())
}

/// Keeps what stands at places for which `keeps` holds.
fn retain<T>(all: &mut Vec<T>, keeps: impl Fn(usize) -> bool) {
    let mut place = 0;
    all.retain(|_| {
        place += 1;
        keeps(place - 1)
    });
}

/// Why there are no test users.
fn nobody(config: &EngineConfig, split: &Split, newcomers: u64) -> Error {
    let name = primary(config);
    Error::Unmeasurable(format!(
        "there is nobody to test with: of {} users with a \"{name}\" event from {} on, {} did nothing that they had not done \
         before, {newcomers} had done nothing at all before",
        split.active,
        time(split.cut_ms),
        split.nothing_new,
    ))
}
