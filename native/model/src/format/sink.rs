//! Where a snapshot goes: one pass, with the checksum of each section and the digest of all.

use std::io::Write;

use sha2::{Digest as _, Sha256};

use super::{ALIGN, END_MAGIC, FORMAT, MAGIC, Section};
use crate::error::{Error, Result};

const BUFFER_BYTES: usize = 64 << 10;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// SHA-256 of the file, in hexadecimal: the name of this content.
    pub digest: String,
    /// Length of the file.
    pub bytes: u64,
}

pub(super) struct Sink<W> {
    out: W,
    buffer: Vec<u8>,
    digest: Sha256,
    crc: crc32fast::Hasher,
    offset: u64,
    table: Vec<u8>,
    entries: u32,
}

impl<W: Write> Sink<W> {
    pub(super) fn new(out: W) -> Result<Self> {
        let (digest, crc) = (Sha256::new(), crc32fast::Hasher::new());
        let mut sink =
            Self { out, buffer: Vec::new(), digest, crc, offset: 0, table: Vec::new(), entries: 0 };
        sink.put(&header())?;
        Ok(sink)
    }

    /// A section with what `fill` puts into it.
    pub(super) fn section(
        &mut self,
        section: Section,
        group: u32,
        fill: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.flush()?;
        self.crc = crc32fast::Hasher::new();
        let start = self.offset;
        fill(self)?;
        let length = self.offset - start;
        self.put(&[0; ALIGN][..padding(length)])?;
        self.flush()?;
        let words = [section as u32, group];
        words.iter().for_each(|word| self.table.extend_from_slice(&word.to_le_bytes()));
        [start, length].iter().for_each(|word| self.table.extend_from_slice(&word.to_le_bytes()));
        let words = [self.crc.clone().finalize(), 0];
        words.iter().for_each(|word| self.table.extend_from_slice(&word.to_le_bytes()));
        self.entries += 1;
        Ok(())
    }

    /// A section of numbers, each given as its bytes.
    pub(super) fn numbers<const SIZE: usize>(
        &mut self,
        section: Section,
        group: u32,
        numbers: impl IntoIterator<Item = [u8; SIZE]>,
    ) -> Result<()> {
        self.section(section, group, |sink| numbers.into_iter().try_for_each(|bytes| sink.put(&bytes)))
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.offset += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.crc.update(&self.buffer);
        self.digest.update(&self.buffer);
        self.out.write_all(&self.buffer).map_err(|error| Error::io("cannot write the model", error))?;
        self.buffer.clear();
        Ok(())
    }

    /// Table and tail.
    pub(super) fn finish(mut self) -> Result<Written> {
        let table = std::mem::take(&mut self.table);
        let table_offset = self.offset;
        self.put(&table)?;
        let length = self.offset + super::TAIL_BYTES as u64;
        let mut tail = Vec::with_capacity(super::TAIL_BYTES);
        [table_offset, length].iter().for_each(|word| tail.extend_from_slice(&word.to_le_bytes()));
        tail.extend_from_slice(&self.entries.to_le_bytes());
        let mut crc = crc32fast::Hasher::new();
        [&header()[..], &table, &tail].into_iter().for_each(|part| crc.update(part));
        tail.extend_from_slice(&crc.finalize().to_le_bytes());
        tail.extend_from_slice(END_MAGIC);
        self.put(&tail)?;
        self.flush()?;
        self.out.flush().map_err(|error| Error::io("cannot write the model", error))?;
        let digest = self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Written { digest, bytes: length })
    }
}

fn header() -> [u8; super::HEADER_BYTES] {
    let mut header = [0; super::HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    header
}

fn padding(length: u64) -> usize {
    usize::try_from(length.next_multiple_of(ALIGN as u64) - length).unwrap_or(0)
}
