//! The LMDB environment: the only place that knows how it is opened, and that turns its errors into ours.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{ErrorKind, Write};
use std::ops::Bound;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use events::{Error, Kind, Result};
use heed::types::Bytes;
use heed::{
    CommitOrAbort, Database, DatabaseOpener, EnvOpenOptions, MdbError, PutFlags, RoRange, RoRevRange, RoTxn,
    RwTxn, WithoutTls,
};

use super::error::{self, corrupt};
use super::{READERS_MAX, SCOPES_MAX};

/// A table of byte strings. Valid as long as its environment.
pub(super) type Table = Database<'static, Bytes, Bytes>;

pub(super) type Opener<'e> = DatabaseOpener<'e, WithoutTls>;

/// Address space to reserve; the file grows as needed. Smaller ones serve where the address space is limited.
const MAP_BYTES: [usize; 4] = [1 << 40, 1 << 37, 1 << 34, 1 << 31];

/// Of the lock file: a head, and what each reader but the first needs.
const LOCK_BYTES: usize = 192 + 64 * (READERS_MAX as usize - 1);

/// Longest wait for another thread that closes the environment.
const CLOSING_MAX: Duration = Duration::from_secs(10);

/// An open environment.
pub(super) struct Env {
    env: heed::Env<WithoutTls>,
    path: PathBuf,
    /// Device and number of the file that is open.
    file: (u64, u64),
}

/// Makes the directory and gives its canonical path.
pub(crate) fn create_directory(directory: &Path) -> Result<PathBuf> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            let text =
                format!("{} must be a directory: it, or a part of its path, is a file", directory.display());
            Error::new(Kind::Invalid, text)
        }
        kind => error::io(directory, "create", kind, error.raw_os_error()).with_source(error),
    };
    fs::create_dir_all(directory).map_err(failed)?;
    directory.canonicalize().map_err(failed)
}

impl Env {
    pub(super) fn open(directory: &Path) -> Result<Self> {
        let path = directory.join("data.mdb");
        allocate_lock_file(directory)?;
        let mut failure = None;
        for bytes in MAP_BYTES {
            match open_environment(directory, bytes) {
                Ok(env) => {
                    let file = env.try_clone_inner_file().map_err(|error| error::engine(&path, error))?;
                    let file = file.metadata().map_err(|error| unreadable(&path, error))?;
                    let env = Self { env, path, file: identity(&file) };
                    env.check_length()?;
                    env.clear_stale_readers()?;
                    return Ok(env);
                }
                Err(error) if is_out_of_memory(&error) => failure = Some(error),
                Err(error) => return Err(error::engine(&path, error)),
            }
        }
        Err(failure.map_or_else(|| corrupt("it cannot be mapped"), |error| error::engine(&path, error)))
    }

    /// What is written to a file without a name is lost with the process.
    fn check_place(&self) -> Result<()> {
        if fs::metadata(&self.path).is_ok_and(|found| identity(&found) == self.file) {
            return Ok(());
        }
        let place = self.path.display();
        Err(Error::new(
            Kind::Unavailable,
            format!(
                "the event store {place} was moved or removed beneath this process: put it back, or start this process again"
            ),
        ))
    }

    /// Makes the file as long as its meta data says. The last pages may be missing rightly (allocated and freed by one
    /// transaction) or because the file was truncated; touching them would end the process with SIGBUS, while a page
    /// of zeros is an error when it is used.
    fn check_length(&self) -> Result<()> {
        if self.missing_bytes()?.is_none() {
            return Ok(());
        }
        // nobody else lengthens the file while we hold the right to write
        let _writer = self.write()?;
        match self.missing_bytes()? {
            None => Ok(()),
            Some(needed) => {
                self.env.try_clone_inner_file().map_err(|error| self.error(error))?.set_len(needed).map_err(
                    |error| {
                        error::io(&self.path, "lengthen", error.kind(), error.raw_os_error())
                            .with_source(error)
                    },
                )
            }
        }
    }

