//! `POST /events.ndjson`: a stream of events of any length, one per line.
//!
//! The connection is read as fast as events become durable, and no faster: pieces of the body go through a short queue to
//! a thread that cuts, parses and groups them, and that waits for the commit of one group while it makes the next.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use events::json::Object;
use events::{Event, EventTime, Json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use super::auth::{Caller, Right};
use super::gzip::{Inflater, STEP_BYTES};
use super::lines::{Line, Lines};
use super::refusal::Refusal;
use super::stats::Label;
use super::{EventServer, Server, blocking, body};
use crate::clock;
use crate::http::front::next_piece;
use crate::http::ingest::{Answer, Full};
use crate::http::reply;

/// Pieces of the body that wait for the thread.
const PIECES_MAX: usize = 2;

/// Events that are stored together.
const GROUP_EVENTS: usize = 4096;

/// Text whose events are stored together.
const GROUP_BYTES: usize = 4 << 20;

/// Groups that wait for their commit.
const GROUPS_MAX: usize = 2;

/// Lines whose errors are told; the others are counted.
const ERRORS_MAX: usize = 100;

/// A part of the body.
enum Piece {
    Data(Bytes),
    End,
}

/// `POST /events.ndjson`
pub async fn post(State(server): Server, request: Request) -> Result<Response, Refusal> {
    let (parts, mut body) = request.into_parts();
    let caller = server.caller_with(Right::Write, &parts).await?;
    let admitted = admitted(&server, &parts);
    let (inflater, permit) =
        admitted.inspect_err(|refusal| server.count_refused(caller.scope.app, refusal.status, 1))?;
    let (sender, pieces) = channel(PIECES_MAX);
    let upload = Upload::new(Arc::clone(&server), caller);
    let thread = blocking(move || {
        let _permit = permit;
        Ok(upload.run(pieces, inflater))
    });
    let (read, summary) = tokio::join!(feed(sender, &mut body), thread);
    let (summary, failure) = summary?;
    Ok(summary.response(failure.or(read.err())))
}

/// How the stream is inflated, and the permission to send it.
fn admitted(
    server: &EventServer,
    parts: &Parts,
) -> Result<(Option<Inflater>, OwnedSemaphorePermit), Refusal> {
    body::check_type(&parts.headers, body::NDJSON)?;
    let inflater = body::is_gzip(&parts.headers)?.then(Inflater::new);
    let permit = Arc::clone(&server.uploads).try_acquire_owned();
    let permit = permit.map_err(|_| Refusal::saturated("too many streams of events at the same time"))?;
    if server.ingest.is_saturated() { Err(Full.into()) } else { Ok((inflater, permit)) }
}

/// Hands the body over, until it ends or the thread wants no more.
async fn feed(sender: Sender<Piece>, body: &mut Body) -> Result<(), Refusal> {
    while let Some(bytes) = next_piece(body).await? {
        if sender.send(Piece::Data(bytes)).await.is_err() {
            return Ok(());
        }
    }
    let _ = sender.send(Piece::End).await;
    Ok(())
}

/// A stream on its way into the store.
struct Upload {
    server: Arc<EventServer>,
    caller: Caller,
    summary: Summary,
    group: Vec<Event>,
    group_bytes: usize,
    labels: Vec<Label>,
    waiting: VecDeque<Waiting>,
}

/// A group whose commit was not seen yet.
struct Waiting {
    answer: oneshot::Receiver<Answer>,
    labels: Vec<Label>,
}

/// What became of the lines.
#[derive(Default)]
struct Summary {
    /// Lines read, with the blank ones.
    lines: u64,
    stored: u64,
    refused: u64,
    /// Line, status and message of the first ones that were refused.
    errors: Vec<(u64, u16, String)>,
}

impl Upload {
    fn new(server: Arc<EventServer>, caller: Caller) -> Self {
        Self {
            server,
            caller,
            summary: Summary::default(),
            group: Vec::new(),
            group_bytes: 0,
            labels: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// What became of the lines, and why the stream was given up, if it was.
    fn run(mut self, pieces: Receiver<Piece>, inflater: Option<Inflater>) -> (Summary, Option<Refusal>) {
        let taken = self.take(pieces, inflater);
        // also after a failure: what is queued will be stored, and is to be counted
        let settled = self.settle_all();
        (self.summary, taken.and(settled).err())
    }

    fn take(&mut self, mut pieces: Receiver<Piece>, mut inflater: Option<Inflater>) -> Result<(), Refusal> {
        let mut lines = Lines::new(self.server.settings.event_bytes_max);
        loop {
            match pieces.blocking_recv() {
                Some(Piece::Data(bytes)) => match &mut inflater {
                    None => lines.push(&bytes, &mut |line| self.line(line))?,
                    Some(inflater) => {
                        for step in bytes.chunks(STEP_BYTES) {
                            lines.push(&inflater.step(step)?, &mut |line| self.line(line))?;
                        }
                    }
                },
                Some(Piece::End) => {
                    if let Some(inflater) = &mut inflater {
                        lines.push(&inflater.finish()?, &mut |line| self.line(line))?;
                    }
                    lines.finish(&mut |line| self.line(line))?;
                    return self.submit();
                }
                // the connection broke: its last line may be half a line
                None => return self.submit(),
            }
        }
    }

    fn line(&mut self, line: Line<'_>) -> Result<(), Refusal> {
        self.summary.lines += 1;
        let event = match line {
            Line::Text(text) if text.trim_ascii().is_empty() => return Ok(()),
            Line::Text(text) => {
                self.group_bytes += text.len();
                let parsed = Event::parse_observed(text, EventTime::utc(clock::now_ms()));
                let intake = &self.server.intake;
                intake.admit(&self.caller, intake.tolerated(&self.caller, parsed))
            }
            Line::TooLong => Err(Refusal::too_large("the line", self.server.settings.event_bytes_max)),
        };
        match event {
            Ok(event) => {
                self.labels.extend(self.server.statistics.as_ref().map(|_| Label::of(&event)));
                self.group.push(event);
            }
            Err(refusal) => self.refuse(refusal),
        }
        if self.group.len() >= GROUP_EVENTS || self.group_bytes >= GROUP_BYTES {
            self.submit()
        } else {
            Ok(())
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        let status = refusal.status.as_u16();
        self.summary.refused += 1;
        if self.summary.errors.len() < ERRORS_MAX {
            // each line is its own first one
            let text = refusal.message.strip_prefix("line 1, ").unwrap_or(&refusal.message).to_owned();
            self.summary.errors.push((self.summary.lines, status, text));
        }
        self.server.count_refused(self.caller.scope.app, refusal.status, 1);
    }

    /// Sends the group on its way; waits for an earlier one, if too many are.
    fn submit(&mut self) -> Result<(), Refusal> {
        self.group_bytes = 0;
        if self.group.is_empty() {
            return Ok(());
        }
        let (group, labels) = (std::mem::take(&mut self.group), std::mem::take(&mut self.labels));
        let answer = self.server.ingest.submit_when_calm(self.caller.scope, group);
        self.waiting.push_back(Waiting { answer, labels });
        if self.waiting.len() < GROUPS_MAX { Ok(()) } else { self.settle() }
    }

    /// Waits for the oldest group.
    fn settle(&mut self) -> Result<(), Refusal> {
        let Some(group) = self.waiting.pop_front() else { return Ok(()) };
        let ids = self.server.intake.stored(group.answer.blocking_recv()).inspect_err(|refusal| {
            self.server.count_refused(self.caller.scope.app, refusal.status, group.labels.len());
        })?;
        self.summary.stored += ids.len() as u64;
        if let Some(statistics) = &self.server.statistics {
            let now = clock::now_ms();
            for label in group.labels {
                statistics.count(self.caller.scope.app, now, 201, Some(label));
            }
        }
        Ok(())
    }

    fn settle_all(&mut self) -> Result<(), Refusal> {
        let mut settled = Ok(());
        while !self.waiting.is_empty() {
            settled = settled.and(self.settle());
        }
        settled
    }
}

impl Summary {
    /// 200, or the status of what stopped the stream, with the counts in either case.
    fn response(self, failure: Option<Refusal>) -> Response {
        let left_off = self.refused - self.errors.len() as u64;
        let error = |(line, status, message): (u64, u16, String)| {
            let error = Object::new().with("line", line).with("status", u32::from(status));
            Json::from(error.with("message", message))
        };
        let mut summary = Object::new();
        if let Some(failure) = &failure {
            summary.push("message", failure.message.as_str());
        }
        let summary = summary
            .with("lines", self.lines)
            .with("stored", self.stored)
            .with("refused", self.refused)
            .with("errors", Json::Array(self.errors.into_iter().map(error).collect()))
            .with("errorsLeftOff", left_off)
            .to_string();
        match failure {
            None => reply::json(StatusCode::OK, summary),
            Some(failure) => {
                let (mut parts, _) = failure.into_response().into_parts();
                parts.headers.remove(axum::http::header::CONTENT_LENGTH);
                Response::from_parts(parts, Body::from(summary))
            }
        }
    }
}
