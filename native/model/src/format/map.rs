//! The bytes of a snapshot, mapped or owned. The only unsafe code of this crate.

use std::fs::File;
use std::path::Path;

use crate::error::{Error, Result};

/// Where a snapshot's bytes are.
#[derive(Debug)]
pub(crate) enum Bytes {
    Mapped(memmap2::Mmap),
    Owned(Vec<u8>),
}

impl Bytes {
    /// Maps a regular file.
    pub(crate) fn map(path: &Path) -> Result<Self> {
        let failed = |error| Error::io("cannot open", error);
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(Error::corrupt("not a regular file"));
        }
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() == 0 {
            return Err(Error::corrupt("the file is empty"));
        }
        Ok(Self::Mapped(map(&file).map_err(|error| Error::io("cannot map", error))?))
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<memmap2::Mmap> {
    // SAFETY: a snapshot is written under a temporary name and renamed; from then on nobody changes or truncates it, and
    // removing it leaves a mapping intact. Nothing read from it is trusted without a check of its own.
    unsafe { memmap2::Mmap::map(file) }
}
