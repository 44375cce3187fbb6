//! One row of AᵀB: from counters to the strongest correlators, with a logarithm for few of the pairs.
//!
//! For given margins LLR falls with the count up to the one expected by chance, and rises from there. So the least LLR
//! that still matters gives two bounds on the count, and all between them is passed over many counters at a time.

use crate::counting::{Beginnings, Column, Counter, GROUP, Rows};
use crate::frequency::{BLOCK, Block, ByFrequency, Class, Ranked};
use crate::llr::{LlrTable, Margin};
use crate::pairs::Partners;
use crate::strongest::Strongest;

/// A row of a thing that `margin.count` users have, or its beginning.
pub(crate) struct RowTest<'a> {
    pub table: &'a LlrTable,
    pub things: &'a ByFrequency,
    pub margin: Margin,
    /// Things from this rank on are not looked at.
    pub end: usize,
    /// Rank of the thing that must not correlate, for it is the row's own.
    pub own: Option<usize>,
    pub positive_only: bool,
    pub limit: usize,
    pub strongest: &'a mut Strongest,
    /// If each pair is looked at once, who else wants it.
    pub partners: Option<&'a Partners<'a>>,
}

/// Counts worth a look: 1..=low and from high on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub low: u32,
    pub high: u32,
}

/// With fewer cells than one in so many things, a row is drained cell by cell, for a scan of all things would cost more.
const SPARSE: usize = 16;

