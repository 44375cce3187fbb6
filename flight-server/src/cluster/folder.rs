//! Folders and files by URL: of this machine, of a Hadoop file system, of S3.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path as LocalPath;
use std::sync::Arc;

use arblast::failure::{Failure, Result};
use events::Kind;
use futures::TryStreamExt;
use object_store::path::{Path, PathPart};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload};
use url::Url;

/// A place in a store: a folder or a file.
#[derive(Debug, Clone)]
pub struct Place {
    store: Arc<dyn ObjectStore>,
    /// Scheme and host.
    root: Url,
    path: Path,
}

impl Place {
    /// By URL or by a path of this machine.
    ///
    /// # Errors
    /// It is no URL, or one of a kind that this build does not read.
    pub fn open(text: &str) -> Result<Self> {
        let url = url(text)?;
        let mut root = url.clone();
        root.set_path("");
        let path = Path::from_url_path(url.path())
            .map_err(|error| Failure::invalid(format!("{text}: not a path: {error}")))?;
        let store = objects::store(&url, &[])
            .map_err(|error| Failure::new(error.kind(), format!("{text}: {error}")))?;
        Ok(Self { store, root, path })
    }

    /// What is under a name in this folder; the name may have several parts.
    pub fn inside(&self, name: &str) -> Self {
        let part = |part| PathPart::parse(part).unwrap_or_else(|_| PathPart::from(part));
        let path = Path::from_iter(self.path.parts().chain(name.split('/').map(part)));
        Self { path, ..self.clone() }
    }

    /// Another place in the same store.
    fn at(&self, path: Path) -> Self {
        Self { path, ..self.clone() }
    }

    /// For another process of the cluster.
    pub fn url(&self) -> String {
        let mut url = self.root.clone();
        // What looks like an escape is none.
        url.set_path(&format!("/{}", self.path.as_ref().replace('%', "%25")));
        url.into()
    }

    /// The last part of its path.
    pub fn name(&self) -> &str {
        self.path.filename().unwrap_or_default()
    }

    /// Where it is on this machine; `None` if it is elsewhere.
    pub fn local(&self) -> Option<std::path::PathBuf> {
        let is_local = self.root.scheme() == "file";
        is_local.then(|| LocalPath::new("/").join(self.path.as_ref()))
    }

    /// For readers of its own kind.
    pub fn object(&self) -> (Arc<dyn ObjectStore>, Path) {
        (Arc::clone(&self.store), self.path.clone())
    }

