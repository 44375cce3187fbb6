//! Cells, and the cell blocks in which they travel: a length and a `KeyValue` each.

use super::error::{Error, Result};

/// What a cell does to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellKind {
    /// Sets a value.
    Put,
    /// Hides all cells of its column that are not newer.
    DeleteColumn,
    /// Hides all cells of its family that are not newer.
    DeleteFamily,
}

/// The timestamp that a server replaces by its clock.
pub const LATEST: i64 = i64::MAX;

/// A cell, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell<'a> {
    /// Key of the row.
    pub row: &'a [u8],
    /// Column family.
    pub family: &'a [u8],
    /// Column within the family.
    pub qualifier: &'a [u8],
    /// Milliseconds, or [`LATEST`].
    pub timestamp: i64,
    /// Put or delete.
    pub kind: CellKind,
    /// Content.
    pub value: &'a [u8],
}

const PUT: u8 = 4;
const DELETE_COLUMN: u8 = 12;
const DELETE_FAMILY: u8 = 14;

/// Appends a cell to a block. `Refused` if a part is longer than the format can say.
pub(crate) fn write(block: &mut Vec<u8>, cell: &Cell<'_>) -> Result<()> {
    let too_long = |what: &str| Error::new(super::Cause::Refused, format!("{what} is too long for a cell"));
    let row = u16::try_from(cell.row.len()).ok().filter(|length| *length <= 0x7FFF);
    let row = row.ok_or_else(|| too_long("the row key"))?;
    let family = u8::try_from(cell.family.len()).map_err(|_| too_long("the family"))?;
    let key = 12 + cell.row.len() + cell.family.len() + cell.qualifier.len();
    let length = |length: usize| u32::try_from(length).ok().filter(|length| *length < 1 << 30);
    let (Some(key), Some(value)) = (length(key), length(cell.value.len())) else {
        return Err(too_long("the value"));
    };
    block.extend_from_slice(&(8 + key + value).to_be_bytes());
    block.extend_from_slice(&key.to_be_bytes());
    block.extend_from_slice(&value.to_be_bytes());
    block.extend_from_slice(&row.to_be_bytes());
    block.extend_from_slice(cell.row);
    block.push(family);
    block.extend_from_slice(cell.family);
    block.extend_from_slice(cell.qualifier);
    block.extend_from_slice(&cell.timestamp.to_be_bytes());
    block.push(match cell.kind {
        CellKind::Put => PUT,
        CellKind::DeleteColumn => DELETE_COLUMN,
        CellKind::DeleteFamily => DELETE_FAMILY,
    });
    block.extend_from_slice(cell.value);
    Ok(())
}

/// Takes the first cell of a block; `None` at its end. Every length is checked against what is there.
pub(crate) fn read<'a>(block: &mut &'a [u8]) -> Result<Option<Cell<'a>>> {
    if block.is_empty() {
        return Ok(None);
    }
    let cell = take_cell(block).ok_or_else(|| Error::protocol("a cell whose lengths do not fit"))?;
    Ok(Some(cell))
}

fn take_cell<'a>(block: &mut &'a [u8]) -> Option<Cell<'a>> {
    let length = take_length(block)?;
    let mut cell = take(block, length)?;
    let (key, value) = (take_length(&mut cell)?, take_length(&mut cell)?);
    let mut key = take(&mut cell, key)?;
    // What may follow are tags, of which we know nothing.
    let value = take(&mut cell, value)?;
    let row = take(&mut key, 2)?;
    let row = take(&mut key, usize::from(u16::from_be_bytes(row.try_into().ok()?)))?;
    let family = usize::from(*take(&mut key, 1)?.first()?);
    let family = take(&mut key, family)?;
    let qualifier = key.len().checked_sub(9)?;
    let qualifier = take(&mut key, qualifier)?;
    let timestamp = i64::from_be_bytes(take(&mut key, 8)?.try_into().ok()?);
    let kind = match key {
        [PUT] => CellKind::Put,
        [DELETE_COLUMN] => CellKind::DeleteColumn,
        _ => CellKind::DeleteFamily,
    };
    Some(Cell { row, family, qualifier, timestamp, kind, value })
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(take(bytes, 4)?.try_into().ok()?)).ok()
}

/// A row with its cells, owned in two allocations whatever their number, and used again for the next row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    bytes: Vec<u8>,
    key: usize,
    cells: Vec<Span>,
}

/// Ends of the parts of a cell in the bytes of its row, and its timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    family: usize,
    qualifier: usize,
    value: usize,
    timestamp: i64,
}