    /// The length that the file should have, if it is shorter.
    fn missing_bytes(&self) -> Result<Option<u64>> {
        let (info, stat) = (self.env.info(), self.env.unnamed_database_stat());
        let needed =
            (info.last_page_number as u64).saturating_add(1).saturating_mul(u64::from(stat.page_size));
        let length = fs::metadata(&self.path).map_err(|error| unreadable(&self.path, error))?;
        Ok((length.len() < needed).then_some(needed))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn error(&self, error: heed::Error) -> Error {
        error::engine(&self.path, error)
    }

    /// Frees what killed processes were reading.
    pub(super) fn clear_stale_readers(&self) -> Result<()> {
        self.env.clear_stale_readers().map(|_| ()).map_err(|error| self.error(error))
    }

    /// A snapshot. While it lives, space freed after it is not reused.
    pub(super) fn read(&self) -> Result<RoTxn<'_, WithoutTls>> {
        match self.env.read_txn() {
            Err(heed::Error::Mdb(MdbError::ReadersFull)) => {
                self.clear_stale_readers()?;
                self.env.read_txn().map_err(|error| self.error(error))
            }
            other => other.map_err(|error| self.error(error)),
        }
    }

    /// The write transaction; waits for that of another thread or process.
    pub(super) fn write(&self) -> Result<RwTxn<'_>> {
        self.check_place()?;
        self.env.write_txn().map_err(|error| self.error(error))
    }

    /// Opens tables; `None` if one is missing.
    pub(super) fn open_tables<const N: usize>(
        &self,
        txn: RoTxn<'_, WithoutTls>,
        names: [&str; N],
    ) -> Result<Option<[Table; N]>> {
        let opened = self.env.open_databases_and_commit(txn, |opener, txn| {
            let mut tables = Vec::with_capacity(N);
            for name in names {
                match opener.open_database::<Bytes, Bytes>(txn, Some(name))? {
                    Some(table) => tables.push(table),
                    None => return Ok(CommitOrAbort::Abort(())),
                }
            }
            match <[_; N]>::try_from(tables) {
                Ok(tables) => Ok(CommitOrAbort::Commit(tables)),
                Err(_) => Ok(CommitOrAbort::Abort(())),
            }
        });
        opened.map(CommitOrAbort::commit).map_err(|error: heed::Error| self.error(error))
    }

    /// Runs `body` in a write transaction that may create tables, and commits it unless it fails.
    pub(super) fn create_tables(
        &self,
        body: impl for<'e> FnOnce(&Opener<'e>, &mut RwTxn<'e>) -> Result<()>,
    ) -> Result<()> {
        let txn = self.write()?;
        let done = self.env.create_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
            Ok(match body(opener, txn) {
                Ok(()) => CommitOrAbort::Commit(()),
                Err(error) => CommitOrAbort::Abort(error),
            })
        });
        match done {
            Ok(CommitOrAbort::Commit(())) => Ok(()),
            Ok(CommitOrAbort::Abort(error)) => Err(error),
            Err(error) => Err(self.error(error)),
        }
    }

    /// The new table is to be used in `txn` only; later transactions open it.
    pub(super) fn create_table<'e>(
        &self,
        opener: &Opener<'e>,
        txn: &mut RwTxn<'e>,
        name: &str,
    ) -> Result<Database<'e, Bytes, Bytes>> {
        opener.create_database(txn, Some(name)).map_err(|error| self.error(error))
    }

    pub(super) fn get<'t>(
        &self,
        txn: &'t RoTxn<'_>,
        table: Database<'_, Bytes, Bytes>,
        key: &[u8],
    ) -> Result<Option<&'t [u8]>> {
        table.get(txn, key).map_err(|error| self.error(error))
    }

    pub(super) fn put(
        &self,
        txn: &mut RwTxn<'_>,
        table: Database<'_, Bytes, Bytes>,
        key: &[u8],
        value: &[u8],
    ) -> Result<()> {
        table.put(txn, key, value).map_err(|error| self.error(error))
    }

    /// Puts behind the greatest key of the table: pages are filled to the end.
    pub(super) fn put_last(&self, txn: &mut RwTxn<'_>, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        table.put_with_flags(txn, PutFlags::APPEND, key, value).map_err(|error| self.error(error))
    }

    /// Gives whether the key was there.
    pub(super) fn delete(&self, txn: &mut RwTxn<'_>, table: Table, key: &[u8]) -> Result<bool> {
        table.delete(txn, key).map_err(|error| self.error(error))
    }

    /// Empties a table.
    pub(super) fn clear(&self, txn: &mut RwTxn<'_>, table: Table) -> Result<()> {
        table.clear(txn).map_err(|error| self.error(error))
    }

    /// Number of entries.
    pub(super) fn len(&self, txn: &RoTxn<'_>, table: Table) -> Result<u64> {
        table.len(txn).map_err(|error| self.error(error))
    }

    /// All entries in the order of their keys.
    pub(super) fn entries<'t>(
        &self,
        txn: &'t RoTxn<'_>,
        table: Table,
    ) -> Result<impl Iterator<Item = Result<Entry<'t>>>> {
        let entries = table.iter(txn).map_err(|error| self.error(error))?;
        Ok(entries.map(|entry| entry.map_err(|error| self.error(error))))
    }

    /// Entries with keys from `first` to `last`, both included; descending when `reversed`.
    pub(super) fn range<'t>(
        &'t self,
        txn: &'t RoTxn<'_>,
        table: Table,
        (first, last): (&[u8], &[u8]),
        reversed: bool,
    ) -> Result<Range<'t>> {
        let bounds = (Bound::Included(first), Bound::Included(last));
        let range = if reversed {
            table.rev_range(txn, &bounds).map(Range::Backward)
        } else {
            table.range(txn, &bounds).map(Range::Forward)
        };
        range.map_err(|error| self.error(error))
    }
}

