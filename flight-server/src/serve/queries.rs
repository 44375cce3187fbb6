//! Statements in work: how many, how long, how much; and threads of their own, so that a greedy statement keeps nobody else
//! from being heard.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arblast::settings::FlightSettings;
use arrow::array::RecordBatch;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{FutureExt, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant as Clock, timeout, timeout_at};
use tonic::Status;

use super::running::Place;
use crate::errors;

/// How long a statement waits for its turn.
const TURN: Duration = Duration::from_secs(5);
/// Batches that wait for the client.
const AHEAD: usize = 2;

/// Runs statements.
pub struct Queries {
    permits: Arc<Semaphore>,
    threads: Handle,
    time_max: Duration,
    rows_max: u64,
    bytes_max: usize,
    /// Statements since the start.
    pub count: AtomicU64,
}

/// The right to work.
pub struct Turn {
    _permit: OwnedSemaphorePermit,
    end: Clock,
}

impl Turn {
    /// Until when. A method, so that whoever asks holds the whole turn, and its permit with it.
    pub fn end(&self) -> Clock {
        self.end
    }
}

impl Queries {
    /// On these threads.
    pub fn new(settings: &FlightSettings, threads: Handle) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(settings.queries_max)),
            threads,
            time_max: settings.query_time_max,
            rows_max: settings.rows_max,
            bytes_max: settings.query_bytes_max,
            count: AtomicU64::new(0),
        }
    }

    /// Memory that one piece of work may take.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Waits for the right to work.
    ///
    /// # Errors
    /// Too many others work for too long.
    pub async fn turn(&self) -> Result<Turn, Status> {
        let busy = || Status::unavailable("too many statements are in work; try again later");
        let permit = timeout(TURN, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(|_| busy())?.map_err(|_| busy())?;
        Ok(Turn { _permit: permit, end: Clock::now() + self.time_max })
    }

    /// Does short work, such as planning, which ends with the call.
    ///
    /// # Errors
    /// What the work says; no turn, or too long.
    pub async fn work<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Status>> + Send + 'static,
    ) -> Result<T, Status> {
        let turn = self.turn().await?;
        let (answer, answered) = oneshot::channel();
        let task = self.threads.spawn(async move {
            let done = timeout_at(turn.end(), std::panic::AssertUnwindSafe(work).catch_unwind()).await;
            let done = match done {
                Ok(Ok(done)) => done,
                Ok(Err(_)) => Err(defect()),
                Err(_) => Err(too_long()),
            };
            let _ = answer.send(done);
        });
        let _ended = EndsWithCall(task);
        answered.await.unwrap_or_else(|_| Err(defect()))
    }

    /// Does work that waits or computes without pause, in a thread of its own. `stopped` in it says when to end.
    ///
    /// # Errors
    /// What the work says; no turn.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        self.blocking_in(self.turn().await?, work).await
    }

    /// The same for who has the right to work.
    ///
    /// # Errors
    /// What the work says.
    pub async fn blocking_in<T: Send + 'static>(
        &self,
        turn: Turn,
        work: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let (answer, answered) = oneshot::channel();
        self.threads.spawn_blocking(move || {
            let done = work(&|| answer.is_closed() || Clock::now() >= turn.end());
            let is_late = Clock::now() >= turn.end();
            let _ = answer.send(if is_late { Err(too_long()) } else { done });
        });
        answered.await.unwrap_or_else(|_| Err(defect()))
    }

    /// Executes a plan. It ends when nobody takes its rows any more, or somebody ends it at its place; errors end the stream.
    pub fn rows(
        &self,
        turn: Turn,
        plan: Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
        place: Place,
    ) -> mpsc::Receiver<Result<RecordBatch, Status>> {
        self.count.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = mpsc::channel(AHEAD);
        let rows_max = self.rows_max;
        self.threads.spawn(async move {
            let began = Instant::now();
            let sent = tokio::select! {
                sent = timeout_at(turn.end(), send(plan, context, &sender, rows_max)) => sent.unwrap_or_else(|_| Err(too_long())),
                () = sender.closed() => Err(Status::cancelled("the client has gone")),
                status = place.ended() => Err(status),
            };
            drop(place);
            match sent {
                Ok(rows) => tracing::debug!("{rows} rows in {:?}", began.elapsed()),
                Err(status) => {
                    tracing::debug!("a statement ended after {:?}: {}", began.elapsed(), status.message());
                    // for who does not take what is there the end comes with the connection
                    let _ = timeout(TURN, sender.send(Err(status))).await;
                }
            }
        });
        receiver
    }
}

async fn send(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    sender: &mpsc::Sender<Result<RecordBatch, Status>>,
    rows_max: u64,
) -> Result<u64, Status> {
    let mut stream = execute_stream(plan, context).map_err(|error| errors::of_datafusion(&error))?;
    let mut rows = 0;
    loop {
        let next = std::panic::AssertUnwindSafe(stream.next()).catch_unwind().await;
        let Some(batch) = next.map_err(|_| defect())? else { return Ok(rows) };
        let batch = batch.map_err(|error| errors::of_datafusion(&error))?;
        rows += batch.num_rows() as u64;
        if rows > rows_max {
            return Err(Status::resource_exhausted(format!(
                "the result has more than {rows_max} rows, the limit of the setting flightRowsMax; add a LIMIT or a WHERE"
            )));
        }
        if sender.send(Ok(batch)).await.is_err() {
            return Err(Status::cancelled("the client has gone"));
        }
    }
}

/// The time of a turn is over.
pub fn too_long() -> Status {
    Status::deadline_exceeded("it takes longer than the setting flightQuerySecondsMax allows")
}

fn defect() -> Status {
    tracing::error!("a statement ended by a defect of the program; please report it");
    Status::internal("the server failed; its log says more")
}

/// Work that nobody waits for any more is given up.
struct EndsWithCall(tokio::task::JoinHandle<()>);

impl Drop for EndsWithCall {
    fn drop(&mut self) {
        self.0.abort();
    }
}
