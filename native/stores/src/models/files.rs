//! The files of an engine's generations, and how they change durably.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use events::{Error, Kind, Result};

use super::ModelInfo;

pub(super) const CURRENT: &str = "CURRENT";
const NEXT: &str = "CURRENT.next";
const LOCK: &str = "LOCK";
pub(super) const MODEL: &str = "model.arblast";
pub(super) const INFO: &str = "info.json";
pub(super) const TEMPORARY: &str = "tmp-";
pub(super) const DIGITS: usize = 10;

#[derive(Debug, Clone)]
pub(super) struct Files {
    root: PathBuf,
}

/// While it lives, no other process or thread changes the generations.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "closing the file releases the lock")] File);

impl Files {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn generation(&self, generation: u64) -> PathBuf {
        self.root.join(format!("{generation:0DIGITS$}"))
    }

    pub(super) fn model(&self, directory: &Path) -> PathBuf {
        directory.join(MODEL)
    }

    /// Waits for whoever holds it; that is never long.
    pub(super) fn lock(&self) -> Result<Lock> {
        if !self.root.is_dir() {
            fs::create_dir_all(&self.root).map_err(|error| failed("create", &self.root, error))?;
            self.root.ancestors().skip(1).take(2).try_for_each(sync_directory)?;
        }
        let path = self.root.join(LOCK);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| failed("open", &path, error))?;
        file.lock().map_err(|error| failed("lock", &path, error))?;
        Ok(Lock(file))
    }

    pub(super) fn current(&self) -> Result<Option<u64>> {
        let path = self.root.join(CURRENT);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == ErrorKind::InvalidData => String::new(),
            Err(error) => return Err(failed("read", &path, error)),
        };
        let number = text.trim_end().parse().map(Some);
        number.map_err(|_| {
            let message =
                format!("{} holds no number of a generation; roll back to one or retrain", path.display());
            Error::new(Kind::Corrupt, message)
        })
    }

    /// Makes a generation current. Under the lock.
    pub(super) fn point_to(&self, generation: u64) -> Result<()> {
        let next = self.root.join(NEXT);
        write_synced(&next, format!("{generation:0DIGITS$}\n").as_bytes())?;
        let current = self.root.join(CURRENT);
        fs::rename(&next, &current).map_err(|error| failed("replace", &current, error))?;
        sync_directory(&self.root)
    }

    /// Numbers of the generations, ascending; none if nothing was ever published.
    pub(super) fn generations(&self) -> Result<Vec<u64>> {
        let number = |name: &String| name.parse().ok().filter(|_| name.len() >= DIGITS);
        let mut generations: Vec<u64> = self.names()?.iter().filter_map(number).collect();
        generations.sort_unstable();
        Ok(generations)
    }

    fn names(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("read", &self.root, error)),
        };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        names.collect::<std::io::Result<_>>().map_err(|error| failed("read", &self.root, error))
    }

    pub(super) fn info(&self, generation: u64) -> Result<ModelInfo> {
        let path = self.generation(generation).join(INFO);
        let text = fs::read(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::new(Kind::Corrupt, format!("{} is missing", path.display())),
            _ => failed("read", &path, error),
        })?;
        ModelInfo::from_json(&text)
            .map_err(|error| Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    pub(super) fn write_info(&self, directory: &Path, info: &ModelInfo) -> Result<()> {
        write_synced(&directory.join(INFO), info.to_json().as_bytes())?;
        sync_directory(directory)
    }

    /// A new temporary directory with an empty model file in it. The open file carries a lock, by which others see that
    /// somebody still writes; the system releases it however that ends. Under the lock.
    pub(super) fn new_temporary(&self) -> Result<(PathBuf, File)> {
        let directory = self.free_name(|path| fs::create_dir(path))?;
        let path = self.model(&directory);
        let file = OpenOptions::new().create_new(true).read(true).write(true).open(&path);
        let file = file.map_err(|error| failed("create", &path, error))?;
        file.lock().map_err(|error| failed("lock", &path, error))?;
        Ok((directory, file))
    }

    /// Does `make` with the first temporary name that is free.
    fn free_name(&self, make: impl Fn(&Path) -> std::io::Result<()>) -> Result<PathBuf> {
        for number in 0u32.. {
            let path = self.root.join(format!("{TEMPORARY}{number}"));
            match make(&path) {
                Ok(()) => return Ok(path),
                Err(error)
                    if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty) => {}
                Err(error) => return Err(failed("create", &path, error)),
            }
        }
        Err(Error::new(Kind::Unavailable, format!("{} is full of temporary names", self.root.display())))
    }

    /// Removes temporary directories that nobody writes any more. Under the lock.
    pub(super) fn remove_orphans(&self) -> Result<()> {
        for name in self.names()?.iter().filter(|name| name.starts_with(TEMPORARY)) {
            let path = self.root.join(name);
            if !is_being_written(&self.model(&path)) {
                fs::remove_dir_all(&path).map_err(|error| failed("remove", &path, error))?;
            }
        }
        Ok(())
    }

    /// Removes a generation: first from sight, then from the disk, so that none is ever seen in pieces. Under the lock.
    pub(super) fn remove(&self, generation: u64) -> Result<()> {
        let path = self.generation(generation);
        let hidden = self.free_name(|name| match name.exists() {
            true => Err(ErrorKind::AlreadyExists.into()),
            false => fs::rename(&path, name),
        })?;
        fs::remove_dir_all(&hidden).map_err(|error| failed("remove", &hidden, error))
    }

    /// Gives a finished temporary directory its number, also if another has it. Under the lock.
    pub(super) fn replace(&self, temporary: &Path, generation: u64) -> Result<()> {
        if self.generation(generation).exists() {
            self.remove(generation)?;
        }
        self.rename(temporary, generation)
    }

    /// Gives a finished temporary directory its number. Under the lock.
    pub(super) fn rename(&self, temporary: &Path, generation: u64) -> Result<()> {
        let path = self.generation(generation);
        fs::rename(temporary, &path).map_err(|error| failed("rename", &path, error))?;
        sync_directory(&self.root)
    }
}

fn is_being_written(model: &Path) -> bool {
    let file = File::open(model);
    file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| failed("write", path, error))
}

fn sync_directory(path: &Path) -> Result<()> {
    // The parent of a relative name is the working directory.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path).and_then(|directory| directory.sync_all()).map_err(|error| failed("sync", path, error))
}

pub(super) fn failed(verb: &str, path: &Path, error: std::io::Error) -> Error {
    let text = format!("cannot {verb} {}: {error}{}", path.display(), remedy(&error));
    Error::new(Kind::Unavailable, text).with_source(error)
}

/// What to do about a full disk.
pub(super) fn remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "; free some space and train again, the model of before stays in use"
        }
        _ => "",
    }
}
