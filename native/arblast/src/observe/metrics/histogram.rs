//! Counts of times by size.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Labels, sample};

/// Upper bounds in microseconds; one more bucket has none.
const BOUNDS_MICROS: [u64; 15] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];

/// Counts of times by size, from 0.1 ms to 10 s, and their sum.
#[derive(Debug, Default)]
pub struct Histogram {
    /// Each time is counted in one: sums are made when somebody looks.
    buckets: [AtomicU64; BOUNDS_MICROS.len() + 1],
    sum_micros: AtomicU64,
}

impl Histogram {
    /// Counts a time.
    pub fn observe(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let index = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = self.buckets.get(index) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub(super) fn write(&self, out: &mut String, name: &str, labels: &Labels) {
        let mut labels = labels.clone();
        labels.push(("le", String::new()));
        let mut count = 0;
        for (i, bucket) in self.buckets.iter().enumerate() {
            count += bucket.load(Ordering::Relaxed);
            let bound =
                BOUNDS_MICROS.get(i).map_or("+Inf".to_owned(), |micros| (*micros as f64 / 1e6).to_string());
            if let Some(last) = labels.last_mut() {
                last.1 = bound;
            }
            sample(out, &format!("{name}_bucket"), &labels, count as f64);
        }
        labels.pop();
        let seconds = self.sum_micros.load(Ordering::Relaxed) as f64 / 1e6;
        sample(out, &format!("{name}_sum"), &labels, seconds);
        sample(out, &format!("{name}_count"), &labels, count as f64);
    }
}
