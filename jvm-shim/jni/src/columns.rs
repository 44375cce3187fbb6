//! Columns in direct buffers with Arrow's layout.
//!
//! A column of texts is three buffers: a bitmap of the rows that have a value (null = all have), `rows + 1` offsets
//! (`i32`, from 0) and the UTF-8 bytes. A column of numbers is a bitmap and the `i64` values. All little-endian, all copied
//! before a byte is looked at: nothing that Java does to them meanwhile can hurt.

#![expect(unsafe_code, reason = "reads the memory of direct buffers")]

use jni::Env;
use jni::objects::{JByteBuffer, JObjectArray};

use crate::border::{Fault, Result};

/// The buffers that came with a call, null where null came.
pub struct Buffers {
    rows: usize,
    buffers: Vec<Option<Vec<u8>>>,
}

/// Texts, one a row. The offsets ascend, and each is where a character of the text begins, or its end.
pub struct Texts {
    valid: Option<Vec<u8>>,
    offsets: Vec<u32>,
    text: String,
}

/// Numbers, one a row.
pub struct Numbers {
    valid: Option<Vec<u8>>,
    values: Vec<u8>,
}

impl Buffers {
    /// Copies the buffers of an array. There must be `number` of them.
    pub fn copy(
        env: &mut Env<'_>,
        rows: i32,
        array: &JObjectArray<'_, JByteBuffer<'_>>,
        number: usize,
    ) -> Result<Self> {
        let rows = usize::try_from(rows).map_err(|_| Fault::argument(format!("{rows} rows")))?;
        if array.is_null() {
            return Err(Fault::argument("null for the columns"));
        }
        let length = array.len(env)?;
        if length != number {
            return Err(Fault::argument(format!("{length} buffers where {number} are expected")));
        }
        let buffers = (0..number)
            .map(|index| {
                let buffer = array.get_element(env, index)?;
                if buffer.is_null() { Ok(None) } else { copy(env, &buffer, index).map(Some) }
            })
            .collect::<Result<_>>()?;
        Ok(Self { rows, buffers })
    }

    /// The column of texts that begins at a buffer; `None` if it has no offsets: the column is absent.
    pub fn texts(&mut self, first: usize) -> Result<Option<Texts>> {
        let Some(offsets) = self.take(first + 1) else { return Ok(None) };
        let valid = self.valid(first)?;
        let mut bytes = self.take(first + 2).unwrap_or_default();
        let offsets = self.offsets(&offsets, bytes.len())?;
        bytes.truncate(offsets.last().map_or(0, |&end| index(end)));
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let row = offsets.partition_point(|&offset| index(offset) <= at).saturating_sub(1);
            Fault::argument(format!("row {row} is not UTF-8"))
        })?;
        let within = |&offset: &u32| !text.is_char_boundary(index(offset));
        if !text.is_ascii()
            && let Some(row) = offsets.iter().position(within)
        {
            return Err(Fault::argument(format!("row {row} begins within a character")));
        }
        Ok(Some(Texts { valid, offsets, text }))
    }

    /// Where each row begins and the last ends, of a column with so many bytes.
    fn offsets(&self, buffer: &[u8], bytes: usize) -> Result<Vec<u32>> {
        let needed = self.rows.checked_add(1).and_then(|count| count.checked_mul(4));
        let buffer = needed.and_then(|needed| buffer.get(..needed));
        let buffer =
            buffer.ok_or_else(|| Fault::argument(format!("fewer offsets than {} rows", self.rows)))?;
        let (offsets, _) = buffer.as_chunks::<4>();
        let offsets: Vec<u32> = offsets.iter().map(|&offset| u32::from_le_bytes(offset)).collect();
        // A negative one is beyond the end of any buffer, which Java counts in an `int`.
        let end = offsets.last().map_or(0, |&end| index(end));
        if end > bytes || offsets.first() != Some(&0) || !offsets.is_sorted() {
            let text = format!("offsets must ascend from 0 to at most {bytes}, the bytes there are");
            return Err(Fault::argument(text));
        }
        Ok(offsets)
    }

    /// The column of texts that begins at a buffer, of which every row must have a value.
    pub fn full_texts(&mut self, first: usize, name: &str) -> Result<Texts> {
        let texts = self.texts(first)?.ok_or_else(|| Fault::argument(format!("{name} has no offsets")))?;
        match (0..self.rows).find(|&row| !is_valid(texts.valid.as_deref(), row)) {
            Some(row) => Err(Fault::argument(format!("{name} of row {row} is null"))),
            None => Ok(texts),
        }
    }

    /// The column of numbers that begins at a buffer, if it has values.
    pub fn numbers(&mut self, first: usize) -> Result<Option<Numbers>> {
        let Some(values) = self.take(first + 1) else { return Ok(None) };
        if values.len() / 8 < self.rows {
            return Err(Fault::argument(format!("fewer numbers than {} rows", self.rows)));
        }
        Ok(Some(Numbers { valid: self.valid(first)?, values }))
    }

    /// Rows of every column.
    pub fn rows(&self) -> usize {
        self.rows
    }

    fn take(&mut self, index: usize) -> Option<Vec<u8>> {
        self.buffers.get_mut(index)?.take()
    }

    fn valid(&mut self, index: usize) -> Result<Option<Vec<u8>>> {
        match self.take(index) {
            Some(bits) if bits.len() < self.rows.div_ceil(8) => {
                Err(Fault::argument(format!("a bitmap has fewer bits than there are rows: {}", self.rows)))
            }
            bits => Ok(bits),
        }
    }
}

impl Texts {
    /// The text of a row, if it has one.
    #[inline]
    pub fn get(&self, row: usize) -> Option<&str> {
        let span = index(self.offsets[row])..index(self.offsets[row + 1]);
        is_valid(self.valid.as_deref(), row).then(|| &self.text[span])
    }
}

impl Numbers {
    /// The number of a row, if it has one.
    pub fn get(&self, row: usize) -> Option<i64> {
        let bytes = self.values.get(row * 8..)?.first_chunk()?;
        is_valid(self.valid.as_deref(), row).then(|| i64::from_le_bytes(*bytes))
    }
}

/// An offset as a position.
#[inline]
fn index(offset: u32) -> usize {
    offset as usize
}

fn is_valid(bits: Option<&[u8]>, row: usize) -> bool {
    bits.is_none_or(|bits| bits[row / 8] >> (row % 8) & 1 == 1)
}

/// The bytes of one direct buffer.
pub fn bytes(env: &Env<'_>, buffer: &JByteBuffer<'_>) -> Result<Vec<u8>> {
    if buffer.is_null() { Err(Fault::argument("the buffer is null")) } else { copy(env, buffer, 0) }
}

fn copy(env: &Env<'_>, buffer: &JByteBuffer<'_>, index: usize) -> Result<Vec<u8>> {
    let not_direct = |_| Fault::argument(format!("buffer {index} is not direct"));
    let length = env.get_direct_buffer_capacity(buffer).map_err(not_direct)?;
    if length == 0 {
        return Ok(Vec::new());
    }
    let address = env.get_direct_buffer_address(buffer).map_err(not_direct)?;
    let mut bytes = Vec::with_capacity(length);
    // SAFETY: the JVM says that `length` bytes are at `address`, and the local reference in `buffer` keeps them there. Java may
    // write them meanwhile; they are copied as raw bytes, of which every value is valid, and only the copy is looked at.
    unsafe {
        std::ptr::copy_nonoverlapping(address.cast_const(), bytes.as_mut_ptr(), length);
        bytes.set_len(length);
    }
    Ok(bytes)
}
