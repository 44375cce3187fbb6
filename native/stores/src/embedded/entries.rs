//! Runs: sorted entries of the history index in one value of the store.
//!
//! The newest part of the history index lives in runs. Writing one costs its bytes in one piece, where as many entries
//! inserted into a tree cost a page each.

use std::ops::Range;

use super::keys::{self, ENTRY_BYTES, EntryKey, HistoryEntry, SEQ_BYTES};

/// Stands for the shape where an entry is no more: it hides what older runs and the trees say under this key.
pub(super) const GONE: u16 = u16::MAX;

const COUNT_BYTES: usize = 4;
/// Key, shape u16, end of the target's id in the texts u32.
const HEAD_BYTES: usize = ENTRY_BYTES + 6;

type Head = [u8; HEAD_BYTES];

/// Bytes of the number of a run.
pub(super) type RunKey = [u8; SEQ_BYTES];

/// Key of a run: newer ones have greater numbers.
pub(super) fn run_key(number: u64) -> RunKey {
    keys::log_key(number)
}

/// Reverse of [`run_key`].
pub(super) fn run_number(key: &[u8]) -> Option<u64> {
    keys::seq_of(key)
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a EntryKey,
    /// Number of the shape, or [`GONE`].
    pub(super) shape: u16,
    pub(super) target: &'a [u8],
}

/// A run as it is stored.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    heads: &'a [Head],
    texts: &'a [u8],
}