    /// Writes a file of this folder, whole or not at all. Whoever writes the same name last wins.
    ///
    /// # Errors
    /// Whatever the store reports.
    pub async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let place = self.inside(name);
        let put = place.store.put(&place.path, PutPayload::from(bytes)).await;
        put.map(drop).map_err(|error| place.failed("write", &error))
    }

    /// Reads this file.
    ///
    /// # Errors
    /// `Kind::NotFound`; whatever the store reports.
    pub async fn get(&self) -> Result<Vec<u8>> {
        let failed = |error| self.failed("read", &error);
        let bytes = self.store.get(&self.path).await.map_err(failed)?.bytes().await.map_err(failed)?;
        Ok(bytes.into())
    }

    /// Reads some bytes of this file; less if it ends before.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_range(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let bytes = self.store.get_range(&self.path, range).await;
        Ok(bytes.map_err(|error| self.failed("read", &error))?.into())
    }

    /// Bytes of this file; `None` if there is no such file.
    ///
    /// # Errors
    /// Whatever the store reports.
    pub async fn size(&self) -> Result<Option<u64>> {
        match self.store.head(&self.path).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", &error)),
        }
    }

    /// Files directly in this folder and their sizes, without those that are being written.
    ///
    /// # Errors
    /// Whatever the store reports.
    pub async fn names(&self) -> Result<BTreeMap<String, u64>> {
        let inside = |meta: ObjectMeta| {
            let mut parts = meta.location.prefix_match(&self.path)?;
            let (name, more) = (parts.next()?, parts.next());
            let name = name.as_ref().to_owned();
            (more.is_none() && !is_temporary(&name)).then_some((name, meta.size))
        };
        let found: Vec<ObjectMeta> = self.list_all().await?;
        Ok(found.into_iter().filter_map(inside).collect())
    }

    /// All files in this folder and its folders, with their sizes and times (ms since 1970), by name.
    ///
    /// # Errors
    /// Whatever the store reports.
    pub async fn files(&self) -> Result<Vec<(Self, u64, i64)>> {
        let found = self.list_all().await?.into_iter();
        let found = found.filter(|meta| !is_temporary(meta.location.filename().unwrap_or_default()));
        let mut found: Vec<_> = found.collect();
        found.sort_by(|a, b| a.location.cmp(&b.location));
        let described =
            |meta: ObjectMeta| (self.at(meta.location), meta.size, meta.last_modified.timestamp_millis());
        Ok(found.into_iter().map(described).collect())
    }

    /// Path of a file relative to this folder.
    pub fn relative(&self, file: &Self) -> String {
        let parts = file.path.prefix_match(&self.path).into_iter().flatten();
        parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/")
    }

    async fn list_all(&self) -> Result<Vec<ObjectMeta>> {
        let listed: object_store::Result<_> = self.store.list(Some(&self.path)).try_collect().await;
        match listed {
            Err(object_store::Error::NotFound { .. }) => Ok(Vec::new()),
            listed => listed.map_err(|error| self.failed("list", &error)),
        }
    }

    /// Removes this folder with all that is in it. Another process may do the same, or write into it meanwhile.
    ///
    /// # Errors
    /// Whatever the store reports.
    pub async fn remove(&self) -> Result<()> {
        use std::io::ErrorKind::{DirectoryNotEmpty, NotFound};
        if let Some(path) = self.local() {
            let mut removed = std::fs::remove_dir_all(&path);
            if removed.as_ref().is_err_and(|error| matches!(error.kind(), DirectoryNotEmpty | NotFound)) {
                removed = std::fs::remove_dir_all(&path);
            }
            return match removed {
                Err(error) if error.kind() != NotFound => {
                    Err(Failure::io(format_args!("cannot remove {}", path.display()), &error))
                }
                _ => Ok(()),
            };
        }
        for meta in self.list_all().await? {
            self.store.delete(&meta.location).await.map_err(|error| self.failed("remove", &error))?;
        }
        // Of a Hadoop file system an empty folder stays; S3 has none.
        let _ = self.store.delete(&self.path).await;
        Ok(())
    }

    /// Removes this file.
    ///
    /// # Errors
    /// Whatever the store reports.
    pub async fn remove_file(&self) -> Result<()> {
        self.store.delete(&self.path).await.map_err(|error| self.failed("remove", &error))
    }

    fn failed(&self, doing: &str, error: &object_store::Error) -> Failure {
        use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};
        let kind = match error {
            NotFound { .. } => Kind::NotFound,
            PermissionDenied { .. } | Unauthenticated { .. } => Kind::Denied,
            _ => Kind::Unavailable,
        };
        let text = match kind {
            Kind::NotFound if doing == "write" => "its bucket or folder does not exist".to_owned(),
            Kind::NotFound => "it does not exist".to_owned(),
            _ => error.to_string(),
        };
        Failure::new(kind, format!("cannot {doing} {}: {text}", self.url()))
    }
}

/// Stores write under such names before they rename.
fn is_temporary(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let of_hadoop = || name.starts_with('.') && name.rsplit_once(".tmp.").is_some_and(|(_, end)| digits(end));
    name.rsplit_once('#').is_some_and(|(_, end)| digits(end)) || of_hadoop()
}

/// Of a URL, or of a path of this machine.
fn url(text: &str) -> Result<Url> {
    if text.contains("://") {
        return Url::parse(text).map_err(|error| Failure::invalid(format!("{text}: not a URL: {error}")));
    }
    let path = std::path::absolute(text.strip_prefix("file:").unwrap_or(text));
    let path = path.map_err(|error| Failure::io(text, &error))?;
    Url::from_file_path(&path).map_err(|()| Failure::invalid(format!("{text}: not a path")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_of_this_machine() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Place::open(&scratch.path().join("a b%40#ü").display().to_string()).unwrap();
        let again = Place::open(&folder.url()).unwrap();
        assert!(folder.names().await.unwrap().is_empty());
        folder.put("one", b"1".to_vec()).await.unwrap();
        again.inside("deep").put("two", b"22".to_vec()).await.unwrap();
        assert_eq!(again.names().await.unwrap(), [("one".to_owned(), 1)].into());
        let files = folder.files().await.unwrap();
        let files: Vec<String> = files.iter().map(|(file, ..)| folder.relative(file)).collect();
        assert_eq!(files, ["deep/two", "one"]);
        assert_eq!(again.inside("deep/two").get().await.unwrap(), b"22");
        assert_eq!(again.inside("deep/two").get_range(1..9).await.unwrap(), b"2");
        assert_eq!(again.inside("one").size().await.unwrap(), Some(1));
        assert_eq!(again.inside("none").size().await.unwrap(), None);
        assert_eq!(again.inside("none").get().await.unwrap_err().kind(), Kind::NotFound);
        folder.remove().await.unwrap();
        folder.remove().await.unwrap();
        assert!(!folder.local().unwrap().exists());
    }

    #[test]
    fn other_places_are_told() {
        for (text, told) in [("gopher://x/y", "no place"), ("file://%", "URL")] {
            let error = Place::open(text).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn what_is_being_written_is_no_file() {
        for (name, expected) in [("a", false), ("a#1", true), (".a.tmp.3", true), ("a.tmp.3", false)] {
            assert_eq!(is_temporary(name), expected, "{name}");
        }
    }
}
