//! AᵀB by rows: count, test, keep the strongest. The product is never materialised.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::correlators::Correlators;
use crate::counting::{Beginnings, Column, GROUP, Rows};
use crate::frequency::{ByFrequency, Class};
use crate::interactions::{Error, Interactions};
use crate::llr::{LlrTable, Margin};
use crate::pairs::{self, Partners};
use crate::row_test::{Bounds, RowTest};
use crate::strongest::Strongest;
use crate::threads::in_turn;

/// What makes a correlator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Params {
    /// K: at most this many per thing of the primary indicator.
    pub max_correlators: u32,
    /// Those with less LLR do not count.
    pub min_llr: Option<f64>,
    /// Only those that occur together more often than by chance.
    pub positive_only: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self { max_correlators: 50, min_llr: None, positive_only: false }
    }
}

/// Called with (rows done, rows in all), from any thread.
pub(crate) type Progress<'a> = &'a (dyn Fn(u64, u64) -> ControlFlow<()> + Sync);

/// A primary matrix A and another B over the same users, prepared for counting AᵀB.
///
/// Holds a copy of both (A by columns), 6 to 10 bytes per cell in all; a running block adds one row of counters.
#[derive(Debug)]
pub struct CrossOccurrence {
    params: Params,
    table: LlrTable,
    columns: Columns,
    /// Users of each thing of A.
    counts: Vec<u32>,
    rows: AnyRows,
    things: ByFrequency,
    /// If A is B, the rank of each thing, for it is no correlator of itself; otherwise empty.
    own_ranks: Vec<u32>,
}

#[derive(Debug)]
enum AnyRows {
    Narrow(Rows<u16>),
    Wide(Rows<u32>),
}

/// A by things. Column a is `offsets[a]..offsets[a + 1]` of the others.
#[derive(Debug)]
struct Columns {
    offsets: Vec<usize>,
    /// Where the rows of its users start in the rows of B, ascending.
    users: Vec<u32>,
    /// If AᵀA may go by pairs, how many groups of these rows reach to the thing; otherwise empty.
    reach: Vec<u16>,
}

/// What a thread needs besides the inputs: one row.
pub(crate) struct Scratch {
    /// Of the rows that are counted.
    lengths: Vec<u32>,
    bytes: Vec<u8>,
    shorts: Vec<u16>,
    words: Vec<u32>,
    strongest: Strongest,
}

impl CrossOccurrence {
    /// Prepares AᵀB for `other` = B, or AᵀA without its diagonal for `None`.
    ///
    /// # Errors
    /// [`Error::Keys`] unless both have the same number of users.
    pub fn new(primary: &Interactions, other: Option<&Interactions>, params: Params) -> Result<Self, Error> {
        let by_pairs = other.is_none() && pairs::pay(primary);
        Self::prepared(primary, other, params, by_pairs)
    }

    /// As `new`; AᵀA goes by pairs if that is wanted and its memory suffices.
    pub(crate) fn prepared(
        primary: &Interactions,
        other: Option<&Interactions>,
        params: Params,
        by_pairs: bool,
    ) -> Result<Self, Error> {
        let same = other.is_none();
        let other = other.unwrap_or(primary);
        if other.users() != primary.users() {
            let (expected, found) = (primary.users() as usize, other.users() as usize);
            return Err(Error::Keys { what: "users", expected, found });
        }
        let table = LlrTable::new(u64::from(primary.users()));
        let things = ByFrequency::new(other, &table);
        let ranks = things.ranks(other.things());
        let counts = primary.thing_counts();
        let by_pairs = by_pairs && pairs::fit(things.len(), params.max_correlators as usize);
        let (rows, columns) = if things.len() + GROUP <= usize::from(u16::MAX) + 1 {
            let (rows, columns) = arrange(primary, &counts, other, &things, &ranks, by_pairs);
            (AnyRows::Narrow(rows), columns)
        } else {
            let (rows, columns) = arrange(primary, &counts, other, &things, &ranks, by_pairs);
            (AnyRows::Wide(rows), columns)
        };
        let own_ranks = if same { ranks } else { Vec::new() };
        Ok(Self { params, table, columns, counts, rows, things, own_ranks })
    }

    /// Number of rows: things of the primary matrix.
    #[must_use]
    pub fn rows(&self) -> u32 {
        u32::try_from(self.counts.len()).unwrap_or(u32::MAX)
    }

