//! The newest part of the history index: runs that grow by being merged, and move to the trees in slices.
//!
//! A transaction adds one run. Runs are merged so that each is larger than all newer ones together: there are few of them, and
//! an entry is copied a few times, in one piece with its neighbours. Large runs are sealed; when there are enough of them
//! their entries go to the trees, which are then touched once for many entries. Slices keep a commit short meanwhile.

use events::Result;

use super::entries::{self, Edits, GONE, Run};
use super::env::Table;
use super::error::corrupt;
use super::keys::{self, ENTRY_BYTES, EntryKey};
use super::write::Writer;
use super::{ScopeState, Slot};

/// Sizes, in entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Runs up to this size together are merged always: they take one page.
    absorb: usize,
    /// Runs from this size on are not merged any more.
    seal: usize,
    /// Sealed runs move when they have so many entries.
    gather: usize,
    /// While runs move, a slice moves after so many new entries, with twice as many.
    pace: usize,
    /// A batch of this many new events goes to the trees at once.
    pub(super) direct: usize,
}

impl Limits {
    pub(super) const STANDARD: Self =
        Self { absorb: 96, seal: 1 << 15, gather: 1 << 17, pace: 1 << 10, direct: 1 << 16 };
    /// So small that everything happens within a few dozen events.
    #[cfg(test)]
    pub(super) const TINY: Self = Self { absorb: 2, seal: 6, gather: 12, pace: 3, direct: 10 };
}

/// Which entries are on their way to the trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Moving {
    /// Runs up to this number; 0 = none.
    pub(super) last: u64,
    /// Their entries before this key are in the trees.
    pub(super) cursor: EntryKey,
    /// New entries since the last slice.
    pub(super) owed: u32,
}

impl Moving {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.last.to_be_bytes());
        out.extend_from_slice(&self.cursor);
        out.extend_from_slice(&self.owed.to_be_bytes());
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (last, rest) = bytes.split_first_chunk()?;
        let (cursor, rest) = rest.split_first_chunk::<ENTRY_BYTES>()?;
        let owed = rest.first_chunk()?;
        Some(Self { last: u64::from_be_bytes(*last), cursor: *cursor, owed: u32::from_be_bytes(*owed) })
    }
}

