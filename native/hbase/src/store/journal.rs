//! Which entities changed: numbered entries in our own table, without gaps, each made before its change and marked after it.
//!
//! Whoever asks is told up to the first entry that is not marked: what stands behind may concern something that he could not see
//! yet. An entry that is never marked, because its writer died, is waited for a while.

use std::time::{Duration, Instant};

use events::{Changes, Entity, Error, Kind, Position, Result, Scope, VisitEntity};

use super::failure::told;
use super::{HbaseStore, OWN_TABLE_FAMILY, lock, or_nothing};
use crate::client::{Checked, LATEST, Mutation, Row, Scan, TableName};
use std::ops::ControlFlow;

const LIFE: &[u8] = b"life";
const VALUE: &[u8] = b"v";
const ENTITIES: &[u8] = b"n";
const TOKEN: &[u8] = b"o";
const DONE: &[u8] = b"d";
/// So long a writer may take between its two marks.
const WRITER_MAX: Duration = Duration::from_mins(2);
/// Entries that are kept at least.
const KEPT: u64 = 8192;
/// Every so many entries, old ones are deleted.
const CLEANED_EVERY: u64 = 512;
/// How far back one looks for entries that are not marked.
const OPEN_MAX: usize = 256;

/// What this process knows of the journal of a scope.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Number of the last entry seen.
    last: u64,
    /// The entry that was waited for, and since when.
    open: Option<(u64, Instant)>,
}

fn key(number: u64) -> Vec<u8> {
    [b"j", &number.to_be_bytes()[..]].concat()
}

fn number(row: &Row) -> u64 {
    let bytes = row.key().get(1..).and_then(|bytes| bytes.try_into().ok());
    bytes.map(u64::from_be_bytes).unwrap_or_default()
}

fn encode(entities: &[Entity]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in entities.iter().flat_map(|entity| [&entity.kind, &entity.id]) {
        bytes.extend(u32::try_from(part.len()).unwrap_or_default().to_be_bytes());
        bytes.extend(part.as_bytes());
    }
    bytes
}

