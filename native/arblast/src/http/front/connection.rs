//! A connection whose client must get on: with its handshake, its headers, its next request, and with reading answers.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::head::Head;
use crate::settings::Limits;

/// What a connection waits for; shared by the socket and the service of the connection.
#[derive(Clone)]
pub(super) struct Phase(Arc<State>);

struct State {
    now: AtomicU8,
    /// The head of the request says twice, and perhaps differently, where its body ends.
    ambiguous: AtomicBool,
    /// Much of the request's body is left unread.
    unread: AtomicBool,
}

/// How long, and how much, is still read of a client whose request was refused before it was read.
const LINGER_TIME_MAX: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 64 << 20;

/// The rest of a request's headers.
const HEADERS: u8 = 0;
/// The answer.
const ANSWER: u8 = 1;
/// The next request.
const REQUEST: u8 = 2;

impl Phase {
    /// Of a new connection.
    pub fn new() -> Self {
        Self(Arc::new(State {
            now: AtomicU8::new(HEADERS),
            ambiguous: AtomicBool::new(false),
            unread: AtomicBool::new(false),
        }))
    }

    /// A request has come.
    pub fn answering(&self) {
        self.0.now.store(ANSWER, Ordering::Relaxed);
    }

    pub fn is_ambiguous(&self) -> bool {
        self.0.ambiguous.load(Ordering::Relaxed)
    }

    /// A body was given up with much of it still to come.
    pub fn leave_unread(&self) {
        self.0.unread.store(true, Ordering::Relaxed);
    }

    pub fn is_unread(&self) -> bool {
        self.0.unread.load(Ordering::Relaxed)
    }

    /// It is answered when the body of the answer has gone.
    pub fn answered_after(self, body: Body) -> Answer {
        Answer { body, phase: self }
    }
}

/// The body of an answer.
pub(super) struct Answer {
    body: Body,
    phase: Phase,
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.phase.0.now.store(REQUEST, Ordering::Relaxed);
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A moment in the future; the system's timer is only set when something waits for it.
#[derive(Default)]
pub(super) struct Timer {
    end: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    /// Starts, unless it runs already.
    pub fn start(&mut self, time: Duration) {
        self.end.get_or_insert_with(|| Instant::now() + time);
    }

    pub fn clear(&mut self) {
        self.end = None;
    }

    /// Is the time over? If not, the task is woken then.
    pub fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(end) = self.end else { return false };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if sleep.deadline() != end {
            sleep.as_mut().reset(end);
        }
        sleep.as_mut().poll(cx).is_ready()
    }
}

/// A stream that fails when its client takes too long.
pub(super) struct Timed<S> {
    stream: S,
    phase: Phase,
    header_time_max: Duration,
    idle_max: Duration,
    /// The phase that `reading` was started in.
    seen: u8,
    reading: Timer,
    write_time_max: Duration,
    writing: Timer,
    head: Head,
    /// Runs from when the last answer has gone, while the client may still send.
    lingering: Timer,
    passed_over: usize,
}

impl<S> Timed<S> {
    pub fn new(stream: S, phase: Phase, limits: &Limits) -> Self {
        Self {
            stream,
            phase,
            header_time_max: limits.header_time_max,
            idle_max: limits.idle_max,
            seen: ANSWER,
            reading: Timer::default(),
            write_time_max: limits.body_idle_max,
            writing: Timer::default(),
            head: Head::default(),
            lingering: Timer::default(),
            passed_over: 0,
        }
    }

    /// Starts the time of a phase that has begun.
    fn observe(&mut self) {
        let phase = self.phase.0.now.load(Ordering::Relaxed);
        if phase != self.seen {
            self.seen = phase;
            self.reading.clear();
            self.head = Head::default();
        }
        match phase {
            HEADERS => self.reading.start(self.header_time_max),
            REQUEST => self.reading.start(self.idle_max),
            _ => {}
        }
    }

    fn written<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.writing.clear();
            // What is left of the last answer still gets on.
            if self.seen == REQUEST {
                self.reading.clear();
                self.observe();
            }
            return poll;
        }
        self.writing.start(self.write_time_max);
        if self.writing.is_over(cx) { Poll::Ready(Err(too_slow())) } else { Poll::Pending }
    }
}

impl<S: AsyncRead + Unpin> Timed<S> {
    /// Reads for nothing, for a while: to close while the client still sends would take the answer from it.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 16 << 10];
        while self.passed_over < LINGER_BYTES_MAX && !self.lingering.is_over(cx) {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.passed_over += buffer.filled().len();
                }
                Poll::Ready(_) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

fn too_slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client is too slow")
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.observe();
        // Before the read: a client that sends a byte now and then must not get past it.
        if this.seen == HEADERS && this.reading.end.is_some_and(|end| Instant::now() >= end) {
            return Poll::Ready(Err(too_slow()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        match read {
            Poll::Ready(_) => {
                if this.seen == REQUEST && buffer.filled().len() > before {
                    this.phase.0.now.store(HEADERS, Ordering::Relaxed);
                    this.observe();
                }
                if this.seen == HEADERS {
                    this.head.read(buffer.filled().get(before..).unwrap_or_default());
                    this.phase.0.ambiguous.store(this.head.is_ambiguous(), Ordering::Relaxed);
                }
                read
            }
            Poll::Pending if this.seen != ANSWER && this.reading.is_over(cx) => Poll::Ready(Err(too_slow())),
            Poll::Pending => read,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.written(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, pieces);
        this.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        this.observe();
        // Nobody looks for the next request before something wakes the task.
        if this.seen == REQUEST {
            let _ = this.reading.is_over(cx);
        }
        if flushed.is_ready() { flushed } else { this.written(cx, flushed) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.end.is_none() {
            let shut = Pin::new(&mut this.stream).poll_shutdown(cx);
            let shut = this.written(cx, shut);
            let is_broken_head = this.seen == HEADERS && this.head.has_begun();
            if !matches!(shut, Poll::Ready(Ok(()))) || !(this.phase.is_unread() || is_broken_head) {
                return shut;
            }
            this.lingering.start(LINGER_TIME_MAX);
        }
        this.linger(cx).map(Ok)
    }
}
