//! The best K of a row under a total order.

use std::cmp::Ordering;

/// Collects candidates and forgets all that cannot be among the best K. Holds at most 2·K.
#[derive(Debug)]
pub(crate) struct Strongest {
    limit: usize,
    /// Least LLR that may still get in.
    floor: f64,
    candidates: Vec<(u32, f64)>,
}

impl Strongest {
    pub fn new(limit: usize) -> Self {
        Self { limit, floor: 0.0, candidates: Vec::new() }
    }

    /// Starts a row, in which LLR below `floor` does not count.
    pub fn restart(&mut self, floor: f64) {
        self.floor = floor;
        self.candidates.clear();
    }

    /// For who knows that K candidates are at least as strong.
    pub fn raise_floor(&mut self, floor: f64) {
        self.floor = self.floor.max(floor);
    }

    /// What is less has no chance; what is equal may win by its id.
    #[inline]
    pub fn floor(&self) -> f64 {
        self.floor
    }

    /// True if the floor rose.
    #[inline]
    pub fn offer(&mut self, thing: u32, llr: f64) -> bool {
        if llr < self.floor || llr <= 0.0 {
            return false;
        }
        self.candidates.push((thing, llr));
        let full = self.candidates.len() >= self.limit.saturating_mul(2);
        if full {
            self.prune();
        }
        full
    }

    /// The best K, strongest first.
    pub fn finish(&mut self) -> &[(u32, f64)] {
        self.candidates.sort_unstable_by(stronger_first);
        self.candidates.truncate(self.limit);
        &self.candidates
    }

    #[cold]
    fn prune(&mut self) {
        if let Some(last) = self.limit.checked_sub(1) {
            let (_, &mut (_, llr), _) = self.candidates.select_nth_unstable_by(last, stronger_first);
            self.floor = llr;
        }
        self.candidates.truncate(self.limit);
    }
}

/// LLR descending, then thing ascending.
fn stronger_first(left: &(u32, f64), right: &(u32, f64)) -> Ordering {
    right.1.total_cmp(&left.1).then(left.0.cmp(&right.0))
}