/// Calls with each entity; `None` if the bytes are not what [`encode`] makes.
fn decode(mut bytes: &[u8], visit: VisitEntity<'_>) -> Option<()> {
    let mut part = || -> Option<&str> {
        let (length, rest) = bytes.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (text, rest) = rest.split_at_checked(length)?;
        bytes = rest;
        str::from_utf8(text).ok()
    };
    while let Some(kind) = part() {
        visit(kind, part()?);
    }
    bytes.is_empty().then_some(())
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let failed = |error| Error::new(Kind::Unavailable, format!("the system gives no random bytes: {error}"));
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

pub(crate) fn random_u64() -> Result<u64> {
    random().map(u64::from_be_bytes)
}

impl HbaseStore {
    /// Tells a scope from what was before under its name.
    pub(crate) fn begin_life(&self, companion: &TableName) -> Result<()> {
        let put = Mutation::put(LIFE).set(OWN_TABLE_FAMILY, VALUE, LATEST, &random::<16>()?).map_err(told)?;
        let column = (OWN_TABLE_FAMILY, VALUE);
        self.client.check_and_mutate(companion, column, &[], &put).map_err(told).map(|_| ())
    }

    /// Announces that entities will change; gives what [`changed`](Self::changed) wants. Nothing to announce is `None`.
    pub(crate) fn will_change(&self, scope: Scope, mut entities: Vec<Entity>) -> Result<Option<u64>> {
        entities.sort();
        entities.dedup();
        if entities.is_empty() || !self.has_journal {
            return Ok(None);
        }
        let companion = self.companion_made(scope)?;
        let (entities, token) = (encode(&entities), random::<16>()?);
        let mut last = lock(&self.journals).entry(scope).or_default().last;
        loop {
            let number = last + 1;
            if self.try_entry(&companion, number, &entities, &token)? {
                let mut journals = lock(&self.journals);
                let known = journals.entry(scope).or_default();
                known.last = known.last.max(number);
                return Ok(Some(number));
            }
            last = self.last_entries(&companion, 1)?.first().map_or(0, self::number).max(number);
        }
    }

    fn try_entry(&self, companion: &TableName, number: u64, entities: &[u8], token: &[u8]) -> Result<bool> {
        let put = Mutation::put(key(number))
            .set(OWN_TABLE_FAMILY, ENTITIES, LATEST, entities)
            .and_then(|put| put.set(OWN_TABLE_FAMILY, TOKEN, LATEST, token))
            .map_err(told)?;
        let column = (OWN_TABLE_FAMILY, TOKEN);
        match self.client.check_and_mutate(companion, column, &[], &put).map_err(told)? {
            Checked::Done => Ok(true),
            Checked::Refused => Ok(false),
            Checked::Unknown => {
                let rows = self.client.get(companion, &[key(number)], &[]).map_err(told)?;
                Ok(rows.first().and_then(|row| row.value(OWN_TABLE_FAMILY, TOKEN)) == Some(token))
            }
        }
    }

    /// What was announced is done, or has failed: whoever is told may look in vain.
    pub(crate) fn changed(&self, scope: Scope, number: u64) -> Result<()> {
        let companion = self.companion(scope);
        let put = Mutation::put(key(number)).set(OWN_TABLE_FAMILY, DONE, LATEST, b"1").map_err(told)?;
        self.client.mutate(&companion, &[put]).map_err(told)?;
        if number.is_multiple_of(CLEANED_EVERY) && number > KEPT {
            self.clean(&companion, number - KEPT)
        } else {
            Ok(())
        }
    }

    fn clean(&self, companion: &TableName, before: u64) -> Result<()> {
        let mut deletes = Vec::new();
        let scan = Scan { start: key(0), stop: key(before), ..Scan::default() };
        let collect = &mut |row: &Row| {
            deletes.extend(Mutation::delete(row.key()).family(OWN_TABLE_FAMILY, LATEST).ok());
            ControlFlow::Continue(())
        };
        self.client.scan(companion, &scan, collect).map_err(told)?;
        self.client.mutate(companion, &deletes).map_err(told)
    }

    /// The last entries, the last one first.
    fn last_entries(&self, companion: &TableName, most: usize) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let rows_per_call = u32::try_from(most).unwrap_or(u32::MAX);
        let (start, stop) = (b"k".to_vec(), b"j".to_vec());
        let scan = Scan { start, stop, reversed: true, rows_per_call, cache: true, ..Scan::default() };
        let collect = &mut |row: &Row| {
            rows.push(row.clone());
            if rows.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        or_nothing(self.client.scan(companion, &scan, collect))?;
        Ok(rows)
    }

    /// As `EventStore::changes`.
    pub(crate) fn journal_since(
        &self,
        scope: Scope,
        since: Position,
        visit: VisitEntity<'_>,
    ) -> Result<Changes> {
        let companion = self.companion(scope);
        let life = or_nothing(self.client.get(&companion, &[LIFE.to_vec()], &[]))?;
        let life = life.first().and_then(|row| row.value(OWN_TABLE_FAMILY, VALUE)?.try_into().ok());
        let Some(life) = life.map(u128::from_be_bytes) else { return Ok(Changes::of_nothing(since)) };
        let at = |added| Position { life, added, revised: 0 };
        let mut now = since.added;
        let mut complete = since.life == life;
        let mut damaged = false;
        let scan =
            Scan { start: key(now.saturating_add(1)), stop: b"k".to_vec(), cache: true, ..Scan::default() };
        if complete {
            let tell = &mut |row: &Row| {
                if number(row) != now + 1 {
                    complete = false;
                } else if !self.is_over(scope, row) {
                    return ControlFlow::Break(());
                } else {
                    now += 1;
                    let entities = row.value(OWN_TABLE_FAMILY, ENTITIES).unwrap_or_default();
                    damaged |= decode(entities, visit).is_none();
                }
                if complete { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            or_nothing(self.client.scan(&companion, &scan, tell))?;
        }
        if complete && !damaged && self.exists(&companion, now)? {
            return Ok(Changes { now: at(now), complete: true });
        }
        Ok(Changes { now: at(self.last_over(scope, &companion)?), complete: false })
    }

    /// Is this the number of an entry, or 0? Otherwise the position is of a journal that was longer.
    fn exists(&self, companion: &TableName, number: u64) -> Result<bool> {
        if number == 0 {
            return Ok(true);
        }
        let rows =
            or_nothing(self.client.get(companion, &[key(number)], &[(OWN_TABLE_FAMILY, &[DONE, TOKEN])]))?;
        Ok(rows.first().is_some_and(|row| !row.is_empty()))
    }

    /// The last entry before those that are not over.
    fn last_over(&self, scope: Scope, companion: &TableName) -> Result<u64> {
        let rows = self.last_entries(companion, OPEN_MAX)?;
        let open = rows.iter().rev().find(|row| !self.is_over(scope, row));
        Ok(open.map_or_else(|| rows.first().map_or(0, number), |row| number(row).saturating_sub(1)))
    }

    /// Is the entry marked, or has it been waited for long enough?
    fn is_over(&self, scope: Scope, row: &Row) -> bool {
        if row.value(OWN_TABLE_FAMILY, DONE).is_some() {
            return true;
        }
        let mut journals = lock(&self.journals);
        let open = &mut journals.entry(scope).or_default().open;
        match open {
            Some((waited, since)) if *waited == number(row) => since.elapsed() > WRITER_MAX,
            _ => {
                *open = Some((number(row), Instant::now()));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entries_are_in_the_order_of_their_numbers() {
        assert!(key(255) < key(256) && key(u64::MAX) < b"k".to_vec());
    }

    proptest! {
        #[test]
        fn entities_come_back(parts in proptest::collection::vec((".{0,5}", ".{0,5}"), 0..5)) {
            let entities: Vec<Entity> = parts.into_iter().map(|(kind, id)| Entity { kind, id }).collect();
            let mut back = Vec::new();
            let visit = &mut |kind: &str, id: &str| back.push(Entity { kind: kind.into(), id: id.into() });
            prop_assert_eq!(decode(&encode(&entities), visit), Some(()));
            prop_assert_eq!(back, entities);
        }

        #[test]
        fn any_bytes_are_entities_or_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            _ = decode(&bytes, &mut |_, _| {});
        }
    }
}
