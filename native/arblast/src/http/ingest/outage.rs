//! When the store takes no events: its operator is told once, every client what to do, and `/ready` until it is over.

use std::fmt;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use events::{Error, EventStore, Kind};

use crate::failure::{Failure, Result};

/// Between two looks whether the store takes events again.
const LOOK: Duration = Duration::from_secs(1);

/// Whether the store takes events.
pub struct Outage {
    store: Arc<dyn EventStore>,
    current: Mutex<Option<Trouble>>,
}

/// Why it does not: without paths, since clients read it.
#[derive(Clone, Copy)]
struct Trouble {
    /// Of the line in the log.
    id: u64,
    reason: &'static str,
}

impl Outage {
    pub fn new(store: Arc<dyn EventStore>) -> Arc<Self> {
        Arc::new(Self { store, current: Mutex::new(None) })
    }

    /// Looks at the outcome of a write.
    pub fn observe<T>(self: &Arc<Self>, outcome: events::Result<T>) -> events::Result<T> {
        if let Err(error) = &outcome
            && error.kind() == Kind::Unavailable
        {
            self.begin(error);
        }
        outcome
    }

    /// What the client of a failed write is told, if this is why it failed.
    pub fn told(&self, error: &Error) -> Option<String> {
        let current = self.current().filter(|_| error.kind() == Kind::Unavailable);
        current.map(|trouble| trouble.to_string())
    }

    /// Does the store take events, as far as is known?
    pub fn check(&self) -> Result<()> {
        match *self.current() {
            None => Ok(()),
            Some(trouble) => Err(Failure::new(Kind::Unavailable, trouble.to_string())),
        }
    }

    fn begin(self: &Arc<Self>, error: &Error) {
        let mut current = self.current();
        if current.is_some() {
            return;
        }
        let trouble = Trouble { id: getrandom::u64().unwrap_or_default(), reason: reason(error) };
        let own = Arc::downgrade(self);
        // without the thread nobody would notice the end: better a line for each request then
        if std::thread::Builder::new().name("outage".to_owned()).spawn(move || watch(&own)).is_ok() {
            *current = Some(trouble);
        }
        drop(current);
        let id = trouble.id;
        tracing::error!("error {id:016x}: events are refused until the store takes them again: {error}");
    }

    /// Gives whether it is over.
    fn look(&self) -> bool {
        if self.store.check_writable().is_err() {
            return false;
        }
        if let Some(trouble) = self.current().take() {
            tracing::info!("the store takes events again (error {:016x})", trouble.id);
        }
        true
    }

    /// The state is valid between any two statements, so a panicked holder does no harm.
    fn current(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until it is over, or the server is.
fn watch(outage: &Weak<Outage>) {
    loop {
        std::thread::sleep(LOOK);
        if outage.upgrade().is_none_or(|outage| outage.look()) {
            return;
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, reason } = self;
        write!(
            formatter,
            "The event store takes no events: {reason}. What was not acknowledged is not stored; send it again later. \
             The log of the server has more: error {id:016x}."
        )
    }
}

/// What the operating system said, in words that tell what to do.
fn reason(error: &Error) -> &'static str {
    const EIO: i32 = 5;
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                    "its disk is full, and its operator must free space"
                }
                ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
                    "it may not write to its disk, and its operator must allow it"
                }
                // also of a write that a full disk cut short
                _ if error.raw_os_error() == Some(EIO) => {
                    "its disk is full or failing, and its operator must free space or replace it"
                }
                _ => "its disk cannot be used, and its operator must look after it",
            };
        }
        cause = error.source();
    }
    "it is not available, and its operator must look after it"
}
