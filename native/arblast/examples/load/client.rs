//! One of many clients of an overload: it sends when its time has come, whether or not the server has answered before.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::closed::{Plan, Request, event_ids, named};
use crate::connection::parse;
use crate::workload::Workload;

const READ_BYTES: usize = 16 << 10;

/// When requests are due: together the clients send `rate` per second, in turns.
#[derive(Clone, Copy)]
pub struct Schedule {
    pub start: Instant,
    pub end: Instant,
    pub clients: u64,
    pub rate: f64,
}

impl Schedule {
    /// When `client` sends its request `number`; `None` after the end.
    fn due(&self, client: u64, number: u64) -> Option<Instant> {
        let turn = (number * self.clients + client) as f64;
        let due = self.start + Duration::from_secs_f64(turn / self.rate);
        (due < self.end).then_some(due)
    }
}

/// What became of requests.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Requests that a socket took.
    pub written: u64,
    /// Requests that never were, by why.
    pub not_written: BTreeMap<String, u64>,
    /// Answers by status.
    pub answers: BTreeMap<u16, u64>,
    /// Written requests without an answer, by why.
    pub unanswered: BTreeMap<String, u64>,
    /// Connections that were answered 503 and closed, or not taken at all.
    pub refused_connections: u64,
    /// Microseconds from writing a request to its answer: accepted ones, and the others.
    pub accepted: Vec<u32>,
    pub refused: Vec<u32>,
    /// Accepted, with a header that says that something is missing.
    pub degraded: u64,
    pub without_retry_after: u64,
    pub ids: Vec<String>,
}

impl Outcome {
    pub fn merge(&mut self, other: Self) {
        self.written += other.written;
        add(&mut self.not_written, other.not_written);
        add(&mut self.answers, other.answers);
        add(&mut self.unanswered, other.unanswered);
        self.refused_connections += other.refused_connections;
        self.accepted.extend(other.accepted);
        self.refused.extend(other.refused);
        self.degraded += other.degraded;
        self.without_retry_after += other.without_retry_after;
        self.ids.extend(other.ids);
    }
}

fn add<K: Ord>(all: &mut BTreeMap<K, u64>, more: BTreeMap<K, u64>) {
    more.into_iter().for_each(|(what, count)| *all.entry(what).or_default() += count);
}

/// A client with at most one connection, on which requests may follow each other before they are answered.
pub struct Client {
    plan: Arc<Plan>,
    schedule: Schedule,
    number: u64,
    /// Requests that were due.
    sent: u64,
    stream: Option<TcpStream>,
    /// When each request was written that has no answer.
    waiting: VecDeque<Instant>,
    /// Rest of a request that the socket did not take.
    rest: Vec<u8>,
    received: Vec<u8>,
    outcome: Outcome,
}

impl Client {
    pub fn new(plan: Arc<Plan>, schedule: Schedule, number: u64) -> Self {
        let (waiting, rest, received) = Default::default();
        Self {
            plan,
            schedule,
            number,
            sent: 0,
            stream: None,
            waiting,
            rest,
            received,
            outcome: Outcome::default(),
        }
    }

    /// Sends all that is due, and waits for each answer as long as the plan says; then closes the connection, and opens
    /// another for what is due next. After the end it waits for nothing.
    pub async fn run(mut self) -> Outcome {
        let mut workload = Workload::new(self.plan.seed, self.number, self.plan.users, self.plan.items);
        let mut request = Request::default();
        while let Some(due) = self.schedule.due(self.number, self.sent) {
            let given_up = self.waiting.front().map(|written| *written + self.plan.timeout);
            let next = given_up.map_or(due, |given_up| due.min(given_up));
            tokio::select! {
                biased;
                readable = readable(self.stream.as_ref()) => match readable.and_then(|()| self.read()) {
                    Ok(true) => {}
                    Ok(false) => self.close("closed"),
                    Err(error) => self.close(&named(&error)),
                },
                () = tokio::time::sleep_until(next.into()) => {}
            }
            let now = Instant::now();
            if self.waiting.front().is_some_and(|written| *written + self.plan.timeout <= now) {
                self.close("given up");
            }
            while self.schedule.due(self.number, self.sent).is_some_and(|due| due <= now) {
                self.sent += 1;
                self.plan.build(&mut request, &mut workload);
                self.send(&request.text).await;
            }
        }
        self.close("cut off by the end of the load");
        self.outcome
    }

