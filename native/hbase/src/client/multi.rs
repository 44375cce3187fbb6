//! Rows by key: many gets, many changes, and one change under a condition.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::cell::{self, Cell, CellKind, Row};
use super::connection::{Answer, Connection};
use super::error::{Error, Result};
use super::messages::{
    Action, Column, Condition, EQUAL, Get, MultiRequest, MultiResponse, MutateRequest, MutateResponse,
    MutationProto, NameBytesPair, RegionAction, RegionActionResult, ResultProto,
};
use super::regions::{Region, Regions, TableName};
use super::scan::comparator;
use super::{CLIENT_SERVICE, Client, Durability, Patience};

/// Changes of one row, that take place together: puts or deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    row: Vec<u8>,
    kind: CellKind,
    cells: i32,
    block: Vec<u8>,
}

impl Mutation {
    /// Sets values of columns.
    pub fn put(row: impl Into<Vec<u8>>) -> Self {
        Self { row: row.into(), kind: CellKind::Put, cells: 0, block: Vec::new() }
    }

    /// Deletes families and columns.
    pub fn delete(row: impl Into<Vec<u8>>) -> Self {
        Self { kind: CellKind::DeleteFamily, ..Self::put(row) }
    }

    /// Adds a value to a put. `Refused` if a part is longer than a cell can be.
    ///
    /// # Errors
    /// As said.
    pub fn set(mut self, family: &[u8], qualifier: &[u8], timestamp: i64, value: &[u8]) -> Result<Self> {
        let row = &self.row;
        let cell = Cell { row, family, qualifier, timestamp, kind: CellKind::Put, value };
        cell::write(&mut self.block, &cell)?;
        self.cells += 1;
        Ok(self)
    }

    /// Adds to a delete what a family has of this timestamp and before.
    ///
    /// # Errors
    /// `Refused` if the key is longer than one can be.
    pub fn family(self, family: &[u8], timestamp: i64) -> Result<Self> {
        self.without(family, &[], timestamp, CellKind::DeleteFamily)
    }

    /// Adds to a delete what a column has of this timestamp and before.
    ///
    /// # Errors
    /// As of [`family`](Self::family).
    pub fn column(self, family: &[u8], qualifier: &[u8], timestamp: i64) -> Result<Self> {
        self.without(family, qualifier, timestamp, CellKind::DeleteColumn)
    }

    fn without(mut self, family: &[u8], qualifier: &[u8], timestamp: i64, kind: CellKind) -> Result<Self> {
        let row = &self.row;
        cell::write(&mut self.block, &Cell { row, family, qualifier, timestamp, kind, value: &[] })?;
        self.cells += 1;
        Ok(self)
    }

    /// Bytes of its cells.
    pub fn size(&self) -> usize {
        self.block.len()
    }

    fn proto(&self, durability: Durability) -> MutationProto {
        const PUT: i32 = 2;
        const DELETE: i32 = 3;
        MutationProto {
            row: Some(self.row.clone()),
            mutate_type: Some(if self.kind == CellKind::Put { PUT } else { DELETE }),
            timestamp: None,
            durability: Some(match durability {
                Durability::Lazy => 2,
                Durability::Sync => 3,
                Durability::Fsync => 4,
            }),
            associated_cell_count: Some(self.cells),
        }
    }
}

/// What became of a change under a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// The condition held.
    Done,
    /// It did not hold.
    Refused,
    /// It did not hold, but an attempt before may have been carried out without its answer having come.
    Unknown,
}

/// Calls that are sent before the first answer is read; these are so short that they wait in the socket.
const UNANSWERED_MAX: usize = 250;

/// One server's share of a call: what was sent for which of the items.
struct Share {
    connection: Connection,
    call: u32,
    atomic: bool,
    /// Items of each region, in the order of the request.
    items: Vec<Vec<usize>>,
}

impl Client {
    /// Carries out changes durably. Those of one region become visible together (before HBase 2.0: one row after the other),
    /// those of several one region after the other; after an error some may be there. Each may be done twice, which its
    /// timestamps must allow.
    ///
    /// # Errors
    /// `NoTable`; `Refused` by a server; `Unavailable` if a region did not come back in time.
    pub fn mutate(&self, table: &TableName, mutations: &[Mutation]) -> Result<()> {
        let durability = self.config.durability;
        let action = |index: usize, cells: &mut Vec<u8>| {
            let mutation = mutations.get(index)?;
            cells.extend_from_slice(&mutation.block);
            Some(Action { mutation: Some(mutation.proto(durability)), ..Action::default() })
        };
        let keys: Vec<&[u8]> = mutations.iter().map(|mutation| mutation.row.as_slice()).collect();
        self.multi(table, &keys, true, action, |_, _| {})
    }