/// Key and value.
pub(super) type Entry<'t> = (&'t [u8], &'t [u8]);

/// Entries of a range, see [`Env::range`].
pub(super) enum Range<'t> {
    Forward(RoRange<'t, Bytes, Bytes>),
    Backward(RoRevRange<'t, Bytes, Bytes>),
}

impl<'t> Iterator for Range<'t> {
    type Item = heed::Result<Entry<'t>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Forward(range) => range.next(),
            Self::Backward(range) => range.next(),
        }
    }
}

/// Device and number.
fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    error::io(path, "read", error.kind(), error.raw_os_error()).with_source(error)
}

/// The storage engine makes its lock file as a hole, maps it, and fills it when readers come: at a full disk that ends
/// the process with SIGBUS. So we make it first, of the same length, with space for all of it.
fn allocate_lock_file(directory: &Path) -> Result<()> {
    let path = directory.join("lock.mdb");
    if path.exists() {
        return Ok(());
    }
    let failed = |error: std::io::Error| {
        error::io(&path, "make", error.kind(), error.raw_os_error()).with_source(error)
    };
    let mut random = [0; 8];
    crate::random(&mut random)?;
    let temporary = directory.join(format!("lock.{:016x}", u64::from_be_bytes(random)));
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&temporary);
    let written = file.and_then(|mut file| file.write_all(&[0; LOCK_BYTES])).map_err(failed);
    // unlike a rename it takes no file away that another process has made meanwhile; where there are no links, the
    // storage engine makes the file
    let _ = written.is_ok().then(|| fs::hard_link(&temporary, &path));
    let _ = fs::remove_file(&temporary);
    written
}

/// No address space for the map.
fn is_out_of_memory(error: &heed::Error) -> bool {
    matches!(error, heed::Error::Io(cause) if cause.kind() == std::io::ErrorKind::OutOfMemory)
}

#[allow(unsafe_code)]
fn open_environment(directory: &Path, map_bytes: usize) -> heed::Result<heed::Env<WithoutTls>> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(map_bytes).max_readers(READERS_MAX).max_dbs(SCOPES_MAX * 4 + 16);
    loop {
        // SAFETY: the map is sound while nobody changes the file but through LMDB, whose lock file coordinates all
        // processes; the directory is ours alone, and `stores::open` demands a local file system.
        match unsafe { options.open(directory) } {
            Err(heed::Error::EnvAlreadyOpened) if has_closed(directory) => {}
            opened => return opened,
        }
    }
}

/// Whoever used the environment last closes it, which may be under way in another thread. Waits for that.
fn has_closed(directory: &Path) -> bool {
    heed::env_closing_event(directory).is_none_or(|closing| closing.wait_timeout(CLOSING_MAX))
}
