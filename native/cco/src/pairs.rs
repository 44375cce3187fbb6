//! AᵀA by pairs: it is symmetric, so each pair of things is counted and tested once, and offered to both.
//!
//! The row of a thing goes only as far as the thing itself, in the order of falling frequency. That end of the rows is
//! the one whose counters stay in the first-level cache; and the things there have met all that are more frequent, so
//! they already know what is too weak for them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::correlators::Correlators;
use crate::counting::Counter;
use crate::cross_occurrence::{CrossOccurrence, Progress, Scratch};
use crate::frequency::{Block, ByFrequency, Class};
use crate::interactions::Interactions;
use crate::strongest::SharedStrongest;
use crate::threads::in_turn;

/// More memory than this the strongest of all things must not take; then AᵀA goes by rows, too.
const BYTES_MAX: usize = 256 << 20;

/// Things whose strongest are sorted together.
const GATHERED: usize = 1024;

/// Increments per thing that must be to count. Half of them are saved; testing for two costs more than testing for one.
const INCREMENTS_MIN: u64 = 20_000;

/// True if going by pairs is faster (as measured).
pub(crate) fn pay(interactions: &Interactions) -> bool {
    let increments: u64 =
        (0..interactions.users()).map(|user| (interactions.row(user).len() as u64).pow(2)).sum();
    increments / INCREMENTS_MIN > u64::from(interactions.things())
}

/// True if the strongest `limit` of each of `things` things fit in memory.
pub(crate) fn fit(things: usize, limit: usize) -> bool {
    SharedStrongest::bytes(things, limit) <= BYTES_MAX
}

/// As [`CrossOccurrence::all_unless_stopped`].
pub(crate) fn all(cross: &CrossOccurrence, threads: usize, progress: Progress<'_>) -> Option<Correlators> {
    let (things, total) = (cross.things(), u64::from(cross.rows()));
    let pairs = Pairs {
        cross,
        strongest: SharedStrongest::new(things.len(), cross.limit(), cross.least()),
        counted: things.blocks.iter().map(|_| AtomicBool::new(false)).collect(),
    };
    let done = AtomicU64::new(total - things.len() as u64);
    let state = || (Wanted::nothing(things), cross.scratch());
    let stopped = AtomicBool::new(false);
    in_turn(threads, things.blocks.len(), state, |(wanted, scratch), block| {
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        pairs.count(block, wanted, scratch);
        let count = things.blocks[block].ranks.len() as u64;
        if progress(done.fetch_add(count, Ordering::Relaxed) + count, total).is_break() {
            stopped.store(true, Ordering::Relaxed);
        }
    });
    (!stopped.into_inner()).then(|| pairs.gather(threads))
}

/// What all threads share.
struct Pairs<'a> {
    cross: &'a CrossOccurrence,
    /// By rank.
    strongest: SharedStrongest,
    /// The blocks whose rows are counted.
    counted: Vec<AtomicBool>,
}

impl Pairs<'_> {
    /// The rows of a block, as far as to themselves.
    fn count(&self, block: usize, wanted: &mut Wanted, scratch: &mut Scratch) {
        self.update(wanted, block);
        let things = self.cross.things();
        let Block { ranks, class } = &things.blocks[block];
        for rank in ranks.clone() {
            let thing = things.ranked[rank].thing;
            let partners = Partners { strongest: &self.strongest, wanted: &wanted.counts, rank, thing };
            let found = self.cross.beginning(rank, &partners, scratch);
            self.strongest.offer_all(rank, found);
            wanted.counts[rank] = self.wanted(rank, &things.classes[*class]);
        }
        self.counted[block].store(true, Ordering::Relaxed);
    }

    /// Makes `wanted` right for the rows of a block.
    fn update(&self, wanted: &mut Wanted, block: usize) {
        let things = self.cross.things();
        let class = things.blocks[block].class;
        if wanted.class != Some(class) {
            wanted.class = Some(class);
            wanted.known.fill(false);
        }
        for (number, earlier) in things.blocks[..block].iter().enumerate() {
            if wanted.known[number] {
                continue;
            }
            wanted.known[number] = self.counted[number].load(Ordering::Relaxed);
            for rank in earlier.ranks.clone() {
                wanted.counts[rank] =
                    if wanted.known[number] { self.wanted(rank, &things.classes[class]) } else { 1 };
            }
        }
    }

    /// The least count with things of a class that may interest the one of this rank.
    fn wanted(&self, rank: usize, class: &Class) -> u16 {
        let bounds =
            self.cross.bounds(self.cross.things().ranked[rank].margin, class, self.strongest.floor(rank));
        if bounds.low > 0 { 1 } else { u16::try_from(bounds.high).unwrap_or(u16::MAX) }
    }

    /// By thing, sorted.
    fn gather(&self, threads: usize) -> Correlators {
        let things = self.cross.rows() as usize;
        let blocks = in_turn(
            threads,
            things.div_ceil(GATHERED),
            || (),
            |(), block| {
                let mut correlators = Correlators::new();
                for thing in block * GATHERED..things.min((block + 1) * GATHERED) {
                    let rank = self.cross.rank(thing);
                    correlators.push_row(rank.map_or_else(Vec::new, |rank| self.strongest.take(rank)));
                }
                correlators
            },
        );
        Correlators::concat(blocks)
    }
}