    /// Rows by their keys, in order, with some columns (none: all); an empty row where there is none.
    ///
    /// # Errors
    /// `NoTable`; `Unavailable` if a region did not come back in time.
    pub fn get(
        &self,
        table: &TableName,
        keys: &[Vec<u8>],
        columns: &[(&[u8], &[&[u8]])],
    ) -> Result<Vec<Row>> {
        let column = |(family, qualifiers): &(&[u8], &[&[u8]])| Column {
            family: family.to_vec(),
            qualifier: qualifiers.iter().map(|qualifier| qualifier.to_vec()).collect(),
        };
        let columns: Vec<Column> = columns.iter().map(column).collect();
        let action = |index: usize, _: &mut Vec<u8>| {
            let get = Get { row: keys.get(index)?.clone(), column: columns.clone() };
            Some(Action { get: Some(get), ..Action::default() })
        };
        let mut rows = vec![Row::default(); keys.len()];
        let borrowed: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        self.multi(table, &borrowed, false, action, |index, row| {
            if let Some(place) = rows.get_mut(index) {
                *place = row;
            }
        })?;
        Ok(rows)
    }

    /// Changes a row if a column of it has a value, in one step; an empty one stands for no value, too.
    ///
    /// # Errors
    /// `NoTable`; `Refused` by a server; `Unavailable` if the region did not come back in time: then it may be done or not.
    pub fn check_and_mutate(
        &self,
        table: &TableName,
        column: (&[u8], &[u8]),
        expected: &[u8],
        mutation: &Mutation,
    ) -> Result<Checked> {
        self.check_once_more(table, column, (expected, mutation), 0)
    }

    /// The same with many rows, each for itself, without waiting for one after the other, and with another durability: a log
    /// that is synced for each of them takes its time.
    ///
    /// # Errors
    /// As of [`check_and_mutate`](Self::check_and_mutate); then any of them may be done or not.
    pub fn check_and_mutate_many(
        &self,
        table: &TableName,
        column: (&[u8], &[u8]),
        items: &[(&[u8], Mutation)],
        durability: Durability,
    ) -> Result<Vec<Checked>> {
        let mut done: Vec<Option<bool>> = vec![None; items.len()];
        for (number, some) in items.chunks(UNANSWERED_MAX).enumerate() {
            let from = number * UNANSWERED_MAX;
            // What has no answer after this is done below, with all patience.
            _ = self.send_checks(table, column, (some, durability), &mut |index, processed| {
                if let Some(done) = done.get_mut(from + index) {
                    *done = Some(processed);
                }
            });
        }
        let mut outcomes = Vec::with_capacity(items.len());
        for ((expected, mutation), done) in items.iter().zip(done) {
            outcomes.push(match done {
                Some(true) => Checked::Done,
                Some(false) => Checked::Refused,
                None => self.check_once_more(table, column, (*expected, mutation), 1)?,
            });
        }
        Ok(outcomes)
    }

    /// One attempt for all: `answered` is called for those that were carried out or refused.
    fn send_checks(
        &self,
        table: &TableName,
        column: (&[u8], &[u8]),
        (items, durability): (&[(&[u8], Mutation)], Durability),
        answered: &mut dyn FnMut(usize, bool),
    ) -> Result<()> {
        let regions = self.regions(table)?;
        let mut servers: BTreeMap<&str, Vec<(usize, &Region)>> = BTreeMap::new();
        for (index, (_, mutation)) in items.iter().enumerate() {
            let region = regions.of(&mutation.row)?;
            servers.entry(region.server()?).or_default().push((index, region));
        }
        for (server, indices) in servers {
            let mut connection = self.connection(CLIENT_SERVICE, server)?;
            let mut calls = BTreeMap::new();
            for (index, region) in indices {
                let Some((expected, mutation)) = items.get(index) else { continue };
                let request = check_request(region, column, (*expected, mutation), durability);
                calls.insert(connection.send("Mutate", &request, &mutation.block)?, index);
            }
            while !calls.is_empty() {
                let (call, answer) = connection.receive_next::<MutateResponse>()?;
                let index = calls.remove(&call).ok_or_else(|| Error::protocol("it is for another call"))?;
                if let Ok(answer) = answer {
                    answered(index, answer.message.processed());
                }
            }
            self.keep(CLIENT_SERVICE, connection);
        }
        Ok(())
    }

