//! The files of models in a folder of a store.

use std::fs::File;
use std::io::{Read, Write};
use std::ops::Range;
use std::path::{Path as LocalPath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use events::{Error, Kind, Result};
use futures::TryStreamExt;
use futures::stream::FuturesUnordered;
use object_store::path::{Path, PathPart};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use stores::{Object, Objects};
use url::Url;

use crate::Options;
use crate::client::Client;
use crate::failure::is_missing;
use crate::store::invalid;
use crate::wait::{Patience, patiently, within};

/// Larger files travel in parts of this size; S3 wants at least 5 MiB.
const PART_BYTES: u64 = 8 << 20;
const READ_SILENCE: Duration = Duration::from_secs(5);
/// Hadoop's client waits 15 s for the data nodes to report what was written.
const WRITE_SILENCE: Duration = Duration::from_secs(20);

/// A folder of a store.
#[derive(Debug)]
pub(crate) struct Remote {
    client: Arc<Client>,
    /// Scheme and host.
    root: String,
    folder: Path,
    patience: Patience,
}

/// How long a step may take, and how long is tried again.
#[derive(Clone, Copy)]
struct Limits {
    silence: Duration,
    patience: Duration,
}

/// What an attempt has to work with.
struct Attempt {
    store: Arc<dyn ObjectStore>,
    path: Path,
    /// How long a step may take.
    silence: Duration,
    parts_at_once: usize,
}

impl Remote {
    pub(crate) fn open(text: &str, options: Options<'_>, patience: Patience) -> Result<Self> {
        // It may hold a password: it is not shown.
        let url =
            Url::parse(text).map_err(|error| invalid(format!("the URL of the store is none: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid(format!(
                "{}://: keys do not belong into the URL; S3's are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                url.scheme()
            )));
        }
        let root = url[..url::Position::BeforePath].to_owned();
        let folder = Path::from_url_path(url.path())
            .map_err(|error| invalid(format!("{root}: not a path: {error}")))?;
        let client = Arc::new(Client::open(url, options)?);
        Ok(Self { client, root, folder, patience })
    }

    fn path(&self, name: &str) -> Path {
        let part = |part| PathPart::parse(part).unwrap_or_else(|_| PathPart::from(part));
        Path::from_iter(self.folder.parts().chain(name.split('/').map(part)))
    }

    fn reads(&self) -> Limits {
        let patience = self.patience.read;
        Limits { silence: READ_SILENCE.min(patience / 2), patience }
    }

    fn writes(&self) -> Limits {
        let patience = self.patience.write;
        Limits { silence: WRITE_SILENCE.min(patience / 2), patience }
    }

    /// Does `work` with a file, as often as it takes.
    fn run<T: Send + 'static, F>(
        &self,
        limits: Limits,
        verb: &str,
        name: &str,
        work: impl Fn(Attempt) -> F + Send + 'static,
    ) -> Result<T>
    where
        F: Future<Output = object_store::Result<T>> + Send,
    {
        let (client, path) = (Arc::clone(&self.client), self.path(name));
        let doing = format!("{verb} {}/{path}", self.root);
        patiently(limits.patience, &doing, move || {
            let (client, store) = (Arc::clone(&client), client.store());
            let (silence, parts_at_once) = (client.silence(limits.silence), client.parts_at_once());
            let done =
                work(Attempt { store: Arc::clone(&store), path: path.clone(), silence, parts_at_once });
            async move {
                let done = done.await;
                client.hear(&store, &done);
                done
            }
        })
    }

    /// The same in one step.
    fn step<T: Send + 'static, F>(
        &self,
        limits: Limits,
        verb: &str,
        name: &str,
        work: impl Fn(Arc<dyn ObjectStore>, Path) -> F + Send + 'static,
    ) -> Result<T>
    where
        F: Future<Output = object_store::Result<T>> + Send,
    {
        self.run(limits, verb, name, move |attempt| {
            within(attempt.silence, work(attempt.store, attempt.path))
        })
    }

    fn object(&self, meta: &ObjectMeta) -> Option<Object> {
        let parts: Vec<String> =
            meta.location.prefix_match(&self.folder)?.map(|part| part.as_ref().to_owned()).collect();
        let modified_ms = meta.last_modified.timestamp_millis();
        Some(Object { name: parts.join("/"), bytes: meta.size, modified_ms })
    }
}

impl Objects for Remote {
    fn place(&self) -> String {
        format!("{}/{}", self.root, self.folder)
    }

    fn patient(&self) -> Option<Arc<dyn Objects>> {
        let (client, root, folder) = (Arc::clone(&self.client), self.root.clone(), self.folder.clone());
        let patience = Patience { read: self.patience.write, ..self.patience };
        Some(Arc::new(Self { client, root, folder, patience }))
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.step(self.reads(), "read", name, async |store, path| {
            loop {
                let Some(found) = if_there(store.get(&path).await)? else { return Ok(None) };
                let tag = found.meta.e_tag.clone();
                let Some(content) = if_there(found.bytes().await)? else { continue };
                // Hadoop's client asks for the size and for the content by name: a file may be replaced in between.
                if if_there(store.head(&path).await)?.is_some_and(|meta| meta.e_tag == tag) {
                    return Ok(Some(content.to_vec()));
                }
            }
        })
    }

