//! Asks for all test users, and judges what they are shown.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use model::{Dictionary, Model, View};

use super::metrics::{Estimate, Metric, Values, real, values};
use super::report::Scores;
use super::split::TestUser;
use crate::history::History;
use crate::recommend::recommend;
use crate::{EngineConfig, Error, Observer, Query, Result};

/// Users that one thread asks for at a time.
const TOGETHER: usize = 64;

/// Asks one model.
pub(super) struct Asker<'a> {
    pub config: &'a EngineConfig,
    pub model: &'a Model,
    /// See [`Query`].
    pub num: Option<u32>,
    /// See [`Query`].
    pub user_bias: Option<f32>,
    /// The moment of asking.
    pub now_ms: i64,
}

impl Asker<'_> {
    /// Per user the rows of what he is shown, best first.
    ///
    /// # Errors
    /// [`Error::Stopped`] if the observer says so.
    pub fn ask(
        &self,
        users: &[TestUser],
        histories: &[History],
        threads: usize,
        observer: &dyn Observer,
    ) -> Result<Vec<Vec<u32>>> {
        let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
        let work = || {
            let mut answers = Vec::new();
            loop {
                let first = next.fetch_add(TOGETHER, Ordering::Relaxed);
                if first >= users.len() {
                    return Ok(answers);
                }
                if observer.is_stopped() {
                    return Err(Error::Stopped);
                }
                let those = users.iter().zip(histories).skip(first).take(TOGETHER);
                let shown: Vec<Vec<u32>> =
                    those.map(|(user, history)| self.shown(user, history)).collect::<Result<_>>()?;
                let number = shown.len() as u64;
                observer.progress(done.fetch_add(number, Ordering::Relaxed) + number);
                answers.push((first, shown));
            }
        };
        let answers = thread::scope(|scope| {
            let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let others = helpers.into_iter().map(|helper| match helper.join() {
                Ok(answers) => answers,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            std::iter::once(work()).chain(others).collect::<Result<Vec<_>>>()
        })?;
        let mut answers: Vec<(usize, Vec<Vec<u32>>)> = answers.into_iter().flatten().collect();
        answers.sort_unstable_by_key(|(first, _)| *first);
        Ok(answers.into_iter().flat_map(|(_, shown)| shown).collect())
    }

    fn shown(&self, user: &TestUser, history: &History) -> Result<Vec<u32>> {
        let query = Query {
            user: Some(user.id.clone()),
            num: self.num,
            user_bias: self.user_bias,
            result_props: Some(Vec::new()),
            ..Query::default()
        };
        let answer = recommend(self.config, &View::from(self.model), &query, history, self.now_ms)?;
        Ok(answer.items.iter().filter_map(|hit| self.model.find(&hit.item)).collect())
    }
}

/// What would have been right, and at which lengths lists are judged.
pub(super) struct Measure {
    lengths: Vec<u32>,
    items: usize,
    right: Vec<Right>,
}

struct Right {
    /// Rows of the model, sorted.
    rows: Vec<u32>,
    /// With those that the model does not have.
    number: usize,
}

/// Per length, per user.
pub(super) type AllValues = Vec<Vec<Values>>;

impl Measure {
    pub fn new(items: &Dictionary, users: &[TestUser], lengths: &[u32]) -> Self {
        let right = users.iter().map(|user| Right {
            rows: user.right.iter().filter_map(|item| items.find(item)).collect(),
            number: user.right.len(),
        });
        let mut lengths = lengths.to_vec();
        lengths.sort_unstable();
        lengths.dedup();
        Self { lengths, items: items.len() as usize, right: right.collect() }
    }

    /// Number of things that would have been right, and of those that the model does not have.
    pub fn right(&self) -> (u64, u64) {
        let all: usize = self.right.iter().map(|right| right.number).sum();
        let known: usize = self.right.iter().map(|right| right.rows.len()).sum();
        (all as u64, (all - known) as u64)
    }

    /// What the lists are worth.
    pub fn values(&self, shown: &[Vec<u32>]) -> AllValues {
        let hits: Vec<Vec<bool>> = std::iter::zip(shown, &self.right)
            .map(|(rows, right)| rows.iter().map(|row| right.rows.binary_search(row).is_ok()).collect())
            .collect();
        let of_user = |k: u32| {
            let judged = std::iter::zip(&hits, &self.right);
            judged.map(|(hits, right)| values(hits, right.number, k as usize)).collect()
        };
        self.lengths.iter().map(|k| of_user(*k)).collect()
    }

    /// Means over the users, and of the differences to a reference.
    pub fn scores(
        &self,
        shown: &[Vec<u32>],
        values: &AllValues,
        reference: Option<&AllValues>,
    ) -> Vec<Scores> {
        let score = |(place, k): (usize, &u32)| {
            let of = |metric: usize| values[place].iter().map(move |values| values[metric]);
            let means = std::array::from_fn(|metric| Estimate::of(of(metric)));
            let differences = reference.map(|reference| {
                std::array::from_fn::<_, { Metric::ALL.len() }, _>(|metric| {
                    let theirs = reference[place].iter().map(move |values| values[metric]);
                    Estimate::of(of(metric).zip(theirs).map(|(own, theirs)| own - theirs))
                })
            });
            Scores { k: *k, means, differences, coverage: self.coverage(shown, *k as usize) }
        };
        self.lengths.iter().enumerate().map(score).collect()
    }

    /// Share of the model's items that anyone was shown.
    fn coverage(&self, shown: &[Vec<u32>], k: usize) -> f64 {
        let mut seen = vec![false; self.items];
        for row in shown.iter().flat_map(|rows| rows.iter().take(k)) {
            seen[*row as usize] = true;
        }
        real(seen.iter().filter(|seen| **seen).count()) / real(self.items.max(1))
    }
}
