//! Generations of models on disk: published at once or not at all, the last few kept, one of them current.
//!
//! ```text
//! <models>/<engine>/LOCK                      held while generations change
//!                   CURRENT                   number of the generation that serves; replaced by rename
//!                   0000000007/model.arblast  the snapshot
//!                              info.json      where and when it was trained, its digest and counts
//!                   tmp-0/                    being written, or left behind
//! ```
//! A generation is written under a temporary name, synced, checked, renamed, and only then pointed to. So whatever dies at
//! whatever moment leaves the old generation current or the new one. Removing a generation that a reader has mapped is
//! safe: its bytes live as long as the mapping. The directory must be on a local file system.
//!
//! Where several machines share models, generations and pointer are in [`Objects`], and the directory is a copy that follows.

mod copy;
mod files;
mod info;
mod publish;
mod reader;
mod shared;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use events::{Error, Kind, Result};
use model::Model;

pub use info::{ModelInfo, TrainedBy};
pub use reader::{Generation, ModelReader};

use files::Files;
use shared::Shared;

use crate::Objects;

/// The models of all engines.
#[derive(Debug, Clone)]
pub struct Models {
    path: PathBuf,
    objects: Option<Arc<dyn Objects>>,
}

impl Models {
    /// In a directory of a local file system. Touches nothing yet.
    pub fn at(path: PathBuf) -> Self {
        Self { path, objects: None }
    }

    /// In a place that other machines reach, too. What was read from there is copied to a folder in `copies`, which no other place
    /// uses, and which may be deleted when nobody does.
    pub fn shared(objects: Arc<dyn Objects>, copies: &Path) -> Self {
        Self { path: copies.join(file_name(&objects.place())), objects: Some(objects) }
    }

    /// The directory, or that of the copies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Does the shared place answer, if there is one?
    ///
    /// # Errors
    /// Those of the shared place.
    pub fn check(&self) -> Result<()> {
        self.objects.as_ref().map_or(Ok(()), |objects| objects.list("status").map(drop))
    }

    /// Do other machines reach them?
    pub fn are_shared(&self) -> bool {
        self.objects.is_some()
    }

    /// The models of a variant of an engine of an app, wherever the engine file is.
    pub fn of(&self, app: &str, variant: &str) -> ModelDirectory {
        let mut directory = ModelDirectory::of(&self.path, app, variant);
        let folder = || file_name(&directory.engine);
        directory.shared = self.objects.as_ref().map(|objects| Shared::new(Arc::clone(objects), folder()));
        directory
    }
}

/// The models of one engine.
#[derive(Debug, Clone)]
pub struct ModelDirectory {
    engine: String,
    /// Where they are, or copies of them.
    files: Files,
    keep: usize,
    /// Where they are, if other machines reach them.
    shared: Option<Shared>,
}

/// What [`ModelDirectory::list`] says of a generation.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Number; a later train has a higher one.
    pub generation: u64,
    /// Does it serve?
    pub current: bool,
    /// Where and when it was trained; `None` if that cannot be read.
    pub info: Option<ModelInfo>,
    /// Can it serve?
    pub status: Status,
}

/// Can a generation serve?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Yes: all checksums are right.
    Ready,
    /// It was written in another format, as the text says.
    Version(String),
    /// It is damaged, as the text says.
    Corrupt(String),
}

impl ModelDirectory {
    /// Generations kept by default.
    pub const KEEP: usize = 3;

    /// The models of `engine` (its variant) under the directory of all models. Touches nothing yet.
    pub fn new(models: &Path, engine: &str) -> Self {
        let files = Files::new(models.join(file_name(engine)));
        Self { engine: engine.to_owned(), files, keep: Self::KEEP, shared: None }
    }

    /// The models of a variant of an engine of an app, wherever the engine file is.
    pub fn of(models: &Path, app: &str, variant: &str) -> Self {
        Self::new(models, &key(app, variant))
    }

    /// Keeps the newest `keep` generations at each publish, at least one; the current one and the one that was current before are always kept.
    #[must_use]
    pub fn keeping(mut self, keep: usize) -> Self {
        self.keep = keep.max(1);
        self
    }

    /// Where the generations are, or copies of them.
    pub fn path(&self) -> &Path {
        self.files.root()
    }

    /// Where the generations are, for people.
    pub fn place(&self) -> String {
        match &self.shared {
            None => self.path().display().to_string(),
            Some(shared) => shared.place(),
        }
    }

    /// The snapshot file of a generation that is here.
    pub fn model_path(&self, generation: u64) -> PathBuf {
        self.files.model(&self.files.generation(generation))
    }

    /// The generation that serves; `None` before the first train.
    ///
    /// # Errors
    /// `Kind::Corrupt` if the pointer is unreadable: `rollback` to a generation mends it. Those of the shared place.
    pub fn current(&self) -> Result<Option<u64>> {
        match &self.shared {
            None => self.files.current(),
            Some(shared) => shared.current(),
        }
    }

    /// The generation that serves here, which may be behind a shared place for a moment, or while that does not answer; asks nobody.
    ///
    /// # Errors
    /// `Kind::Corrupt` if the pointer is unreadable.
    pub fn current_here(&self) -> Result<Option<u64>> {
        self.files.current()
    }

    /// What stands beside the generation that serves; `None` before the first train. Copies no model.
    ///
    /// # Errors
    /// As [`current`](Self::current); `Kind::Corrupt` if it is damaged.
    pub fn current_info(&self) -> Result<Option<ModelInfo>> {
        self.current()?.map(|generation| self.info(generation)).transpose()
    }

