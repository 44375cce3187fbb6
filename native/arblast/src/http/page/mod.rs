//! The status page: HTML, style, script and icon, part of the program. It loads nothing else and asks nobody but the
//! server that it came from.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use axum::routing::get;

const HTML: &str = include_str!("page.html");
const CSS: &str = include_str!("page.css");
const JS: &str = include_str!("page.js");
const ASK: &str = include_str!("ask.js");
const DRAW: &str = include_str!("draw.js");
const ICON: &str = include_str!("icon.svg");

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Nothing but the files below; no text that comes with data can become a script.
const POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the page is made of. Paths are relative to it, so that it works behind a prefix as well.
pub fn files<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/page.css", get(async || file("text/css; charset=utf-8", CSS)))
        .route("/page.js", get(async || file(SCRIPT, JS)))
        .route("/ask.js", get(async || file(SCRIPT, ASK)))
        .route("/draw.js", get(async || file(SCRIPT, DRAW)))
        .route("/icon.svg", get(async || file("image/svg+xml", ICON)))
}

/// The page itself.
pub fn html() -> Response {
    file("text/html; charset=utf-8", HTML)
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // A newer program has newer files; they are small.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
