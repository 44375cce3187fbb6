//! Bytes between processes of one job: numbers, texts and rows, read with every length checked.
//!
//! Numbers are LEB128 varints unless said otherwise; a text is its length and its bytes; an ascending row is its length
//! and the steps between its numbers.

use std::ops::Range;

use cco::{Correlators, Interactions};

use crate::{Error, Result};

/// Appends to a buffer.
#[derive(Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Begins with four letters that say what it is, and the number of its layout.
    pub fn new(what: [u8; 4], format: u8) -> Self {
        let mut bytes = what.to_vec();
        bytes.push(format);
        Self { bytes }
    }

    /// All of it, with a checksum.
    pub fn finish(mut self) -> Vec<u8> {
        let sum = crc32fast::hash(&self.bytes);
        self.bytes.extend_from_slice(&sum.to_le_bytes());
        self.bytes
    }

    /// Adds what another holds that was begun with `default`.
    pub fn append(&mut self, other: Self) {
        self.bytes.extend_from_slice(&other.bytes);
    }

    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(low_bits(number) | 0x80);
            number >>= 7;
        }
        self.bytes.push(low_bits(number));
    }

    /// Zigzag: small in either direction stays short.
    pub fn signed(&mut self, number: i64) {
        self.number((number << 1 ^ number >> 63).cast_unsigned());
    }

    pub fn fixed(&mut self, number: u64) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// A row in ascending order; equal neighbours are allowed.
    pub fn row(&mut self, row: &[u32]) {
        self.number(row.len() as u64);
        let mut previous = 0;
        for &thing in row {
            self.number(u64::from(thing.wrapping_sub(previous)));
            previous = thing;
        }
    }

    /// Of some users. A bit for each thing says whether one of them did it: so nothing is told of that is not here.
    pub fn interactions(&mut self, interactions: &Interactions, users: Range<u32>) {
        let mut done = Bits(vec![0; interactions.things().div_ceil(8) as usize]);
        users.clone().flat_map(|user| interactions.row(user)).for_each(|&thing| done.set(thing));
        self.number(u64::from(interactions.things()));
        self.bytes.extend_from_slice(&done.0);
        self.number(users.len() as u64);
        for user in users {
            self.row(interactions.row(user));
        }
    }

    pub fn correlators(&mut self, correlators: &Correlators) {
        self.number(correlators.rows() as u64);
        for row in 0..correlators.rows() {
            let row = correlators.row(row);
            self.number(row.len() as u64);
            for (thing, llr) in row {
                self.number(u64::from(thing));
                self.fixed(llr.to_bits());
            }
        }
    }
}

/// One bit a number, in bytes from the lowest on.
struct Bits<B>(B);

impl Bits<Vec<u8>> {
    fn set(&mut self, number: u32) {
        self.0[number as usize / 8] |= 1 << (number % 8);
    }
}

impl Bits<&[u8]> {
    fn has(&self, number: u32) -> bool {
        self.0.get(number as usize / 8).is_some_and(|byte| byte >> (number % 8) & 1 == 1)
    }
}

fn low_bits(number: u64) -> u8 {
    (number & 0x7f) as u8
}

/// What is left to read. No content makes it panic or ask for more memory than a small multiple of its length.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Over what [`Writer::new`] began the same way.
    ///
    /// # Errors
    /// Something else, of another version of this program, or damaged.
    pub fn new(bytes: &'a [u8], what: [u8; 4], format: u8) -> Result<Self> {
        let (content, sum) = bytes.split_last_chunk().ok_or(Error::Damaged("it is cut short"))?;
        if crc32fast::hash(content) != u32::from_le_bytes(*sum) {
            return Err(Error::Damaged("its checksum is wrong"));
        }
        let mut reader = Self { rest: content };
        if reader.take(4)? != what {
            return Err(Error::Damaged("it does not begin as such bytes do"));
        }
        if reader.take(1)? != [format] {
            return Err(Error::OtherVersion);
        }
        Ok(reader)
    }

    /// # Errors
    /// Something is left.
    pub fn finish(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::Damaged("bytes after the end")) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Error::Damaged("it is cut short"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn number(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(Error::Damaged("it is cut short"))?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Error::Damaged("a number is too long"))
    }

    pub fn signed(&mut self) -> Result<i64> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub fn small(&mut self) -> Result<u32> {
        u32::try_from(self.number()?).map_err(|_| Error::Damaged("a number is too large"))
    }

    /// Of things that take a byte or more each.
    pub fn count(&mut self) -> Result<usize> {
        let count = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        if count > self.rest.len() { Err(Error::Damaged("a count is beyond the end")) } else { Ok(count) }
    }

    pub fn fixed(&mut self) -> Result<u64> {
        let bytes = self.take(8)?;
        Ok(bytes.first_chunk().copied().map_or(0, u64::from_le_bytes))
    }

    pub fn text(&mut self) -> Result<&'a str> {
        let length = self.count()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Error::Damaged("a text is not UTF-8"))
    }

    /// Calls with each number of an ascending row.
    #[inline]
    pub fn row(&mut self, mut each: impl FnMut(u32) -> Result<()>) -> Result<()> {
        let mut thing = 0_u32;
        for _ in 0..self.count()? {
            thing = thing
                .checked_add(self.small()?)
                .ok_or(Error::Damaged("a row leaves the range of numbers"))?;
            each(thing)?;
        }
        Ok(())
    }

    pub fn interactions(&mut self) -> Result<Interactions> {
        let things = self.small()?;
        let done = Bits(self.take(things.div_ceil(8) as usize)?);
        let users = self.count()?;
        let mut offsets = Vec::with_capacity(users + 1);
        offsets.push(0);
        let mut columns = Vec::with_capacity(self.rest.len());
        for _ in 0..users {
            self.row(|thing| {
                columns.push(thing);
                if done.has(thing) {
                    Ok(())
                } else {
                    Err(Error::Damaged("a row names a thing that nobody did"))
                }
            })?;
            offsets.push(columns.len());
        }
        columns.shrink_to_fit();
        Ok(Interactions::from_rows(things, offsets, columns)?)
    }

    /// Correlators among `things` things, as counting makes them: strongest first, each thing once in a row.
    pub fn correlators(&mut self, things: u32) -> Result<Correlators> {
        let mut correlators = Correlators::new();
        let mut row = Vec::new();
        for _ in 0..self.count()? {
            row.clear();
            for _ in 0..self.count()? {
                let thing = self.small()?;
                if thing >= things {
                    return Err(Error::Damaged("a correlator is beyond the things there are"));
                }
                row.push((thing, f64::from_bits(self.fixed()?)));
            }
            correlators.push_row(row.iter().copied());
            check_row(&mut row)?;
        }
        Ok(correlators)
    }
}

