//! The history of one entity, merged from the runs and the trees of the index.

use events::Result;
use heed::RoTxn;

use super::entries::{self, GONE, Run};
use super::env::{Range, Table};
use super::error::corrupt;
use super::keys::{self, EntityHash, EntryKey, HistoryEntry, SEQ_END};
use super::{Core, ScopeState, Slot};

/// Entries of one entity by time. Of entries with the same key the one of the newest run counts, the trees last.
pub(super) struct Merge<'t> {
    core: &'t Core,
    /// Sources that have entries left, each with its next one; from the oldest to the newest.
    heads: Vec<(HistoryEntry<'t>, Source<'t>)>,
    reversed: bool,
}

enum Source<'t> {
    Tree(Range<'t>),
    /// Entries that are left.
    Run(Run<'t>, std::ops::Range<usize>),
}

impl<'t> Merge<'t> {
    /// The history from time `first` to `last`, both included.
    pub(super) fn new(
        core: &'t Core,
        txn: &'t RoTxn<'_>,
        slot: Slot,
        state: &ScopeState,
        entity: EntityHash,
        (first, last): (u64, u64),
        reversed: bool,
    ) -> Result<Self> {
        let mut merge = Self { core, heads: Vec::new(), reversed };
        let bounds = (keys::entry_bound(entity, first, 0), keys::entry_bound(entity, last, SEQ_END - 1));
        for epoch in 0..=keys::epoch(state.next) {
            let (first, last) = (keys::history_key(epoch, &bounds.0), keys::history_key(epoch, &bounds.1));
            merge.push(Source::Tree(core.env.range(txn, slot.history, (&first, &last), reversed)?))?;
        }
        for entry in core.runs(txn, slot.fresh)? {
            let (number, run) = entry?;
            let first = state.first_in(number, &bounds.0);
            merge.push(Source::Run(run, run.range(first, &bounds.1)))?;
        }
        Ok(merge)
    }

    /// Adds a source unless it is empty.
    fn push(&mut self, mut source: Source<'t>) -> Result<()> {
        if let Some(next) = source.advance(self.core, self.reversed)? {
            self.heads.push((next, source));
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<HistoryEntry<'t>>> {
        loop {
            let mut best: Option<(u64, u64)> = None;
            let mut entry = None;
            for (head, _) in &self.heads {
                let order = (head.time, head.seq);
                if best.is_none_or(|best| if self.reversed { order >= best } else { order <= best }) {
                    (best, entry) = (Some(order), Some(*head));
                }
            }
            let Some(entry) = entry else { return Ok(None) };
            self.pass((entry.time, entry.seq))?;
            if entry.shape != GONE {
                return Ok(Some(entry));
            }
        }
    }

    /// Moves all sources on that stand at this time and position.
    fn pass(&mut self, order: (u64, u64)) -> Result<()> {
        let mut i = 0;
        while let Some((head, source)) = self.heads.get_mut(i) {
            if (head.time, head.seq) == order {
                match source.advance(self.core, self.reversed)? {
                    Some(next) => *head = next,
                    None => {
                        self.heads.remove(i);
                        continue;
                    }
                }
            }
            i += 1;
        }
        Ok(())
    }
}

impl<'t> Source<'t> {
    fn advance(&mut self, core: &Core, reversed: bool) -> Result<Option<HistoryEntry<'t>>> {
        match self {
            Self::Tree(range) => {
                let Some(entry) = range.next() else { return Ok(None) };
                let (key, value) = entry.map_err(|error| core.env.error(error))?;
                HistoryEntry::read(key, value).map(Some).ok_or_else(malformed)
            }
            Self::Run(run, left) => {
                let next = if reversed { left.next_back() } else { left.next() };
                next.map(|i| run.history_entry(i).ok_or_else(malformed)).transpose()
            }
        }
    }
}

impl<'t> Iterator for Merge<'t> {
    type Item = Result<HistoryEntry<'t>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

impl Core {
    /// Number and content of the runs in a table, from the oldest to the newest.
    pub(super) fn runs<'t>(
        &'t self,
        txn: &'t RoTxn<'_>,
        fresh: Table,
    ) -> Result<impl Iterator<Item = Result<(u64, Run<'t>)>>> {
        let (first, last) = (entries::run_key(0), entries::run_key(SEQ_END - 1));
        let entries = self.env.range(txn, fresh, (&first, &last), false)?;
        Ok(entries.map(|entry| {
            let (key, bytes) = entry.map_err(|error| self.env.error(error))?;
            let run = entries::run_number(key).zip(Run::read(bytes));
            run.ok_or_else(malformed)
        }))
    }
}

impl ScopeState {
    /// Where the entries of a run begin that count, from `first` on: those before the cursor of a move are in the trees.
    fn first_in<'k>(&'k self, run: u64, first: &'k EntryKey) -> &'k EntryKey {
        if run <= self.moving.last { first.max(&self.moving.cursor) } else { first }
    }
}

fn malformed() -> events::Error {
    corrupt("the history index is malformed")
}