    /// Sends a request, on a new connection if there is none or the server has closed it.
    async fn send(&mut self, request: &[u8]) {
        if self.stream.is_some() {
            match self.write(request) {
                Ok(taken) => return self.wrote(taken),
                Err(_) => {
                    // The reason may be there to be read.
                    let _ = self.read();
                    self.close("closed");
                }
            }
        }
        match self.connect().await.and_then(|()| self.write(request)) {
            Ok(taken) => self.wrote(taken),
            Err(error) => {
                self.outcome.refused_connections += 1;
                *self.outcome.not_written.entry(named(&error)).or_default() += 1;
            }
        }
    }

    fn wrote(&mut self, taken: bool) {
        if taken {
            self.outcome.written += 1;
            self.waiting.push_back(Instant::now());
        } else {
            *self.outcome.not_written.entry("socket full".to_owned()).or_default() += 1;
        }
    }

    async fn connect(&mut self) -> io::Result<()> {
        let connected = tokio::time::timeout(self.plan.timeout, TcpStream::connect(self.plan.address)).await;
        let stream = connected.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))?;
        stream.set_nodelay(true)?;
        self.stream = Some(stream);
        Ok(())
    }

    /// `false` = the socket takes no more now.
    fn write(&mut self, request: &[u8]) -> io::Result<bool> {
        let Some(stream) = &self.stream else { return Err(ErrorKind::NotConnected.into()) };
        if !self.rest.is_empty() {
            let written = stream.try_write(&self.rest).or_else(would_block)?;
            self.rest.drain(..written);
            if !self.rest.is_empty() {
                return Ok(false);
            }
        }
        let written = stream.try_write(request).or_else(would_block)?;
        if written > 0 {
            self.rest.extend_from_slice(&request[written..]);
        }
        Ok(written > 0)
    }

    /// Reads and counts answers; `false` = the server has ended the connection.
    fn read(&mut self) -> io::Result<bool> {
        let Some(stream) = &self.stream else { return Ok(false) };
        let start = self.received.len();
        self.received.resize(start + READ_BYTES, 0);
        let read = stream.try_read(&mut self.received[start..]);
        self.received.truncate(start + *read.as_ref().unwrap_or(&0));
        let is_open = match read {
            Ok(read) => read > 0,
            Err(error) => would_block(error).map(|_| true)?,
        };
        let mut used = 0;
        while let Some((answer, keep, length)) = parse(&self.received[used..], !is_open)? {
            used += length;
            let Some(written) = self.waiting.pop_front() else { return Err(ErrorKind::InvalidData.into()) };
            let micros = u32::try_from(written.elapsed().as_micros()).unwrap_or(u32::MAX);
            let outcome = &mut self.outcome;
            *outcome.answers.entry(answer.status).or_default() += 1;
            outcome.refused_connections += u64::from(answer.status == 503 && !keep);
            outcome.without_retry_after +=
                u64::from(matches!(answer.status, 429 | 503) && !answer.retry_after);
            if (200..300).contains(&answer.status) {
                outcome.accepted.push(micros);
                outcome.degraded += u64::from(answer.degraded);
                let ids = event_ids(&String::from_utf8_lossy(&answer.body));
                self.plan.acknowledge(&ids);
                outcome.ids.extend(ids);
            } else {
                outcome.refused.push(micros);
            }
            if !keep {
                return Ok(false);
            }
        }
        self.received.drain(..used);
        Ok(is_open)
    }

    fn close(&mut self, why: &str) {
        self.stream = None;
        self.rest.clear();
        self.received.clear();
        if !self.waiting.is_empty() {
            *self.outcome.unanswered.entry(why.to_owned()).or_default() += self.waiting.len() as u64;
            self.waiting.clear();
        }
    }
}

async fn readable(stream: Option<&TcpStream>) -> io::Result<()> {
    match stream {
        Some(stream) => stream.readable().await,
        None => std::future::pending().await,
    }
}

fn would_block(error: io::Error) -> io::Result<usize> {
    if error.kind() == ErrorKind::WouldBlock { Ok(0) } else { Err(error) }
}
