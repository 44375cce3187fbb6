//! Where correlators are counted. The result is the same bytes everywhere; the rule is that of the Spark road, in docs/ballista.md.

use engine::{Correlating, Summing};

use super::interactions::BYTES_PER_CELL;
use super::task::Task;
use super::worker::COUNTERS_BYTES;

/// Of one core: a bit below what was measured.
const INCREMENTS_PER_SECOND: f64 = 1e9;
const PATIENCE_S: f64 = 5.0;
/// So many ranges a core, as some items take longer than others.
const RANGES_PER_CORE: usize = 4;
const PARTS_MAX: u64 = 10_000;

/// A place, as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Where {
    /// On the driver, unless that takes longer than 5 s and executors have more than twice its threads
    Auto,
    /// On the driver
    Driver,
    /// By ranges of items on the executors, each of which holds all interactions
    Executors,
    /// The same with the users in parts, for interactions that fit no executor
    Parts,
}

/// What there is to count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    pub items: u32,
    pub things: u32,
    pub indicators: usize,
    pub cells: u64,
    pub increments: u64,
}

impl Load {
    pub fn of(correlating: &Correlating) -> Self {
        Self {
            items: correlating.items(),
            things: correlating.things(),
            indicators: correlating.indicators(),
            cells: correlating.cells(),
            increments: correlating.increments(),
        }
    }

    /// `Auto` made definite.
    pub fn place(&self, wanted: Where, threads: usize, vcores: usize) -> Where {
        if self.items == 0 {
            return Where::Driver;
        }
        if wanted != Where::Auto {
            return wanted;
        }
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let seconds = self.increments as f64 / (INCREMENTS_PER_SECOND * threads as f64);
        if seconds <= PATIENCE_S || vcores <= 2 * threads { Where::Driver } else { Where::Executors }
    }

    /// So many that a part takes a quarter of the room, for each of its cores, and never one. `room`: bytes that an executor may use.
    pub fn parts(&self, room: u64, vcores: usize) -> u32 {
        let wanted = 4 * vcores.max(1) as u64 * self.cells.saturating_mul(BYTES_PER_CELL) / room.max(1);
        u32::try_from(wanted.clamp(2, PARTS_MAX)).unwrap_or(2)
    }

    /// Tasks that count everything, in the order in which blocks are wanted.
    pub fn tasks(&self, parts: u32, vcores: usize) -> Vec<Task> {
        let ranges = if parts == 0 {
            (vcores * RANGES_PER_CORE).div_ceil(self.indicators.max(1)) as u64
        } else {
            let counters = (COUNTERS_BYTES / 4).min(Summing::COUNTERS_MAX);
            u64::from(self.items).div_ceil((counters / u64::from(self.things.max(1))).max(1))
        };
        let (items, ranges) = (u64::from(self.items), ranges.clamp(1, u64::from(self.items.max(1))));
        let range = |indicator: usize, number: u64| Task {
            name: format!("block-p{parts}-{indicator:03}-{number:06}"),
            source: indicator.to_string(),
            first: items * number / ranges,
            end: items * (number + 1) / ranges,
        };
        // Those of another try, by other parts, have other names.
        (0..self.indicators)
            .flat_map(|indicator| (0..ranges).map(move |number| range(indicator, number)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load =
        Load { items: 1000, things: 50_000, indicators: 3, cells: 10_000_000, increments: 100_000_000_000 };

    #[test]
    fn executors_count_what_is_long_if_they_are_many() {
        assert_eq!(LOAD.place(Where::Auto, 2, 5), Where::Executors);
        assert_eq!(LOAD.place(Where::Auto, 2, 4), Where::Driver);
        assert_eq!(LOAD.place(Where::Auto, 20, 400), Where::Driver);
        assert_eq!(LOAD.place(Where::Parts, 2, 1), Where::Parts);
        assert_eq!(Load { items: 0, ..LOAD }.place(Where::Executors, 2, 9), Where::Driver);
    }

    #[test]
    fn tasks_cover_all_items_in_order() {
        for (parts, vcores) in [(0, 2), (0, 100_000), (7, 2)] {
            let tasks = LOAD.tasks(parts, vcores);
            assert!(tasks.is_sorted());
            for indicator in 0..LOAD.indicators {
                let mut next = 0;
                for task in tasks.iter().filter(|task| task.source == indicator.to_string()) {
                    assert_eq!(task.first, next);
                    assert!(task.end > task.first);
                    next = task.end;
                }
                assert_eq!(next, 1000);
            }
        }
        assert_eq!(LOAD.tasks(0, 2).len(), 9);
    }

    #[test]
    fn parts_fit() {
        assert_eq!(LOAD.parts(u64::MAX, 8), 2);
        let room = 64 << 20;
        let part = LOAD.cells * BYTES_PER_CELL / u64::from(LOAD.parts(room, 2));
        assert!(2 * part <= room / 2, "{part}");
        assert_eq!(LOAD.parts(0, 8), 10_000);
    }
}