impl RowTest<'_> {
    /// Counts the rows and offers what may be strong. Leaves the counters clear.
    pub fn run<C: Column, N: Counter>(
        mut self,
        matrix: &Rows<C>,
        rows: Beginnings<'_>,
        counters: &mut Vec<N>,
    ) {
        counters.resize(self.things.len() + GROUP, N::default());
        matrix.count(rows, counters);
        if let Some(own) = self.own {
            counters[own] = N::default();
        }
        if rows.cells() < self.end / SPARSE {
            let mut bounds = vec![None; self.things.classes.len()];
            matrix.drain(rows, counters, |rank, count| self.look(rank, count, &mut bounds));
        } else {
            match self.partners {
                Some(partners) => self.scan(counters, Some(partners.wanted())),
                None => self.scan(counters, None),
            }
            counters.fill(N::default());
        }
    }

    /// First the greatest count of each block: the best K of them already give a floor near the final one.
    fn scan<N: Counter>(&mut self, counters: &[N], wanted: Option<&[u16]>) {
        let things = self.things;
        let ranks = |block: &Block| block.ranks.start..block.ranks.end.min(self.end);
        let blocks = &things.blocks[..things.blocks_before(self.end)];
        let greatest: Vec<u32> = blocks.iter().map(|block| N::greatest(&counters[ranks(block)])).collect();
        self.raise_floor(&greatest);
        let mut class = usize::MAX;
        let mut bounds = Bounds::EVERYTHING;
        for (block, &greatest) in blocks.iter().zip(&greatest) {
            let ranks = block.ranks.start..block.ranks.end.min(self.end);
            let counters = &counters[ranks.clone()];
            if block.class != class {
                class = block.class;
                bounds = self.bounds(&things.classes[class]);
            }
            let wanted = wanted.map(|wanted| &wanted[ranks.clone()]);
            let nobody = greatest < bounds.high && bounds.low == 0;
            if nobody && wanted.is_none_or(|wanted| !any_reaches(counters, wanted)) {
                continue;
            }
            let mut rose = false;
            for place in places(&hits_of(counters, wanted, bounds)) {
                rose |= self.offer(ranks.start + place, counters[place].get());
            }
            if rose {
                bounds = self.bounds(&things.classes[class]);
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

    /// As `scan`, for a single counter. Fill columns have no rank. `bounds` are those of the classes, as far as known.
    fn look(&mut self, rank: usize, count: u32, bounds: &mut [Option<Bounds>]) {
        let Some(ranked) = self.things.ranked[..self.end].get(rank) else { return };
        let class = ranked.class as usize;
        let known = match bounds[class] {
            Some(bounds) => bounds,
            None => *bounds[class].insert(self.bounds(&self.things.classes[class])),
        };
        let wanted = self.partners.is_some_and(|partners| partners.wants(rank, count));
        if (count.outside(known.low, known.high) || wanted) && self.offer(rank, count) {
            bounds.fill(None);
        }
    }

    /// True if the floor rose.
    fn offer(&mut self, rank: usize, count: u32) -> bool {
        let Ranked { thing, margin, .. } = self.things.ranked[rank];
        let both = u64::from(count);
        if self.positive_only && both * self.table.users() <= self.margin.count * margin.count {
            return false;
        }
        let llr = self.table.llr(both, self.margin, margin);
        if let Some(partners) = self.partners.filter(|partners| partners.wants(rank, count)) {
            partners.offer(rank, llr);
        }
        self.strongest.offer(thing, llr)
    }

    fn bounds(&self, class: &Class) -> Bounds {
        Bounds::new(self.table, self.margin, class, self.strongest.floor(), self.positive_only)
    }
}

/// True if any counter is perhaps at least its `least`.
#[inline]
fn any_reaches<N: Counter>(counters: &[N], least: &[u16]) -> bool {
    std::iter::zip(counters, least).fold(false, |any, (&count, &least)| any | count.reaches(least))
}

/// 1 where a counter of a block is worth a look. Bounds beyond the counter let its greatest value pass, too.
#[inline]
fn hits_of<N: Counter>(counters: &[N], wanted: Option<&[u16]>, bounds: Bounds) -> [u8; BLOCK] {
    let mut hits = [0; BLOCK];
    let (low, high) = (N::saturated(bounds.low), N::saturated(bounds.high));
    for (hit, count) in hits.iter_mut().zip(counters) {
        *hit = u8::from(count.outside(low, high));
    }
    for (hit, (count, &wanted)) in hits.iter_mut().zip(std::iter::zip(counters, wanted.unwrap_or(&[]))) {
        *hit |= u8::from(count.reaches(wanted));
    }
    hits
}

/// Where the hits are, eight places passed over at a time.
#[inline]
fn places(hits: &[u8; BLOCK]) -> impl Iterator<Item = usize> {
    hits.as_chunks::<8>().0.iter().enumerate().flat_map(|(eight, hits)| {
        let first = |hits: u64| (hits != 0).then_some(hits);
        let left =
            std::iter::successors(first(u64::from_le_bytes(*hits)), move |hits| first(hits & (hits - 1)));
        left.map(move |hits| eight * 8 + hits.trailing_zeros() as usize / 8)
    })
}

impl Bounds {
    const EVERYTHING: Self = Self { low: u32::MAX, high: 1 };

    /// Bounds for a thing with this margin that hold for every thing of a class.
    ///
    /// Above the expected count LLR falls with the frequency of the thing, below it rises; so the least frequent thing
    /// bounds the one side and the most frequent the other. Where a count does not fit that thing, the nearest frequency
    /// that it fits takes its place: then one set contains the other (or its complement), and LLR is as monotone.
    pub fn new(table: &LlrTable, own: Margin, class: &Class, floor: f64, positive_only: bool) -> Self {
        let floor = floor - table.rounding();
        if floor <= 0.0 {
            return Self::EVERYTHING;
        }
        let reaches = |both: u64, frequency: u64| table.llr(both, own, table.margin(frequency)) >= floor;
        let (own, users) = (own.count, table.users());
        let above = own * class.least.count / users + 1;
        let high = first(above.min(own), own.min(class.most.count) + 1, |both| {
            reaches(both, class.least.count.max(both))
        });
        let below = if positive_only { 0 } else { (own * class.most.count).div_ceil(users) };
        let low = first(1, below.max(1), |both| !reaches(both, class.most.count.min(users - own + both))) - 1;
        let high = if high > own.min(class.most.count) { u32::MAX } else { narrow(high) };
        Self { low: narrow(low), high }
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

#[cfg(test)]
mod tests {
    use super::{BLOCK, Bounds, any_reaches, hits_of, places};
    use crate::counting::Counter;

    const EDGES: [u32; 12] = [0, 1, 2, 127, 128, 254, 255, 256, 65_534, 65_535, 65_536, u32::MAX];

    /// Of all counters at an edge of some width, those are found that must be, and beyond them at most the greatest.
    fn finds_all<N: Counter>(greatest: u32) {
        let edges: Vec<u32> = EDGES.into_iter().filter(|&count| count <= greatest).collect();
        let counters: Vec<N> = edges.iter().map(|&count| N::saturated(count)).collect();
        for low in EDGES {
            for high in EDGES.into_iter().skip(1) {
                for least in [1, 2, 254, 255, 256, 65_535] {
                    let wanted = vec![least; counters.len()];
                    let hits = hits_of(&counters, Some(&wanted), Bounds { low, high });
                    let found: Vec<usize> = places(&hits).collect();
                    for (place, &count) in edges.iter().enumerate() {
                        let reached = count >= u32::from(least);
                        let worth = (count > 0 && count <= low) || count >= high || reached;
                        let hit = found.contains(&place);
                        assert!(hit || !worth, "{count}: {low}, {high}, {least}");
                        assert!(worth || !hit || count == greatest, "{count}: {low}, {high}, {least}");
                        assert_eq!(any_reaches(&counters[place..=place], &wanted), reached);
                    }
                    assert!(found.iter().all(|&place| place < counters.len()), "beyond the counters");
                }
            }
        }
    }

    #[test]
    fn narrow_comparisons_miss_nothing() {
        finds_all::<u8>(255);
        finds_all::<u16>(65_535);
        finds_all::<u32>(u32::MAX);
    }

    #[test]
    fn places_are_those_of_the_hits() {
        for step in 1..BLOCK {
            let hits = std::array::from_fn(|place| u8::from(place % step == step - 1));
            let expected: Vec<usize> = (0..BLOCK).filter(|place| place % step == step - 1).collect();
            assert_eq!(places(&hits).collect::<Vec<_>>(), expected);
        }
        assert_eq!(places(&[0; BLOCK]).count(), 0);
    }
}
