//! AᵀB for users who come in parts: no process needs to hold all interactions at once.

use std::ops::Range;

use crate::correlators::Correlators;
use crate::cross_occurrence::Params;
use crate::interactions::{Error, Interactions};
use crate::llr::llr;
use crate::strongest::Strongest;

/// Counts of some things of A with every thing of B, growing part by part; any parts of the users, in any order, sum up to the same.
///
/// Holds 4 bytes per pair of a row and a thing of B.
#[derive(Debug)]
pub struct Sums {
    rows: Range<u32>,
    /// Is B A? Then a thing is no correlator of itself.
    same: bool,
    users: u64,
    /// Users of each row.
    row_counts: Vec<u32>,
    /// Users of each thing of B.
    thing_counts: Vec<u32>,
    /// `rows` × things of B.
    both: Vec<u32>,
}

impl Sums {
    /// Nothing yet, for these things of A, and as many things of B; `same`: B is A.
    #[must_use]
    pub fn new(rows: Range<u32>, things: u32, same: bool) -> Self {
        let (count, things) = (rows.len(), things as usize);
        Self {
            rows,
            same,
            users: 0,
            row_counts: vec![0; count],
            thing_counts: vec![0; things],
            both: vec![0; count.saturating_mul(things)],
        }
    }

    /// Adds what some users did: A, and B unless that is A.
    ///
    /// # Errors
    /// [`Error::Keys`] unless both have these users, B has the things that were said, and A has the rows.
    pub fn add(&mut self, primary: &Interactions, other: Option<&Interactions>) -> Result<(), Error> {
        let other = other.unwrap_or(primary);
        let expect = |what, expected: usize, found: usize| {
            if expected == found { Ok(()) } else { Err(Error::Keys { what, expected, found }) }
        };
        expect("users", primary.users() as usize, other.users() as usize)?;
        expect("things", self.thing_counts.len(), other.things() as usize)?;
        expect(
            "rows",
            self.rows.len(),
            self.rows.end.min(primary.things()).saturating_sub(self.rows.start) as usize,
        )?;
        self.users += u64::from(primary.users());
        let things = self.thing_counts.len();
        for user in 0..primary.users() {
            let did = other.row(user);
            did.iter().for_each(|&thing| self.thing_counts[thing as usize] += 1);
            let row = primary.row(user);
            let first = row.partition_point(|&item| item < self.rows.start);
            let end = row.partition_point(|&item| item < self.rows.end);
            for &item in &row[first..end] {
                let row = (item - self.rows.start) as usize;
                self.row_counts[row] += 1;
                let both = &mut self.both[row * things..(row + 1) * things];
                did.iter().for_each(|&thing| both[thing as usize] += 1);
            }
        }
        Ok(())
    }

    /// The correlators of the rows, as [`CrossOccurrence::block`](crate::CrossOccurrence::block) of all users gives them.
    #[must_use]
    pub fn correlators(&self, params: Params) -> Correlators {
        let mut correlators = Correlators::new();
        let mut strongest = Strongest::new(params.max_correlators as usize);
        for (row, item) in self.rows.clone().enumerate() {
            strongest.restart(params.min_llr.map_or(0.0, |least| least.max(0.0)));
            let both = self.both.chunks_exact(self.thing_counts.len().max(1)).nth(row).unwrap_or_default();
            for (thing, (&both, &with_b)) in (0..).zip(both.iter().zip(&self.thing_counts)) {
                if both > 0 && !(self.same && thing == item) {
                    self.offer(
                        &mut strongest,
                        thing,
                        [both, self.row_counts[row], with_b].map(u64::from),
                        params,
                    );
                }
            }
            correlators.push_row(strongest.finish().iter().copied());
        }
        correlators
    }

    fn offer(&self, strongest: &mut Strongest, thing: u32, counts: [u64; 3], params: Params) {
        let [both, with_a, with_b] = counts;
        let (k12, k21) = (with_a - both, with_b - both);
        let k22 = self.users + both - with_a - with_b;
        let is_positive = u128::from(both) * u128::from(k22) > u128::from(k12) * u128::from(k21);
        if is_positive || !params.positive_only {
            strongest.offer(thing, llr(both, k12, k21, k22));
        }
    }
}
