//! Names of requests, for log lines of several programs to be put together.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderName, HeaderValue};

/// The header that carries it, in requests and answers.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const LENGTH_MAX: usize = 64;

/// Makes ids that no other process makes, as far as chance goes.
pub(super) struct RequestIds {
    next: AtomicU64,
}

impl RequestIds {
    pub fn new() -> Self {
        let mut seed = [0; 8];
        // Without a random source the ids still differ within the process.
        let _ = getrandom::fill(&mut seed);
        Self { next: AtomicU64::new(u64::from_le_bytes(seed)) }
    }

    /// The client's own if it is short and plain, else a new one.
    pub fn choose(&self, given: Option<&HeaderValue>) -> HeaderValue {
        let is_plain = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            (1..=LENGTH_MAX).contains(&bytes.len())
                && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
        };
        if let Some(given) = given.filter(is_plain) {
            return given.clone();
        }
        // An odd step visits all numbers, and neighbours look different.
        let number = self.next.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        HeaderValue::try_from(format!("{number:016x}")).unwrap_or(HeaderValue::from_static("none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sane_ids_are_kept_and_others_replaced() {
        let ids = RequestIds::new();
        let choose = |given: &[u8]| ids.choose(HeaderValue::from_bytes(given).ok().as_ref());
        assert_eq!(choose(b"3f2a-B.c_9"), "3f2a-B.c_9");
        for bad in [&b""[..], b"a b", b"a\"b", "ä".as_bytes(), &[b'x'; 65]] {
            assert_eq!(choose(bad).len(), 16, "{bad:?}");
        }
        assert_ne!(choose(b""), choose(b""));
    }
}
