//! Publishing: from parts to the current generation.

use std::cell::Cell;
use std::fs::File;
use std::path::Path;

use events::{Error, Kind, Result};
use model::{Model, ModelParts};

use super::files::failed;
use super::{ModelDirectory, ModelInfo, TrainedBy, of_model};

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
    /// `Kind::Unavailable`: no space, no rights; `Kind::Internal`: the parts contradict each other. Until the new generation
    /// is complete, the old one stays current.
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

    pub(super) fn publish_in_steps(
        &self,
        parts: &ModelParts,
        trained: TrainedBy,
        reached: &dyn Fn(Step) -> Result<()>,
    ) -> Result<(u64, ModelInfo)> {
        let (temporary, file) = {
            let _lock = self.files.lock()?;
            // What cannot be removed now is in nobody's way, and the next publish tries again; so with pruning below.
            let _ = self.files.remove_orphans();
            self.files.new_temporary()?
        };
        reached(Step::Begun)?;
        let published = self.write_and_point(parts, trained, &temporary, file, reached);
        if published.is_err() && temporary.exists() {
            // The next publish would remove it as well.
            let _ = std::fs::remove_dir_all(&temporary);
        }
        published
    }

    /// `file` is the locked model file in `temporary`.
    fn write_and_point(
        &self,
        parts: &ModelParts,
        trained: TrainedBy,
        temporary: &Path,
        file: File,
        reached: &dyn Fn(Step) -> Result<()>,
    ) -> Result<(u64, ModelInfo)> {
        let path = self.files.model(temporary);
        let written = model::write(parts, &file).map_err(of_model)?;
        file.sync_all().map_err(|error| failed("sync", &path, error))?;
        // Read back before anybody depends on it.
        let counts = Model::open(&path).map_err(of_model)?.counts();
        reached(Step::ModelWritten)?;

        let _lock = self.files.lock()?;
        let info = ModelInfo::new(written, counts, trained);
        self.files.write_info(temporary, &info)?;
        reached(Step::InfoWritten)?;
        let generation = self.next_generation()?;
        self.files.rename(temporary, generation)?;
        reached(Step::Renamed)?;
        self.files.point_to(generation)?;
        reached(Step::Pointed)?;
        let _ = self.prune(generation);
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

    fn prune(&self, current: u64) -> Result<()> {
        let generations = self.files.generations()?;
        let old = generations.iter().rev().skip(self.keep).filter(|generation| **generation != current);
        old.copied().try_for_each(|generation| self.files.remove(generation))
    }
}
