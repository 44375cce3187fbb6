//! Counts and latencies of the last minute, second by second, without a lock.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Full seconds that are remembered.
pub(super) const SECONDS: usize = 60;
/// One more than is remembered, and a few for threads that are late.
const SLOTS: usize = 64;
/// Buckets per power of two: bounds of latencies are an eighth apart, at most.
const PARTS: usize = 8;
/// Latencies below 2^26 µs (67 s) are told apart.
const OCTAVES: usize = 26;
const BUCKETS: usize = (OCTAVES - 2) * PARTS;

/// How many queries were answered in which time, and how many failed, in each of the last seconds.
pub(super) struct Recent {
    born: Instant,
    slots: Vec<Slot>,
}

struct Slot {
    failed: Cell,
    latencies: [Cell; BUCKETS],
}

/// A count of one second: the second in the upper half, the count in the lower. A count of an older second is
/// overwritten by the first of a newer one, so nothing has to be reset.
#[derive(Default)]
struct Cell(AtomicU64);

/// One second, or several together.
#[derive(Clone)]
pub(super) struct Window {
    /// Queries without an answer.
    pub failed: u64,
    latencies: [u64; BUCKETS],
}

impl Default for Recent {
    fn default() -> Self {
        let slot = || Slot { failed: Cell::default(), latencies: array::from_fn(|_| Cell::default()) };
        Self { born: Instant::now(), slots: (0..SLOTS).map(|_| slot()).collect() }
    }
}

impl Recent {
    /// Counts a query that ends now; `micros`: what an answer took, `None` if there was none.
    pub(super) fn count(&self, micros: Option<u64>) {
        self.count_at(self.second(), micros);
    }

    fn count_at(&self, second: u32, micros: Option<u64>) {
        let Some(slot) = self.slots.get(second as usize % SLOTS) else { return };
        let cell = micros.map_or(Some(&slot.failed), |micros| slot.latencies.get(bucket(micros)));
        if let Some(cell) = cell {
            cell.count(second);
        }
    }

    /// The full seconds before this one, oldest first: at most [`SECONDS`], fewer after a start.
    pub(super) fn seconds(&self) -> Vec<Window> {
        self.seconds_before(self.second())
    }

    fn seconds_before(&self, now: u32) -> Vec<Window> {
        let first = now.saturating_sub(u32::try_from(SECONDS).unwrap_or(0));
        let slot = |second: u32| Some((second, self.slots.get(second as usize % SLOTS)?));
        (first..now).filter_map(slot).map(|(second, slot)| slot.window(second)).collect()
    }

    fn second(&self) -> u32 {
        u32::try_from(self.born.elapsed().as_secs()).unwrap_or(u32::MAX)
    }
}

impl Slot {
    fn window(&self, second: u32) -> Window {
        let latencies = self.latencies.each_ref().map(|cell| cell.read(second));
        Window { failed: self.failed.read(second), latencies }
    }
}

impl Cell {
    fn count(&self, second: u32) {
        let one_more = |old: u64| match (old >> 32).cmp(&u64::from(second)) {
            std::cmp::Ordering::Less => Some(u64::from(second) << 32 | 1),
            std::cmp::Ordering::Equal if old & u64::from(u32::MAX) < u64::from(u32::MAX) => Some(old + 1),
            // Full; or a thread that slept for a minute.
            _ => None,
        };
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
    }

    fn read(&self, second: u32) -> u64 {
        let value = self.0.load(Ordering::Relaxed);
        if value >> 32 == u64::from(second) { value & u64::from(u32::MAX) } else { 0 }
    }
}

impl Window {
    /// All of `windows` together.
    pub(super) fn sum(windows: &[Self]) -> Self {
        let mut sum = Self { failed: 0, latencies: [0; BUCKETS] };
        for window in windows {
            sum.failed += window.failed;
            sum.latencies.iter_mut().zip(&window.latencies).for_each(|(sum, count)| *sum += count);
        }
        sum
    }

    /// Queries that were answered.
    pub(super) fn answered(&self) -> u64 {
        self.latencies.iter().sum()
    }

    /// The time within which `percent` of the answers came, in µs: exact below 8, else up to an eighth too long.
    /// `None` without answers.
    pub(super) fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = (self.answered() * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += count;
            seen >= rank
        };
        self.latencies.iter().position(reached).map(longest)
    }
}

/// Bucket of a latency: 0, 1 … 7 µs, then eight to each power of two.
fn bucket(micros: u64) -> usize {
    let octave = micros.max(1).ilog2() as usize;
    if octave < 3 {
        return usize::try_from(micros).unwrap_or(0);
    }
    let part = usize::try_from(micros >> (octave - 3)).unwrap_or(usize::MAX) % PARTS;
    ((octave - 2) * PARTS + part).min(BUCKETS - 1)
}

/// The longest latency that falls into a bucket.
fn longest(bucket: usize) -> u64 {
    let (octave, part) = (bucket / PARTS, (bucket % PARTS) as u64);
    if octave == 0 { part } else { ((part + PARTS as u64 + 1) << (octave - 1)) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let mut next = 0;
        for index in 0..BUCKETS {
            assert_eq!((bucket(next), bucket(longest(index))), (index, index), "{next}");
            next = longest(index) + 1;
        }
        assert_eq!(next, 1 << OCTAVES);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_list_or_little_more() {
        let recent = Recent::default();
        let mut micros: Vec<u64> = (1..=500).map(|n| n * n * 7 % 100_003).collect();
        micros.iter().for_each(|micros| recent.count_at(5, Some(*micros)));
        micros.sort_unstable();
        let window = Window::sum(&recent.seconds_before(6));
        for percent in [1, 50, 90, 99, 100] {
            let exact = micros[usize::try_from(percent).unwrap() * micros.len() / 100 - 1];
            let found = window.percentile(percent).unwrap();
            assert!(
                (exact..=exact + exact / 8 + 1).contains(&found),
                "{percent} %: {found}, exactly {exact}"
            );
        }
        assert_eq!(Window::sum(&[]).percentile(50), None);
    }

    #[test]
    fn seconds_are_counted_apart_and_forgotten_after_a_minute() {
        let recent = Recent::default();
        let counts = |now| recent.seconds_before(now).iter().map(Window::answered).collect::<Vec<_>>();
        assert!(counts(0).is_empty());
        (0..3).for_each(|_| recent.count_at(0, Some(10)));
        recent.count_at(2, Some(10));
        recent.count_at(2, None);
        assert_eq!(counts(3), [3, 0, 1]);
        assert_eq!(Window::sum(&recent.seconds_before(3)).failed, 1);
        assert_eq!(counts(60)[..3], [3, 0, 1]);
        assert_eq!((counts(61)[..2].to_vec(), counts(61).len()), (vec![0, 1], SECONDS));
        // The slot of second 2 belongs to another second now.
        recent.count_at(66, Some(10));
        recent.count_at(2, Some(10));
        assert_eq!(counts(67).iter().sum::<u64>(), 1);
    }

    #[test]
    fn no_count_is_lost_between_threads() {
        let recent = Recent::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|n| recent.count_at(1 + n / 5_000 * 64, Some(10))));
            }
        });
        // A slower thread may still count the old second where another counts the new one: those are dropped.
        assert_eq!(Window::sum(&recent.seconds_before(66)).answered(), 20_000);
    }
}
