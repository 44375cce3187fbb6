//! A request that is not granted: its status and why. One form for every route, also within an answer to many queries.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use events::json::Object;

use super::ingest::Full;
use super::reply;
use crate::failure::Failure;

/// Seconds after which a client may try again what there was no room for.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// A refused request.
#[derive(Debug)]
pub struct Refused {
    /// Of the answer.
    pub status: StatusCode,
    /// What was wrong, and what would be right.
    pub message: String,
}

impl Refused {
    /// A refusal with `status`.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// There is no room now.
    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// `{"status": …, "message": …}`: its place in an answer to many queries.
    pub fn described(&self) -> Object {
        Object::new().with("status", u32::from(self.status.as_u16())).with("message", self.message.as_str())
    }
}

impl From<Full> for Refused {
    fn from(full: Full) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, format!("{full}; try again later"))
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::new(reply::status(failure.kind()), failure.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = reply::message(self.status, self.message);
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }
}
