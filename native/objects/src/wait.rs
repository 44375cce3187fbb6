//! Waiting for stores that are asynchronous, from any thread, and trying again what may pass.

use std::fmt;
use std::future::Future;
use std::sync::LazyLock;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use events::{Error, Kind, Result};
use tokio::runtime::{Builder, Runtime};

use crate::failure::{may_pass, told};

/// How long is tried again what fails and may pass, from the first failure on.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// With what is read: readers have something older to go on with.
    pub read: Duration,
    /// With what is written: longer than a name node is in safe mode after a start.
    pub write: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { read: Duration::from_secs(10), write: Duration::from_secs(60) }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// One for all stores of the process, so that callers may be in a runtime of their own.
static RUNTIME: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(2).thread_name("objects").enable_all().build()
});

/// Whose threads clients use, too.
pub(crate) fn runtime() -> Result<&'static Runtime> {
    RUNTIME
        .as_ref()
        .map_err(|error| Error::new(Kind::Unavailable, format!("no threads for stores of models: {error}")))
}

/// Does `work` until it succeeds, fails for good, or has failed for longer than `patience`. `doing` says what to which file.
pub(crate) fn patiently<T, W, F>(patience: Duration, doing: &str, work: W) -> Result<T>
where
    T: Send + 'static,
    W: Fn() -> F + Send + 'static,
    F: Future<Output = object_store::Result<T>> + Send,
{
    let (sender, receiver) = mpsc::sync_channel(1);
    runtime()?.spawn(async move {
        let _ = sender.send(again(patience, work).await);
    });
    let done = receiver.recv().unwrap_or_else(|_| {
        Err(object_store::Error::Generic { store: "store", source: "a defect of its client".into() })
    });
    done.map_err(|error| told(doing, &error))
}

async fn again<T, W, F>(patience: Duration, work: W) -> object_store::Result<T>
where
    W: Fn() -> F,
    F: Future<Output = object_store::Result<T>>,
{
    let (mut failing, mut pause) = (None, FIRST_PAUSE);
    loop {
        match work().await {
            Err(error)
                if may_pass(&error)
                    && failing.get_or_insert_with(Instant::now).elapsed() + pause < patience =>
            {
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(LAST_PAUSE);
            }
            done => return done,
        }
    }
}

/// A step of some work, or [`Silence`] if it takes longer: Hadoop's client would wait for a frozen machine for ever.
pub(crate) async fn within<T>(
    silence: Duration,
    step: impl Future<Output = object_store::Result<T>>,
) -> object_store::Result<T> {
    tokio::time::timeout(silence, step).await.unwrap_or_else(|_| {
        Err(object_store::Error::Generic { store: "network", source: Box::new(Silence(silence)) })
    })
}

/// Nothing was heard for so long.
#[derive(Debug)]
pub(crate) struct Silence(Duration);

impl fmt::Display for Silence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "no answer for {} s", self.0.as_secs_f64())
    }
}

impl std::error::Error for Silence {}
