//! Events whose id is not their key. Their row has the id; and the entry `i…` in our own table says where the row is.
//!
//! An event that replaces another gets a row of its own, since HBase hides what is written into a row that was deleted. The entry
//! names the row of the event (`k`) and, in a column each (`c…`), all rows that writers made for it. A writer makes itself the
//! one in `k`, writes its row, and looks again: if it is still in `k`, it deletes the other rows; if not, it deletes its own, once
//! the other one is there. Of rivals at least the one whose entry came last sees the others. A row that is deleted before it
//! arrives stays invisible. Entries outlive their events: what an entry names counts only if it is there and has the id.

use events::{Result, Scope};

use super::failure::told;
use super::layout::{self, EVENT_FAMILY, Key, Stored};
use super::{HbaseStore, OWN_TABLE_FAMILY, or_nothing};
use crate::client::{Checked, Durability, LATEST, Mutation, Row};
use md5::{Digest, Md5};

const CURRENT: &[u8] = b"k";
/// Begins the names of columns, which go on with a key.
const CANDIDATE: u8 = b'c';
const SYNCED: &[u8] = b"s";
/// Longer ones are no event's.
pub(crate) const ID_BYTES_MAX: usize = 30_000;

/// What is known of an event id.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The entry's `k`, as it stands; empty if there is none.
    pub(crate) current: Vec<u8>,
    /// Rows that writers made or will make, after the entry.
    pub(crate) candidates: Vec<Key>,
    /// Rows of the event that are there: one, but for what a writer that died left behind.
    pub(crate) rows: Vec<Row>,
}

/// Key of the entry of an id. The hash spreads them.
fn entry(id: &str) -> Vec<u8> {
    let hash: [u8; 16] = Md5::digest(id).into();
    [b"i", &hash[..2], id.as_bytes()].concat()
}

fn candidate(key: &Key) -> Vec<u8> {
    [&[CANDIDATE], &key[..]].concat()
}

/// The current key, empty if there is none, and the candidates.
fn read_entry(row: &Row) -> (Vec<u8>, Vec<Key>) {
    let key = |cell: crate::client::Cell<'_>| {
        let key = cell.qualifier.strip_prefix(&[CANDIDATE])?;
        key.try_into().ok()
    };
    let current = row.value(OWN_TABLE_FAMILY, CURRENT).unwrap_or_default();
    (current.to_vec(), row.cells().filter_map(key).collect())
}

impl HbaseStore {
    /// What is known of several ids.
    pub(crate) fn known(&self, scope: Scope, ids: &[&str]) -> Result<Vec<Known>> {
        let entries: Vec<Vec<u8>> = ids.iter().map(|id| entry(id)).collect();
        let found = or_nothing(self.client.get(&self.companion(scope), &entries, &[]))?;
        let mut all: Vec<Known> = ids.iter().map(|_| Known::default()).collect();
        let mut keys: Vec<(usize, Key)> = Vec::new();
        for (at, (id, known)) in ids.iter().zip(&mut all).enumerate() {
            let mut add = |key: Key| {
                if !keys.contains(&(at, key)) {
                    keys.push((at, key));
                }
            };
            if let Some(row) = found.get(at) {
                (known.current, known.candidates) = read_entry(row);
                known.candidates.iter().copied().for_each(&mut add);
                known.current.as_slice().try_into().into_iter().for_each(&mut add);
            }
            layout::key_of(id).into_iter().for_each(&mut add);
        }
        let wanted: Vec<Vec<u8>> = keys.iter().map(|(_, key)| key.to_vec()).collect();
        let rows = or_nothing(self.client.get(&self.table(scope), &wanted, &[]))?;
        for ((at, _), row) in keys.into_iter().zip(rows) {
            let Some((id, known)) = ids.get(at).zip(all.get_mut(at)) else { continue };
            if !row.is_empty() && layout::id_in(&row, &Stored::of(&row)?) == *id {
                known.rows.push(row);
            }
        }
        Ok(all)
    }

