//! The outside systems: where events, the registry and models are kept.
//!
//! [`open`] gives the store that needs nothing else running: a directory that several processes of one machine share.

pub mod conformance;
mod embedded;
mod models;
mod objects;
mod search;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use events::{Error, EventStore, Kind, Registry, Result};

pub use embedded::Embedded;
pub use models::{Generation, Listed, ModelDirectory, ModelInfo, ModelReader, Models, Status, TrainedBy};
pub use objects::{Object, Objects};
pub use search::{EngineName, SearchIndex, SearchServers};

/// Everything that is kept.
#[derive(Clone)]
pub struct Storage {
    /// Events.
    pub events: Arc<dyn EventStore>,
    /// Apps, access keys, channels and training runs.
    pub registry: Arc<dyn Registry>,
    /// Published models; their directory exists.
    pub models: Models,
    /// What answers queries, if not the models in that directory.
    pub search: Option<Arc<dyn SearchServers>>,
}

/// Opens what is under `home` and creates what is missing there.
///
/// Several processes, and several callers in one process, may have the same home open and write to it. It must be on a
/// local file system.
///
/// # Errors
/// `Kind::Unavailable` names the path that cannot be created or written; `Kind::Version`: made by a newer program;
/// `Kind::Corrupt`: damaged.
pub fn open(home: &Path) -> Result<Storage> {
    let store = Arc::new(Embedded::open(&home.join("store"))?);
    let models = Models::at(create_directory(&home.join("models"))?);
    Ok(Storage { events: Arc::<Embedded>::clone(&store), registry: store, models, search: None })
}

/// Makes a directory unless it is there, and gives its path without links.
///
/// # Errors
/// `Kind::Unavailable` names the path that cannot be created or written; `Kind::Invalid`: it is a file.
pub fn create_directory(directory: &Path) -> Result<PathBuf> {
    embedded::create_directory(directory)
}

/// A new access key: 48 random bytes in URL-safe Base64, 64 characters, the first of which is not `-` (command lines
/// would take that for an option).
///
/// # Errors
/// `Kind::Unavailable` if the system gives no random bytes.
pub fn new_access_key() -> Result<String> {
    loop {
        let mut bytes = [0; 48];
        random(&mut bytes)?;
        let key = url_safe_base64(&bytes);
        if !key.starts_with('-') {
            return Ok(key);
        }
    }
}

/// RFC 4648 §5, for a number of bytes that needs no padding.
fn url_safe_base64(bytes: &[u8; 48]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digits = |chunk: &[u8]| {
        let bits = chunk.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]))
    };
    bytes.chunks_exact(3).flat_map(digits).collect()
}

fn random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes)
        .map_err(|error| Error::new(Kind::Unavailable, format!("the system gives no random bytes: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_rfc_4648() {
        let mut bytes = [0; 48];
        bytes[..6].copy_from_slice(b"foobar");
        bytes[6..9].copy_from_slice(&[0xFB, 0xFF, 0xBF]);
        assert!(url_safe_base64(&bytes).starts_with("Zm9vYmFy-_-_AAAA"));
    }

    #[test]
    fn access_keys_are_long_distinct_and_no_options() {
        let keys: std::collections::BTreeSet<String> = (0..1000).map(|_| new_access_key().unwrap()).collect();
        assert_eq!(keys.len(), 1000);
        assert!(keys.iter().all(|key| key.len() == 64 && !key.starts_with('-')));
        assert!(
            keys.iter().flat_map(|key| key.chars()).all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        );
    }
}
