//! Publishing: from parts to the current generation.

use std::cell::Cell;
use std::fs::File;
use std::path::Path;

use events::{Error, Kind, Result};
use model::{Model, ModelParts};

use super::files::failed;
use super::shared::Shared;
use super::{Generation, ModelDirectory, ModelInfo, TrainedBy, of_model};

/// The moments between which a crash makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Begun,
    ModelWritten,
    InfoWritten,
    Renamed,
    Pointed,
    Pruned,
}

impl ModelDirectory {
    /// Writes `parts` as a new generation and makes it current; gives its number and info. Then removes the oldest, down to
    /// the number kept, and what killed trains left behind. Several may publish at once: each gets its own number.
    ///
    /// # Errors
    /// `Kind::Unavailable`: no space, no rights; `Kind::Internal`: the parts contradict each other; those of the shared place.
    /// Until the new generation is complete, the old one stays current.
    pub fn publish(&self, parts: &ModelParts, trained: TrainedBy) -> Result<(u64, ModelInfo)> {
        self.publish_in_steps(parts, trained, &|_| Ok(()))
    }

    /// The same, unless somebody wants it to stop: that is asked at the last moment, when nothing can come between the answer
    /// and the new generation but a crash. `None`: stopped, and nothing is left of it.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub fn publish_unless(
        &self,
        parts: &ModelParts,
        trained: TrainedBy,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Option<(u64, ModelInfo)>> {
        let stopped = Cell::new(false);
        let reached = |step| {
            stopped.set(step == Step::InfoWritten && is_stopped());
            if stopped.get() { Err(Error::new(Kind::Unavailable, "stopped")) } else { Ok(()) }
        };
        match self.publish_in_steps(parts, trained, &reached) {
            Err(_) if stopped.get() => Ok(None),
            published => published.map(Some),
        }
    }

    /// Publishes a generation that another directory holds, of the same engine: as a job left it that could not publish here.
    ///
    /// # Errors
    /// As [`publish`](Self::publish); as [`generation`](Self::generation) of the other.
    pub fn adopt(&self, other: &Self, generation: u64) -> Result<(u64, ModelInfo)> {
        let found = other.generation(generation)?;
        let write = |mut file: &File| {
            let from = other.model_path(generation);
            let copied = File::open(&from).and_then(|mut from| std::io::copy(&mut from, &mut file));
            copied.map(|_| found.info.clone()).map_err(|error| failed("copy", &from, error))
        };
        self.publish_by(&write, &|_| Ok(()))
    }

    /// Does what a new generation needs beside its files, such as an index in search servers. If that fails, `before` is
    /// current again, if there was one.
    ///
    /// # Errors
    /// That of `needed`; those of [`generation`](Self::generation) and [`rollback`](Self::rollback).
    pub fn publish_also(
        &self,
        generation: u64,
        before: Option<u64>,
        needed: impl FnOnce(&Generation) -> Result<()>,
    ) -> Result<()> {
        let done = needed(&self.generation(generation)?);
        if done.is_err() && before.is_some() {
            self.rollback(before)?;
        }
        done
    }

    pub(super) fn publish_in_steps(
        &self,
        parts: &ModelParts,
        trained: TrainedBy,
        reached: &dyn Fn(Step) -> Result<()>,
    ) -> Result<(u64, ModelInfo)> {
        let write = |file: &File| {
            let written = model::write(parts, file).map_err(of_model)?;
            Ok(ModelInfo::new(written, trained.clone()))
        };
        self.publish_by(&write, reached)
    }

    /// `write` fills the model file, and says what it knows of it.
    fn publish_by(
        &self,
        write: &dyn Fn(&File) -> Result<ModelInfo>,
        reached: &dyn Fn(Step) -> Result<()>,
    ) -> Result<(u64, ModelInfo)> {
        let (temporary, file) = {
            let _lock = self.files.lock()?;
            // What cannot be removed now is in nobody's way, and the next publish tries again; so with pruning below.
            let _ = self.files.remove_orphans();
            self.files.new_temporary()?
        };
        reached(Step::Begun)?;
        let published = self.write_and_point(write, &temporary, file, reached);
        if published.is_err() && temporary.exists() {
            // The next publish would remove it as well.
            let _ = std::fs::remove_dir_all(&temporary);
        }
        published
    }

    /// `file` is the locked model file in `temporary`.
    fn write_and_point(
        &self,
        write: &dyn Fn(&File) -> Result<ModelInfo>,
        temporary: &Path,
        file: File,
        reached: &dyn Fn(Step) -> Result<()>,
    ) -> Result<(u64, ModelInfo)> {
        let path = self.files.model(temporary);
        let info = write(&file)?;
        file.sync_all().map_err(|error| failed("sync", &path, error))?;
        // Read back before anybody depends on it.
        let info = info.counted(Model::open(&path).map_err(of_model)?.counts());
        reached(Step::ModelWritten)?;

        let shared = self.shared.as_ref().map(Shared::patient);
        // Not while a model is on its way: that may be long.
        let lock = shared.is_none().then(|| self.files.lock()).transpose()?;
        self.files.write_info(temporary, &info)?;
        reached(Step::InfoWritten)?;
        let uploaded = shared.as_ref().map(|shared| shared.upload(&path, &info)).transpose()?;
        let _lock = lock.map_or_else(|| self.files.lock(), Ok)?;
        let generation = uploaded.map_or_else(|| self.next_generation(), Ok)?;
        let before = self.files.current().unwrap_or_default();
        self.files.replace(temporary, generation)?;
        reached(Step::Renamed)?;
        let serves = shared.as_ref().map_or(Ok(true), |shared| shared.point_to_newer(generation))?;
        // What a later train made is not here yet; who serves brings it.
        if serves {
            self.files.point_to(generation)?;
        }
        reached(Step::Pointed)?;
        let _ = self.prune(&[Some(generation), before], info.trained.published_ms);
        reached(Step::Pruned)?;
        Ok((generation, info))
    }

    /// Higher than all there are and all there were.
    fn next_generation(&self) -> Result<u64> {
        let newest = self.files.generations()?.last().copied().unwrap_or(0);
        let current = match self.current() {
            Err(error) if error.kind() == Kind::Corrupt => None,
            current => current?,
        };
        Ok(newest.max(current.unwrap_or(0)).saturating_add(1))
    }

    /// Who finds that the new generation cannot serve goes back to the one before, however old that is.
    fn prune(&self, spared: &[Option<u64>], now_ms: i64) -> Result<()> {
        if let Some(shared) = &self.shared {
            shared.prune(self.keep, spared, now_ms)?;
        }
        self.prune_here(spared)
    }

    /// Removes what is old on this machine.
    pub(super) fn prune_here(&self, spared: &[Option<u64>]) -> Result<()> {
        let generations = self.files.generations()?;
        let old = generations.iter().rev().skip(self.keep);
        let old = old.filter(|generation| !spared.contains(&Some(**generation)));
        old.copied().try_for_each(|generation| self.files.remove(generation))
    }
}