    /// After so many `attempts` whose answer did not come.
    fn check_once_more(
        &self,
        table: &TableName,
        column: (&[u8], &[u8]),
        (expected, mutation): (&[u8], &Mutation),
        mut attempts: u32,
    ) -> Result<Checked> {
        let processed = self.retrying(table, |client| {
            attempts += 1;
            let regions = client.regions(table)?;
            let region = regions.of(&mutation.row)?;
            let durability = client.config.durability;
            let request = check_request(region, column, (expected, mutation), durability);
            let server = region.server()?;
            let answer: Answer<MutateResponse> =
                client.call(CLIENT_SERVICE, server, "Mutate", &request, &mutation.block)?;
            Ok(answer.message.processed())
        })?;
        Ok(match (processed, attempts) {
            (true, _) => Checked::Done,
            (false, 1) => Checked::Refused,
            (false, _) => Checked::Unknown,
        })
    }

    /// Does something for each key, in one call per server at once, until all is done.
    fn multi(
        &self,
        table: &TableName,
        keys: &[&[u8]],
        together: bool,
        action: impl Fn(usize, &mut Vec<u8>) -> Option<Action>,
        mut done: impl FnMut(usize, Row),
    ) -> Result<()> {
        let mut left: Vec<usize> = (0..keys.len()).collect();
        let mut patience = Patience::new(self);
        while !left.is_empty() {
            let mut finished = vec![false; keys.len()];
            let atomic = (together && !self.old_servers.load(Ordering::Relaxed)).then_some(true);
            let attempt = self.multi_once(table, keys, &left, (atomic, &action), &mut |index, row| {
                if let Some(finished) = finished.get_mut(index) {
                    *finished = true;
                    done(index, row);
                }
            });
            let before = left.len();
            left.retain(|index| finished.get(*index) == Some(&false));
            if let Err(error) = attempt {
                if atomic.is_some() && error.is_thrown("WrongRowIOException") {
                    self.old_servers.store(true, Ordering::Relaxed);
                    continue;
                }
                if left.len() < before {
                    patience.renew();
                }
                patience.wait(table, error)?;
            } else if !left.is_empty() {
                return Err(Error::protocol("an answer is missing"));
            }
        }
        Ok(())
    }

    /// Sends to all servers, then waits for all; the first error, if there are several, and a final one before others.
    fn multi_once(
        &self,
        table: &TableName,
        keys: &[&[u8]],
        left: &[usize],
        (atomic, action): (Option<bool>, &impl Fn(usize, &mut Vec<u8>) -> Option<Action>),
        done: &mut dyn FnMut(usize, Row),
    ) -> Result<()> {
        let regions = self.regions(table)?;
        let mut errors = Vec::new();
        let mut shares = Vec::new();
        for (server, by_region) in group(&regions, keys, left)? {
            let (mut cells, mut request) = (Vec::new(), MultiRequest::default());
            let mut items = Vec::new();
            for (region, indices) in by_region {
                let Some(region) = regions.all().get(region) else { continue };
                let numbered = |(number, index): (usize, &usize)| {
                    let action = action(*index, &mut cells)?;
                    Some(Action { index: u32::try_from(number).ok(), ..action })
                };
                let actions = indices.iter().enumerate().filter_map(numbered).collect();
                request.region_action.push(RegionAction {
                    region: region.specifier(),
                    atomic,
                    action: actions,
                });
                items.push(indices);
            }
            let sent = self.connection(CLIENT_SERVICE, server).and_then(|mut connection| {
                let call = connection.send("Multi", &request, &cells)?;
                Ok(Share { connection, call, atomic: atomic.is_some(), items })
            });
            match sent {
                Ok(share) => shares.push(share),
                Err(error) => errors.push(error),
            }
        }
        for share in shares {
            errors.extend(self.finish(share, done).err());
        }
        let last = errors.iter().position(|error| error.retry() == super::Retry::Never).unwrap_or(0);
        if errors.is_empty() { Ok(()) } else { Err(errors.swap_remove(last)) }
    }

    fn finish(&self, share: Share, done: &mut dyn FnMut(usize, Row)) -> Result<()> {
        let Share { mut connection, call, atomic, items } = share;
        let answer: Answer<MultiResponse> = connection.receive(call)?;
        let context = connection.address().to_owned();
        self.keep(CLIENT_SERVICE, connection);
        let mut block = &answer.cells[..];
        let results = &answer.message.region_action_result;
        if results.len() != items.len() {
            return Err(Error::protocol("an answer for other regions"));
        }
        let mut failed = Ok(());
        for (result, items) in results.iter().zip(&items) {
            if atomic && result.exception.is_none() && result.result_or_exception.is_empty() {
                // Servers before 2.0 say no more of what succeeded as a whole.
                items.iter().for_each(|item| done(*item, Row::default()));
                continue;
            }
            let region = finish_region(result, items, &mut block, done);
            failed = failed.and(region.map_err(|error| error.within(&context)));
        }
        failed
    }
}