impl<'a> Run<'a> {
    /// `None` if it is malformed.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (count, rest) = bytes.split_first_chunk::<COUNT_BYTES>()?;
        let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
        let (heads, texts) = rest.split_at_checked(count.checked_mul(HEAD_BYTES)?)?;
        Some(Self { heads: heads.as_chunks().0, texts })
    }

    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    pub(super) fn key(&self, i: usize) -> Option<&'a EntryKey> {
        self.heads.get(i)?.first_chunk()
    }

    /// `None` behind the last one, or if it is malformed.
    pub(super) fn get(&self, i: usize) -> Option<Entry<'a>> {
        let (key, rest) = self.heads.get(i)?.split_first_chunk::<ENTRY_BYTES>()?;
        let (shape, end) = rest.split_first_chunk()?;
        let start = i.checked_sub(1).map_or(Some(0), |before| self.end(before))?;
        let end = usize::try_from(u32::from_be_bytes(end.try_into().ok()?)).ok()?;
        Some(Entry { key, shape: u16::from_be_bytes(*shape), target: self.texts.get(start..end)? })
    }

    /// As readers of histories want it.
    pub(super) fn history_entry(&self, i: usize) -> Option<HistoryEntry<'a>> {
        let entry = self.get(i)?;
        HistoryEntry::new(entry.key, entry.shape, entry.target)
    }

    fn end(&self, i: usize) -> Option<usize> {
        usize::try_from(u32::from_be_bytes(*self.heads.get(i)?.last_chunk()?)).ok()
    }

    /// Entries with keys from `first` to `last`, both included.
    pub(super) fn range(&self, first: &EntryKey, last: &EntryKey) -> Range<usize> {
        let start = self.lower_bound(first);
        let within = |i: usize| self.key(i).is_some_and(|key| key <= last);
        let mut step = 1;
        while within(start + step - 1) {
            step *= 2;
        }
        // the last probe that was within, and the first that was not
        let (mut low, mut high) = (start + step / 2, start + step - 1);
        while low < high {
            let middle = low.midpoint(high);
            if within(middle) { low = middle + 1 } else { high = middle }
        }
        start..low.min(self.len())
    }

    /// Index of the first entry that is not before `key`. Hashes are spread evenly, so it is searched near its share.
    pub(super) fn lower_bound(&self, key: &EntryKey) -> usize {
        let share = u128::from(u64::from_be_bytes(*key.first_chunk().unwrap_or(&[0; 8])));
        let guess = usize::try_from((share * self.len() as u128) >> 64).unwrap_or(0);
        let before = |i: usize| self.key(i).is_some_and(|other| other < key);
        let (mut low, mut high, mut step) = (guess, guess, 16);
        while low > 0 && !before(low - 1) {
            high = low - 1;
            low = low.saturating_sub(step);
            step *= 2;
        }
        while before(high) {
            low = high + 1;
            high = (high + step).min(self.len());
            step *= 2;
        }
        while low < high {
            let middle = low.midpoint(high);
            if before(middle) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// Puts a run together; entries come in order.
#[derive(Default)]
struct Builder {
    heads: Vec<u8>,
    texts: Vec<u8>,
}

impl Builder {
    fn with_room(entries: usize, texts: usize) -> Self {
        Self {
            heads: Vec::with_capacity(COUNT_BYTES + entries * HEAD_BYTES + texts),
            texts: Vec::with_capacity(texts),
        }
        .begin()
    }

    fn begin(mut self) -> Self {
        self.heads.extend_from_slice(&[0; COUNT_BYTES]);
        self
    }

    fn push(&mut self, entry: Entry<'_>) {
        self.texts.extend_from_slice(entry.target);
        self.heads.extend_from_slice(entry.key);
        self.heads.extend_from_slice(&entry.shape.to_be_bytes());
        let end = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.heads.extend_from_slice(&end.to_be_bytes());
    }

    fn finish(mut self) -> Vec<u8> {
        let count = (self.heads.len() - COUNT_BYTES) / HEAD_BYTES;
        let count = u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes();
        self.heads[..COUNT_BYTES].copy_from_slice(&count);
        self.heads.extend_from_slice(&self.texts);
        self.heads
    }
}

/// What a transaction changes in the history index, in the order in which it happens.
#[derive(Default)]
pub(super) struct Edits {
    list: Vec<Edit>,
    texts: Vec<u8>,
}

struct Edit {
    key: EntryKey,
    shape: u16,
    target: Range<usize>,
}

impl Edits {
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn put(&mut self, key: EntryKey, shape: u16, target: &[u8]) {
        let start = self.texts.len();
        self.texts.extend_from_slice(target);
        self.list.push(Edit { key, shape, target: start..self.texts.len() });
    }

    pub(super) fn remove(&mut self, key: EntryKey) {
        self.put(key, GONE, &[]);
    }

    /// Adds another transaction's part behind this one.
    pub(super) fn push(&mut self, entry: Entry<'_>) {
        self.put(*entry.key, entry.shape, entry.target);
    }

    /// In the order of their keys, of changes of one key the last.
    pub(super) fn sorted(&mut self) -> impl Iterator<Item = Entry<'_>> {
        // stable, so that the last of equal keys is the last change
        self.list.sort_by_key(|change| change.key);
        let list = &self.list;
        list.iter().enumerate().filter_map(|(i, change)| {
            if list.get(i + 1).is_some_and(|next| next.key == change.key) {
                return None;
            }
            let target = self.texts.get(change.target.clone())?;
            Some(Entry { key: &change.key, shape: change.shape, target })
        })
    }

    /// As a run.
    pub(super) fn into_run(mut self) -> Vec<u8> {
        let mut builder = Builder::with_room(self.list.len(), self.texts.len());
        self.sorted().for_each(|entry| builder.push(entry));
        builder.finish()
    }
}

/// Both runs in one; where both have a key, the newer one counts.
pub(super) fn merge(older: Run<'_>, newer: Run<'_>) -> Vec<u8> {
    let mut builder = Builder::with_room(older.len() + newer.len(), older.texts.len() + newer.texts.len());
    let (mut i, mut j) = (0, 0);
    loop {
        match (older.get(i), newer.get(j)) {
            (Some(old), Some(new)) if old.key < new.key => {
                builder.push(old);
                i += 1;
            }
            (old, Some(new)) => {
                i += usize::from(old.is_some_and(|old| old.key == new.key));
                builder.push(new);
                j += 1;
            }
            (Some(old), None) => {
                builder.push(old);
                i += 1;
            }
            (None, None) => return builder.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Plain = BTreeMap<EntryKey, (u16, Vec<u8>)>;

    fn key(hash: u8, low: u8) -> EntryKey {
        let mut key = [0; ENTRY_BYTES];
        key[0] = hash;
        key[ENTRY_BYTES - 1] = low;
        key
    }

    fn run(list: &[(u8, u8, u16)]) -> (Plain, Vec<u8>) {
        let (mut plain, mut changes) = (Plain::new(), Edits::default());
        for &(hash, low, shape) in list {
            let target = vec![b'x'; usize::from(shape % 5)];
            changes.put(key(hash, low), shape, &target);
            plain.insert(key(hash, low), (shape, target));
        }
        (plain, changes.into_run())
    }

    fn entries(run: Run<'_>) -> Plain {
        let entry = |i| run.get(i).map(|entry| (*entry.key, (entry.shape, entry.target.to_vec())));
        (0..run.len()).map(|i| entry(i).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn a_run_is_a_sorted_map(
            list in prop::collection::vec((any::<u8>(), 0..3_u8, any::<u16>()), 0..200),
            other in prop::collection::vec((any::<u8>(), 0..3_u8, any::<u16>()), 0..200),
            bounds in any::<((u8, u8), (u8, u8))>(),
        ) {
            let ((mut plain, bytes), (newer_plain, newer_bytes)) = (run(&list), run(&other));
            let (older, newer) = (Run::read(&bytes).unwrap(), Run::read(&newer_bytes).unwrap());
            prop_assert_eq!(&entries(older), &plain);
            let (first, last) = (key(bounds.0.0, bounds.0.1), key(bounds.1.0, bounds.1.1));
            prop_assert_eq!(older.lower_bound(&first), plain.range(..first).count());
            let found: Vec<EntryKey> = older.range(&first, &last).filter_map(|i| older.key(i)).copied().collect();
            let wanted: Vec<EntryKey> = plain.keys().filter(|key| (first..=last).contains(*key)).copied().collect();
            prop_assert_eq!(found, wanted);
            plain.extend(newer_plain);
            prop_assert_eq!(entries(Run::read(&merge(older, newer)).unwrap()), plain);
        }

        #[test]
        fn damage_never_panics(bytes: Vec<u8>, count in 0..5_u32) {
            let mut bytes = bytes;
            bytes.splice(..0, count.to_be_bytes());
            let Some(run) = Run::read(&bytes) else { return Ok(()) };
            let _ = (run.range(&key(1, 1), &key(9, 9)), run.lower_bound(&key(3, 3)));
            for i in 0..=run.len() {
                let _ = run.history_entry(i);
            }
            let _ = merge(run, run);
        }
    }
}
