//! How far an import came: lets a second run skip what is stored already.
//!
//! Only a shortcut. A lost or old record makes the second run store some lines again under the same ids; so records need
//! no fsync, but must never be ahead of the store, and must go when events of their scope are deleted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use events::Scope;

use super::Identity;

/// How far the import of one file into one scope came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of text whose lines are stored.
    pub offset: u64,
    /// Lines in them.
    pub lines: u64,
    /// The time of acceptance that the first run gave its events.
    pub now_ms: i64,
}

/// The record of one file in one scope.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
}

impl Record {
    /// In `home`.
    pub fn new(home: &Path, scope: Scope, identity: Identity) -> Self {
        Self { path: directory(home, scope).join(identity.to_string()) }
    }

    /// What an earlier run left, if it was interrupted.
    pub fn read(&self) -> Option<Progress> {
        let text = fs::read_to_string(&self.path).ok()?;
        let mut numbers = text.split_whitespace();
        let progress = Progress {
            offset: numbers.next()?.parse().ok()?,
            lines: numbers.next()?.parse().ok()?,
            now_ms: numbers.next()?.parse().ok()?,
        };
        (numbers.next() == Some("end")).then_some(progress)
    }

    /// Notes `progress`, which must be stored durably by now.
    pub fn write(&self, progress: Progress) -> io::Result<()> {
        let parent = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent)?;
        let fresh = self.path.with_extension("new");
        fs::write(&fresh, format!("{} {} {} end\n", progress.offset, progress.lines, progress.now_ms))?;
        fs::rename(&fresh, &self.path)
    }

    /// The import is complete.
    pub fn remove(&self) -> io::Result<()> {
        absent_is_fine(fs::remove_file(&self.path))
    }
}

/// Drops all records of a scope; call it before events of the scope are deleted.
pub fn forget(home: &Path, scope: Scope) -> io::Result<()> {
    absent_is_fine(fs::remove_dir_all(directory(home, scope)))
}

fn directory(home: &Path, scope: Scope) -> PathBuf {
    let channel = scope.channel.map_or(String::new(), |channel| format!("-{channel}"));
    home.join("imports").join(format!("{}{channel}", scope.app))
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: Scope = Scope { app: 1, channel: Some(2) };

    #[test]
    fn a_record_lives_until_it_is_removed_or_its_scope_forgotten() {
        let home = tempfile::tempdir().unwrap();
        let record = Record::new(home.path(), SCOPE, Identity::fresh().unwrap());
        let progress = Progress { offset: 1, lines: 2, now_ms: -3 };
        assert_eq!(record.read(), None);
        record.remove().unwrap();
        record.write(progress).unwrap();
        assert_eq!(record.read(), Some(progress));
        forget(home.path(), Scope { channel: None, ..SCOPE }).unwrap();
        assert_eq!(record.read(), Some(progress));
        forget(home.path(), SCOPE).unwrap();
        assert_eq!(record.read(), None);
    }

    #[test]
    fn a_damaged_record_is_no_record() {
        let home = tempfile::tempdir().unwrap();
        let record = Record::new(home.path(), SCOPE, Identity::fresh().unwrap());
        record.write(Progress { offset: 10, lines: 2, now_ms: 3 }).unwrap();
        for text in ["", "10", "10 2 3", "10 2 x end", "-1 2 3 end"] {
            fs::write(&record.path, text).unwrap();
            assert_eq!(record.read(), None, "{text:?}");
        }
    }
}