    /// Makes each key the row of its id; `false` where somebody else was quicker. Where there was no entry, whoever comes last
    /// wins, and [`rivals`](Self::rivals) tells.
    pub(crate) fn point(&self, scope: Scope, places: &[(&str, &Known, Key)]) -> Result<Vec<bool>> {
        let companion = self.companion_made(scope)?;
        let mut pointed = vec![true; places.len()];
        let (mut items, mut checked, mut puts) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (id, known, key)) in places.iter().enumerate() {
            let put = Mutation::put(entry(id))
                .set(OWN_TABLE_FAMILY, &candidate(key), LATEST, b"1")
                .and_then(|put| put.set(OWN_TABLE_FAMILY, CURRENT, LATEST, key))
                .map_err(told)?;
            if known.current.is_empty() {
                puts.push(put);
            } else {
                checked.push(at);
                items.push((known.current.as_slice(), put));
                // A log keeps its order: when this is durable, so is the entry.
                let mark = Mutation::put(entry(id)).set(OWN_TABLE_FAMILY, SYNCED, LATEST, b"");
                puts.push(mark.map_err(told)?);
            }
        }
        let (column, lazy) = ((OWN_TABLE_FAMILY, CURRENT), Durability::Lazy);
        let outcomes = self.client.check_and_mutate_many(&companion, column, &items, lazy).map_err(told)?;
        for (at, outcome) in checked.into_iter().zip(outcomes) {
            let Some(((id, _, key), pointed)) = places.get(at).zip(pointed.get_mut(at)) else { continue };
            *pointed = match outcome {
                Checked::Done => true,
                Checked::Refused => false,
                // No two writers ever set the same key.
                Checked::Unknown => {
                    let now = self.client.get(&companion, &[entry(id)], &[]).map_err(told)?;
                    now.first().and_then(|row| row.value(OWN_TABLE_FAMILY, CURRENT)) == Some(key)
                }
            };
        }
        self.client.mutate(&companion, &puts).map_err(told)?;
        Ok(pointed)
    }

    /// After rows were written: for each id whether it still points to its key, and the other rows that were made for it.
    pub(crate) fn rivals(&self, scope: Scope, placed: &[(&str, Key)]) -> Result<Vec<(bool, Vec<Key>)>> {
        let entries: Vec<Vec<u8>> = placed.iter().map(|(id, _)| entry(id)).collect();
        let rows = self.client.get(&self.companion(scope), &entries, &[]).map_err(told)?;
        let look = |(row, (_, key)): (&Row, &(&str, Key))| {
            let (current, mut candidates) = read_entry(row);
            candidates.retain(|candidate| candidate != key);
            (current == key, candidates)
        };
        Ok(rows.iter().zip(placed).map(look).collect())
    }

    /// Rows that were made for ids are deleted: nobody needs to look for them any more.
    pub(crate) fn forget(&self, scope: Scope, gone: &[(&str, Key)]) -> Result<()> {
        let forget = |(id, key): &(&str, Key)| {
            Mutation::delete(entry(id)).column(OWN_TABLE_FAMILY, &candidate(key), LATEST).map_err(told)
        };
        let deletes: Vec<Mutation> = gone.iter().map(forget).collect::<Result<_>>()?;
        self.client.mutate(&self.companion(scope), &deletes).map_err(told)
    }

    /// Deletes a row that was seen; `false` if it was gone already.
    pub(crate) fn delete_row(&self, scope: Scope, row: &Row) -> Result<bool> {
        let stored = Stored::of(row)?;
        let delete = layout::delete(row.key(), stored.newest)?;
        let column = (EVENT_FAMILY, &b"e"[..]);
        let seen = stored.event().event.as_bytes();
        let checked = self.client.check_and_mutate(&self.table(scope), column, seen, &delete);
        // After an attempt whose answer did not come, it was probably that.
        Ok(checked.map_err(told)? != Checked::Refused)
    }
}
