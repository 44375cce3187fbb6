//! Scans: rows of a range of keys, over regions, and over whatever happens to these meanwhile.

use std::ops::ControlFlow;

use prost::Message;

use super::cell::{self, Cell, CellKind, Row};
use super::connection::{Answer, Connection};
use super::error::{Error, Result};
use super::messages::{
    BY_NAME, BinaryComparator, Column, Comparable, EQUAL, FilterList, Named, RegionSpecifier, ScanProto,
    ScanRequest, ScanResponse, SingleColumnValueFilter, TimeRange,
};
use super::regions::{Region, TableName};
use super::{CLIENT_SERVICE, Client, Patience};

/// Which rows, and what of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// First key, inclusive; when reversed the greatest. Empty: from the beginning (the end).
    pub start: Vec<u8>,
    /// Where to stop, exclusive. Empty: at the end (the beginning).
    pub stop: Vec<u8>,
    /// Descending.
    pub reversed: bool,
    /// Families and their qualifiers (none: all of the family); empty: everything.
    pub columns: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
    /// What the servers leave out.
    pub filter: Option<Filter>,
    /// Timestamps of cells, from (inclusive) and to (exclusive); both at least 0.
    pub times: Option<(i64, i64)>,
    /// How many rows a server may give at once; a bound in bytes goes with it.
    pub rows_per_call: u32,
    /// Servers may keep what they read: not for scans of everything.
    pub cache: bool,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            start: Vec::new(),
            stop: Vec::new(),
            reversed: false,
            columns: Vec::new(),
            filter: None,
            times: None,
            rows_per_call: 1000,
            cache: false,
        }
    }
}

/// What a server leaves out of a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter(Named);

impl Filter {
    fn of(class: &str, message: &impl Message) -> Self {
        let name = format!("org.apache.hadoop.hbase.filter.{class}");
        Self(Named { name, serialized: Some(message.encode_to_vec()) })
    }

    /// Rows in which a column has this value.
    pub fn equal(family: &[u8], qualifier: &[u8], value: &[u8]) -> Self {
        let filter = SingleColumnValueFilter {
            family: Some(family.to_vec()),
            qualifier: Some(qualifier.to_vec()),
            compare: EQUAL,
            comparator: comparator(value),
            filter_if_missing: Some(true),
            latest_version_only: Some(true),
        };
        Self::of("SingleColumnValueFilter", &filter)
    }

    /// Rows that pass all of them.
    pub fn all(filters: Vec<Self>) -> Self {
        Self::list(1, filters)
    }

    /// Rows that pass one of them.
    pub fn any(filters: Vec<Self>) -> Self {
        Self::list(2, filters)
    }

    /// The first cell of each row: for counting.
    pub fn first_cell() -> Self {
        Self::of("FirstKeyOnlyFilter", &())
    }

    fn list(operator: i32, filters: Vec<Self>) -> Self {
        let filters = filters.into_iter().map(|filter| filter.0).collect();
        Self::of("FilterList", &FilterList { operator, filters })
    }
}

pub(crate) fn comparator(value: &[u8]) -> Named {
    let comparator = BinaryComparator { comparable: Comparable { value: Some(value.to_vec()) } };
    Named {
        name: "org.apache.hadoop.hbase.filter.BinaryComparator".into(),
        serialized: Some(comparator.encode_to_vec()),
    }
}

/// How much a server may give at once.
const ANSWER_BYTES: u64 = 2 << 20;
/// The region of `hbase:meta`.
const META: &[u8] = b"hbase:meta,,1";

/// Called per row; `Break` ends the scan.
type VisitRow<'a> = &'a mut dyn FnMut(&Row) -> ControlFlow<()>;

/// How far a scan has come.
struct Cursor {
    from: Vec<u8>,
    /// Is `from` itself still wanted?
    inclusive: bool,
    /// Of this region the state of this number is read, so that what is opened anew goes on in the same state.
    state: Option<(Vec<u8>, u64)>,
    /// Rows since the last error.
    rows: u64,
}

impl Client {
    /// Visits the rows of a range in order, each once and whole. Regions may move and split meanwhile and servers may die: the
    /// scan goes on behind the last row that it gave. Of each region one state is read, as long as it is not split or moved.
    ///
    /// # Errors
    /// `NoTable`; `Refused` by a server; `Unavailable` if a region did not come back in time. Never fewer rows without an error.
    pub fn scan(&self, table: &TableName, scan: &Scan, visit: VisitRow<'_>) -> Result<()> {
        let mut cursor = Cursor { from: scan.start.clone(), inclusive: true, state: None, rows: 0 };
        let mut patience = Patience::new(self);
        loop {
            match self.scan_next_region(table, scan, &mut cursor, visit) {
                Ok(ControlFlow::Break(())) => return Ok(()),
                Ok(ControlFlow::Continue(())) => patience.renew(),
                Err(error) => {
                    if std::mem::take(&mut cursor.rows) > 0 {
                        patience.renew();
                    }
                    patience.wait(table, error)?;
                }
            }
        }
    }

