//! The lines of a file that begin in a range of bytes. Ranges that cover a file give every line once.

use std::io::Write;
use std::ops::Range;

use arblast::failure::{Failure, Result};
use flate2::write::MultiGzDecoder;

use super::folder::Place;

/// What is read at once.
const CHUNK_BYTES: u64 = 4 << 20;
const TAIL_BYTES: u64 = 64 << 10;
/// Packed bytes that are unpacked at once: they may become a thousand times as many.
const PACKED_BYTES: usize = 64 << 10;
/// A line that is longer is no event, as everywhere.
const LINE_BYTES_MAX: usize = 8 << 20;

/// Reads the lines by blocks.
pub struct Lines {
    file: Place,
    size: u64,
    /// Where lines of the range begin.
    range: Range<u64>,
    /// What is there already, and where in the text its first byte is.
    rest: Vec<u8>,
    offset: u64,
    /// How much of the file was read.
    read: u64,
    unpack: Option<MultiGzDecoder<Vec<u8>>>,
    /// What was read and is not unpacked yet.
    packed: Vec<u8>,
    is_begun: bool,
}

impl Lines {
    /// Of a file, to the end of it if that is before the end of the range. What is packed is read as a whole, and the range counts in
    /// the text.
    ///
    /// # Errors
    /// There is no such file; whatever the store reports.
    pub async fn open(file: Place, range: Range<u64>) -> Result<Self> {
        let size = file.size().await?.ok_or_else(|| Failure::not_found(format!("{} is gone", file.url())))?;
        let is_packed = is_packed(file.name());
        let start = if is_packed { 0 } else { range.start.saturating_sub(1).min(size) };
        // A range that begins with byte 1 is read from byte 0 on, too.
        let is_begun = is_packed || range.start == 0;
        let unpack = is_packed.then(|| MultiGzDecoder::new(Vec::new()));
        Ok(Self {
            file,
            size,
            range,
            rest: Vec::new(),
            offset: start,
            read: start,
            unpack,
            packed: Vec::new(),
            is_begun,
        })
    }

    /// Whole lines and where they begin; `None`: that was all.
    ///
    /// # Errors
    /// A line is too long; whatever the store reports.
    pub async fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>> {
        while !self.is_begun {
            // From one byte before the range on, to see whether a line begins right there.
            let more = self.fill().await?;
            let end = self.rest.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
            self.is_begun = end.is_some() || !more;
            self.take(end.unwrap_or(self.rest.len()));
        }
        while self.offset < self.range.end {
            let more = self.fill().await?;
            let length = self.whole_lines(more);
            if length > 0 {
                return Ok(Some((self.offset, self.take(length))));
            }
            if !more {
                return Ok(None);
            }
            if self.rest.len() > LINE_BYTES_MAX {
                let (file, offset) = (self.file.url(), self.offset);
                return Err(Failure::invalid(format!(
                    "{file}: the line at byte {offset} is longer than 8 MiB"
                )));
            }
        }
        Ok(None)
    }

    /// Length of the lines that are complete and begin in the range.
    fn whole_lines(&self, more: bool) -> usize {
        let left = usize::try_from(self.range.end - self.offset).unwrap_or(usize::MAX);
        let end = if self.rest.len() >= left {
            let from = left.saturating_sub(1);
            self.rest[from..].iter().position(|&byte| byte == b'\n').map(|at| from + at + 1)
        } else {
            self.rest.iter().rposition(|&byte| byte == b'\n').map(|at| at + 1)
        };
        end.unwrap_or(if more { 0 } else { self.rest.len() })
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.rest.split_off(length);
        self.offset += length as u64;
        std::mem::replace(&mut self.rest, rest)
    }

