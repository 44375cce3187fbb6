//! Why a request is refused: a status, a message, and perhaps when to try again.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use events::Kind;

use crate::failure::Failure;
use crate::http::ingest::Full;
use crate::http::refused::Refused;
use crate::http::reply;

/// An answer that is no success.
#[derive(Debug)]
pub struct Refusal {
    /// Status of the answer.
    pub status: StatusCode,
    /// Its `message`.
    pub message: String,
}

/// When a client may try again.
const RETRY_AFTER_SECONDS: &str = "1";

impl Refusal {
    /// Of any status.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// 400: the request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 401: no key, or one that is worth nothing.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// 403: the key has not the right.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// The text that old clients know.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found")
    }

    /// 413: more bytes than allowed.
    pub fn too_large(what: &str, bytes_max: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, format!("{what} has more than {bytes_max} bytes"))
    }

    /// The server has more to do than it takes.
    pub fn saturated(what: &str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, format!("{what}; try again later"))
    }
}

impl From<Full> for Refusal {
    fn from(full: Full) -> Self {
        Self::saturated(&full.to_string())
    }
}

/// For what the query server reads in the same way.
impl From<Refusal> for Refused {
    fn from(Refusal { status, message }: Refusal) -> Self {
        Self { status, message }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self::new(refused.status, refused.message)
    }
}

impl From<events::Error> for Refusal {
    fn from(error: events::Error) -> Self {
        Failure::from(error).into()
    }
}

/// What a client can mend is told; what the operator must mend is logged, and the client gets the number of that line.
impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let (status, text) = match failure.kind() {
            Kind::Invalid => return Self::invalid(failure.to_string()),
            Kind::Denied => return Self::unauthorized(failure.to_string()),
            Kind::NotFound => return Self::new(StatusCode::NOT_FOUND, failure.to_string()),
            Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "The event store is not available"),
            Kind::Version | Kind::Corrupt | Kind::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "The server failed")
            }
        };
        let id = getrandom::u64().unwrap_or_default();
        tracing::error!("error {id:016x}: {failure}");
        Self::new(status, format!("{text}; the log of the server says why: error {id:016x}."))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let later = matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let mut response = reply::message(self.status, self.message);
        if later {
            let value = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_what_they_can_mend() {
        let told = [
            (Kind::Invalid, 400, true),
            (Kind::Denied, 401, true),
            (Kind::NotFound, 404, true),
            (Kind::Unavailable, 503, false),
            (Kind::Version, 500, false),
            (Kind::Corrupt, 500, false),
            (Kind::Internal, 500, false),
        ];
        for (kind, status, is_told) in told {
            let refusal = Refusal::from(events::Error::new(kind, "/secret/path"));
            assert_eq!(refusal.status.as_u16(), status, "{kind:?}");
            assert_eq!(refusal.message == "/secret/path", is_told, "{kind:?}");
            assert_eq!(refusal.message.contains("secret"), is_told, "{kind:?}");
            assert_eq!(refusal.message.contains("error "), !is_told, "{kind:?}");
        }
    }

    #[test]
    fn whoever_may_try_again_is_told_when() {
        let retry_after = |status| {
            let response = Refusal::new(status, "x").into_response();
            response.headers().get(header::RETRY_AFTER).is_some()
        };
        assert!(retry_after(StatusCode::TOO_MANY_REQUESTS) && retry_after(StatusCode::SERVICE_UNAVAILABLE));
        assert!(!retry_after(StatusCode::BAD_REQUEST) && !retry_after(StatusCode::INTERNAL_SERVER_ERROR));
    }
}
