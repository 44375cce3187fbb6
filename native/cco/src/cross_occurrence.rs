//! AᵀB by rows: count, test, keep the strongest. The product is never materialised.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::correlators::Correlators;
use crate::counting::{Column, GROUP, Rows};
use crate::frequency::ByFrequency;
use crate::interactions::{Error, Interactions};
use crate::llr::LlrTable;
use crate::row_test::RowTest;
use crate::strongest::Strongest;

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

/// A primary matrix A and another B over the same users, prepared for counting AᵀB.
///
/// Holds a copy of both (A by columns), 6 to 8 bytes per cell in all; a running block adds one row of counters.
#[derive(Debug)]
pub struct CrossOccurrence {
    params: Params,
    table: LlrTable,
    /// Row a is `users[offsets[a]..offsets[a + 1]]`: where their rows start in `rows`, ascending.
    offsets: Vec<usize>,
    users: Vec<u32>,
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

/// What a block needs besides the inputs: one row.
struct Scratch {
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
        let same = other.is_none();
        let other = other.unwrap_or(primary);
        if other.users() != primary.users() {
            let (expected, found) = (primary.users() as usize, other.users() as usize);
            return Err(Error::Keys { what: "users", expected, found });
        }
        let table = LlrTable::new(u64::from(primary.users()));
        let things = ByFrequency::new(other, &table);
        let ranks = things.ranks(other.things());
        let order = by_length(other);
        let narrow = things.len() + GROUP <= usize::from(u16::MAX) + 1;
        let (rows, starts) = if narrow {
            let (rows, starts) = Rows::new(other, &order, &ranks, things.len());
            (AnyRows::Narrow(rows), starts)
        } else {
            let (rows, starts) = Rows::new(other, &order, &ranks, things.len());
            (AnyRows::Wide(rows), starts)
        };
        let counts = primary.thing_counts();
        let own_ranks = if same { ranks } else { Vec::new() };
        let (offsets, users) = transpose(primary, &counts, &order, &starts);
        Ok(Self { params, table, offsets, users, counts, rows, things, own_ranks })
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
    #[must_use]
    pub fn all(&self, threads: usize, progress: &(dyn Fn(u64, u64) + Sync)) -> Correlators {
        let threads = threads.max(1);
        let total = u64::from(self.rows());
        let size = (self.counts.len() / (threads * 32)).clamp(1, 1024);
        let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
        let work = || {
            let mut scratch = self.scratch();
            let mut blocks = Vec::new();
            loop {
                let block = next.fetch_add(1, Ordering::Relaxed);
                let rows = (block * size)..self.counts.len().min((block + 1) * size);
                if rows.is_empty() {
                    return blocks;
                }
                let count = rows.len() as u64;
                blocks.push((block, self.rows_into(narrow(&rows), &mut scratch)));
                progress(done.fetch_add(count, Ordering::Relaxed) + count, total);
            }
        };
        let mut blocks = on_threads(threads, &work);
        blocks.sort_unstable_by_key(|&(block, _)| block);
        Correlators::concat(blocks.into_iter().map(|(_, correlators)| correlators))
    }

    fn scratch(&self) -> Scratch {
        let strongest = Strongest::new(self.params.max_correlators as usize);
        Scratch { bytes: Vec::new(), shorts: Vec::new(), words: Vec::new(), strongest }
    }

    fn rows_into(&self, rows: Range<u32>, scratch: &mut Scratch) -> Correlators {
        let mut correlators = Correlators::new();
        for row in rows.start..rows.end.min(self.rows()) {
            match &self.rows {
                AnyRows::Narrow(matrix) => self.row(row, matrix, scratch),
                AnyRows::Wide(matrix) => self.row(row, matrix, scratch),
            }
            correlators.push_row(scratch.strongest.finish().iter().copied());
        }
        correlators
    }

    /// Leaves the strongest of a row in `scratch.strongest`.
    fn row<C: Column>(&self, row: u32, matrix: &Rows<C>, scratch: &mut Scratch) {
        let index = row as usize;
        let users = &self.users[self.offsets[index]..self.offsets[index + 1]];
        let count = self.counts[index];
        scratch.strongest.restart(self.params.min_llr.filter(|least| !least.is_nan()).unwrap_or(0.0));
        let test = RowTest {
            table: &self.table,
            things: &self.things,
            margin: self.table.margin(u64::from(count)),
            own: self.own_ranks.get(index).map(|&rank| rank as usize).filter(|_| count > 0),
            positive_only: self.params.positive_only,
            limit: self.params.max_correlators as usize,
            strongest: &mut scratch.strongest,
        };
        // A counter reaches at most the number of users of the row.
        match count {
            0..0x100 => test.run(matrix, users, &mut scratch.bytes),
            0x100..0x1_0000 => test.run(matrix, users, &mut scratch.shorts),
            _ => test.run(matrix, users, &mut scratch.words),
        }
    }
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

/// The results of `work` on several threads, the calling one included.
fn on_threads<T: Send>(threads: usize, work: &(dyn Fn() -> Vec<T> + Sync)) -> Vec<T> {
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut results = work();
        for helper in helpers {
            match helper.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}

/// Row numbers are below [`CrossOccurrence::rows`].
fn narrow(rows: &Range<usize>) -> Range<u32> {
    let narrow = |row| u32::try_from(row).unwrap_or(u32::MAX);
    narrow(rows.start)..narrow(rows.end)
}