    fn info(&self, generation: u64) -> Result<ModelInfo> {
        match &self.shared {
            None => self.files.info(generation),
            Some(shared) => shared.info(generation),
        }
    }

    /// Numbers of the generations, ascending.
    fn generations(&self) -> Result<Vec<u64>> {
        match &self.shared {
            None => self.files.generations(),
            Some(shared) => shared.generations(),
        }
    }

    /// Opens the current generation and follows the pointer from then on.
    ///
    /// # Errors
    /// `Kind::NotFound` before the first train; `Corrupt` or `Version` if the current generation cannot serve.
    pub fn reader(&self) -> Result<ModelReader> {
        ModelReader::open(self.clone())
    }

    /// All generations, oldest first. Reads each model once to check it; those of a shared place are copied for that.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the directory, or the shared place, cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>> {
        // A damaged pointer is no reason to show nothing.
        let current = self.current().unwrap_or_default();
        let listed = |generation| Listed {
            generation,
            current: current == Some(generation),
            info: self.info(generation).ok(),
            status: self.status(generation),
        };
        Ok(self.generations()?.into_iter().map(listed).collect())
    }

    fn status(&self, generation: u64) -> Status {
        match self.generation(generation) {
            Ok(_) => Status::Ready,
            Err(error) if error.kind() == Kind::Version => Status::Version(error.to_string()),
            Err(error) => Status::Corrupt(error.to_string()),
        }
    }

    /// Opens a generation, current or not.
    ///
    /// # Errors
    /// `Kind::NotFound` names the generations there are; `Corrupt` or `Version` if it cannot serve. Those of the shared place.
    pub fn generation(&self, number: u64) -> Result<Generation> {
        if let Some(shared) = &self.shared {
            if !self.generations()?.contains(&number) {
                return Err(self.no_generation(&number.to_string()));
            }
            self.copy(shared, number)?;
        }
        self.open_here(number)
    }

    fn open_here(&self, number: u64) -> Result<Generation> {
        if !self.files.generation(number).is_dir() {
            return Err(self.no_generation(&number.to_string()));
        }
        let model = Model::open(self.model_path(number)).map_err(of_model)?;
        let info = self.files.info(number)?;
        let bytes = model.counts().bytes;
        if info.bytes != bytes {
            let path = self.model_path(number);
            let (path, expected) = (path.display(), info.bytes);
            let message = format!(
                "{path}: the model has {bytes} bytes, its info.json says {expected}; roll back or retrain"
            );
            return Err(Error::new(Kind::Corrupt, message));
        }
        Ok(Generation { number, info, model })
    }

    fn no_generation(&self, wanted: &str) -> Error {
        let generations = self.generations().unwrap_or_default();
        let message =
            format!("engine {}: there is no generation {wanted}; there are {generations:?}", self.engine);
        Error::new(Kind::NotFound, message)
    }

    /// Makes another generation current: `to`, or else the one before the current. Gives its number. Readers follow within
    /// a second or two; nothing is removed.
    ///
    /// # Errors
    /// `Kind::NotFound` names the generations there are; `Corrupt` or `Version` if it could not serve: nothing changes then.
    pub fn rollback(&self, to: Option<u64>) -> Result<u64> {
        if self.shared.is_some() {
            // It may have to be copied first, and whoever copies takes the lock by himself.
            self.generation(self.to_roll_back_to(to)?)?;
        }
        let _lock = self.files.lock()?;
        let generation = self.to_roll_back_to(to)?;
        self.open_here(generation)?;
        if let Some(shared) = &self.shared {
            shared.point_to(generation)?;
        }
        self.files.point_to(generation)?;
        Ok(generation)
    }

    fn to_roll_back_to(&self, to: Option<u64>) -> Result<u64> {
        let Some(generation) = to else {
            let current = self.current()?.unwrap_or(0);
            let older = self.generations()?.into_iter().filter(|generation| *generation < current);
            return older.max().ok_or_else(|| self.no_generation("before the current one"));
        };
        Ok(generation)
    }
}

/// `variant@app`, distinct for distinct pairs.
fn key(app: &str, variant: &str) -> String {
    let escaped = |name: &str| name.replace('%', "%25").replace('@', "%40");
    format!("{}@{}", escaped(variant), escaped(app))
}

/// The same remedy in the words of stores.
fn of_model(error: model::Error) -> Error {
    let kind = match error.kind() {
        model::ErrorKind::Invalid => Kind::Internal,
        model::ErrorKind::Io => Kind::Unavailable,
        model::ErrorKind::Version => Kind::Version,
        model::ErrorKind::Corrupt => Kind::Corrupt,
    };
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref());
    let text = format!("{error}{}", cause.map_or("", files::remedy));
    Error::new(kind, text).with_source(error)
}

/// A name that is safe on every file system: letters, digits, `-` and `_` stay, other bytes become `%` and two hex digits;
/// the rest of a very long name becomes its hash. Distinct names stay distinct where the file system minds case.
fn file_name(engine: &str) -> String {
    const LONGEST: usize = 200;
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let mut name = String::from(if engine.is_empty() { "%" } else { "" });
    for byte in engine.bytes() {
        if name.len() > LONGEST {
            return format!("{name}%%{:016x}", model::key(engine.as_bytes()));
        }
        if safe(byte) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    name
}
