//! Answers that are written while the store is read: an array of events of any length in little memory.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use events::{EventFilter, Scope, Visit};
use http_body::Frame;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;

use super::EventServer;
use super::refusal::Refusal;
use crate::http::reply;

/// Text that is sent at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Chunks that wait for the client.
const CHUNKS_MAX: usize = 2;

/// A client that takes nothing for so long keeps a thread and a state of the store for nothing.
const STALL_SECONDS_MAX: u64 = 30;

/// What the reading thread says.
enum Chunk {
    More(String),
    Last(String),
    Failed(Refusal),
}

/// What to answer when no event matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfNone {
    NotFound,
    EmptyArray,
}

impl EventServer {
    /// The matching events as a JSON array.
    pub async fn stream(
        &self,
        scope: Scope,
        filter: EventFilter,
        if_none: IfNone,
    ) -> Result<Response, Refusal> {
        let store = Arc::clone(&self.store);
        let write = move |out: &mut Writer| out.array(|visit| store.find(scope, &filter, visit)).map(|_| ());
        self.written(if_none, write).await
    }

    /// What `write` writes.
    pub async fn written(
        &self,
        if_none: IfNone,
        write: impl FnOnce(&mut Writer) -> events::Result<()> + Send + 'static,
    ) -> Result<Response, Refusal> {
        let permit = self.read_permit()?;
        let (sender, mut chunks) = channel(CHUNKS_MAX);
        let client = Handle::current();
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            Writer { sender, client, text: String::new(), is_lost: false }.run(write);
        });
        match chunks.recv().await {
            None if if_none == IfNone::NotFound => Err(Refusal::not_found()),
            None => Ok(reply::json(StatusCode::OK, "[]".to_owned())),
            Some(Chunk::Last(text)) => Ok(reply::json(StatusCode::OK, text)),
            Some(Chunk::Failed(refusal)) => Err(refusal),
            Some(Chunk::More(first)) => {
                let mut response =
                    Response::new(Body::new(Chunks { first: Some(first), chunks, is_whole: false }));
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(header::CONTENT_TYPE, json);
                Ok(response)
            }
        }
    }
}

/// Writes an answer on the reading thread.
pub struct Writer {
    sender: Sender<Chunk>,
    client: Handle,
    /// What was not sent yet.
    text: String,
    is_lost: bool,
}

impl Writer {
    /// Sends nothing if nothing is written.
    fn run(mut self, write: impl FnOnce(&mut Self) -> events::Result<()>) {
        let written = write(&mut self);
        if self.is_lost {
            return;
        }
        let text = std::mem::take(&mut self.text);
        match written {
            Err(error) => drop(self.send(Chunk::Failed(error.into()))),
            Ok(()) if !text.is_empty() => drop(self.send(Chunk::Last(text))),
            Ok(()) => {}
        }
    }

    /// Appends to the answer.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Is there nobody any more who would read it?
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Writes the events that are visited as an array, none as nothing; gives their number.
    pub fn array(&mut self, visit: impl FnOnce(Visit<'_>) -> events::Result<()>) -> events::Result<usize> {
        let mut count = 0;
        visit(&mut |event| {
            self.text.push(if count == 0 { '[' } else { ',' });
            count += 1;
            event.write_json(&mut self.text);
            if self.text.len() >= CHUNK_BYTES {
                let chunk = Chunk::More(std::mem::take(&mut self.text));
                self.is_lost = !self.send(chunk);
            }
            if self.is_lost { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if count > 0 {
            self.text.push(']');
        }
        Ok(count)
    }

    /// `false` if the client is gone or asleep.
    fn send(&self, chunk: Chunk) -> bool {
        let patience = Duration::from_secs(STALL_SECONDS_MAX);
        let sent = self.client.block_on(async { timeout(patience, self.sender.send(chunk)).await });
        matches!(sent, Ok(Ok(())))
    }
}

/// The body of an answer that is being written. It fails, so that the connection breaks, when the store fails or the client
/// was too slow: an array that is cut must not look whole.
struct Chunks {
    first: Option<String>,
    chunks: Receiver<Chunk>,
    is_whole: bool,
}

#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the answer broke off")
    }
}

impl std::error::Error for Broken {}

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let frame = |text: String| Poll::Ready(Some(Ok(Frame::data(Bytes::from(text)))));
        if let Some(first) = self.first.take() {
            return frame(first);
        }
        if self.is_whole {
            return Poll::Ready(None);
        }
        match ready!(self.chunks.poll_recv(context)) {
            Some(Chunk::More(text)) => frame(text),
            Some(Chunk::Last(text)) => {
                self.is_whole = true;
                frame(text)
            }
            Some(Chunk::Failed(_)) | None => Poll::Ready(Some(Err(Broken))),
        }
    }
}
