//! The servers. What all of them share is here: JSON answers, the table of statuses, limits, a graceful end.

mod queries;
mod reply;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;

pub use queries::{QueryServer, Settings};

use crate::failure::{Failure, Result};

/// A request that is still unanswered this long after the server was asked to stop is given up.
const DRAIN_SECONDS_MAX: u64 = 10;

/// Runs `router` on `listener` until `stop` resolves; then finishes the requests it has.
async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let (stopping, mut draining) = tokio::sync::watch::channel(false);
    let stop = async move {
        stop.await;
        let _ = stopping.send(true);
    };
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(stop);
    let given_up = async move {
        let _ = draining.wait_for(|stopping| *stopping).await;
        tokio::time::sleep(Duration::from_secs(DRAIN_SECONDS_MAX)).await;
    };
    tokio::select! {
        ended = async { server.await } => ended.map_err(|error| Failure::io("the server ended", &error)),
        () = given_up => Ok(()),
    }
}

/// Listens to the signals that ask the process to end, from now on; the future resolves when one came.
fn termination() -> Result<impl Future<Output = ()>> {
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
