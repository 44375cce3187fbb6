//! One row of AᵀB: from counters to the strongest correlators, with a logarithm for few of the pairs.
//!
//! For given margins LLR falls with the count up to the one expected by chance, and rises from there. So the least LLR
//! that still matters gives two bounds on the count, and all between them is passed over many counters at a time.

use crate::counting::{Column, Counter, GROUP, Rows};
use crate::frequency::{ByFrequency, Class, Ranked};
use crate::llr::{LlrTable, Margin};
use crate::strongest::Strongest;

/// A row of a thing that `margin.count` users have.
pub(crate) struct RowTest<'a> {
    pub table: &'a LlrTable,
    pub things: &'a ByFrequency,
    pub margin: Margin,
    /// Rank of the thing that must not correlate, for it is the row's own.
    pub own: Option<usize>,
    pub positive_only: bool,
    pub limit: usize,
    pub strongest: &'a mut Strongest,
}

/// Counts worth a look: 1..=low and from high on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    low: u32,
    high: u32,
}

/// With fewer cells than one in so many things, a row is drained cell by cell, for a scan of all things would cost more.
const SPARSE: usize = 16;

impl RowTest<'_> {
    /// Counts the rows that start there and offers what may be strong. Leaves the counters clear.
    pub fn run<C: Column, N: Counter>(mut self, matrix: &Rows<C>, starts: &[u32], counters: &mut Vec<N>) {
        let things = self.things.len();
        counters.resize(things + GROUP, N::default());
        let cells = matrix.count(starts, counters);
        if let Some(own) = self.own {
            counters[own] = N::default();
        }
        if cells < things / SPARSE {
            let mut bounds = self.all_bounds();
            matrix.drain(starts, counters, |rank, count| self.look(rank, count, &mut bounds));
        } else {
            self.scan(&counters[..things]);
            counters.fill(N::default());
        }
    }

    /// First the greatest count of each block: the best K of them already give a floor near the final one.
    fn scan<N: Counter>(&mut self, counters: &[N]) {
        let blocks = &self.things.blocks;
        let greatest: Vec<u32> =
            blocks.iter().map(|block| N::greatest(&counters[block.ranks.clone()])).collect();
        self.raise_floor(&greatest);
        let mut class = usize::MAX;
        let mut bounds = Bounds::EVERYTHING;
        for (block, &greatest) in blocks.iter().zip(&greatest) {
            if block.class != class {
                class = block.class;
                bounds = self.bounds(&self.things.classes[class]);
            }
            if greatest < bounds.high && bounds.low == 0 {
                continue;
            }
            for (rank, count) in block.ranks.clone().zip(&counters[block.ranks.clone()]) {
                let count = count.get();
                if bounds.admit(count) && self.offer(rank, count) {
                    bounds = self.bounds(&self.things.classes[class]);
                }
            }
        }
    }

    /// In each block there is a thing with the greatest count, and its LLR is at least that of the most frequent thing
    /// of its class with that count (if that is more than by chance). So K blocks vouch for K things.
    fn raise_floor(&mut self, greatest: &[u32]) {
        let Some(last) = self.limit.checked_sub(1).filter(|&last| last < greatest.len()) else { return };
        let own = self.margin.count;
        let mut vouched: Vec<f64> = std::iter::zip(&self.things.blocks, greatest)
            .map(|(block, &count)| {
                let most = self.things.classes[block.class].most;
                let both = u64::from(count);
                let by_chance = both * self.table.users() <= own * most.count;
                if by_chance { 0.0 } else { self.table.llr(both, self.margin, most) }
            })
            .collect();
        let (_, &mut least, _) = vouched.select_nth_unstable_by(last, |left, right| right.total_cmp(left));
        self.strongest.raise_floor(least - self.table.rounding());
    }

    /// As `scan`, for a single counter. Fill columns have no rank.
    fn look(&mut self, rank: usize, count: u32, bounds: &mut Vec<Bounds>) {
        let Some(ranked) = self.things.ranked.get(rank) else { return };
        if bounds[ranked.class as usize].admit(count) && self.offer(rank, count) {
            *bounds = self.all_bounds();
        }
    }

    /// True if the floor rose.
    fn offer(&mut self, rank: usize, count: u32) -> bool {
        let Ranked { thing, margin, .. } = self.things.ranked[rank];
        let both = u64::from(count);
        if self.positive_only && both * self.table.users() <= self.margin.count * margin.count {
            return false;
        }
        self.strongest.offer(thing, self.table.llr(both, self.margin, margin))
    }

    fn all_bounds(&self) -> Vec<Bounds> {
        self.things.classes.iter().map(|class| self.bounds(class)).collect()
    }

    /// Bounds that hold for every thing of a class, at the present floor.
    ///
    /// Above the expected count LLR falls with the frequency of the thing, below it rises; so the least frequent thing
    /// bounds the one side and the most frequent the other. Where a count does not fit that thing, the nearest frequency
    /// that it fits takes its place: then one set contains the other (or its complement), and LLR is as monotone.
    fn bounds(&self, class: &Class) -> Bounds {
        let floor = self.strongest.floor() - self.table.rounding();
        if floor <= 0.0 {
            return Bounds::EVERYTHING;
        }
        let (own, users) = (self.margin.count, self.table.users());
        let reaches = |both: u64, frequency: u64| {
            self.table.llr(both, self.margin, self.table.margin(frequency)) >= floor
        };
        let above = own * class.least.count / users + 1;
        let high = first(above.min(own), own.min(class.most.count) + 1, |both| {
            reaches(both, class.least.count.max(both))
        });
        let below = if self.positive_only { 0 } else { (own * class.most.count).div_ceil(users) };
        let low = first(1, below.max(1), |both| !reaches(both, class.most.count.min(users - own + both))) - 1;
        let high = if high > own.min(class.most.count) { u32::MAX } else { narrow(high) };
        Bounds { low: narrow(low), high }
    }
}

impl Bounds {
    const EVERYTHING: Self = Self { low: u32::MAX, high: 1 };

    #[inline]
    fn admit(self, count: u32) -> bool {
        count.wrapping_sub(1) < self.low || count >= self.high
    }
}

/// The first of start..end from which on a monotone condition holds; `end` if it never does. Looks near the start first.
fn first(start: u64, end: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high, mut step) = (start, end, 1);
    while low < high {
        let middle = if low + step < high { low + step - 1 } else { low + (high - low) / 2 };
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
            step *= 2;
        }
    }
    low
}

/// Counts of users, who are numbered in 32 bits.
fn narrow(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
