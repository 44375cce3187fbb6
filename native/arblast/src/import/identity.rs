//! Which file this is, by content: the same lines under another name are the same events.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use sha2::{Digest, Sha256};

/// Bytes that are looked at in the beginning, the middle and the end of a file.
const SAMPLE_BYTES: u64 = 1 << 20;

/// Identity of one imported file: 64 bits of a SHA-256 over its size and three samples of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity(u64);

impl Identity {
    /// Of a file. Reads at most 3 MiB.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut digest = Sha256::new();
        digest.update(size.to_le_bytes());
        let mut sample = Vec::new();
        for start in [0, (size / 2).max(SAMPLE_BYTES), size.saturating_sub(SAMPLE_BYTES).max(SAMPLE_BYTES)] {
            file.seek(SeekFrom::Start(start))?;
            sample.clear();
            file.by_ref().take(SAMPLE_BYTES).read_to_end(&mut sample)?;
            digest.update(&sample);
        }
        Ok(Self::of_digest(&digest.finalize()))
    }

    /// Of nothing that can be recognised again: standard input, or a file that is to be imported once more.
    pub fn fresh() -> io::Result<Self> {
        getrandom::u64().map(Self).map_err(io::Error::other)
    }

    fn of_digest(digest: &[u8]) -> Self {
        Self(digest.iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte)))
    }

    /// The id of the event on the line that starts at byte `offset`: 32 hex digits, ascending by offset.
    pub fn event_id(self, offset: u64) -> String {
        format!("{:016x}{offset:016x}", self.0)
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(bytes: &[u8]) -> Identity {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        Identity::of_file(file.path()).unwrap()
    }

    #[test]
    fn a_file_is_known_by_its_bytes() {
        assert_eq!(identity(b"abc\n"), identity(b"abc\n"));
        assert_ne!(identity(b"abc\n"), identity(b"abd\n"));
        assert_ne!(identity(b""), identity(b"\n"));
        assert_ne!(Identity::fresh().unwrap(), Identity::fresh().unwrap());
    }

    #[test]
    fn beginning_middle_end_and_size_count_in_a_large_file() {
        let large = vec![b'x'; 5 << 20];
        let original = identity(&large);
        for changed in [0, (5 << 19) + 10, (5 << 20) - 1] {
            let mut bytes = large.clone();
            bytes[changed] = b'y';
            assert_ne!(identity(&bytes), original, "byte {changed}");
        }
        assert_ne!(identity(&large[1..]), original);
    }

    #[test]
    fn event_ids_ascend_with_the_lines() {
        let file = Identity(7);
        assert_eq!(file.event_id(0), "00000000000000070000000000000000");
        assert!(file.event_id(9) < file.event_id(10));
        assert_eq!(file.event_id(u64::MAX).len(), 32);
    }
}