impl Row {
    /// Key of the row.
    pub fn key(&self) -> &[u8] {
        self.bytes.get(..self.key).unwrap_or_default()
    }

    /// No cell was there.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The cells, in the order of families and qualifiers.
    pub fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        let mut start = self.key;
        self.cells.iter().map(move |span| {
            let part = |from: usize, to: usize| self.bytes.get(from..to).unwrap_or_default();
            let cell = Cell {
                row: self.key(),
                family: part(start, span.family),
                qualifier: part(span.family, span.qualifier),
                timestamp: span.timestamp,
                kind: CellKind::Put,
                value: part(span.qualifier, span.value),
            };
            start = span.value;
            cell
        })
    }

    /// Value of a column.
    pub fn value(&self, family: &[u8], qualifier: &[u8]) -> Option<&[u8]> {
        self.cells().find(|cell| cell.family == family && cell.qualifier == qualifier).map(|cell| cell.value)
    }

    /// Bytes of key and cells.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.cells.clear();
        self.key = 0;
    }

    /// Adds a cell of this row; the first says the key.
    pub(crate) fn push(&mut self, cell: &Cell<'_>) {
        if self.cells.is_empty() {
            self.bytes.clear();
            self.bytes.extend_from_slice(cell.row);
            self.key = cell.row.len();
        }
        self.bytes.extend_from_slice(cell.family);
        let family = self.bytes.len();
        self.bytes.extend_from_slice(cell.qualifier);
        let qualifier = self.bytes.len();
        self.bytes.extend_from_slice(cell.value);
        let value = self.bytes.len();
        self.cells.push(Span { family, qualifier, value, timestamp: cell.timestamp });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell<'a>(row: &'a [u8], qualifier: &'a [u8], value: &'a [u8]) -> Cell<'a> {
        Cell { row, family: b"e", qualifier, timestamp: 77, kind: CellKind::Put, value }
    }

    #[test]
    fn a_cell_as_the_protocol_lays_it_out() {
        let mut block = Vec::new();
        write(&mut block, &cell(b"r", b"q", b"vv")).unwrap();
        let expected =
            [&[0, 0, 0, 25, 0, 0, 0, 15, 0, 0, 0, 2, 0, 1][..], b"r\x01eq", &77_i64.to_be_bytes(), b"\x04vv"]
                .concat();
        assert_eq!(block, expected);
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let long = vec![0; 40_000];
        assert!(write(&mut Vec::new(), &cell(&long, b"", b"")).is_err());
        assert!(write(&mut Vec::new(), &cell(b"", b"", &long)).is_ok());
    }

    #[test]
    fn a_row_gives_its_cells_back() {
        let mut row = Row::default();
        assert!(row.is_empty() && row.key().is_empty() && row.value(b"e", b"a").is_none());
        for _ in 0..2 {
            row.clear();
            row.push(&cell(b"key", b"a", b""));
            row.push(&cell(b"key", b"b", b"two"));
            assert_eq!(row.key(), b"key");
            let cells: Vec<_> = row.cells().collect();
            assert_eq!(cells, [cell(b"key", b"a", b""), cell(b"key", b"b", b"two")]);
            assert_eq!(row.value(b"e", b"b"), Some(&b"two"[..]));
            assert_eq!(row.value(b"r", b"b"), None);
        }
    }

    proptest! {
        #[test]
        fn cells_come_back(parts in proptest::collection::vec(
            (any::<[u8; 3]>(), proptest::collection::vec(any::<u8>(), 0..9), any::<i64>(), any::<bool>()), 0..9,
        )) {
            let cells: Vec<Cell<'_>> = parts.iter().map(|(row, value, timestamp, put)| Cell {
                row,
                family: b"fam",
                qualifier: value,
                timestamp: *timestamp,
                kind: if *put { CellKind::Put } else { CellKind::DeleteFamily },
                value,
            }).collect();
            let mut block = Vec::new();
            cells.iter().for_each(|cell| write(&mut block, cell).unwrap());
            let (mut rest, mut back) = (&block[..], Vec::new());
            while let Some(cell) = read(&mut rest).unwrap() {
                back.push(cell);
            }
            prop_assert_eq!(back, cells);
        }

        #[test]
        fn any_bytes_are_cells_or_an_error(bytes in proptest::collection::vec(
            prop_oneof![Just(0_u8), Just(1), Just(0xFF), any::<u8>()], 0..80,
        )) {
            let mut rest = &bytes[..];
            while let Ok(Some(_)) = read(&mut rest) {}
        }
    }
}
