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
    /// True if any counter is perhaps at least its `least`.
    fn any_reaches(counters: &[Self], least: &[u16]) -> bool;
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
            #[inline]
            fn any_reaches(counters: &[Self], least: &[u16]) -> bool {
                std::iter::zip(counters, least)
                    .fold(false, |any, (&count, &least)| any | (count.get() >= u32::from(least)))
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
    /// Rows for the things of `users`, longest first, all fill, and where each starts. Ranks are below `things`.
    pub fn new(interactions: &Interactions, users: &[u32], things: usize) -> (Self, Vec<u32>) {
        let fill: [C; GROUP] = std::array::from_fn(|lane| C::new(things + lane));
        let (mut total, mut spans) = (0, Vec::<Span>::new());
        let mut starts = Vec::with_capacity(users.len());
        for &user in users {
            let length = interactions.row(user).len().div_ceil(GROUP);
            starts.push(index(total));
            total += length;
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
        self.spans.first().map_or(0, |span| span.length)
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

    /// Adds 1 to the counter of each cell of the runs.
    #[inline]
    pub fn count<N: Counter>(&self, runs: &Runs, counters: &mut [N]) {
        runs.each(|position, end, length| {
            for position in position..end {
                if let Some(&ahead) = runs.starts.get(position + AHEAD) {
                    prefetch(&self.groups, ahead as usize, length);
                }
                for group in &self.groups[runs.starts[position] as usize..][..length] {
                    for &column in group {
                        counters[column.number()].increment();
                    }
                }
            }
        });
    }

    /// Hands each column that was counted to `visit`, once, with its count, and clears it.
    #[inline]
    pub fn drain<N: Counter>(&self, runs: &Runs, counters: &mut [N], mut visit: impl FnMut(usize, u32)) {
        runs.each(|position, end, length| {
            for &start in &runs.starts[position..end] {
                for &column in self.groups[start as usize..][..length].as_flattened() {
                    let count = std::mem::take(&mut counters[column.number()]).get();
                    if count > 0 {
                        visit(column.number(), count);
                    }
                }
            }
        });
    }
}

/// Beginnings of rows to count, ordered so that those of equal length follow each other: the processor foresees where
/// they end.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    starts: Vec<u32>,
    runs: Vec<Run>,
}

/// Up to `end`, and not in an earlier run, there are this many groups to count of each row.
#[derive(Debug)]
struct Run {
    end: usize,
    length: usize,
}

impl Runs {
    /// Whole rows of `rows`, that start there, ascending.
    pub fn whole<C>(&mut self, rows: &Rows<C>, starts: &[u32]) {
        self.starts.clear();
        self.starts.extend_from_slice(starts);
        self.runs.clear();
        let mut end = 0;
        for span in &rows.spans {
            let alike = starts[end..].iter().take_while(|&&start| start < span.end).count();
            end += alike;
            if alike > 0 {
                self.runs.push(Run { end, length: span.length });
            }
        }
    }

    /// Of each row that starts there so many groups, at least one.
    pub fn beginnings(&mut self, starts: &[u32], lengths: &[u16]) {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        self.runs.clear();
        self.runs.extend((0..=usize::from(longest)).map(|length| Run { end: 0, length }));
        for &length in lengths {
            self.runs[usize::from(length)].end += 1;
        }
        let mut total = 0;
        for run in &mut self.runs {
            total += std::mem::replace(&mut run.end, total);
        }
        // Now `end` is where a run begins; filling moves it to where the run ends.
        self.starts.resize(total, 0);
        for (&start, &length) in starts.iter().zip(lengths) {
            let end = &mut self.runs[usize::from(length)].end;
            self.starts[*end] = start;
            *end += 1;
        }
    }

    /// Number of cells, fill included.
    pub fn cells(&self) -> usize {
        let mut groups = 0;
        self.each(|position, end, length| groups += (end - position) * length);
        groups * GROUP
    }

    #[inline]
    fn each(&self, mut each: impl FnMut(usize, usize, usize)) {
        let mut position = 0;
        for run in &self.runs {
            each(position, run.end, run.length);
            position = run.end;
        }
    }
}

/// Groups are counted in 32 bits: 34 thousand million cells.
fn index(groups: usize) -> u32 {
    u32::try_from(groups).unwrap_or(u32::MAX)
}
