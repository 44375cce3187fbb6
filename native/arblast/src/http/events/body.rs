//! Bodies of requests: what they claim to be, and their bytes within limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};

use super::gzip;
use super::refusal::Refusal;
use crate::http::front::read_body;

/// Media types of one JSON text.
pub const JSON: &[&str] = &["application/json"];

/// Media types of a stream of JSON lines.
pub const NDJSON: &[&str] = &[
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/json",
    "application/octet-stream",
    "text/plain",
];

/// 415 unless the body claims to be one of `types`, or nothing.
pub fn check_type(headers: &HeaderMap, types: &[&str]) -> Result<(), Refusal> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let named = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if types.iter().any(|allowed| named.eq_ignore_ascii_case(allowed)) {
        return Ok(());
    }
    let wanted = types.first().copied().unwrap_or_default();
    Err(unsupported(format!("the Content-Type must be {wanted}")))
}

/// Is the body compressed? 415 if it is by something else than gzip.
pub fn is_gzip(headers: &HeaderMap) -> Result<bool, Refusal> {
    let value = text_of(headers, &CONTENT_ENCODING);
    if ["", "identity"].iter().any(|plain| value.eq_ignore_ascii_case(plain)) {
        return Ok(false);
    }
    if ["gzip", "x-gzip"].iter().any(|gzip| value.eq_ignore_ascii_case(gzip)) {
        return Ok(true);
    }
    Err(unsupported("the Content-Encoding must be gzip or absent"))
}

fn unsupported(text: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim()
}

/// Bytes of bodies that may be in memory at the same time.
pub struct Budget {
    bytes_max: usize,
    used: AtomicUsize,
}

impl Budget {
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, used: AtomicUsize::new(0) }
    }
}

/// A part of a [`Budget`], given back when dropped.
pub struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Charge {
    fn new(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), bytes: 0 }
    }

    fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let used = self.budget.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        if used.saturating_add(bytes) > self.budget.bytes_max {
            return Err(Refusal::saturated("the server has its memory full of requests"));
        }
        Ok(())
    }

    fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes -= bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

/// A body as it came.
pub struct Received {
    bytes: Bytes,
    is_gzip: bool,
    bytes_max: usize,
    charge: Charge,
}

/// A body in plain; its bytes count until it is dropped.
pub struct Plain {
    pub bytes: Bytes,
    _charge: Charge,
}

/// Receives a body of at most `bytes_max` bytes: 413 if it has more, 408 if it pauses too long, 400 if it has none or
/// breaks off. Refusals come at once; the front sees to it that a client that still sends comes to read them.
pub async fn receive(
    budget: &Arc<Budget>,
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Received, Refusal> {
    let is_gzip = is_gzip(headers)?;
    let mut charge = Charge::new(budget);
    let bytes = read_body(body, bytes_max, |bytes| charge.grow(bytes)).await?;
    if bytes.is_empty() { Err(empty()) } else { Ok(Received { bytes, is_gzip, bytes_max, charge }) }
}

fn empty() -> Refusal {
    Refusal::invalid("the body is empty")
}

impl Received {
    /// Is it so much that it had better be read on another thread?
    pub fn is_large(&self) -> bool {
        self.is_gzip || self.bytes.len() > 64 << 10
    }

    /// The text of the body: inflated, if it is compressed.
    pub fn plain(mut self) -> Result<Plain, Refusal> {
        if !self.is_gzip {
            return Ok(Plain { bytes: self.bytes, _charge: self.charge });
        }
        self.charge.grow(self.bytes_max)?;
        let text = gzip::inflate(&self.bytes, "the body", self.bytes_max)?;
        self.charge.shrink(self.bytes_max - text.len() + self.bytes.len());
        if text.is_empty() {
            return Err(empty());
        }
        Ok(Plain { bytes: text.into(), _charge: self.charge })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_share_the_memory_there_is() {
        let budget = Arc::new(Budget::new(100));
        let receive = async |length: usize| {
            receive(&budget, &HeaderMap::new(), Body::from(vec![b'x'; length]), 80).await
        };
        let first = receive(60).await.ok().and_then(|received| received.plain().ok()).unwrap();
        let status =
            |refused: Result<Received, Refusal>| refused.err().map(|refusal| refusal.status.as_u16());
        assert_eq!(status(receive(50).await), Some(429));
        assert_eq!(status(receive(81).await), Some(413));
        assert_eq!(status(receive(0).await), Some(400));
        assert_eq!(budget.used.load(Ordering::Relaxed), 60, "what was refused does not count");
        assert!(receive(40).await.is_ok());
        drop(first);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
        assert!(receive(80).await.is_ok());
    }
}
