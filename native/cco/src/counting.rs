//! The inner loop: how many of some users have each thing.
//!
//! Counters are as narrow as the number of users allows, things are numbered by falling frequency, and rows come in whole
//! groups without a bounds test per end: so most increments hit the first-level cache, which is all that can be had.

use crate::interactions::Interactions;
use crate::prefetch::prefetch;

/// Cells of a group. Rows are filled up with columns that nobody reads.
pub(crate) const GROUP: usize = 8;

/// Rows this far ahead are fetched while one is counted.
const AHEAD: usize = 6;

/// A column number: as narrow as the number of things allows.
pub(crate) trait Column: Copy + Default {
    fn new(number: usize) -> Self;
    fn number(self) -> usize;
}

/// A count of users. Comparisons are as narrow as the counter, so that the processor makes many at once.
pub(crate) trait Counter: Copy + Default {
    /// `count`, or the greatest that there is.
    fn saturated(count: u32) -> Self;
    fn increment(&mut self);
    fn get(self) -> u32;
    fn greatest(counters: &[Self]) -> u32;
    fn reaches(self, least: u16) -> bool;
    /// True for 1..=low and from `high` on.
    fn outside(self, low: Self, high: Self) -> bool;
}

macro_rules! column {
    ($type:ty) => {
        impl Column for $type {
            fn new(number: usize) -> Self {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the type was chosen by the number of columns"
                )]
                let column = number as $type;
                column
            }
            #[inline(always)]
            fn number(self) -> usize {
                self as usize
            }
        }
    };
}
column!(u16);
column!(u32);

/// `wide` holds the counter and 16 bits.
macro_rules! counter {
    ($type:ty, $wide:ty) => {
        impl Counter for $type {
            #[inline]
            fn saturated(count: u32) -> Self {
                Self::try_from(count).unwrap_or(Self::MAX)
            }
            #[inline(always)]
            fn increment(&mut self) {
                // Columns of the fill are counted too and may wrap; the others are at most the number of users.
                *self = self.wrapping_add(1);
            }
            #[inline(always)]
            fn get(self) -> u32 {
                u32::from(self)
            }
            #[inline]
            fn greatest(counters: &[Self]) -> u32 {
                counters.iter().fold(0, |greatest, &count| greatest.max(count)).get()
            }
            #[inline(always)]
            fn reaches(self, least: u16) -> bool {
                <$wide>::from(self) >= <$wide>::from(least)
            }
            #[inline(always)]
            fn outside(self, low: Self, high: Self) -> bool {
                (self.wrapping_sub(1) < low) | (self >= high)
            }
        }
    };
}
counter!(u8, u16);
counter!(u16, u16);
counter!(u32, u32);

/// Interactions, users by falling length of their rows and things by falling frequency.
///
/// A row is known by where it starts in `groups`; as rows get shorter, that tells how long it is, too.
#[derive(Debug)]
pub(crate) struct Rows<C> {
    groups: Vec<[C; GROUP]>,
    spans: Vec<Span>,
}

/// Rows that start before `end`, and not in an earlier span, have this many groups.
#[derive(Debug, Clone, Copy)]
struct Span {
    end: u32,
    length: u32,
}

impl<C: Column> Rows<C> {
    /// Rows for the things of `users`, longest first, all fill, and where each starts. Ranks are below `things`.
    pub fn new(interactions: &Interactions, users: &[u32], things: usize) -> (Self, Vec<u32>) {
        let fill: [C; GROUP] = std::array::from_fn(|lane| C::new(things + lane));
        let (mut total, mut spans) = (0, Vec::<Span>::new());
        let mut starts = Vec::with_capacity(users.len());
        for &user in users {
            let length = interactions.row(user).len().div_ceil(GROUP);
            starts.push(index(total));
            total += length;
            let length = index(length);
            let span = Span { end: index(total), length };
            match spans.last_mut() {
                Some(last) if last.length == length => *last = span,
                _ => spans.push(span),
            }
        }
        (Self { groups: vec![fill; total], spans }, starts)
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Groups of the longest row.
    pub fn longest(&self) -> usize {
        self.spans.first().map_or(0, |span| span.length as usize)
    }

    /// Fills in the rows of `users`, who start there, in the order of the things.
    pub fn fill(&mut self, interactions: &Interactions, users: &[u32], starts: &[u32], ranks: &[u32]) {
        for (&user, &start) in users.iter().zip(starts) {
            let cells = self.groups[start as usize..].as_flattened_mut();
            for (cell, &thing) in cells.iter_mut().zip(interactions.row(user)) {
                *cell = C::new(ranks[thing as usize] as usize);
            }
        }
    }

    /// Adds `rank`, greater than all before, to the rows that start there. `reach` becomes
    /// the number of groups that reach to it, `filled` has at each start the number of cells so far.
    pub fn push(&mut self, rank: usize, starts: &[u32], filled: &mut [u32], reach: &mut [u16]) {
        for (&start, reach) in starts.iter().zip(reach) {
            let filled = &mut filled[start as usize];
            let position = *filled as usize;
            *filled += 1;
            self.groups[start as usize + position / GROUP][position % GROUP] = C::new(rank);
            *reach = u16::try_from(position / GROUP + 1).unwrap_or(u16::MAX);
        }
    }

    /// The length of each of the rows that start there; starts ascend.
    pub fn lengths(&self, starts: &[u32], lengths: &mut Vec<u32>) {
        lengths.clear();
        let mut rest = starts;
        for span in &self.spans {
            let alike = rest.iter().take_while(|&&start| start < span.end).count();
            lengths.resize(lengths.len() + alike, span.length);
            rest = &rest[alike..];
        }
    }

    /// Adds 1 to the counter of each cell.
    #[inline]
    pub fn count<N: Counter>(&self, rows: Beginnings<'_>, counters: &mut [N]) {
        let Beginnings { starts, lengths } = rows;
        let ahead = std::iter::zip(starts, lengths).skip(AHEAD).map(Some).chain(std::iter::repeat(None));
        for ((&start, &length), ahead) in std::iter::zip(starts, lengths).zip(ahead) {
            if let Some((&start, &length)) = ahead {
                prefetch(&self.groups, start as usize, length as usize);
            }
            for group in &self.groups[start as usize..][..length as usize] {
                for &column in group {
                    counters[column.number()].increment();
                }
            }
        }
    }

    /// Hands each column that was counted to `visit`, once, with its count, and clears it.
    #[inline]
    pub fn drain<N: Counter>(
        &self,
        rows: Beginnings<'_>,
        counters: &mut [N],
        mut visit: impl FnMut(usize, u32),
    ) {
        for (&start, &length) in std::iter::zip(rows.starts, rows.lengths) {
            for &column in self.groups[start as usize..][..length as usize].as_flattened() {
                let count = std::mem::take(&mut counters[column.number()]).get();
                if count > 0 {
                    visit(column.number(), count);
                }
            }
        }
    }
}

/// Beginnings of rows: where each starts, and how many of its groups.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beginnings<'a> {
    pub starts: &'a [u32],
    pub lengths: &'a [u32],
}

impl Beginnings<'_> {
    /// Number of cells, fill included.
    pub fn cells(self) -> usize {
        self.lengths.iter().map(|&length| length as usize).sum::<usize>() * GROUP
    }
}

/// Groups are counted in 32 bits: 34 thousand million cells.
fn index(groups: usize) -> u32 {
    u32::try_from(groups).unwrap_or(u32::MAX)
}
