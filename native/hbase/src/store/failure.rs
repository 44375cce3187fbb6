//! Errors of the client in the words of stores.

use events::{Error, Kind};

use crate::client::{self, Cause};

/// What the caller can do about it.
pub(crate) fn told(error: client::Error) -> Error {
    let (kind, advice) = match error.cause() {
        Cause::Refused => (Kind::Invalid, ""),
        Cause::Denied => (Kind::Denied, "; grant the user of the URL of the store the right in HBase"),
        Cause::NoTable => (Kind::NotFound, "; it is made together with the app or channel"),
        Cause::Unavailable => (Kind::Unavailable, ""),
        Cause::Protocol => (Kind::Unavailable, "; is the URL of the store that of HBase?"),
    };
    Error::new(kind, format!("HBase: {error}{advice}")).with_source(error)
}

pub(crate) fn invalid(text: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, text)
}
