//! Interactions on their way from strings to matrices.

use std::ops::ControlFlow;

use cco::{Correlators, CrossOccurrence, Interactions, Params, Sampling};
use model::{Dictionary, DictionaryBuilder};

use crate::wire::{Reader, Writer};
use crate::{Error, Result};

/// Interned interactions as they were pushed: 8 bytes each.
pub struct TrainingSet {
    users: DictionaryBuilder,
    indicators: Vec<Pushed>,
}

struct Pushed {
    things: DictionaryBuilder,
    /// What was pushed, then what was merged.
    pairs: Vec<Vec<(u32, u32)>>,
}

/// How a training set becomes matrices.
#[derive(Debug, Clone, PartialEq)]
pub struct Preparation {
    /// Users with fewer primary events, repeats counted, are left out.
    pub min_events_per_user: u32,
    /// Per indicator.
    pub sampling: Vec<Sampling>,
}

/// What one indicator holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Events pushed.
    pub events: u64,
    /// Distinct cells before sampling.
    pub cells: u64,
    /// Cells after sampling.
    pub sampled: u64,
    /// Users with a cell.
    pub users: u64,
    /// Distinct things.
    pub things: u64,
}

/// Matrices over the users that count, and the names of their columns.
pub struct Prepared {
    users: u32,
    indicators: Vec<Indicator>,
}

struct Indicator {
    things: Dictionary,
    interactions: Interactions,
    statistics: Statistics,
}

impl TrainingSet {
    /// For this many indicators; the first is primary.
    pub fn new(indicators: usize) -> Self {
        let pushed = || Pushed { things: DictionaryBuilder::new(), pairs: vec![Vec::new()] };
        Self { users: DictionaryBuilder::new(), indicators: (0..indicators).map(|_| pushed()).collect() }
    }

    /// Adds an interaction.
    ///
    /// # Errors
    /// More distinct ids than a dictionary holds.
    ///
    /// # Panics
    /// If there is no such indicator.
    #[inline]
    pub fn push(&mut self, indicator: usize, user: &str, thing: &str) -> Result<()> {
        let pushed = &mut self.indicators[indicator];
        pushed.pairs[0].push((self.users.intern(user)?, pushed.things.intern(thing)?));
        Ok(())
    }

    /// Interactions of an indicator so far, repetitions counted.
    ///
    /// # Panics
    /// If there is no such indicator.
    pub fn pushed(&self, indicator: usize) -> u64 {
        self.indicators[indicator].pairs.iter().map(Vec::len).sum::<usize>() as u64
    }

    /// Adds as many interactions as a batch holds, (user, thing) each; faster than one by one.
    ///
    /// # Errors
    /// More distinct ids than a dictionary holds.
    ///
    /// # Panics
    /// If there is no such indicator.
    pub fn push_batch(
        &mut self,
        indicator: usize,
        batch: &[(&str, &str); DictionaryBuilder::BATCH],
    ) -> Result<()> {
        let pushed = &mut self.indicators[indicator];
        let users = self.users.intern_batch(&batch.map(|(user, _)| user))?;
        let things = pushed.things.intern_batch(&batch.map(|(_, thing)| thing))?;
        pushed.pairs[0].extend(std::iter::zip(users, things));
        Ok(())
    }

