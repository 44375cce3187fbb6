//! Serving: the current generation, followed without a restart.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};
use std::time::{Duration, Instant};

use events::{Error, Kind, Result};
use model::Model;

use super::{ModelDirectory, ModelInfo};

/// How often the pointer is looked at, at most.
const CHECK_INTERVAL_MS: u64 = 100;
/// How often a shared place is asked for a new generation.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// One opened generation. A query holds one from beginning to end, and so never mixes two.
#[derive(Debug)]
pub struct Generation {
    /// Its number.
    pub number: u64,
    /// Where and when it was trained.
    pub info: ModelInfo,
    /// The model.
    pub model: Model,
}

/// Gives the current generation to any number of threads. A new one is opened and checked by whichever caller meets it
/// first, while the others go on with the old. If it is damaged, the old one serves on, and [`refused`](Self::refused)
/// says so.
#[derive(Debug)]
pub struct ModelReader {
    directory: ModelDirectory,
    current: RwLock<Arc<Generation>>,
    refusal: Mutex<Option<Refusal>>,
    /// Held by the one who opens a new generation.
    refreshing: Mutex<()>,
    /// Monotonic time, only to limit how often the disk is asked.
    born: Instant,
    checked_ms: AtomicU64,
    following: Option<Following>,
}

/// Brings new generations here from a shared place, beside everything else, as it may take long. Its thread ends with it.
#[derive(Debug)]
struct Following {
    _stop: mpsc::Sender<()>,
    failure: Arc<Mutex<Option<Arc<Error>>>>,
}

impl Following {
    /// `failure`: that of the first look.
    fn start(directory: ModelDirectory, failure: Option<Error>) -> Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let failure = Arc::new(Mutex::new(failure.map(Arc::new)));
        let told = Arc::clone(&failure);
        let follow = move || {
            while stopped.recv_timeout(FOLLOW_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let failure = directory.follow(false).err().map(Arc::new);
                *told.lock().unwrap_or_else(PoisonError::into_inner) = failure;
            }
        };
        let thread = std::thread::Builder::new().name("shared models".to_owned()).spawn(follow);
        let no_thread = |error| {
            Error::new(Kind::Unavailable, format!("cannot start a thread that follows models: {error}"))
        };
        thread.map(|_| Self { _stop: stop, failure }).map_err(no_thread)
    }

    fn failure(&self) -> Option<Arc<Error>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A generation that could not be opened.
#[derive(Debug)]
struct Refusal {
    /// `None`: the pointer itself could not be read.
    generation: Option<u64>,
    error: Arc<Error>,
}

impl Refusal {
    fn new(generation: Option<u64>, error: Error) -> Self {
        Self { generation, error: Arc::new(error) }
    }
}

impl ModelReader {
    pub(super) fn open(directory: ModelDirectory) -> Result<Self> {
        // A copy serves while the shared place does not answer.
        let failure = match directory.follow(true) {
            Err(error) if error.kind() == Kind::Unavailable && directory.has_copy() => Some(error),
            followed => followed.map(|()| None)?,
        };
        let current = Arc::new(open_current(&directory)?);
        let following = directory.shared.is_some().then(|| Following::start(directory.clone(), failure));
        Ok(Self {
            following: following.transpose()?,
            directory,
            current: RwLock::new(current),
            refusal: Mutex::new(None),
            refreshing: Mutex::new(()),
            born: Instant::now(),
            checked_ms: AtomicU64::new(0),
        })
    }

    /// The current generation; at most a fraction of a second old.
    pub fn current(&self) -> Arc<Generation> {
        let now_ms = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        let checked_ms = self.checked_ms.load(Ordering::Relaxed);
        let due = now_ms >= checked_ms.saturating_add(CHECK_INTERVAL_MS);
        let swap =
            |from, to| self.checked_ms.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
        // One caller goes and looks.
        if due && swap(checked_ms, now_ms).is_ok() {
            self.refresh();
        }
        self.held()
    }

    /// Looks at the pointer now, and follows it. For a server that would rather do this beside its queries than in one.
    pub fn refresh(&self) {
        let _refreshing = match self.refreshing.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let refusal = match self.directory.files.current() {
            Err(error) => Some(Refusal::new(None, error)),
            Ok(None) => Some(Refusal::new(None, never_trained(&self.directory))),
            Ok(Some(generation)) if generation == self.held().number => None,
            Ok(Some(generation)) if self.is_refused(generation) => return,
            Ok(Some(generation)) => match self.directory.open_here(generation) {
                Err(error) => Some(Refusal::new(Some(generation), error)),
                Ok(opened) => {
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(opened);
                    None
                }
            },
        };
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }

    /// Was it tried, and would it be the same again?
    fn is_refused(&self, generation: u64) -> bool {
        let refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |refusal: &Refusal| refusal.generation == Some(generation);
        refusal.as_ref().is_some_and(|refusal| same(refusal) && refusal.error.kind() != Kind::Unavailable)
    }

    /// Why the generation that should serve does not, if so; the one before it serves meanwhile.
    pub fn refused(&self) -> Option<Arc<Error>> {
        if let Some(failure) = self.following.as_ref().and_then(Following::failure) {
            return Some(failure);
        }
        let refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        refusal.as_ref().map(|refusal| Arc::clone(&refusal.error))
    }

    /// The generation that was current when somebody last looked, without looking.
    pub fn held(&self) -> Arc<Generation> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The pointer may move on, and the generation be removed, between reading the one and opening the other.
fn open_current(directory: &ModelDirectory) -> Result<Generation> {
    let mut last = None;
    loop {
        let number = directory.files.current()?.ok_or_else(|| never_trained(directory))?;
        match directory.open_here(number) {
            Err(_) if last != Some(number) => last = Some(number),
            opened => return opened,
        }
    }
}

pub(super) fn never_trained(directory: &ModelDirectory) -> Error {
    Error::new(Kind::NotFound, format!("engine {} has no model yet: train it first", directory.engine))
}
