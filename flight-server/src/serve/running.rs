//! Statements whose rows are fetched, so that `CancelFlightInfo` and `CancelQuery` end them from another call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_flight::sql::{Any, TicketStatementQuery};
use arrow_flight::{CancelStatus, FlightInfo};
use prost::Message;
use tokio::sync::Notify;
use tonic::Status;

use super::Server;
use super::client::Client;

/// By the handle that the ticket shows.
#[derive(Default)]
pub struct Running(Mutex<HashMap<Vec<u8>, Statement>>);

struct Statement {
    owner: Option<u32>,
    ended: Arc<Notify>,
}

/// A statement's place among them, as long as it lives.
pub struct Place {
    running: Arc<Running>,
    handle: Vec<u8>,
    ended: Arc<Notify>,
}

impl Running {
    fn statements(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Statement>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the statement of an app; `false`: it has no such.
    fn end(&self, owner: Option<u32>, handle: &[u8]) -> bool {
        let statements = self.statements();
        let own = statements.get(handle).filter(|statement| statement.owner == owner);
        own.inspect(|statement| statement.ended.notify_one()).is_some()
    }
}

impl Place {
    /// A statement of an app begins.
    pub fn take(running: &Arc<Running>, owner: Option<u32>, handle: &[u8]) -> Self {
        let ended = Arc::<Notify>::default();
        let statement = Statement { owner, ended: Arc::clone(&ended) };
        running.statements().insert(handle.to_vec(), statement);
        Self { running: Arc::clone(running), handle: handle.to_vec(), ended }
    }

    /// Waits until somebody ends it.
    pub async fn ended(&self) -> Status {
        self.ended.notified().await;
        Status::cancelled("the statement was cancelled by its client")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.running.statements().remove(&self.handle);
    }
}

/// Ends what a client has asked for, fetched already or not yet.
///
/// # Errors
/// `NotFound`: it is over, or never was.
pub fn cancel(server: &Server, client: &Client, info: &FlightInfo) -> Result<CancelStatus, Status> {
    let owner = client.owner();
    let handles = info.endpoint.iter().filter_map(|endpoint| {
        let ticket = Any::decode(&*endpoint.ticket.as_ref()?.ticket).ok()?;
        Some(ticket.unpack::<TicketStatementQuery>().ok()??.statement_handle)
    });
    let ends =
        |handle: &[u8]| server.running.end(owner, handle) || server.waiting.take(owner, handle).is_ok();
    let ended = handles.filter(|handle| ends(handle)).count();
    if ended > 0 {
        return Ok(CancelStatus::Cancelled);
    }
    Err(Status::not_found("there is no such statement: it is over, or of another app"))
}