    /// Adds all that another set for the same indicators holds, as if it had been pushed here.
    ///
    /// # Errors
    /// More distinct ids than a dictionary holds.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        let users = adopt(&mut self.users, &other.users)?;
        for (own, pushed) in self.indicators.iter_mut().zip(other.indicators) {
            let things = adopt(&mut own.things, &pushed.things)?;
            let mut pairs = pushed.pairs;
            for (user, thing) in pairs.iter_mut().flatten() {
                (*user, *thing) = (users[*user as usize], things[*thing as usize]);
            }
            own.pairs.append(&mut pairs);
        }
        Ok(())
    }

    /// Appends all pairs, users one after another; about two bytes a pair, and the texts of the ids.
    pub(crate) fn write_to(&self, writer: &mut Writer) {
        write_texts(writer, &self.users);
        for pushed in &self.indicators {
            write_texts(writer, &pushed.things);
            let mut starts = vec![0_usize; self.users.len() as usize + 1];
            for &(user, _) in pushed.pairs() {
                starts[user as usize + 1] += 1;
            }
            for user in 1..starts.len() {
                starts[user] += starts[user - 1];
            }
            let mut things = vec![0; starts.last().copied().unwrap_or(0)];
            let mut ends = starts.clone();
            for &(user, thing) in pushed.pairs() {
                things[ends[user as usize]] = thing;
                ends[user as usize] += 1;
            }
            for user in 1..starts.len() {
                let row = &mut things[starts[user - 1]..starts[user]];
                row.sort_unstable();
                writer.row(row);
            }
        }
    }

    /// Adds what [`write_to`](Self::write_to) wrote of a set for the same indicators.
    ///
    /// # Errors
    /// The bytes are damaged; more distinct ids than a dictionary holds.
    pub(crate) fn read_from(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        let users = read_texts(reader, &mut self.users)?;
        for pushed in &mut self.indicators {
            let things = read_texts(reader, &mut pushed.things)?;
            let mut pairs = Vec::new();
            for &user in &users {
                reader.row(|thing| {
                    let thing = things.get(thing as usize);
                    pairs.push((user, *thing.ok_or(Error::Damaged("a pair names no thing"))?));
                    Ok(())
                })?;
            }
            pushed.pairs.push(pairs);
        }
        Ok(())
    }

    /// Distinct things of an indicator.
    ///
    /// # Panics
    /// If there is no such indicator.
    pub fn things(&self, indicator: usize) -> u32 {
        self.indicators[indicator].things.len()
    }

    /// Pairs that were pushed.
    pub fn pairs(&self) -> usize {
        self.indicators.iter().flat_map(|pushed| &pushed.pairs).map(Vec::len).sum()
    }

    /// Memory that it takes, about.
    pub fn memory_bytes(&self) -> usize {
        let things: usize = self.indicators.iter().map(|pushed| pushed.things.memory_bytes()).sum();
        self.users.memory_bytes() + things + self.pairs() * size_of::<(u32, u32)>()
    }

    /// Matrices of the users that have enough primary events. Equal for any number of threads, order of pushing and merging.
    /// `stopped` is asked now and then whether the work should end.
    ///
    /// # Errors
    /// More cells than fit; [`Error::Stopped`].
    pub fn finish(
        self,
        threads: usize,
        preparation: &Preparation,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Prepared> {
        let go_on = &|| if stopped() { Err(Error::Stopped) } else { Ok(()) };
        let mut primary_events = vec![0_u32; self.users.len() as usize];
        for &(user, _) in self.indicators.first().into_iter().flat_map(Pushed::pairs) {
            primary_events[user as usize] = primary_events[user as usize].saturating_add(1);
        }
        let least = preparation.min_events_per_user.max(1);
        go_on()?;
        let (users, rows) = self.users.finish_kept(|user| primary_events[user as usize] >= least);
        let user_keys: Vec<u64> = (0..users.len()).map(|user| users.key(user)).collect();
        let indicators = std::iter::zip(self.indicators, &preparation.sampling)
            .map(|(pushed, sampling)| pushed.prepare(&rows, &user_keys, sampling, threads, go_on))
            .collect::<Result<_>>()?;
        Ok(Prepared { users: users.len(), indicators })
    }
}

fn write_texts(writer: &mut Writer, texts: &DictionaryBuilder) {
    writer.number(u64::from(texts.len()));
    (0..texts.len()).for_each(|id| writer.text(texts.get(id)));
}

/// Interns what [`write_texts`] wrote; gives their ids here.
fn read_texts(reader: &mut Reader<'_>, own: &mut DictionaryBuilder) -> Result<Vec<u32>> {
    (0..reader.count()?).map(|_| Ok(own.intern(reader.text()?)?)).collect()
}

/// Interns all strings of another builder; gives their ids here.
fn adopt(own: &mut DictionaryBuilder, other: &DictionaryBuilder) -> Result<Vec<u32>> {
    (0..other.len()).map(|id| Ok(own.intern(other.get(id))?)).collect()
}

impl Pushed {
    fn pairs(&self) -> impl Iterator<Item = &(u32, u32)> + Clone {
        self.pairs.iter().flatten()
    }