fn check_request(
    region: &Region,
    (family, qualifier): (&[u8], &[u8]),
    (expected, mutation): (&[u8], &Mutation),
    durability: Durability,
) -> MutateRequest {
    let condition = Condition {
        row: mutation.row.clone(),
        family: Some(family.to_vec()),
        qualifier: Some(qualifier.to_vec()),
        compare: Some(EQUAL),
        comparator: Some(comparator(expected)),
    };
    MutateRequest {
        region: region.specifier(),
        mutation: mutation.proto(durability),
        condition: Some(condition),
    }
}

/// Items by server, and there by region.
type Groups<'r> = BTreeMap<&'r str, BTreeMap<usize, Vec<usize>>>;

fn group<'r>(regions: &'r Regions, keys: &[&[u8]], left: &[usize]) -> Result<Groups<'r>> {
    let mut groups = Groups::new();
    for index in left {
        let key = keys.get(*index).copied().unwrap_or_default();
        let region = regions.of(key)?;
        let at = regions.all().partition_point(|other| other.start < region.start);
        groups.entry(region.server()?).or_default().entry(at).or_default().push(*index);
    }
    Ok(groups)
}

/// What a server says of the items of one region, whose cells it takes off the block.
fn finish_region(
    result: &RegionActionResult,
    items: &[usize],
    block: &mut &[u8],
    done: &mut dyn FnMut(usize, Row),
) -> Result<()> {
    if let Some(thrown) = &result.exception {
        return Err(thrown_by(thrown));
    }
    let mut failed = Ok(());
    for one in &result.result_or_exception {
        if let Some(thrown) = &one.exception {
            failed = failed.and(Err(thrown_by(thrown)));
            continue;
        }
        let row = take_row(one.result.as_ref(), block)?;
        let index = usize::try_from(one.index()).unwrap_or(usize::MAX);
        let item = items.get(index).ok_or_else(|| Error::protocol("an answer to nothing"))?;
        done(*item, row);
    }
    failed
}

fn thrown_by(pair: &NameBytesPair) -> Error {
    Error::thrown(&pair.name, &String::from_utf8_lossy(pair.value()), false)
}

fn take_row(result: Option<&ResultProto>, block: &mut &[u8]) -> Result<Row> {
    let mut row = Row::default();
    let Some(result) = result else { return Ok(row) };
    for _ in 0..result.associated_cell_count() {
        let cell = cell::read(block)?.ok_or_else(|| Error::protocol("fewer cells than announced"))?;
        row.push(&cell);
    }
    for cell in &result.cell {
        let timestamp = i64::try_from(cell.timestamp()).map_err(Error::protocol)?;
        row.push(&Cell {
            row: cell.row(),
            family: cell.family(),
            qualifier: cell.qualifier(),
            timestamp,
            kind: CellKind::Put,
            value: cell.value(),
        });
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::super::messages::ResultOrException;
    use super::*;

    #[test]
    fn forged_counts_are_an_error() {
        let result = ResultProto { associated_cell_count: Some(i32::MAX), ..ResultProto::default() };
        assert!(take_row(Some(&result), &mut &[][..]).is_err());
        let negative = ResultProto { associated_cell_count: Some(-1), ..ResultProto::default() };
        assert!(take_row(Some(&negative), &mut &[][..]).unwrap().is_empty());
    }

    #[test]
    fn answers_to_nothing_are_an_error() {
        let one = ResultOrException { index: Some(7), ..ResultOrException::default() };
        let result = RegionActionResult { result_or_exception: vec![one], exception: None };
        assert!(finish_region(&result, &[0], &mut &[][..], &mut |_, _| {}).is_err());
    }

    #[test]
    fn one_exception_does_not_hide_the_other_answers() {
        let thrown = NameBytesPair { name: "a.RegionTooBusyException".into(), value: None };
        let bad = ResultOrException { exception: Some(thrown), ..ResultOrException::default() };
        let good = ResultOrException { index: Some(1), ..ResultOrException::default() };
        let result = RegionActionResult { result_or_exception: vec![bad, good], exception: None };
        let mut done = Vec::new();
        let error = finish_region(&result, &[5, 6], &mut &[][..], &mut |item, _| done.push(item));
        assert!(error.unwrap_err().to_string().starts_with("RegionTooBusyException"));
        assert_eq!(done, [6]);
    }
}