    fn create(&self, name: &str, content: &[u8]) -> Result<bool> {
        let content = Bytes::copy_from_slice(content);
        self.step(self.writes(), "write", name, move |store, path| {
            let payload = PutPayload::from(content.clone());
            async move {
                match store.put_opts(&path, payload, PutMode::Create.into()).await {
                    Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
                    put => put.map(|_| true),
                }
            }
        })
    }

    fn put(&self, name: &str, content: &[u8]) -> Result<()> {
        let content = Bytes::copy_from_slice(content);
        self.step(self.writes(), "write", name, move |store, path| {
            let payload = PutPayload::from(content.clone());
            async move { store.put(&path, payload).await.map(drop) }
        })
    }

    fn upload(&self, name: &str, from: &LocalPath) -> Result<()> {
        let from = from.to_owned();
        // What is wrong here is no matter of the store's.
        File::open(&from).map_err(|error| of_file("read", &from, &error))?;
        self.run(self.writes(), "write", name, move |attempt| upload(attempt, from.clone()))
    }

    fn download(&self, name: &str, to: &mut File) -> Result<bool> {
        let failed = |error: std::io::Error| {
            Error::new(Kind::Unavailable, format!("cannot write a copy of {name}: {error}"))
        };
        let read = self.reads();
        let bytes = self.step(read, "read", name, async |store, path| {
            Ok(if_there(store.head(&path).await)?.map(|meta| meta.size))
        })?;
        let Some(bytes) = bytes else { return Ok(false) };
        // Each part by itself: what fails is tried again from there.
        for begin in (0..bytes).step_by(usize::try_from(PART_BYTES).unwrap_or(usize::MAX)) {
            let range: Range<u64> = begin..bytes.min(begin + PART_BYTES);
            let part = self.step(read, "read", name, move |store, path| {
                let range = range.clone();
                async move { store.get_range(&path, range).await }
            })?;
            to.write_all(&part).map_err(failed)?;
        }
        Ok(true)
    }

    fn list(&self, folder: &str) -> Result<Vec<Object>> {
        let found: Vec<ObjectMeta> = self.step(self.reads(), "list", folder, |store, path| async move {
            Ok(if_there(store.list(Some(&path)).try_collect().await)?.unwrap_or_default())
        })?;
        let mut objects: Vec<Object> = found.iter().filter_map(|meta| self.object(meta)).collect();
        objects.sort_unstable();
        Ok(objects)
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.step(self.writes(), "remove", name, remove)
    }
}

async fn upload(attempt: Attempt, from: PathBuf) -> object_store::Result<()> {
    let Attempt { store, path, silence, parts_at_once } = attempt;
    let file = File::open(&from).map_err(local)?;
    let first = next_part(&file)?;
    if (first.len() as u64) < PART_BYTES {
        return within(silence, store.put(&path, first.into())).await.map(drop);
    }
    let mut writer = within(silence, store.put_multipart(&path)).await?;
    let parts = async {
        let (mut part, mut on_their_way) = (first, FuturesUnordered::new());
        while !part.is_empty() {
            on_their_way.push(writer.put_part(part.into()));
            if on_their_way.len() >= parts_at_once {
                within(silence, on_their_way.try_next()).await?;
            }
            part = next_part(&file)?;
        }
        while within(silence, on_their_way.try_next()).await?.is_some() {}
        within(silence, writer.complete()).await
    };
    let written = parts.await;
    if written.is_err() {
        // What it leaves behind goes with other left-overs.
        let _ = within(silence, writer.abort()).await;
    }
    written.map(drop)
}

/// As much as there is of the next part.
fn next_part(mut file: &File) -> object_store::Result<Vec<u8>> {
    let mut part = Vec::new();
    (&mut file).take(PART_BYTES).read_to_end(&mut part).map_err(local)?;
    Ok(part)
}

/// A file, or a folder from the inside out: a file system removes none that has something in it.
async fn remove(store: Arc<dyn ObjectStore>, path: Path) -> object_store::Result<()> {
    if let Some(inside) = if_there(store.list_with_delimiter(Some(&path)).await)? {
        for meta in inside.objects {
            if_there(store.delete(&meta.location).await)?;
        }
        for folder in inside.common_prefixes {
            Box::pin(remove(Arc::clone(&store), folder)).await?;
        }
    }
    if_there(store.delete(&path).await).map(drop)
}

fn if_there<T>(done: object_store::Result<T>) -> object_store::Result<Option<T>> {
    match done {
        Err(error) if is_missing(&error) => Ok(None),
        done => done.map(Some),
    }
}

/// Of the local file: it will not pass.
fn local(error: std::io::Error) -> object_store::Error {
    object_store::Error::Generic { store: "this machine", source: Box::new(error) }
}

fn of_file(verb: &str, path: &LocalPath, error: &std::io::Error) -> Error {
    Error::new(Kind::Unavailable, format!("cannot {verb} {}: {error}", path.display()))
}
