//! What goes wrong between us and a database, and what may be done about it before anybody hears of it.

use events::{Error, Kind};

use crate::address::Address;

/// Result of a step on a connection.
pub(crate) type Done<T> = std::result::Result<T, Fault>;

/// A failed step.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) cause: Cause,
    /// Nobody has seen anything of it yet.
    pub(crate) may_repeat: bool,
    error: Error,
}

/// What the store itself can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The connection is gone, and with it the knowledge of whether the last statement took effect.
    Lost,
    /// Others were in the way and nothing took effect: repeat.
    Conflict,
    /// The server takes no writes; another host may.
    Standby,
    /// There is no such table.
    NoTable,
    /// A key is there already.
    Taken,
    /// Nothing.
    Final,
}

impl Fault {
    pub(crate) fn new(cause: Cause, kind: Kind, text: impl Into<String>) -> Self {
        Self { cause, may_repeat: true, error: Error::new(kind, text) }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.error.kind()
    }

    /// The same, of work that has shown something already.
    pub(crate) fn once(self) -> Self {
        Self { may_repeat: false, ..self }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self { cause: Cause::Final, may_repeat: false, error }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        fault.error
    }
}

/// What both products call by different codes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refusal {
    WrongPassword,
    NoRights,
    NoDatabase,
    NoTable,
    Taken,
    Conflict,
    TooManyConnections,
    ReadOnly,
    Full,
    Stopping,
    TooLarge,
    Unfit,
    Other,
}

/// The fault for what the server said.
pub(crate) fn refused(address: &Address, refusal: Refusal, message: &str) -> Fault {
    let (place, product, message) = (address.place(), address.product.name(), one_line(message));
    let (cause, kind, text) = match refusal {
        Refusal::WrongPassword => (
            Cause::Final,
            Kind::Denied,
            format!(
                "{place} refuses the user {} with this password: correct the URL, or the user in {product} ({message})",
                address.user
            ),
        ),
        Refusal::NoRights => (
            Cause::Final,
            Kind::Denied,
            format!("{place} does not let the user {} do that: grant the right ({message})", address.user),
        ),
        Refusal::NoDatabase => (
            Cause::Final,
            Kind::NotFound,
            format!("there is no database {} at {place}: create it, or correct the URL", address.database),
        ),
        Refusal::NoTable => {
            (Cause::NoTable, Kind::NotFound, format!("a table is missing in {place}: {message}"))
        }
        Refusal::Taken => (Cause::Taken, Kind::Invalid, format!("{place}: {message}")),
        Refusal::Conflict => {
            (Cause::Conflict, Kind::Unavailable, format!("{place} is too busy, repeat: {message}"))
        }
        Refusal::TooManyConnections => (
            Cause::Final,
            Kind::Unavailable,
            format!(
                "{place} has no free connection: raise max_connections there, or lower connections= in the URL ({message})"
            ),
        ),
        Refusal::ReadOnly => (
            Cause::Standby,
            Kind::Unavailable,
            format!(
                "{place} takes no writes, as a standby does not: give the URL of the primary server ({message})"
            ),
        ),
        Refusal::Full => (
            Cause::Final,
            Kind::Unavailable,
            format!(
                "{place} has no space left: free some and repeat; nothing of this call was stored ({message})"
            ),
        ),
        Refusal::Stopping => {
            (Cause::Lost, Kind::Unavailable, format!("{place} is starting or stopping: repeat ({message})"))
        }
        Refusal::TooLarge => {
            (Cause::Final, Kind::Invalid, format!("{place} does not take so much at once: {message}"))
        }
        Refusal::Unfit => {
            (Cause::Final, Kind::Invalid, format!("a column in {place} cannot hold that: {message}"))
        }
        Refusal::Other => (Cause::Final, Kind::Internal, format!("{place} failed: {message}")),
    };
    Fault::new(cause, kind, text)
}

/// The server cannot be reached.
pub(crate) fn unreachable(address: &Address, why: &str) -> Fault {
    let text = format!(
        "cannot reach {}: {}; is the server running, and are host and port right?",
        address.place(),
        one_line(why)
    );
    Fault::new(Cause::Final, Kind::Unavailable, text)
}

/// The server lacks what our statements need.
pub(crate) fn too_old(address: &Address, found: &str, needed: &str) -> Fault {
    let (place, product) = (address.place(), address.product.name());
    let text = format!("{place} is {product} {found}, which is too old: {needed} or newer is needed");
    Fault::new(Cause::Final, Kind::Version, text)
}

/// The connection broke.
pub(crate) fn lost(address: &Address, why: &str) -> Fault {
    let text = format!("the connection to {} broke: {}; repeat", address.place(), one_line(why));
    Fault::new(Cause::Lost, Kind::Unavailable, text)
}

/// No secure connection is to be had.
pub(crate) fn no_tls(address: &Address, why: &str) -> Fault {
    let text = format!(
        "{} and TLS: {}; sslmode= in the URL may be disable, prefer, require, verify-ca or verify-full, and sslrootcert= names a file of authorities",
        address.place(),
        one_line(why)
    );
    Fault::new(Cause::Final, Kind::Invalid, text)
}

/// What a table holds cannot be an event.
pub(crate) fn corrupt(what: impl Into<String>) -> Fault {
    Fault::new(Cause::Final, Kind::Corrupt, what)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