    /// The correlators of some things of the primary matrix. Rows beyond the last are ignored.
    ///
    /// Blocks are independent: [`Correlators::concat`] of any partition in order gives the same as one block.
    #[must_use]
    pub fn block(&self, rows: Range<u32>) -> Correlators {
        self.rows_into(rows, &mut self.scratch())
    }

    /// All rows on `threads` threads. `progress` is called with (rows done, rows in all), from any thread.
    ///
    /// Where AᵀA takes much counting it goes by pairs of things, each counted once. Meanwhile that holds the strongest of
    /// all things, 1 KB each for K = 50, shared by the threads; if these exceed 256 MB, it goes by rows all the same.
    #[must_use]
    pub fn all(&self, threads: usize, progress: &(dyn Fn(u64, u64) + Sync)) -> Correlators {
        let going_on = |done, total| {
            progress(done, total);
            ControlFlow::Continue(())
        };
        self.all_unless_stopped(threads, &going_on).unwrap_or_else(|| Correlators::concat([]))
    }

    /// As [`all`](Self::all); `None` soon after `progress` says `Break`.
    #[must_use]
    pub fn all_unless_stopped(
        &self,
        threads: usize,
        progress: &(dyn Fn(u64, u64) -> ControlFlow<()> + Sync),
    ) -> Option<Correlators> {
        if !self.columns.reach.is_empty() {
            return pairs::all(self, threads, progress);
        }
        let (rows, total) = (self.counts.len(), u64::from(self.rows()));
        let size = (rows / (threads.max(1) * 32)).clamp(1, 1024);
        let (done, stopped) = (AtomicU64::new(0), AtomicBool::new(false));
        let blocks = in_turn(
            threads,
            rows.div_ceil(size),
            || self.scratch(),
            |scratch, block| {
                if stopped.load(Ordering::Relaxed) {
                    return None;
                }
                let rows = (block * size)..rows.min((block + 1) * size);
                let count = rows.len() as u64;
                let correlators = self.rows_into(narrow(&rows), scratch);
                if progress(done.fetch_add(count, Ordering::Relaxed) + count, total).is_break() {
                    stopped.store(true, Ordering::Relaxed);
                }
                Some(correlators)
            },
        );
        (!stopped.into_inner()).then(|| Correlators::concat(blocks.into_iter().flatten()))
    }

    /// The columns of B.
    pub(crate) fn things(&self) -> &ByFrequency {
        &self.things
    }

    /// Of AᵀA, where a thing is in [`things`](Self::things), if it is.
    pub(crate) fn rank(&self, thing: usize) -> Option<usize> {
        self.own_ranks.get(thing).filter(|_| self.counts[thing] > 0).map(|&rank| rank as usize)
    }

    /// LLR that counts.
    pub(crate) fn least(&self) -> f64 {
        self.params.min_llr.map_or(0.0, |least| least.max(0.0))
    }

    /// Counts of a thing with this margin with one of a class that reach an LLR.
    pub(crate) fn bounds(&self, margin: Margin, class: &Class, floor: f64) -> Bounds {
        Bounds::new(&self.table, margin, class, floor, self.params.positive_only)
    }

    pub(crate) fn limit(&self) -> usize {
        self.params.max_correlators as usize
    }

    pub(crate) fn scratch(&self) -> Scratch {
        let strongest = Strongest::new(self.limit());
        Scratch { lengths: Vec::new(), bytes: Vec::new(), shorts: Vec::new(), words: Vec::new(), strongest }
    }

    fn rows_into(&self, rows: Range<u32>, scratch: &mut Scratch) -> Correlators {
        let mut correlators = Correlators::new();
        for row in rows.start..rows.end.min(self.rows()) {
            match &self.rows {
                AnyRows::Narrow(matrix) => self.row(row as usize, None, matrix, scratch),
                AnyRows::Wide(matrix) => self.row(row as usize, None, matrix, scratch),
            }
            correlators.push_row(scratch.strongest.finish().iter().copied());
        }
        correlators
    }

