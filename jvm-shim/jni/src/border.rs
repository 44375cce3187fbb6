//! The choke point: into every native method and out of it.
//!
//! An error becomes an exception by its kind, a panic an exception that says where; neither leaves Rust otherwise.

use std::any::Any;

use events::Kind;
use jni::errors::{Error as JniError, ErrorPolicy, JniError as JniCode, Result as JniResult};
use jni::strings::{JNIStr, JNIString};
use jni::{Env, EnvUnowned, jni_str};

/// Why a native method has no result.
#[derive(Debug)]
pub struct Fault {
    thrown: Thrown,
    message: String,
}

/// Result of a native method.
pub type Result<T> = std::result::Result<T, Fault>;

/// What Java gets to catch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thrown {
    By(Kind),
    /// The object was closed, or is busy.
    State,
    Cancelled,
    /// By the JVM itself, and pending.
    Already,
}

impl Fault {
    /// An error of this kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { thrown: Thrown::By(kind), message: message.into() }
    }

    /// An argument is wrong.
    pub fn argument(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// The object cannot do that now.
    pub fn state(message: impl Into<String>) -> Self {
        Self { thrown: Thrown::State, message: message.into() }
    }

    /// A panic, caught on whichever thread.
    pub fn of_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("no message");
        Self::new(Kind::Internal, format!("native code panicked: {text}; please report this"))
    }

    /// The table of this border.
    fn class(&self) -> Option<&'static JNIStr> {
        Some(match self.thrown {
            Thrown::By(Kind::Invalid) => jni_str!("java/lang/IllegalArgumentException"),
            Thrown::By(Kind::Denied) => jni_str!("java/lang/SecurityException"),
            Thrown::By(Kind::NotFound) => jni_str!("java/util/NoSuchElementException"),
            Thrown::By(Kind::Unavailable) => jni_str!("dev/arblast/UnavailableException"),
            Thrown::By(Kind::Version) => jni_str!("dev/arblast/VersionException"),
            Thrown::By(Kind::Corrupt) => jni_str!("dev/arblast/CorruptDataException"),
            Thrown::By(Kind::Internal) => jni_str!("dev/arblast/ArblastException"),
            Thrown::State => jni_str!("java/lang/IllegalStateException"),
            Thrown::Cancelled => jni_str!("java/util/concurrent/CancellationException"),
            Thrown::Already => return None,
        })
    }
}

impl From<engine::Error> for Fault {
    fn from(error: engine::Error) -> Self {
        let thrown = match error {
            engine::Error::Stopped => Thrown::Cancelled,
            _ => Thrown::By(error.kind()),
        };
        let message = match &error {
            engine::Error::Config(problems) => {
                format!("the engine file is wrong: {}", problems.to_string().trim())
            }
            error => error.to_string(),
        };
        Self { thrown, message }
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

impl From<JniError> for Fault {
    fn from(error: JniError) -> Self {
        match error {
            JniError::JavaException => Self { thrown: Thrown::Already, message: String::new() },
            JniError::JniCall(JniCode::NoMemory) => Self::new(
                Kind::Unavailable,
                "the heap of the JVM has no room: give it more, or use smaller pieces",
            ),
            JniError::NullPtr(what) => Self::argument(format!("null where something is needed: {what}")),
            error => Self::argument(format!("the JVM refuses an argument: {error}")),
        }
    }
}

/// Runs the body of a native method.
pub fn enter<'local, T: Default>(
    mut env: EnvUnowned<'local>,
    body: impl FnOnce(&mut Env<'local>) -> Result<T>,
) -> T {
    env.with_env(body).resolve::<Throw>()
}

/// Errors and panics become exceptions; the value that Java then never sees is the default.
struct Throw;

impl<T: Default> ErrorPolicy<T, Fault> for Throw {
    type Captures<'env: 'method, 'method> = ();

    fn on_error<'env: 'method, 'method>(
        env: &mut Env<'env>,
        _: &mut Self::Captures<'env, 'method>,
        fault: Fault,
    ) -> JniResult<T> {
        throw(env, &fault)
    }

    fn on_panic<'env: 'method, 'method>(
        env: &mut Env<'env>,
        _: &mut Self::Captures<'env, 'method>,
        payload: Box<dyn Any + Send + 'static>,
    ) -> JniResult<T> {
        throw(env, &Fault::of_panic(payload.as_ref()))
    }
}

fn throw<T: Default>(env: &mut Env<'_>, fault: &Fault) -> JniResult<T> {
    raise(env, fault)?;
    Ok(T::default())
}

#[cold]
fn raise(env: &mut Env<'_>, fault: &Fault) -> JniResult<()> {
    if env.exception_check() {
        return Ok(());
    }
    let Some(class) = fault.class() else { return Ok(()) };
    // By the loader of `Native`, whose code is to catch it. By its name alone the class would be looked for in the thread's context
    // class loader first, which may have another class of that name.
    let class = env.find_class(class)?;
    match env.throw_new(&class, JNIString::from(fault.message.as_str())) {
        Ok(()) | Err(JniError::JavaException) => Ok(()),
        Err(error) => Err(error),
    }
}
