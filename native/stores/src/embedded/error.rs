//! What went wrong in the storage engine, said so that a person can act on it.

use std::io::ErrorKind;
use std::path::Path;

use events::{Error, Kind};
use heed::MdbError;

/// Data that cannot have been written so.
pub(super) fn corrupt(what: impl Into<String>) -> Error {
    Error::new(
        Kind::Corrupt,
        format!("the event store is damaged: {}; restore it from a backup or import again", what.into()),
    )
}

/// An error of the storage engine under `path`.
pub(super) fn engine(path: &Path, error: heed::Error) -> Error {
    let place = path.display();
    let error = match error {
        heed::Error::Io(cause) => {
            return io(path, "use", cause.kind(), cause.raw_os_error()).with_source(cause);
        }
        error => error,
    };
    let (kind, text) = match &error {
        heed::Error::Mdb(cause) => mdb(&place.to_string(), *cause),
        heed::Error::EnvAlreadyOpened => {
            (Kind::Internal, format!("the event store {place} is being closed in this process"))
        }
        _ => (Kind::Internal, format!("the event store {place} failed: {error}")),
    };
    Error::new(kind, text).with_source(error)
}

fn mdb(place: &str, error: MdbError) -> (Kind, String) {
    match error {
        // the data is as it was before the write that failed
        MdbError::Panic => (
            Kind::Unavailable,
            format!(
                "an earlier write to the event store {place} failed badly: look after the disk, and start this process again"
            ),
        ),
        MdbError::Invalid | MdbError::Corrupted | MdbError::PageNotFound => (
            Kind::Corrupt,
            format!("the event store {place} is damaged ({error}); restore it from a backup or import again"),
        ),
        MdbError::VersionMismatch => (
            Kind::Version,
            format!("the event store {place} was written by another version of the storage engine"),
        ),
        MdbError::MapFull => (
            Kind::Unavailable,
            format!("the event store {place} has reached the greatest size that this process can map"),
        ),
        MdbError::DbsFull => (
            Kind::Invalid,
            format!("the event store {place} is full: at most {} apps and channels", super::SCOPES_MAX),
        ),
        MdbError::ReadersFull => (
            Kind::Unavailable,
            format!(
                "more than {} reads of the event store {place} at the same time; repeat",
                super::READERS_MAX
            ),
        ),
        _ => (Kind::Internal, format!("the event store {place} failed: {error}")),
    }
}

/// An error of the operating system on `path`; `verb` says what was tried.
pub(super) fn io(path: &Path, verb: &str, kind: ErrorKind, code: Option<i32>) -> Error {
    const EIO: i32 = 5;
    let path = path.display();
    let text = match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            format!("no space left for {path}: free some and repeat; nothing of this call was stored")
        }
        ErrorKind::ReadOnlyFilesystem => format!("cannot {verb} {path}: the file system is read-only"),
        ErrorKind::PermissionDenied => format!("cannot {verb} {path}: permission denied"),
        // the storage engine reports an incomplete write so
        _ if code == Some(EIO) => {
            format!("cannot {verb} {path}: the disk is full or failing; nothing of this call was stored")
        }
        _ => format!("cannot {verb} {path}: {kind}"),
    };
    Error::new(Kind::Unavailable, text)
}