    /// What may be the strongest of a thing of AᵀA, among those of lower rank; offers the thing to them.
    pub(crate) fn beginning<'a>(
        &self,
        rank: usize,
        partners: &Partners<'_>,
        scratch: &'a mut Scratch,
    ) -> &'a [(u32, f64)] {
        let thing = self.things.ranked[rank].thing as usize;
        match &self.rows {
            AnyRows::Narrow(matrix) => self.row(thing, Some(partners), matrix, scratch),
            AnyRows::Wide(matrix) => self.row(thing, Some(partners), matrix, scratch),
        }
        scratch.strongest.candidates()
    }

    /// Leaves the strongest of a row in `scratch.strongest`. If there are partners, it ends before the thing itself.
    fn row<C: Column>(
        &self,
        row: usize,
        partners: Option<&Partners<'_>>,
        matrix: &Rows<C>,
        scratch: &mut Scratch,
    ) {
        let column = self.columns.offsets[row]..self.columns.offsets[row + 1];
        let users = &self.columns.users[column.clone()];
        let own = self.rank(row);
        let end = match partners {
            Some(_) => {
                scratch.lengths.clear();
                scratch.lengths.extend(self.columns.reach[column].iter().map(|&reach| u32::from(reach)));
                own.unwrap_or(0)
            }
            None => {
                matrix.lengths(users, &mut scratch.lengths);
                self.things.len()
            }
        };
        scratch.strongest.restart(partners.map_or(self.least(), Partners::floor_of_row));
        let test = RowTest {
            table: &self.table,
            things: &self.things,
            margin: self.table.margin(u64::from(self.counts[row])),
            end,
            own,
            positive_only: self.params.positive_only,
            limit: self.limit(),
            strongest: &mut scratch.strongest,
            partners,
        };
        let rows = Beginnings { starts: users, lengths: &scratch.lengths };
        // A counter reaches at most the number of users of the row.
        match self.counts[row] {
            0..0x100 => test.run(matrix, rows, &mut scratch.bytes),
            0x100..0x1_0000 => test.run(matrix, rows, &mut scratch.shorts),
            _ => test.run(matrix, rows, &mut scratch.words),
        }
    }
}

/// B by users and A by things.
fn arrange<C: Column>(
    primary: &Interactions,
    counts: &[u32],
    other: &Interactions,
    things: &ByFrequency,
    ranks: &[u32],
    by_pairs: bool,
) -> (Rows<C>, Columns) {
    let order = by_length(other);
    let (mut rows, starts) = Rows::new(other, &order, things.len());
    let (offsets, users) = transpose(primary, counts, &order, &starts);
    let mut reach = Vec::new();
    if by_pairs && rows.longest() <= usize::from(u16::MAX) {
        reach.resize(users.len(), 0);
        let mut filled = vec![0; rows.len()];
        for (rank, ranked) in things.ranked.iter().enumerate() {
            let column = offsets[ranked.thing as usize]..offsets[ranked.thing as usize + 1];
            rows.push(rank, &users[column.clone()], &mut filled, &mut reach[column]);
        }
    } else {
        rows.fill(other, &order, &starts, ranks);
    }
    (rows, Columns { offsets, users, reach })
}

/// Users with rows, longest first: neighbours have equally many groups, so the processor foresees where a row ends.
fn by_length(interactions: &Interactions) -> Vec<u32> {
    let groups = |user: u32| interactions.row(user).len().div_ceil(GROUP);
    let mut users: Vec<u32> = (0..interactions.users()).filter(|&user| groups(user) > 0).collect();
    users.sort_by_key(|&user| std::cmp::Reverse(groups(user)));
    users
}

/// For each thing its users, each by its number, in the order of `order`; users that are not there are left out.
fn transpose(
    interactions: &Interactions,
    counts: &[u32],
    order: &[u32],
    numbers: &[u32],
) -> (Vec<usize>, Vec<u32>) {
    let mut starts = Vec::with_capacity(counts.len() + 1);
    let mut total = 0;
    for &count in counts {
        starts.push(total);
        total += count as usize;
    }
    let mut ends = starts.clone();
    let mut users = vec![0; total];
    for (&number, &user) in numbers.iter().zip(order) {
        for &thing in interactions.row(user) {
            let end = &mut ends[thing as usize];
            users[*end] = number;
            *end += 1;
        }
    }
    compact(starts, &ends, users)
}

/// Closes the gaps that left-out users leave.
fn compact(starts: Vec<usize>, ends: &[usize], mut users: Vec<u32>) -> (Vec<usize>, Vec<u32>) {
    let mut offsets = starts;
    let mut kept = 0;
    for (start, &end) in offsets.iter_mut().zip(ends) {
        users.copy_within(*start..end, kept);
        let length = end - *start;
        *start = kept;
        kept += length;
    }
    offsets.push(kept);
    users.truncate(kept);
    (offsets, users)
}

/// Row numbers are below [`CrossOccurrence::rows`].
fn narrow(rows: &Range<usize>) -> Range<u32> {
    let narrow = |row| u32::try_from(row).unwrap_or(u32::MAX);
    narrow(rows.start)..narrow(rows.end)
}
