//! Which special events were replaced or deleted lately: the changes that the log does not show.
//!
//! Entries of the table `meta`, numbered from 1 per life of a scope; only the newest are kept.

use events::Result;
use heed::RoTxn;

use super::Core;
use super::bytes::{Reader, put_text};
use super::error::corrupt;
use super::keys::Tag;
use super::write::Writer;

/// Entries kept. Who has not looked for longer looks at everything.
const KEPT: u64 = 1 << 16;

const PREFIX: &[u8] = b"revised ";

fn key(tag: Tag, number: u64) -> Vec<u8> {
    [PREFIX, &tag, &number.to_be_bytes()].concat()
}

fn number_of(key: &[u8]) -> Result<u64> {
    let number = key.last_chunk().copied().map(u64::from_be_bytes);
    number.ok_or_else(|| corrupt("the record of a revision is malformed"))
}

impl Core {
    /// Number of the newest entry; 0 if there is none.
    pub(super) fn last_revision(&self, txn: &RoTxn<'_>, tag: Tag) -> Result<u64> {
        let bounds = (key(tag, 0), key(tag, u64::MAX));
        let mut newest = self.env.range(txn, self.tables.meta, (&bounds.0, &bounds.1), true)?;
        match newest.next() {
            Some(entry) => number_of(entry.map_err(|error| self.env.error(error))?.0),
            None => Ok(0),
        }
    }

    /// Names the entities of the entries behind `since`; `false` if the first of them is not there any more.
    pub(super) fn revised(
        &self,
        txn: &RoTxn<'_>,
        tag: Tag,
        since: u64,
        visit: &mut dyn FnMut(&str, &str),
    ) -> Result<bool> {
        let malformed = || corrupt("the record of a revision is malformed");
        let bounds = (key(tag, since.saturating_add(1)), key(tag, u64::MAX));
        let mut expected = since;
        for entry in self.env.range(txn, self.tables.meta, (&bounds.0, &bounds.1), false)? {
            let (key, value) = entry.map_err(|error| self.env.error(error))?;
            expected += 1;
            if number_of(key)? != expected {
                return Ok(false);
            }
            let mut reader = Reader::new(value);
            let (kind, id) = (reader.text().ok_or_else(malformed)?, reader.text().ok_or_else(malformed)?);
            visit(kind, id);
        }
        Ok(true)
    }
}

impl Writer<'_> {
    /// Keeps that a special event of this entity was replaced or deleted, or has replaced one.
    pub(super) fn note_revision(&mut self, tag: Tag, entity: Option<(String, String)>) -> Result<()> {
        let Some((kind, id)) = entity else { return Ok(()) };
        let (env, meta) = (&self.core.env, self.core.tables.meta);
        let number = self.core.last_revision(&self.txn, tag)? + 1;
        let mut value = Vec::new();
        put_text(&mut value, &kind);
        put_text(&mut value, &id);
        env.put(&mut self.txn, meta, &key(tag, number), &value)?;
        if let Some(oldest) = number.checked_sub(KEPT) {
            env.delete(&mut self.txn, meta, &key(tag, oldest))?;
        }
        Ok(())
    }

    /// For a scope that ends.
    pub(super) fn forget_revisions(&mut self, tag: Tag) -> Result<()> {
        let last = self.core.last_revision(&self.txn, tag)?;
        for number in last.saturating_sub(KEPT)..=last {
            self.core.env.delete(&mut self.txn, self.core.tables.meta, &key(tag, number))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use events::{EventStore, Position, Scope};

    use super::*;
    use crate::Embedded;

    const SCOPE: Scope = Scope { app: 1, channel: None };

    #[test]
    fn who_asks_too_late_is_told_so_and_nothing_is_kept_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let store = Embedded::open(directory.path()).unwrap();
        store.init(SCOPE).unwrap();
        let kept =
            |store: &Embedded| store.0.env.len(&store.0.env.read().unwrap(), store.0.tables.meta).unwrap();
        let before = kept(&store);
        let start = store.changes(SCOPE, Position::default(), &mut |_, _| {}).unwrap().now;
        store
            .0
            .write(|writer| {
                let state = writer.core.find_scope(&writer.txn, SCOPE)?.unwrap();
                (0..KEPT + 9).try_for_each(|n| {
                    writer.note_revision(state.tag, Some(("item".to_owned(), n.to_string())))
                })
            })
            .unwrap();
        let told = |since: Position| {
            let mut named = Vec::new();
            let complete =
                store.changes(SCOPE, since, &mut |_, id| named.push(id.to_owned())).unwrap().complete;
            (complete, named.len(), named.first().cloned())
        };
        assert_eq!(told(start), (false, 0, None));
        assert!(!told(Position { revised: 8, ..start }).0);
        let since = Position { revised: 9, ..start };
        assert_eq!(told(since), (true, 1 << 16, Some("9".to_owned())));
        assert!(!told(Position { revised: KEPT + 10, ..start }).0, "of a store that was put back");
        assert_eq!(kept(&store), before + KEPT);
        store.remove(SCOPE).unwrap();
        assert_eq!(kept(&store), before);
    }
}
