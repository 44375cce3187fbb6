//! The log-likelihood ratio of a 2×2 table, in the entropy form of T. Dunning, "Accurate Methods for the Statistics of
//! Surprise and Coincidence", Computational Linguistics 19 (1993): twice the mutual information, in nats, times N.

/// LLR of the table
///
/// |          | with b | without b |
/// |----------|--------|-----------|
/// | with a   | k11    | k12       |
/// | without a| k21    | k22       |
///
/// At least 0. It has no sign: it is large for a and b together far more *or* far less often than by chance.
#[must_use]
pub fn llr(k11: u64, k12: u64, k21: u64, k22: u64) -> f64 {
    let (with_a, with_b) = (k11.saturating_add(k12), k11.saturating_add(k21));
    let (without_a, without_b) = (k21.saturating_add(k22), k12.saturating_add(k22));
    let total = x_log_x(with_a.saturating_add(without_a));
    combine(
        total - x_log_x(with_a) - x_log_x(without_a),
        total - x_log_x(with_b) - x_log_x(without_b),
        total - x_log_x(k11) - (x_log_x(k12) + x_log_x(k21)) - x_log_x(k22),
    )
}

/// From the entropies of rows, columns and cells. Sums are such that a and b can be exchanged without changing a bit.
#[inline]
fn combine(rows: f64, columns: f64, cells: f64) -> f64 {
    if rows + columns < cells { 0.0 } else { 2.0 * (rows + columns - cells) }
}

/// k·ln k; 0 for 0. The logarithm is the one of `libm`, the same bits on every platform.
#[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 do not occur")]
fn x_log_x(k: u64) -> f64 {
    if k == 0 { 0.0 } else { k as f64 * libm::log(k as f64) }
}

/// [`llr`] for a fixed number of users, with the logarithms looked up.
#[derive(Debug)]
pub(crate) struct LlrTable {
    users: u64,
    total: f64,
    /// k·ln k for k below its length.
    low: Vec<f64>,
}

/// One margin of the table: how many users have a thing, and the entropy of that split.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Margin {
    pub count: u64,
    entropy: f64,
}

/// 8 MB: every logarithm up to a million users.
const LOW_MAX: u64 = 1 << 20;

impl LlrTable {
    /// For counts among `users` users.
    pub fn new(users: u64) -> Self {
        let low = (0..LOW_MAX.min(users + 1)).map(x_log_x).collect();
        Self { users, total: x_log_x(users), low }
    }

    pub fn users(&self) -> u64 {
        self.users
    }

    /// The margin of a thing that `count` ≤ users have.
    pub fn margin(&self, count: u64) -> Margin {
        Margin { count, entropy: self.total - self.at(count) - self.at(self.users - count) }
    }

    /// Bits as of [`llr`]: `both` users have a and b.
    #[inline(always)]
    pub fn llr(&self, both: u64, a: Margin, b: Margin) -> f64 {
        let neither = self.users + both - a.count - b.count;
        let cells = self.total
            - self.at(both)
            - (self.at(a.count - both) + self.at(b.count - both))
            - self.at(neither);
        combine(a.entropy, b.entropy, cells)
    }

    /// How far rounding can move [`llr`](Self::llr): a dozen roundings of numbers up to N·ln N, with room to spare.
    pub fn rounding(&self) -> f64 {
        64.0 * f64::EPSILON * self.total.max(1.0)
    }

    #[inline(always)]
    fn at(&self, k: u64) -> f64 {
        usize::try_from(k).ok().and_then(|k| self.low.get(k).copied()).unwrap_or_else(|| x_log_x(k))
    }
}
