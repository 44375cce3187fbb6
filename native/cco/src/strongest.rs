//! The best K of a row under a total order.

use std::cmp;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Collects candidates and forgets all that cannot be among the best K.
#[derive(Debug)]
pub(crate) struct Strongest {
    limit: usize,
    /// With so many candidates they are sorted out.
    room: usize,
    /// Least LLR that may still get in.
    floor: f64,
    candidates: Vec<(u32, f64)>,
}

impl Strongest {
    pub fn new(limit: usize) -> Self {
        Self { limit, room: limit.saturating_mul(2), floor: 0.0, candidates: Vec::new() }
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
        let full = self.candidates.len() >= self.room;
        if full {
            self.prune();
        }
        full
    }

    /// The best K among others, in any order.
    pub fn candidates(&self) -> &[(u32, f64)] {
        &self.candidates
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

/// The strongest of every thing, for several threads at once. What is kept does not depend on who comes first.
#[derive(Debug)]
pub(crate) struct SharedStrongest(Vec<Shared>);

#[derive(Debug)]
struct Shared {
    /// Bits of the floor, so that most offers are turned down without a lock. It may lag behind: then an offer is in vain.
    floor: AtomicU64,
    strongest: Mutex<Strongest>,
}

impl SharedStrongest {
    /// For so many things; LLR below `floor` (not negative) does not count.
    pub fn new(things: usize, limit: usize, floor: f64) -> Self {
        let room = room(limit);
        let strongest = || Strongest { limit, room, floor, candidates: Vec::new() };
        let shared = || Shared { floor: AtomicU64::new(floor.to_bits()), strongest: Mutex::new(strongest()) };
        Self((0..things).map(|_| shared()).collect())
    }

    /// Most bytes that these take.
    pub fn bytes(things: usize, limit: usize) -> usize {
        let candidates = room(limit).min(things).next_power_of_two();
        let each = size_of::<Shared>().saturating_add(candidates.saturating_mul(size_of::<(u32, f64)>()));
        things.saturating_mul(each)
    }

    /// What is less has no chance.
    #[inline]
    pub fn floor(&self, of: usize) -> f64 {
        f64::from_bits(self.0[of].floor.load(Ordering::Relaxed))
    }

    /// Offers `thing` to the strongest of `of`.
    #[inline]
    pub fn offer(&self, of: usize, thing: u32, llr: f64) {
        if llr >= self.floor(of) && llr > 0.0 {
            self.offer_all(of, &[(thing, llr)]);
        }
    }

    /// Offers several things, each with its LLR.
    pub fn offer_all(&self, of: usize, candidates: &[(u32, f64)]) {
        let Shared { floor, strongest } = &self.0[of];
        let mut strongest = strongest.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rose = false;
        for &(thing, llr) in candidates {
            rose |= strongest.offer(thing, llr);
        }
        if rose {
            floor.store(strongest.floor.to_bits(), Ordering::Relaxed);
        }
    }

    /// The strongest of one thing, strongest first. They are gone then.
    pub fn take(&self, of: usize) -> Vec<(u32, f64)> {
        let mut strongest = self.0[of].strongest.lock().unwrap_or_else(PoisonError::into_inner);
        strongest.finish();
        std::mem::take(&mut strongest.candidates)
    }
}

/// Memory counts here.
fn room(limit: usize) -> usize {
    limit.saturating_add(limit / 4).saturating_add(1)
}

/// LLR descending, then thing ascending.
fn stronger_first(left: &(u32, f64), right: &(u32, f64)) -> cmp::Ordering {
    right.1.total_cmp(&left.1).then(left.0.cmp(&right.0))
}