    /// Reads on; `false` at the end of the text.
    async fn fill(&mut self) -> Result<bool> {
        if !self.packed.is_empty() {
            return self.unpack_some().map(|()| true);
        }
        // Beyond the range only the end of its last line is wanted.
        let wanted = match self.range.end.saturating_sub(self.read) {
            0 => TAIL_BYTES,
            left => left.min(CHUNK_BYTES),
        };
        let end = self.size.min(self.read + wanted);
        if end == self.read {
            return Ok(false);
        }
        let chunk = self.file.get_range(self.read..end).await?;
        self.read = end;
        if self.unpack.is_none() {
            self.rest.extend_from_slice(&chunk);
            return Ok(true);
        }
        self.packed = chunk;
        self.unpack_some().map(|()| true)
    }

    fn unpack_some(&mut self) -> Result<()> {
        let Some(unpack) = &mut self.unpack else { return Ok(()) };
        let wrong = |error| Failure::invalid(format!("{}: not gzip: {error}", self.file.url()));
        let piece = self.packed.len().min(PACKED_BYTES);
        unpack.write_all(&self.packed[..piece]).map_err(wrong)?;
        self.packed.drain(..piece);
        if self.packed.is_empty() && self.read == self.size {
            unpack.try_finish().map_err(wrong)?;
        }
        self.rest.append(unpack.get_mut());
        Ok(())
    }
}

/// Is it to be unpacked, and so read as a whole?
pub fn is_packed(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".gz")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(file: &Place, range: Range<u64>) -> Vec<String> {
        let mut lines = Lines::open(file.clone(), range).await.unwrap();
        let mut all = Vec::new();
        while let Some((_, block)) = lines.next().await.unwrap() {
            let text = String::from_utf8(block).unwrap();
            all.extend(text.split_inclusive('\n').map(str::to_owned));
        }
        all
    }

    async fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> Place {
        let place = Place::open(&folder.path().display().to_string()).unwrap();
        place.put(name, bytes.to_vec()).await.unwrap();
        place.inside(name)
    }

    #[tokio::test]
    async fn every_line_is_read_once_however_the_file_is_split() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "\n", "a", "a\n", "\n\nab\n\n", "one\ntwo\n\nthree\nfour", "0123456789\n0\n"] {
            let file = file(&folder, "text", text.as_bytes()).await;
            let expected: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
            let size = text.len() as u64;
            for first in 0..=size {
                for second in first..=size {
                    let mut found = lines(&file, 0..first).await;
                    found.extend(lines(&file, first..second).await);
                    found.extend(lines(&file, second..u64::MAX).await);
                    assert_eq!(found, expected, "{text:?} split at {first} and {second}");
                }
            }
        }
    }

    #[tokio::test]
    async fn long_files_and_packed_ones() {
        let folder = tempfile::tempdir().unwrap();
        let text: String = (0..900_000).map(|n| format!("line {n}\n")).collect();
        let middle = text.len() as u64 / 2;
        let plain = file(&folder, "text", text.as_bytes()).await;
        let mut found = lines(&plain, 0..middle).await;
        found.extend(lines(&plain, middle..text.len() as u64).await);
        assert!(found.concat() == text);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        let packed = file(&folder, "text.GZ", &packed.finish().unwrap()).await;
        assert!(lines(&packed, 0..u64::MAX).await.concat() == text);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let long = file(&folder, "long", &vec![b'x'; LINE_BYTES_MAX + 10]).await;
        let error = Lines::open(long, 0..u64::MAX).await.unwrap().next().await.unwrap_err();
        assert!(error.to_string().contains("line at byte 0"), "{error}");
        let torn = file(&folder, "torn.gz", b"no gzip").await;
        let error = Lines::open(torn, 0..u64::MAX).await.unwrap().next().await.unwrap_err();
        assert!(error.to_string().contains("not gzip"), "{error}");
        let gone = Place::open(&folder.path().join("none").display().to_string()).unwrap();
        assert_eq!(Lines::open(gone, 0..1).await.err().map(|error| error.exit_code()), Some(1));
    }
}
