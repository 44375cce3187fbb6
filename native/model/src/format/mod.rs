//! The snapshot file. `docs/model-format.md` describes it byte by byte; change both together.
//!
//! ```text
//! header   magic, FORMAT                          16 bytes
//! sections arrays of little-endian numbers, text   each padded to 8 bytes with zeros, in a fixed sequence
//! table    kind, owner, offset, length, CRC        32 bytes per section
//! tail     where the table is, its CRC, magic      32 bytes
//! ```
//! The table comes last, so that a snapshot is written in one pass, without a copy of it in memory.

mod map;
mod read;
mod sink;
mod write;

pub(crate) use map::Bytes;
pub(crate) use read::{FieldAt, Layout, read};
pub use sink::Written;
pub use write::write;

/// Format that this program writes.
pub const FORMAT: u32 = 1;
/// Oldest format that this program reads.
pub const FORMAT_OLDEST: u32 = 1;

const MAGIC: &[u8; 8] = b"ARBMODEL";
const END_MAGIC: &[u8; 8] = b"LEDOMBRA";
const HEADER_BYTES: usize = 16;
const ENTRY_BYTES: usize = 32;
const TAIL_BYTES: usize = 32;
const ALIGN: usize = 8;

/// What a section holds. The number stands in the file: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Section {
    /// u32 × 5: users, items, indicators, properties, rankings.
    Counts = 1,
    /// u64 starts of the strings that follow as `Text`.
    TextStarts = 2,
    Text = 3,
    /// Item → correlators: u64 starts, u32 thing ids, f64 LLR.
    CorrelatorStarts = 4,
    Correlators = 5,
    Llr = 6,
    /// Value → items: u64 starts, u32 item rows.
    PostingStarts = 7,
    Postings = 8,
    /// Numeric column: u32 item rows, f64 values.
    NumberRows = 9,
    Numbers = 10,
    /// Date column: u32 item rows, i64 ms since 1970.
    DateRows = 11,
    Dates = 12,
    /// f32 per item, NaN = none.
    Ranks = 13,
    /// u32 item rows, best ranked first; and the inverse.
    Order = 14,
    Positions = 15,
}
