//! Bodies of requests: pieces are awaited for a limited time, and a whole body has a limit of bytes.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::StatusCode;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use super::connection::{Phase, Timer};
use crate::http::refused::Refused;

/// Reads a body of at most `bytes_max` bytes; one that comes in one piece is not copied. Of each piece `account` is told
/// the bytes, before it is kept.
///
/// # Errors
/// 413 it is longer (then no more of it is read), those of [`next_piece`], and those of `account`.
pub async fn read_body<E: From<Refused>>(
    mut body: Body,
    bytes_max: usize,
    mut account: impl FnMut(usize) -> Result<(), E>,
) -> Result<Bytes, E> {
    let too_long = || {
        let text = format!("the body has more than {bytes_max} bytes");
        E::from(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, text))
    };
    let told = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if told > bytes_max {
        return Err(too_long());
    }
    let mut whole: Option<Bytes> = None;
    let mut pieces = Vec::new();
    while let Some(piece) = next_piece(&mut body).await? {
        if piece.len() + pieces.len() + whole.as_ref().map_or(0, Bytes::len) > bytes_max {
            return Err(too_long());
        }
        account(piece.len())?;
        match whole.take() {
            None if pieces.is_empty() => whole = Some(piece),
            first => {
                pieces.extend_from_slice(&first.unwrap_or_default());
                pieces.extend_from_slice(&piece);
            }
        }
    }
    Ok(whole.unwrap_or_else(|| pieces.into()))
}

/// The next bytes of a body; `None` at its end.
///
/// # Errors
/// 408 the client pauses too long, 400 it went away.
pub async fn next_piece(body: &mut Body) -> Result<Option<Bytes>, Refused> {
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        // trailers are passed over
        if let Ok(bytes) = frame.map_err(|error| broken_off(&error))?.into_data() {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

fn broken_off(error: &axum::Error) -> Refused {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        let error_of_io = error.downcast_ref::<io::Error>();
        if error_of_io.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return Refused::new(StatusCode::REQUEST_TIMEOUT, error.to_string());
        }
        cause = error.source();
    }
    Refused::new(StatusCode::BAD_REQUEST, format!("the body broke off: {error}"))
}

/// The rest of a body that may simply be read when nobody wants it.
const SMALL_REST_BYTES: u64 = 64 << 10;

/// A body as it comes; tells `phase` if it is dropped with much of it still to come.
pub(super) fn observed(body: Incoming, phase: Phase) -> Body {
    if body.is_end_stream() { Body::empty() } else { Body::new(Observed { body, phase, has_ended: false }) }
}

struct Observed {
    body: Incoming,
    phase: Phase,
    has_ended: bool,
}

impl Drop for Observed {
    fn drop(&mut self) {
        let rest = self.body.size_hint().upper();
        if !self.has_ended && rest.is_none_or(|rest| rest > SMALL_REST_BYTES) {
            self.phase.leave_unread();
        }
    }
}

impl HttpBody for Observed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        this.has_ended |= matches!(polled, Poll::Ready(None | Some(Err(_))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body whose reader gets an error when the next piece takes longer than a limit.
pub(super) fn limited(body: Body, idle_max: Duration) -> Body {
    if body.is_end_stream() { body } else { Body::new(Limited { body, idle_max, timer: Timer::default() }) }
}

struct Limited {
    body: Body,
    idle_max: Duration,
    timer: Timer,
}

impl HttpBody for Limited {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.timer.clear();
            return Poll::Ready(frame);
        }
        this.timer.start(this.idle_max);
        if this.timer.is_over(cx) {
            let text = format!("the body pauses longer than {} s", this.idle_max.as_secs());
            return Poll::Ready(Some(Err(axum::Error::new(io::Error::new(io::ErrorKind::TimedOut, text)))));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
