//! Files by name in a place that many machines reach: what generations of models need of a Hadoop file system, an object
//! store or a database to be shared.

use std::fmt::Debug;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use events::Result;

/// A place of files. Names are made of parts with `/` between them; the parts before the last are folders, which need not be
/// made. A file is there whole or not at all: whoever reads while another writes sees the old content or the new.
///
/// Every method may wait for the network, tries again what may pass, and fails with `Kind::Unavailable` if it does not,
/// `Kind::Denied` if it may not. Errors name the place and the file, and no password.
pub trait Objects: Send + Sync + Debug {
    /// Where it is, for people: no password, no key.
    fn place(&self) -> String;

    /// The same place for who would lose much work: what is read is tried again for as long as what is written. `None`: it is.
    fn patient(&self) -> Option<Arc<dyn Objects>> {
        None
    }

    /// Content of a small file; `None` if there is none of that name.
    ///
    /// # Errors
    /// Those of the place.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Writes a small file if there is none of that name; was it so? Of several at the same time one succeeds.
    ///
    /// # Errors
    /// Those of the place.
    fn create(&self, name: &str, content: &[u8]) -> Result<bool>;

    /// Writes a small file in the place of what is there.
    ///
    /// # Errors
    /// Those of the place.
    fn put(&self, name: &str, content: &[u8]) -> Result<()>;

    /// Writes a file of any size with the content of a local one.
    ///
    /// # Errors
    /// Those of the place; the local file cannot be read.
    fn upload(&self, name: &str, from: &Path) -> Result<()>;

    /// Appends the content of a file of any size to a local one; `false` if there is none of that name. After an error the
    /// local file may have some of it.
    ///
    /// # Errors
    /// Those of the place; the local file cannot be written.
    fn download(&self, name: &str, to: &mut File) -> Result<bool>;

    /// All files in a folder and its folders, by name; left-overs of writers that died are among them, under other names.
    ///
    /// # Errors
    /// Those of the place.
    fn list(&self, folder: &str) -> Result<Vec<Object>>;

    /// Removes a file, or a folder with all that is in it, if there is one.
    ///
    /// # Errors
    /// Those of the place; some of the folder may be gone.
    fn remove(&self, name: &str) -> Result<()>;
}

/// A file of [`Objects`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// Its whole name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written, ms since 1970, by the clock of the place.
    pub modified_ms: i64,
}