impl Writer<'_> {
    /// Brings the changes of this transaction into the index.
    pub(super) fn store_history(&mut self, state: &mut ScopeState, slot: Slot, edits: Edits) -> Result<()> {
        if edits.is_empty() {
            return Ok(());
        }
        let count = edits.len();
        self.add_run(state, slot.fresh, edits.into_run())?;
        self.move_on(state, slot, count)
    }

    /// Number and size of all runs, from the oldest to the newest.
    fn runs(&self, fresh: Table) -> Result<Vec<(u64, usize)>> {
        let runs = self.core.runs(&self.txn, fresh)?;
        runs.map(|run| run.map(|(number, run)| (number, run.len()))).collect()
    }

    /// Adds the newest run and merges it with those before it that are not larger than what follows them.
    fn add_run(&mut self, state: &ScopeState, fresh: Table, mut newest: Vec<u8>) -> Result<()> {
        let limits = self.core.limits;
        let runs = self.runs(fresh)?;
        let mut number = runs.last().map_or(1, |(last, _)| last + 1);
        let mut size = Run::read(&newest).ok_or_else(malformed)?.len();
        let mut merged = Vec::new();
        for &(older, older_size) in runs.iter().rev() {
            let sealed = older <= state.moving.last || older_size >= limits.seal;
            if sealed || older_size > size.max(limits.absorb.saturating_sub(size)) {
                break;
            }
            let bytes = self.run(fresh, older)?;
            let newer = Run::read(&newest).ok_or_else(malformed)?;
            newest = entries::merge(Run::read(bytes).ok_or_else(malformed)?, newer);
            size += older_size;
            merged.push(number);
            number = older;
        }
        // the first number was not in the table
        for gone in merged.into_iter().skip(1) {
            self.core.env.delete(&mut self.txn, fresh, &entries::run_key(gone))?;
        }
        self.core.env.put(&mut self.txn, fresh, &entries::run_key(number), &newest)
    }

    fn run(&self, fresh: Table, number: u64) -> Result<&[u8]> {
        self.core.env.get(&self.txn, fresh, &entries::run_key(number))?.ok_or_else(malformed)
    }

    /// Begins or continues to move sealed runs to the trees, after `count` new entries.
    fn move_on(&mut self, state: &mut ScopeState, slot: Slot, count: usize) -> Result<()> {
        let limits = self.core.limits;
        if state.moving.last == 0 {
            let runs = self.runs(slot.fresh)?;
            let sealed = runs.iter().take_while(|(_, size)| *size >= limits.seal);
            let gathered: usize = sealed.clone().map(|(_, size)| size).sum();
            if let (Some((last, _)), true) = (sealed.last(), gathered >= limits.gather) {
                state.moving = Moving { last: *last, ..Moving::default() };
            }
            return Ok(());
        }
        state.moving.owed = state.moving.owed.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        let owed = usize::try_from(state.moving.owed).unwrap_or(usize::MAX);
        if owed < limits.pace {
            return Ok(());
        }
        state.moving.owed = 0;
        self.move_slice(state, slot, owed.saturating_mul(2))
    }

    /// Moves about `count` entries, those of the least keys.
    fn move_slice(&mut self, state: &mut ScopeState, slot: Slot, count: usize) -> Result<()> {
        let mut leaving = Vec::new();
        for (number, _) in self.runs(slot.fresh)? {
            if number <= state.moving.last {
                leaving.push(number);
            }
        }
        let (mut slice, end) = self.slice(slot.fresh, &leaving, &state.moving.cursor, count)?;
        let mut value = Vec::new();
        for entry in slice.sorted() {
            let key = keys::history_key(keys::epoch(keys::entry_seq(entry.key)), entry.key);
            if entry.shape == GONE {
                self.core.env.delete(&mut self.txn, slot.history, &key)?;
            } else {
                let value = keys::history_value(entry.shape, entry.target, &mut value);
                self.core.env.put(&mut self.txn, slot.history, &key, value)?;
            }
        }
        if let Some(end) = end {
            state.moving.cursor = end;
            return Ok(());
        }
        for number in leaving {
            self.core.env.delete(&mut self.txn, slot.fresh, &entries::run_key(number))?;
        }
        state.moving = Moving::default();
        Ok(())
    }

    /// About `count` entries from `cursor` on, from the oldest run to the newest, and the key before which they are; `None` if
    /// nothing is left behind them.
    fn slice(
        &self,
        fresh: Table,
        numbers: &[u64],
        cursor: &EntryKey,
        count: usize,
    ) -> Result<(Edits, Option<EntryKey>)> {
        let mut runs = Vec::with_capacity(numbers.len());
        for &number in numbers {
            let run = Run::read(self.run(fresh, number)?).ok_or_else(malformed)?;
            runs.push((run, run.lower_bound(cursor)));
        }
        let left: usize = runs.iter().map(|(run, start)| run.len() - start).sum();
        let longest = runs.iter().max_by_key(|(run, start)| run.len() - start);
        let end = match longest {
            Some((run, start)) if left > count => {
                let share = (run.len() - start).saturating_mul(count) / left;
                run.key(start + share.max(1)).copied()
            }
            _ => None,
        };
        let mut slice = Edits::default();
        for (run, start) in runs {
            let stop = end.as_ref().map_or(run.len(), |end| run.lower_bound(end));
            (start..stop).filter_map(|i| run.get(i)).for_each(|entry| slice.push(entry));
        }
        Ok((slice, end))
    }
}

fn malformed() -> events::Error {
    corrupt("the history index is malformed")
}

#[cfg(test)]
mod tests;
