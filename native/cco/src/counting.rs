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

/// A count of users.
pub(crate) trait Counter: Copy + Default {
    fn increment(&mut self);
    fn get(self) -> u32;
    fn greatest(counters: &[Self]) -> u32;
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

macro_rules! counter {
    ($type:ty) => {
        impl Counter for $type {
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
        }
    };
}
counter!(u8);
counter!(u16);
counter!(u32);

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
    length: usize,
}

impl<C: Column> Rows<C> {
    /// The rows of `users`, longest first, and where each starts. `ranks` numbers the things that occur, below `things`.
    pub fn new(interactions: &Interactions, users: &[u32], ranks: &[u32], things: usize) -> (Self, Vec<u32>) {
        let fill: [C; GROUP] = std::array::from_fn(|lane| C::new(things + lane));
        let length = |user: u32| interactions.row(user).len().div_ceil(GROUP);
        let total = users.iter().map(|&user| length(user)).sum();
        let mut rows = Self { groups: Vec::with_capacity(total), spans: Vec::new() };
        let mut starts = Vec::with_capacity(users.len());
        for &user in users {
            starts.push(index(rows.groups.len()));
            for things in interactions.row(user).chunks(GROUP) {
                let mut group = fill;
                for (cell, &thing) in group.iter_mut().zip(things) {
                    *cell = C::new(ranks[thing as usize] as usize);
                }
                rows.groups.push(group);
            }
            let span = Span { end: index(rows.groups.len()), length: length(user) };
            match rows.spans.last_mut() {
                Some(last) if last.length == span.length => *last = span,
                _ => rows.spans.push(span),
            }
        }
        (rows, starts)
    }

    /// Adds 1 to the counter of each cell of the rows that start there. Returns the number of cells, fill included.
    #[inline]
    pub fn count<N: Counter>(&self, starts: &[u32], counters: &mut [N]) -> usize {
        let mut groups = 0;
        self.each_span(starts, |position, end, length| {
            groups += (end - position) * length;
            for position in position..end {
                if let Some(&ahead) = starts.get(position + AHEAD) {
                    prefetch(&self.groups, ahead as usize, length);
                }
                for group in &self.groups[starts[position] as usize..][..length] {
                    for &column in group {
                        counters[column.number()].increment();
                    }
                }
            }
        });
        groups * GROUP
    }

    /// Hands each column that was counted to `visit`, once, with its count, and clears it.
    #[inline]
    pub fn drain<N: Counter>(&self, starts: &[u32], counters: &mut [N], mut visit: impl FnMut(usize, u32)) {
        self.each_span(starts, |position, end, length| {
            for &start in &starts[position..end] {
                for &column in self.groups[start as usize..][..length].as_flattened() {
                    let count = std::mem::take(&mut counters[column.number()]).get();
                    if count > 0 {
                        visit(column.number(), count);
                    }
                }
            }
        });
    }

    /// Calls `each` with every range of `starts` (ascending) whose rows have the same length.
    #[inline]
    fn each_span(&self, starts: &[u32], mut each: impl FnMut(usize, usize, usize)) {
        let mut position = 0;
        for span in &self.spans {
            let alike = starts[position..].iter().take_while(|&&start| start < span.end).count();
            if alike > 0 {
                each(position, position + alike, span.length);
                position += alike;
            }
        }
    }
}

/// Groups are counted in 32 bits: 34 thousand million cells.
fn index(groups: usize) -> u32 {
    u32::try_from(groups).unwrap_or(u32::MAX)
}