    /// `Break` if that was all.
    fn scan_next_region(
        &self,
        table: &TableName,
        scan: &Scan,
        cursor: &mut Cursor,
        visit: VisitRow<'_>,
    ) -> Result<ControlFlow<()>> {
        let regions = self.regions(table)?;
        let backward_exclusive = scan.reversed && (!cursor.inclusive || cursor.from.is_empty());
        let region =
            if backward_exclusive { regions.before(&cursor.from) } else { regions.of(&cursor.from) }?;
        if self.scan_region(region, scan, cursor, visit)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let stop = scan.stop.as_slice();
        let (next, done) = if scan.reversed {
            (&region.start, region.start.is_empty() || !stop.is_empty() && region.start.as_slice() <= stop)
        } else {
            (&region.end, region.end.is_empty() || !stop.is_empty() && region.end.as_slice() >= stop)
        };
        cursor.from.clone_from(next);
        cursor.inclusive = !scan.reversed;
        Ok(if done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn scan_region(
        &self,
        region: &Region,
        scan: &Scan,
        cursor: &mut Cursor,
        visit: VisitRow<'_>,
    ) -> Result<ControlFlow<()>> {
        let mut scanner = Scanner::open(self, region, scan, cursor)?;
        let mut row = Row::default();
        loop {
            let (answer, more) = scanner.next()?;
            if let Some(state) = answer.message.mvcc_read_point {
                cursor.state = Some((region.name.clone(), state));
            }
            let mut flow = ControlFlow::Continue(());
            for_each_cell(&answer, |cell| {
                if row.key() != cell.row && !row.is_empty() {
                    flow = cursor.give(&row, scan.reversed, visit);
                    row.clear();
                }
                row.push(cell);
                flow
            })?;
            if !more && flow.is_continue() && !row.is_empty() {
                flow = cursor.give(&row, scan.reversed, visit);
            }
            if !more || flow.is_break() {
                scanner.close(more);
                return Ok(flow);
            }
        }
    }

    /// The rows of `hbase:meta` that tell the regions of a table.
    pub(crate) fn scan_meta(&self, table: &TableName, visit: &mut dyn FnMut(&Row)) -> Result<()> {
        let scan = Scan {
            start: format!("{table},,").into_bytes(),
            stop: format!("{table} ,,").into_bytes(),
            columns: vec![(b"info".to_vec(), vec![b"regioninfo".to_vec(), b"server".to_vec()])],
            cache: true,
            ..Scan::default()
        };
        self.scan_in_meta(&scan, visit)
    }

    /// A row of `hbase:meta`.
    pub(crate) fn meta_row(&self, key: &[u8]) -> Result<Row> {
        let stop = [key, &[0]].concat();
        let (mut found, scan) = (Row::default(), Scan { start: key.to_vec(), stop, ..Scan::default() });
        // In the order of this table, the rows of a table's regions lie in that range, too.
        self.scan_in_meta(&scan, &mut |row| {
            if row.key() == key {
                found = row.clone();
            }
        })?;
        Ok(found)
    }

    fn scan_in_meta(&self, scan: &Scan, visit: &mut dyn FnMut(&Row)) -> Result<()> {
        let region = Region {
            name: META.to_vec(),
            start: Vec::new(),
            end: Vec::new(),
            server: self.meta_server()?,
            info: super::messages::RegionInfo::default(),
        };
        let mut cursor = Cursor { from: scan.start.clone(), inclusive: true, state: None, rows: 0 };
        let mut give = |row: &Row| {
            visit(row);
            ControlFlow::Continue(())
        };
        self.scan_region(&region, scan, &mut cursor, &mut give).map(|_| ())
    }
}

impl Cursor {
    /// Gives a row that is complete, unless it was given already.
    fn give(&mut self, row: &Row, reversed: bool, visit: VisitRow<'_>) -> ControlFlow<()> {
        let seen = !self.inclusive && reversed && !self.from.is_empty() && row.key() >= self.from.as_slice();
        if seen {
            return ControlFlow::Continue(());
        }
        self.from.clear();
        self.from.extend_from_slice(row.key());
        self.inclusive = !reversed;
        if !reversed {
            // The least key behind this one.
            self.from.push(0);
        }
        self.rows += 1;
        visit(row)
    }
}

/// A scanner on a server. The next rows are asked for before those that came are looked at.
struct Scanner<'c> {
    client: &'c Client,
    connection: Connection,
    id: Option<u64>,
    call: u32,
    sequence: u64,
    rows_per_call: u32,
    /// A server before 2.0 keeps a scanner at the end of its region until it is told.
    old_server: bool,
}

impl<'c> Scanner<'c> {
    fn open(client: &'c Client, region: &Region, scan: &Scan, cursor: &Cursor) -> Result<Self> {
        let mut connection = client.connection(CLIENT_SERVICE, region.server()?)?;
        let state = cursor.state.as_ref().filter(|(name, _)| *name == region.name).map(|(_, state)| *state);
        let unsigned = |time: i64| u64::try_from(time).unwrap_or_default();
        let column = |(family, qualifier): &(Vec<u8>, Vec<Vec<u8>>)| Column {
            family: family.clone(),
            qualifier: qualifier.clone(),
        };
        let proto = ScanProto {
            column: scan.columns.iter().map(column).collect(),
            start_row: Some(cursor.from.clone()),
            stop_row: Some(scan.stop.clone()),
            filter: scan.filter.clone().map(|filter| filter.0),
            time_range: scan
                .times
                .map(|(from, to)| TimeRange { from: Some(unsigned(from)), to: Some(unsigned(to)) }),
            cache_blocks: Some(scan.cache),
            max_result_size: Some(ANSWER_BYTES),
            reversed: Some(scan.reversed),
            caching: Some(scan.rows_per_call),
            mvcc_read_point: state,
            include_start_row: Some(cursor.inclusive),
        };
        let request = ScanRequest {
            region: Some(RegionSpecifier { kind: BY_NAME, value: region.name.clone() }),
            scan: Some(proto),
            next_call_seq: Some(0),
            ..request(scan.rows_per_call)
        };
        let call = connection.send("Scan", &request, &[])?;
        let rows_per_call = scan.rows_per_call;
        Ok(Self { client, connection, id: None, call, sequence: 0, rows_per_call, old_server: true })
    }

