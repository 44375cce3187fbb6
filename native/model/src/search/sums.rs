//! Scores in the making: one dense sum per item, and a list of those that have one.

use crate::bits::Bits;

/// Cleared by what was touched, unless that is much, so that a query pays for its own postings only.
#[derive(Debug, Default)]
pub(super) struct Sums {
    sums: Vec<f64>,
    seen: Bits,
    /// One longer than there are items: see `add`.
    touched: Vec<u32>,
    len: usize,
}

impl Sums {
    /// Empty, for `items` items.
    pub(super) fn reset(&mut self, items: u32) {
        if self.len > self.sums.len() / 8 {
            self.sums.fill(0.0);
            self.seen.reset(items);
        } else {
            for row in self.touched.iter().take(self.len) {
                if let Some(sum) = self.sums.get_mut(*row as usize) {
                    *sum = 0.0;
                }
                self.seen.remove(*row);
            }
        }
        self.len = 0;
        if self.sums.len() != items as usize {
            self.sums.resize(items as usize, 0.0);
            self.touched.resize(items as usize + 1, 0);
            self.seen.reset(items);
        }
    }

    /// Adds `weight` to each of `rows`.
    #[inline]
    pub(super) fn add(&mut self, rows: impl Iterator<Item = u32>, weight: impl Fn(u32) -> f64) {
        let mut len = self.len;
        for row in rows {
            let Some(sum) = self.sums.get_mut(row as usize) else { continue };
            *sum += weight(row);
            // Without a branch: whether a row is new is as good as random. The row is written in any case, but counted
            // only if new.
            let new = !self.seen.contains(row);
            self.seen.insert(row);
            if let Some(slot) = self.touched.get_mut(len) {
                *slot = row;
            }
            len += usize::from(new);
        }
        self.len = len;
    }

    /// Rounds what `clause` has gathered and takes it over.
    pub(super) fn absorb(&mut self, clause: &mut Self, items: u32) {
        self.add(clause.touched(), |row| f64::from(single(clause.of(row))));
        clause.reset(items);
    }

    /// Multiplies the sums for which `holds`.
    pub(super) fn scale(&mut self, factor: f64, holds: impl Fn(u32) -> bool) {
        for row in self.touched.iter().take(self.len) {
            if let Some(sum) = self.sums.get_mut(*row as usize).filter(|_| holds(*row)) {
                *sum *= factor;
            }
        }
    }

    pub(super) fn touched(&self) -> impl Iterator<Item = u32> {
        self.touched.iter().take(self.len).copied()
    }

    /// 0 for what nobody touched.
    #[inline]
    fn of(&self, row: u32) -> f64 {
        self.sums.get(row as usize).copied().unwrap_or_default()
    }

    /// The final, rounded score. Sums that are no number count as 0, and there is one zero only.
    #[inline]
    pub(super) fn score(&self, row: u32) -> f32 {
        round(self.of(row))
    }
}

/// The nearest single-precision number.
#[expect(clippy::cast_possible_truncation, reason = "rounding is what scoring asks for")]
pub(super) fn single(value: f64) -> f32 {
    value as f32
}

/// A sum as score.
pub(super) fn round(sum: f64) -> f32 {
    let score = single(sum);
    if score.is_nan() { 0.0 } else { score + 0.0 }
}
