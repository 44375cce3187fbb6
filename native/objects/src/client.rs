//! The client of a store, and another in its place if it hears nothing any more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use events::Result;
use object_store::ObjectStore;
use url::Url;

use crate::Options;
use crate::failure::is_silence;
use crate::hadoop;
use crate::store::store;

const PARTS_AT_ONCE: usize = 4;

#[derive(Debug)]
pub(crate) struct Client {
    url: Url,
    options: Vec<(String, String)>,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    store: Arc<dyn ObjectStore>,
    /// How many were replaced.
    replaced: usize,
}

impl Client {
    pub(crate) fn open(url: Url, options: Options<'_>) -> Result<Self> {
        let current = Current { store: store(&url, options)?, replaced: 0 };
        Ok(Self { url, options: options.to_vec(), current: Mutex::new(current) })
    }

    pub(crate) fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner).store)
    }

    fn is_hadoop(&self) -> bool {
        self.url.scheme() == "hdfs"
    }

    /// How long a step may take. S3's client has limits of its own.
    pub(crate) fn silence(&self, silence: Duration) -> Duration {
        if self.is_hadoop() { silence } else { Duration::MAX }
    }

    /// A file of Hadoop's is written in a row, and the first part that fails knows why.
    pub(crate) fn parts_at_once(&self) -> usize {
        if self.is_hadoop() { 1 } else { PARTS_AT_ONCE }
    }

    /// Learns how it went with `used`. Hadoop's client holds on to a name node that is frozen or cut off: a new one begins with the
    /// next of the name service.
    pub(crate) fn hear<T>(&self, used: &Arc<dyn ObjectStore>, done: &object_store::Result<T>) {
        if !self.is_hadoop() || !done.as_ref().err().is_some_and(is_silence) {
            return;
        }
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&current.store, used) {
            return;
        }
        let replaced = current.replaced + 1;
        let mut options = self.options.clone();
        options.extend(hadoop::name_nodes_from(&self.url, &self.options, replaced));
        if let Ok(store) = store(&self.url, &options) {
            *current = Current { store, replaced };
        }
    }
}
