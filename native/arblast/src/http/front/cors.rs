//! Cross-origin requests: which web pages may call.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;

use crate::http::reply;
use crate::settings::CorsSettings;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, OPTIONS");
/// What pages may read besides the body.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("x-request-id, retry-after, location, x-arblast-generation, x-arblast-degraded");

/// The rule of a server.
pub(super) struct Cors {
    settings: CorsSettings,
}

impl Cors {
    pub fn new(settings: CorsSettings) -> Self {
        Self { settings }
    }

    /// What the page of this request is to be told, if it may call.
    pub fn allowed(&self, request: &Request) -> Option<HeaderValue> {
        let origin = request.headers().get(header::ORIGIN)?;
        let any = || HeaderValue::from_static("*");
        self.settings.origins.iter().find_map(|allowed| match allowed.as_str() {
            "*" => Some(any()),
            allowed => (allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone()),
        })
    }

    /// The answer to a browser that asks whether it may call; `None` if this is another request, or there is no rule.
    pub fn preflight(&self, request: &Request, allowed: Option<&HeaderValue>) -> Option<Response> {
        let headers = request.headers();
        let asks = request.method() == Method::OPTIONS
            && headers.contains_key(header::ORIGIN)
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || self.settings.origins.is_empty() {
            return None;
        }
        if allowed.is_none() {
            return Some(reply::message(
                StatusCode::FORBIDDEN,
                "pages of this origin may not call; see corsOrigins",
            ));
        }
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NO_CONTENT;
        let answer = response.headers_mut();
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        if let Some(wanted) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, self.settings.seconds.into());
        Some(response)
    }

    /// Completes the headers of any answer.
    pub fn complete(&self, headers: &mut HeaderMap, allowed: Option<HeaderValue>) {
        if self.settings.origins.is_empty() {
            return;
        }
        if !self.settings.origins.iter().any(|origin| origin == "*") {
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
        if let Some(allowed) = allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
}
