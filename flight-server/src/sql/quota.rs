//! How much `COPY` may leave behind: each folder right under the export folder, which is an app's, holds so much and no more.

use std::collections::HashMap;
use std::fs;
use std::path::{Path as Place, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arblast::failure::Failure;
use async_trait::async_trait;
use datafusion::error::DataFusionError;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// The export folder.
#[derive(Debug)]
pub struct Quota {
    files: LocalFileSystem,
    folders: Arc<Folders>,
}

#[derive(Debug)]
struct Folders {
    root: PathBuf,
    bytes_max: u64,
    /// What is being written, by folder.
    rising: Mutex<HashMap<String, u64>>,
}

impl Quota {
    /// Makes the folder if it is missing.
    ///
    /// # Errors
    /// `Kind::Invalid`: it cannot be used.
    pub fn open(root: &Place, bytes_max: u64) -> std::result::Result<Self, Failure> {
        fs::create_dir_all(root).map_err(Failure::file("create", "flightExportDirectory", root))?;
        let files = LocalFileSystem::new_with_prefix(root).map_err(|error| {
            Failure::invalid(format!("flightExportDirectory {}: {error}", root.display()))
        })?;
        let folders = Folders { root: root.to_owned(), bytes_max, rising: Mutex::default() };
        Ok(Self { files, folders: Arc::new(folders) })
    }

    fn share(&self, location: &Path) -> Share {
        let folder = location.parts().next().map(|part| part.as_ref().to_owned()).unwrap_or_default();
        Share { folders: Arc::clone(&self.folders), folder, bytes: 0 }
    }
}

impl std::fmt::Display for Quota {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.files.fmt(formatter)
    }
}

impl Folders {
    fn rising(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.rising.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of the files that are complete. One that is being written has a `#` in its name.
fn held(place: &Place) -> u64 {
    let Ok(found) = fs::symlink_metadata(place) else { return 0 };
    if !found.is_dir() {
        let is_whole = !place.file_name().is_some_and(|name| name.to_string_lossy().contains('#'));
        return if is_whole { found.len() } else { 0 };
    }
    fs::read_dir(place).into_iter().flatten().flatten().map(|entry| held(&entry.path())).sum()
}

/// What one upload takes of its folder's room.
#[derive(Debug)]
struct Share {
    folders: Arc<Folders>,
    folder: String,
    bytes: u64,
}

impl Share {
    fn take(&mut self, bytes: u64) -> Result<()> {
        let folders = &self.folders;
        // A file that becomes complete meanwhile counts twice, never not at all.
        let mut rising = folders.rising();
        let own = rising.entry(self.folder.clone()).or_default();
        let all = held(&folders.root.join(&self.folder)).saturating_add(*own).saturating_add(bytes);
        if all > folders.bytes_max {
            return Err(full(&self.folder, folders.bytes_max));
        }
        *own += bytes;
        self.bytes += bytes;
        Ok(())
    }
}

fn full(folder: &str, bytes_max: u64) -> Error {
    let text = format!(
        "the folder {folder} for exports holds at most {bytes_max} bytes, the setting flightExportBytesMax: ask who runs the server to make room"
    );
    Error::Generic { store: "exports", source: Box::new(DataFusionError::ResourcesExhausted(text)) }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(all) = self.folders.rising().get_mut(&self.folder) {
            *all = all.saturating_sub(self.bytes);
        }
    }
}

#[derive(Debug)]
struct Upload {
    file: Box<dyn MultipartUpload>,
    share: Share,
}

fn length(payload: &PutPayload) -> u64 {
    payload.content_length() as u64
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        match self.share.take(length(&data)) {
            Ok(()) => self.file.put_part(data),
            Err(full) => Box::pin(std::future::ready(Err(full))),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.file.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.file.abort().await
    }
}

#[async_trait]
impl ObjectStore for Quota {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let mut share = self.share(location);
        share.take(length(&payload))?;
        self.files.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let file = self.files.put_multipart_opts(location, options).await?;
        Ok(Box::new(Upload { file, share: self.share(location) }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await
    }
}
