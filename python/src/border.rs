//! The choke point: into every native call and out of it.
//!
//! A call works without the GIL. An error becomes an exception by its kind, a panic one that says where. Long work runs on a
//! thread of its own while the caller's looks whether the person at the keyboard still wants it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use arrow_schema::ArrowError;
use engine::{Observer, TrainReport};
use events::Kind;
use pyo3::exceptions::{PyConnectionError, PyLookupError, PyPermissionError, PyRuntimeError, PyValueError};
use pyo3::{PyErr, PyResult, Python, create_exception};

create_exception!(arblast, ArblastError, PyRuntimeError, "A defect of Arblast: please report it.");
create_exception!(arblast, VersionError, ArblastError, "Made by another version: upgrade or train again.");
create_exception!(arblast, CorruptDataError, ArblastError, "Damaged data: restore it or train again.");

/// Why a call has no result.
#[derive(Debug)]
pub struct Fault {
    raised: Raised,
    message: String,
}

/// Result of native work.
pub type Result<T> = std::result::Result<T, Fault>;

/// What Python gets to catch.
#[derive(Debug)]
enum Raised {
    By(Kind),
    /// The system's own error about a file.
    File(std::io::Error),
    /// This process is a fork of the one that made the object.
    Forked,
    /// Somebody asked for an end.
    Stopped,
}

impl Fault {
    /// An error of this kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { raised: Raised::By(kind), message: message.into() }
    }

    /// An argument is wrong.
    pub fn argument(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// The system's error about a file.
    pub fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self { message: format!("{}: {error}", path.display()), raised: Raised::File(error) }
    }

    fn forked(what: &str) -> Self {
        let process = std::process::id();
        let message = format!(
            "{what} before this process ({process}) was forked from it: open the model again here, or start processes by \
             \"spawn\" or \"forkserver\" (multiprocessing.set_start_method)"
        );
        Self { raised: Raised::Forked, message }
    }

    fn of_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("no message");
        Self::new(Kind::Internal, format!("native code panicked: {text}; please report this"))
    }
}

impl From<Fault> for PyErr {
    /// The table of this border.
    fn from(fault: Fault) -> Self {
        let Fault { raised, message } = fault;
        match raised {
            Raised::By(Kind::Invalid) => PyValueError::new_err(message),
            Raised::By(Kind::Denied) => PyPermissionError::new_err(message),
            Raised::By(Kind::NotFound) => PyLookupError::new_err(message),
            Raised::By(Kind::Unavailable) => PyConnectionError::new_err(message),
            Raised::By(Kind::Version) => VersionError::new_err(message),
            Raised::By(Kind::Corrupt) => CorruptDataError::new_err(message),
            Raised::By(Kind::Internal) => ArblastError::new_err(message),
            // FileNotFoundError and its like, with the path.
            Raised::File(error) => std::io::Error::new(error.kind(), message).into(),
            Raised::Forked | Raised::Stopped => PyRuntimeError::new_err(message),
        }
    }
}

impl From<engine::Error> for Fault {
    fn from(error: engine::Error) -> Self {
        let raised = match error {
            engine::Error::Stopped => Raised::Stopped,
            _ => Raised::By(error.kind()),
        };
        let message = match &error {
            engine::Error::Config(problems) => {
                format!("the engine file is wrong: {}", problems.to_string().trim())
            }
            error => error.to_string(),
        };
        Self { raised, message }
    }
}

impl From<events::Error> for Fault {
    fn from(error: events::Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<model::Error> for Fault {
    fn from(error: model::Error) -> Self {
        engine::Error::from(error).into()
    }
}

impl From<cco::Error> for Fault {
    fn from(error: cco::Error) -> Self {
        engine::Error::from(error).into()
    }
}

impl From<ArrowError> for Fault {
    fn from(error: ArrowError) -> Self {
        Self::argument(format!("a table is wrong: {error}"))
    }
}

/// The process that calls were last made from.
static PROCESS: AtomicU32 = AtomicU32::new(0);
/// Calls under way. What another thread was at when the process was forked never ends in the child, so that its locks stay taken there.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// A call under way.
struct Call;

impl Call {
    fn begin() -> Result<Self> {
        let process = std::process::id();
        let before = PROCESS.swap(process, Ordering::Relaxed);
        if before != process && before != 0 && RUNNING.load(Ordering::Relaxed) > 0 {
            PROCESS.store(before, Ordering::Relaxed);
            return Err(Fault::forked("a call was under way in another thread"));
        }
        RUNNING.fetch_add(1, Ordering::Relaxed);
        Ok(Self)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The process that made something which does not survive a fork.
#[derive(Debug, Clone, Copy)]
pub struct Maker(u32);

impl Maker {
    /// This process.
    pub fn here() -> Self {
        Self(std::process::id())
    }

    /// Is it still that one?
    ///
    /// # Errors
    /// It is a fork.
    pub fn check(self, what: &str) -> Result<()> {
        if self.0 == std::process::id() { Ok(()) } else { Err(Fault::forked(what)) }
    }
}

fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| Err(Fault::of_panic(payload.as_ref())))
}

/// Runs work of some milliseconds at most on the caller's thread, without the GIL.
pub fn short<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    let _call = Call::begin()?;
    Ok(py.detach(|| caught(work))?)
}

/// Runs long work on a thread of its own, without the GIL. Ctrl-C, and any other signal whose handler raises, makes it end soon.
pub fn long<T: Send>(py: Python<'_>, work: impl FnOnce(&Stop) -> Result<T> + Send) -> PyResult<T> {
    const LOOK: Duration = Duration::from_millis(50);
    let _call = Call::begin()?;
    let stop = Stop::default();
    let (giver, outcome) = channel();
    std::thread::scope(|scope| {
        let stop = &stop;
        let run = move || {
            // Nobody listens no more only if this function has panicked.
            let _ = giver.send(caught(|| work(stop)));
        };
        let spawned = std::thread::Builder::new().name("arblast".to_owned()).spawn_scoped(scope, run);
        spawned.map_err(|error| Fault::new(Kind::Unavailable, format!("no thread for the work: {error}")))?;
        let mut raised: Option<PyErr> = None;
        let mut outcome = outcome;
        loop {
            let receiver = &mut outcome;
            match py.detach(move || receiver.recv_timeout(LOOK)) {
                Ok(outcome) => return raised.map_or_else(|| Ok(outcome?), Err),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(ArblastError::new_err("the thread of the work is gone; please report this"));
                }
                Err(RecvTimeoutError::Timeout) if raised.is_none() => {
                    raised = py.check_signals().err();
                    stop.0.store(raised.is_some(), Ordering::Relaxed);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    })
}

/// Should the work end?
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// Goes on unless somebody asked for an end.
    ///
    /// # Errors
    /// Somebody did.
    pub fn check(&self) -> Result<()> {
        if self.is_stopped() { Err(engine::Error::Stopped.into()) } else { Ok(()) }
    }
}

impl Observer for Stop {
    fn stage(&self, _: &str, _: u64) {}

    fn progress(&self, _: u64) {}

    fn preflight(&self, _: &TrainReport) {}

    fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