    /// What came, and whether more was asked for.
    fn next(&mut self) -> Result<(Answer<ScanResponse>, bool)> {
        let answer: Answer<ScanResponse> = self.connection.receive(self.call)?;
        let message = &answer.message;
        self.id = self.id.or(message.scanner_id);
        self.old_server &= message.mvcc_read_point.is_none();
        let more = message.more_results != Some(false) && message.more_results_in_region == Some(true);
        if more {
            self.sequence += 1;
            let request = ScanRequest {
                scanner_id: self.id,
                next_call_seq: Some(self.sequence),
                ..request(self.rows_per_call)
            };
            self.call = self.connection.send("Scan", &request, &[])?;
        }
        Ok((answer, more))
    }

    /// Ends it without waiting for answers.
    fn close(mut self, asked_for_more: bool) {
        if asked_for_more {
            self.connection.abandon(self.call);
        }
        if asked_for_more || self.old_server {
            let request = ScanRequest { scanner_id: self.id, close_scanner: Some(true), ..request(0) };
            let Ok(call) = self.connection.send("Scan", &request, &[]) else { return };
            self.connection.abandon(call);
        }
        self.client.keep(CLIENT_SERVICE, self.connection);
    }
}

fn request(rows: u32) -> ScanRequest {
    ScanRequest {
        number_of_rows: Some(rows),
        client_handles_partials: Some(true),
        client_handles_heartbeats: Some(true),
        ..ScanRequest::default()
    }
}

/// The cells of an answer, in the block or in the message.
fn for_each_cell(
    answer: &Answer<ScanResponse>,
    mut visit: impl FnMut(&Cell<'_>) -> ControlFlow<()>,
) -> Result<()> {
    let mut block = &answer.cells[..];
    while let Some(cell) = cell::read(&mut block)? {
        if visit(&cell).is_break() {
            return Ok(());
        }
    }
    for cell in answer.message.results.iter().flat_map(|result| &result.cell) {
        let timestamp = i64::try_from(cell.timestamp()).map_err(Error::protocol)?;
        let cell = Cell {
            row: cell.row(),
            family: cell.family(),
            qualifier: cell.qualifier(),
            timestamp,
            kind: CellKind::Put,
            value: cell.value(),
        };
        if visit(&cell).is_break() {
            return Ok(());
        }
    }
    Ok(())
}
