//! The servers. What all of them share is here: JSON answers, the table of statuses, limits, a graceful end.

mod admin;
mod engines;
mod events;
mod front;
mod ingest;
mod outbox;
mod page;
mod queries;
mod refused;
mod reply;
pub mod trust;

use std::future::Future;
use std::net::SocketAddr;

pub use self::events::{Caller, EventServer, Intake, Refusal, Right, base64};
pub use admin::AdminServer;
pub use engines::Engines;
pub use front::{Front, Tls, listen, notify, serve};
pub use ingest::Ingest;
pub use outbox::Target;
pub use queries::{FailureLog, Identity, Limits, QueryServer, Sender, Settings, same};

use crate::failure::{Failure, Result};

/// Listens to the signals that ask the process to end, from now on; the future resolves when one came.
pub fn termination() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|error| Failure::io("cannot listen to signals", &error));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// The other end of a request's connection; the unspecified address if it is not known, which nobody trusts.
fn peer(extensions: &axum::http::Extensions) -> SocketAddr {
    let known = extensions.get::<axum::extract::ConnectInfo<SocketAddr>>();
    known.map_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)), |peer| peer.0)
}