/// From which count on things look at those of one class, as a thread knows.
struct Wanted {
    class: Option<usize>,
    /// By rank. As floors only rise, what was right remains right.
    counts: Vec<u16>,
    /// The blocks that had been counted when their counts were computed; others want everything.
    known: Vec<bool>,
}

impl Wanted {
    fn nothing(things: &ByFrequency) -> Self {
        Self { class: None, counts: vec![1; things.len()], known: vec![false; things.blocks.len()] }
    }
}

/// The others in the row of one thing.
pub(crate) struct Partners<'a> {
    strongest: &'a SharedStrongest,
    wanted: &'a [u16],
    /// The thing of the row and its rank.
    thing: u32,
    rank: usize,
}

impl Partners<'_> {
    /// Of the thing itself, whom others may have met.
    pub fn floor_of_row(&self) -> f64 {
        self.strongest.floor(self.rank)
    }

    /// By rank: from which count on a thing may want the one of the row.
    pub fn wanted(&self) -> &[u16] {
        self.wanted
    }

    /// False if the count is surely too little for the thing of this rank.
    #[inline]
    pub fn wants(&self, rank: usize, count: u32) -> bool {
        count.reaches(self.wanted[rank])
    }

    /// Offers the thing of the row to the one of this rank.
    #[inline]
    pub fn offer(&self, rank: usize, llr: f64) {
        self.strongest.offer(rank, self.thing, llr);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use crate::{Correlators, CrossOccurrence, Interactions, Params};

    /// Things that are the rarer the greater, and some that nobody has.
    fn matrix() -> impl Strategy<Value = Interactions> {
        (1_u32..80, 1_u32..400).prop_flat_map(|(users, things)| {
            prop::collection::vec((0..users, 0..things), 0..2000).prop_map(move |pairs| {
                let pairs = pairs.iter().map(|&(user, thing)| (user, thing * thing / things));
                Interactions::from_pairs(users, things, pairs).unwrap()
            })
        })
    }

    /// Things that so many users have, all of them together, and one more who has every ninth thing.
    fn together(count: u32) -> Interactions {
        let crowd = (0..count).flat_map(|user| (0..70).map(move |thing| (user, thing)));
        let others = (0..70).map(|thing| (count + thing % 9, thing));
        Interactions::from_pairs(count + 20, 70, crowd.chain(others)).unwrap()
    }

    /// Where a wider counter takes over, and where what partners want ends.
    #[test]
    fn counts_at_the_edges_of_counters() {
        for count in [253, 254, 255, 256, 65_534, 65_535] {
            let matrix = together(count);
            let params = Params { max_correlators: 3, ..Params::default() };
            let all =
                |pairs| CrossOccurrence::prepared(&matrix, None, params, pairs).unwrap().all(2, &|_, _| ());
            let found = all(true);
            assert_eq!(found, all(false));
            let llr = crate::llr(u64::from(count) + 1, 0, 0, 19);
            assert_eq!(found.row(69).collect::<Vec<_>>(), [(6, llr), (15, llr), (24, llr)], "{count}");
        }
    }

    proptest! {
        #[test]
        fn pairs_equal_rows(
            matrix in matrix(),
            max_correlators in 0_u32..30,
            min_llr in prop::option::of(-1.0..8.0),
            positive_only in any::<bool>(),
            threads in 1_usize..6,
        ) {
            let params = Params { max_correlators, min_llr, positive_only };
            let prepared = |pairs| CrossOccurrence::prepared(&matrix, None, params, pairs).unwrap();
            let pairs = prepared(true);
            let expected = prepared(false).all(1, &|_, _| ());
            prop_assert_eq!(&pairs.all(threads, &|_, _| ()), &expected);
            let middle = pairs.rows() / 2;
            let blocks = [pairs.block(0..middle), pairs.block(middle..u32::MAX)];
            prop_assert_eq!(&Correlators::concat(blocks), &expected);
        }
    }
}