    /// Numbers users by `rows` and things by their order, counts each cell once, thins out.
    fn prepare(
        mut self,
        rows: &[u32],
        user_keys: &[u64],
        sampling: &Sampling,
        threads: usize,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<Indicator> {
        go_on()?;
        let events = self.pairs.iter().map(Vec::len).sum::<usize>() as u64;
        let mut seen = vec![false; self.things.len() as usize];
        for (user, thing) in self.pairs() {
            seen[*thing as usize] |= rows[*user as usize] != DictionaryBuilder::DROPPED;
        }
        let things = std::mem::take(&mut self.things);
        let (things, columns) = things.finish_kept(|thing| seen[thing as usize]);
        std::thread::scope(|scope| {
            for pairs in &mut self.pairs {
                let renumber = || {
                    for (user, thing) in pairs {
                        (*user, *thing) = (rows[*user as usize], columns[*thing as usize]);
                    }
                };
                if threads > 1 {
                    scope.spawn(renumber);
                } else {
                    renumber();
                }
            }
        });
        go_on()?;
        let users = u32::try_from(user_keys.len()).unwrap_or(u32::MAX);
        let all = self.matrix(users, things.len(), threads)?;
        drop(self);
        go_on()?;
        let mut statistics = Statistics {
            events,
            cells: all.len() as u64,
            sampled: 0,
            users: (0..users).filter(|&user| !all.row(user).is_empty()).count() as u64,
            things: u64::from(things.len()),
        };
        let thing_keys: Vec<u64> = (0..things.len()).map(|thing| things.key(thing)).collect();
        let interactions = all.downsample(user_keys, &thing_keys, sampling)?;
        statistics.sampled = interactions.len() as u64;
        Ok(Indicator { things, interactions, statistics })
    }

    /// Pairs of users below `users` as a matrix; each thread makes the rows of some users.
    fn matrix(&self, users: u32, things: u32, threads: usize) -> Result<Interactions> {
        let parts = u32::try_from(threads).unwrap_or(u32::MAX).clamp(1, users.max(1));
        let size = users.div_ceil(parts).max(1);
        let part = |number: u32| {
            let first = users.min(number.saturating_mul(size));
            let end = users.min(first.saturating_add(size));
            let own = self.pairs().filter(move |(user, _)| (first..end).contains(user));
            Interactions::from_pairs(
                end - first,
                things,
                own.map(move |&(user, thing)| (user - first, thing)),
            )
        };
        let parts = std::thread::scope(|scope| {
            let helpers: Vec<_> = (1..parts).map(|number| scope.spawn(move || part(number))).collect();
            let others = helpers.into_iter().map(|helper| match helper.join() {
                Ok(matrix) => matrix,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            std::iter::once(part(0)).chain(others).collect::<std::result::Result<Vec<_>, cco::Error>>()
        })?;
        Ok(Interactions::stack(parts)?)
    }
}

impl Prepared {
    /// N: users that count.
    pub fn users(&self) -> u32 {
        self.users
    }

    /// Per indicator.
    pub fn statistics(&self) -> impl Iterator<Item = Statistics> {
        self.indicators.iter().map(|indicator| indicator.statistics)
    }

    /// Names of an indicator's things.
    pub fn things(&self, indicator: usize) -> &Dictionary {
        &self.indicators[indicator].things
    }

    /// The names of all indicators' things.
    pub fn into_things(self) -> Vec<Dictionary> {
        self.indicators.into_iter().map(|indicator| indicator.things).collect()
    }

    /// Bytes that counting needs at its peak: an estimate.
    pub fn memory_estimate(&self) -> u64 {
        let bytes = |cells: usize| cells as u64 * 4 + u64::from(self.users) * 8;
        let resting: u64 = self.indicators.iter().map(|indicator| bytes(indicator.interactions.len())).sum();
        // A running count holds the primary by columns and the other by padded rows.
        let widest = self.indicators.iter().map(|indicator| indicator.interactions.len()).max().unwrap_or(0);
        resting
            + self.indicators.first().map_or(0, |primary| bytes(primary.interactions.len()))
            + 2 * bytes(widest)
    }

    /// Counts one indicator against the primary.
    ///
    /// # Errors
    /// More cells than fit; [`Error::Stopped`] after `progress` said `Break`.
    pub fn correlators(
        &self,
        indicator: usize,
        params: Params,
        threads: usize,
        progress: &(dyn Fn(u64, u64) -> ControlFlow<()> + Sync),
    ) -> Result<Correlators> {
        let cross = cross(&self.matrices(), indicator, params)?;
        cross.all_unless_stopped(threads, progress).ok_or(Error::Stopped)
    }

    /// The interactions per indicator, without names.
    pub(crate) fn matrices(&self) -> Vec<&Interactions> {
        self.indicators.iter().map(|indicator| &indicator.interactions).collect()
    }
}

/// One of several matrices against the first.
///
/// # Errors
/// They have different numbers of users.
pub(crate) fn cross(matrices: &[&Interactions], indicator: usize, params: Params) -> Result<CrossOccurrence> {
    let other = (indicator > 0).then(|| matrices[indicator]);
    Ok(CrossOccurrence::new(matrices[0], other, params)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Pushes = Vec<(usize, u8, u8)>;

    fn preparation(min_events_per_user: u32) -> Preparation {
        let sampling = |indicator| Sampling { seed: 1, indicator, cap: 4 };
        Preparation { min_events_per_user, sampling: vec![sampling(1), sampling(2)] }
    }

    fn set(pushes: &[(usize, u8, u8)]) -> TrainingSet {
        let mut set = TrainingSet::new(2);
        for &(indicator, user, thing) in pushes {
            set.push(indicator, &format!("u{user}"), &format!("{thing}")).unwrap();
        }
        set
    }

    fn contents(prepared: &Prepared) -> Vec<(Dictionary, Interactions, Statistics)> {
        let parts = |part: &Indicator| (part.things.clone(), part.interactions.clone(), part.statistics);
        prepared.indicators.iter().map(parts).collect()
    }

    #[test]
    fn users_need_enough_primary_events_repeats_counted() {
        let pushes = [(0, 1, 7), (0, 1, 7), (0, 2, 8), (1, 1, 9), (1, 2, 5), (1, 3, 6), (1, 1, 9)];
        let prepared = set(&pushes).finish(1, &preparation(2), &|| false).unwrap();
        assert_eq!(prepared.users(), 1);
        assert_eq!(prepared.things(0).iter().collect::<Vec<_>>(), ["7"]);
        assert_eq!(prepared.things(1).iter().collect::<Vec<_>>(), ["9"], "only what kept users did");
        let statistics: Vec<_> = prepared.statistics().collect();
        assert_eq!(statistics[0], Statistics { events: 3, cells: 1, sampled: 1, users: 1, things: 1 });
        assert_eq!(statistics[1], Statistics { events: 4, cells: 1, sampled: 1, users: 1, things: 1 });
    }

    #[test]
    fn ends_at_any_step_when_told() {
        let asked = std::cell::Cell::new(0);
        let finish = |until: u32| {
            asked.set(0);
            let stopped = || asked.replace(asked.get() + 1) == until;
            set(&[(0, 1, 7), (1, 1, 9)]).finish(1, &preparation(1), &stopped)
        };
        assert!(finish(u32::MAX).is_ok());
        let steps = asked.get();
        assert!(steps >= 7, "once for the users and three times an indicator, found {steps}");
        assert!((0..steps).all(|step| matches!(finish(step), Err(Error::Stopped))));
    }

    #[test]
    fn nothing_makes_nothing() {
        let prepared = TrainingSet::new(2).finish(3, &preparation(1), &|| false).unwrap();
        assert_eq!((prepared.users(), prepared.things(1).len()), (0, 0));
        assert_eq!(
            prepared.correlators(1, Params::default(), 2, &|_, _| ControlFlow::Continue(())).unwrap().rows(),
            0
        );
    }

    proptest! {
        #[test]
        fn order_pieces_and_threads_do_not_matter(
            (pushes, shuffled) in prop::collection::vec((0_usize..2, 0_u8..20, 0_u8..20), 0..300)
                .prop_flat_map(|pushes: Pushes| (Just(pushes.clone()), Just(pushes).prop_shuffle())),
            cut in any::<prop::sample::Index>(),
            least in 0_u32..4,
            threads in 1_usize..5,
        ) {
            let expected = contents(&set(&pushes).finish(1, &preparation(least), &|| false).unwrap());
            let (left, right) = shuffled.split_at(if shuffled.is_empty() { 0 } else { cut.index(shuffled.len()) });
            let mut merged = set(left);
            merged.merge(set(right)).unwrap();
            prop_assert_eq!(&contents(&merged.finish(threads, &preparation(least), &|| false).unwrap()), &expected);
            let mut carried = TrainingSet::new(2);
            for part in [right, left] {
                let mut writer = Writer::new(*b"test", 1);
                set(part).write_to(&mut writer);
                let bytes = writer.finish();
                let mut reader = Reader::new(&bytes, *b"test", 1).unwrap();
                carried.read_from(&mut reader).unwrap();
                reader.finish().unwrap();
            }
            prop_assert_eq!(contents(&carried.finish(threads, &preparation(least), &|| false).unwrap()), expected);
        }
    }
}