/// What a model takes as a row of correlators. Sorts it.
fn check_row(row: &mut [(u32, f64)]) -> Result<()> {
    let descends = row.is_sorted_by(|a, b| a.1 > b.1 || a.1 == b.1 && a.0 < b.0);
    if !descends || row.iter().any(|(_, llr)| !llr.is_finite() || *llr <= 0.0) {
        return Err(Error::Damaged("correlators are not in their order"));
    }
    row.sort_unstable_by_key(|&(thing, _)| thing);
    if row.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(Error::Damaged("a row has a correlator twice"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Correlators in any order, some of them none.
    fn row() -> impl Strategy<Value = Vec<(u32, f64)>> {
        let llr = prop::sample::select(vec![1.0, 2.0, 3.5, 3.5, 0.0, -1.0, f64::NAN, f64::INFINITY]);
        prop::collection::vec((0_u32..9, llr), 0..4)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            numbers in prop::collection::vec(any::<u64>(), 0..20),
            signed in any::<i64>(),
            text in ".*",
            mut row in prop::collection::vec(any::<u32>(), 0..20),
        ) {
            row.sort_unstable();
            let mut writer = Writer::new(*b"test", 1);
            numbers.iter().for_each(|&number| writer.number(number));
            writer.signed(signed);
            writer.text(&text);
            writer.row(&row);
            writer.fixed(7);
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes, *b"test", 1).unwrap();
            for &number in &numbers {
                prop_assert_eq!(reader.number().unwrap(), number);
            }
            prop_assert_eq!(reader.signed().unwrap(), signed);
            prop_assert_eq!(reader.text().unwrap(), text);
            let mut read = Vec::new();
            reader.row(|thing| { read.push(thing); Ok(()) }).unwrap();
            prop_assert_eq!(read, row);
            prop_assert_eq!(reader.fixed().unwrap(), 7);
            reader.finish().unwrap();
        }

        #[test]
        fn correlators_are_read_as_a_model_takes_them(rows in prop::collection::vec(row(), 0..5), odd in row()) {
            let written = |rows: &[Vec<(u32, f64)>]| {
                let mut correlators = Correlators::new();
                rows.iter().for_each(|row| correlators.push_row(row.iter().copied()));
                let mut writer = Writer::default();
                writer.correlators(&correlators);
                (Reader { rest: &writer.bytes }.correlators(9).ok(), correlators)
            };
            let right = |row: &[(u32, f64)]| {
                let distinct: std::collections::BTreeSet<u32> = row.iter().map(|pair| pair.0).collect();
                let follows = |a: &(u32, f64), b: &(u32, f64)| a.1 > b.1 || a.1 == b.1 && a.0 < b.0;
                distinct.len() == row.len()
                    && row.windows(2).all(|pair| follows(&pair[0], &pair[1]))
                    && row.iter().all(|&(_, llr)| llr > 0.0 && llr < f64::INFINITY)
            };
            let mut ordered = rows;
            for row in &mut ordered {
                row.retain(|&(_, llr)| llr > 0.0 && llr < f64::INFINITY);
                row.sort_by_key(|pair| pair.0);
                row.dedup_by_key(|pair| pair.0);
                row.sort_by(|a, b| b.1.total_cmp(&a.1));
            }
            let (read, expected) = written(&ordered);
            prop_assert_eq!(read, Some(expected));
            ordered.push(odd.clone());
            prop_assert_eq!(written(&ordered).0.is_some(), right(&odd));
        }

        #[test]
        fn interactions_are_read_and_take_no_more_than_they_bring(
            pairs in prop::collection::vec((0_u32..20, 0_u32..70), 0..60),
            users in 0_u32..20,
            claimed in prop::sample::select(vec![71_u32, 80, 4000, 1 << 31, u32::MAX]),
        ) {
            let all = Interactions::from_pairs(20, 70, pairs.into_iter()).unwrap();
            let mut writer = Writer::default();
            writer.interactions(&all, 0..users);
            prop_assert_eq!(Reader { rest: &writer.bytes }.interactions().unwrap(), all.of_users(0..users));
            // The same content under another number of things.
            let mut forged = Writer::default();
            forged.number(u64::from(claimed));
            forged.bytes.extend_from_slice(&writer.bytes[1..]);
            let read = Reader { rest: &forged.bytes }.interactions();
            prop_assert!(read.is_err() || u64::from(claimed) <= 8 * forged.bytes.len() as u64, "{:?}", read);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let reader = || Reader { rest: &bytes };
            let _ = reader().interactions();
            let _ = reader().correlators(9);
            let _ = reader().row(|_| Ok(()));
            let _ = (reader().text(), reader().fixed(), reader().signed());
            prop_assert!(Reader::new(&bytes, *b"test", 1).is_err());
        }
    }
}
