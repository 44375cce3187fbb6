//! Down-sampling: bounds the work that very active users and very popular things cause.

use crate::interactions::{Error, Interactions};

/// How to thin interactions out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// Another seed keeps other cells.
    pub seed: u64,
    /// Key of the indicator, so that indicators are thinned independently.
    pub indicator: u64,
    /// M: users and things with more interactions are thinned to about as many.
    pub cap: u32,
}

/// Rates are compared in units of 2⁻⁵³, which `f64` holds exactly.
const RATE_BITS: u32 = 53;

impl Interactions {
    /// Keeps each cell with the probability min(M, n)/n or min(M, k)/k, whichever is less, for n interactions of its user
    /// and k of its thing. Whether a cell is kept depends on seed, indicator, both keys, n and k alone, so neither order nor
    /// partitioning matter. Below the cap nothing changes.
    ///
    /// # Errors
    /// [`Error::Keys`] unless there is one key per user and per thing.
    pub fn downsample(
        self,
        user_keys: &[u64],
        thing_keys: &[u64],
        sampling: &Sampling,
    ) -> Result<Self, Error> {
        expect_keys("users", self.users(), user_keys)?;
        expect_keys("things", self.things(), thing_keys)?;
        let things: Vec<(u64, u64)> = std::iter::zip(self.thing_counts(), thing_keys)
            .map(|(count, &key)| (rate(sampling.cap, count as usize), key))
            .collect();
        let start = mix(mix(sampling.seed) ^ sampling.indicator);
        let number_of_things = self.things();
        let (mut offsets, mut columns) = self.into_rows();
        let (mut begin, mut kept) = (0, 0);
        for (end, &user_key) in offsets.iter_mut().skip(1).zip(user_keys) {
            let row = begin..*end;
            begin = row.end;
            let (user_rate, state) = (rate(sampling.cap, row.len()), mix(start ^ user_key));
            for position in row {
                let thing = columns[position];
                let (thing_rate, thing_key) = things[thing as usize];
                let rate = user_rate.min(thing_rate);
                columns[kept] = thing;
                let keep = rate == 1 << RATE_BITS || mix(state ^ thing_key) >> (64 - RATE_BITS) < rate;
                kept += usize::from(keep);
            }
            *end = kept;
        }
        columns.truncate(kept);
        Ok(Self::trusted(number_of_things, offsets, columns))
    }
}

fn expect_keys(what: &'static str, dimension: u32, keys: &[u64]) -> Result<(), Error> {
    let expected = dimension as usize;
    if keys.len() == expected { Ok(()) } else { Err(Error::Keys { what, expected, found: keys.len() }) }
}

/// min(M, n)/n, rounded up to units of 2⁻⁵³.
fn rate(cap: u32, count: usize) -> u64 {
    let (cap, count) = (u128::from(cap), count as u128);
    if count <= cap {
        return 1 << RATE_BITS;
    }
    u64::try_from((cap << RATE_BITS).div_ceil(count)).unwrap_or(1 << RATE_BITS)
}

/// The finalizer of SplitMix64, after one step of its sequence so that 0 is no fixed point.
fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
