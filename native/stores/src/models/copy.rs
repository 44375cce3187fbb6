//! Copies of shared generations on this machine: complete or not there, and what serves when the shared place does not answer.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use events::{Error, Kind, Result};
use sha2::{Digest, Sha256};

use super::files::failed;
use super::reader::never_trained;
use super::shared::Shared;
use super::{ModelDirectory, ModelInfo};

impl ModelDirectory {
    /// Brings the generation that serves here, if it is elsewhere, and points to it. `thorough`: looks also whether the copy
    /// under its number is of the same model, as it is unless somebody emptied the shared place.
    ///
    /// # Errors
    /// `Kind::NotFound` before the first train; those of the shared place; no space here. What served here still does.
    pub(super) fn follow(&self, thorough: bool) -> Result<()> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let current = shared.current()?.ok_or_else(|| never_trained(self))?;
        let pointed = self.files.current().ok().flatten() == Some(current);
        if pointed && !thorough && self.files.generation(current).is_dir() {
            return Ok(());
        }
        self.copy(shared, current)?;
        let _lock = self.files.lock()?;
        self.files.point_to(current)?;
        // What cannot be removed now is in nobody's way.
        let _ = self.prune_here(&[Some(current)]);
        Ok(())
    }

    /// Is there a generation that can serve while the shared place does not answer?
    pub(super) fn has_copy(&self) -> bool {
        let pointed = self.files.current().ok().flatten();
        pointed.is_some_and(|generation| self.files.generation(generation).is_dir())
    }

    /// Copies a generation here, unless it is.
    pub(super) fn copy(&self, shared: &Shared, generation: u64) -> Result<()> {
        let info = shared.info(generation)?;
        if self.files.info(generation).is_ok_and(|here| here == info) {
            return Ok(());
        }
        let (temporary, file) = {
            let _lock = self.files.lock()?;
            let _ = self.files.remove_orphans();
            self.files.new_temporary()?
        };
        let copied = self.copy_by(shared, generation, &info, &temporary, file);
        if copied.is_err() {
            let _ = fs::remove_dir_all(&temporary);
        }
        copied
    }

    /// `file` is the locked model file in `temporary`.
    fn copy_by(
        &self,
        shared: &Shared,
        generation: u64,
        info: &ModelInfo,
        temporary: &Path,
        mut file: File,
    ) -> Result<()> {
        let path = self.files.model(temporary);
        shared.download(generation, &mut file)?;
        file.sync_all().map_err(|error| failed("sync", &path, error))?;
        let digest = digest(&path).map_err(|error| failed("read", &path, error))?;
        if digest != info.digest {
            let text = format!(
                "the shared model of generation {generation} of engine {} has the digest {digest}, its info.json says {}; \
                 roll back or retrain",
                self.engine, info.digest
            );
            return Err(Error::new(Kind::Corrupt, text));
        }
        let _lock = self.files.lock()?;
        self.files.write_info(temporary, info)?;
        self.files.replace(temporary, generation)
    }
}

/// SHA-256 of a file, hexadecimal.
fn digest(path: &Path) -> std::io::Result<String> {
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
