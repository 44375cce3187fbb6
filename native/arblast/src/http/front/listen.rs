//! Accepts connections, no more than allowed, until the server is to stop; then lets them finish.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, IsTerminal, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tower_service::Service;

use super::body;
use super::connection::{Phase, Timed};
use super::gate::Gate;
use super::notify;
use super::tls::Tls;
use crate::failure::{Failure, Result};
use crate::http::reply;
use crate::settings::Limits;

const BACKLOG: u32 = 1024;
/// Connections whose clients were told that there are too many, and may still send.
const REFUSED_MAX: usize = 64;
/// Of a usual request.
const REQUEST_BYTES: usize = 8 << 10;
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(1);
/// After an error of the system, such as too many open files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Listens on `address`; with `reuse_port`, other processes may do so at the same time.
pub fn listen(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    if reuse_port {
        socket.set_reuseport(true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What the connections of a server share.
struct Shared {
    app: Router,
    gate: Arc<Gate>,
    limits: Limits,
    tls: Option<Arc<Tls>>,
    /// One permit per open connection.
    permits: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    ending: watch::Receiver<bool>,
}

pub(super) async fn run(
    listener: TcpListener,
    app: Router,
    gate: Arc<Gate>,
    limits: Limits,
    tls: Option<Arc<Tls>>,
    mut hangups: Option<Signal>,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let (end, ending) = watch::channel(false);
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    let refusals = Arc::new(Semaphore::new(REFUSED_MAX));
    let shared = Arc::new(Shared { app, gate, limits, tls, permits, refusals, ending });
    let mut stop = pin!(stop);
    let watching = async {
        match &shared.tls {
            Some(tls) => tls.watch().await,
            None => std::future::pending().await,
        }
    };
    let hung_up = async {
        while let Some(hangups) = &mut hangups
            && hangups.recv().await.is_some()
        {
            match &shared.tls {
                Some(tls) => tls.reload(),
                None => tracing::info!("SIGHUP: there is no certificate to read again"),
            }
        }
        std::future::pending::<()>().await;
    };
    let served = async {
        tokio::select! {
            () = &mut stop => {}
            () = accept(&shared, &listener) => {}
        }
        shared.gate.stop();
        notify("STOPPING=1");
        tracing::info!("stopping: requests in work are finished");
        let _ = timeout(shared.limits.stop_delay, accept(&shared, &listener)).await;
        // Those who got through to the system already are not turned away.
        let _ = timeout(Duration::from_millis(1), accept(&shared, &listener)).await;
    };
    tokio::select! {
        () = served => {}
        () = watching => {}
        () = hung_up => {}
    }
    drop(listener);
    let _ = end.send(true);
    drain(&shared).await;
    Ok(())
}

/// From now on SIGHUP does not end a server, except that of a person who closes the terminal.
pub(super) fn hangups() -> Result<Option<Signal>> {
    if io::stdin().is_terminal() {
        return Ok(None);
    }
    let hangups = signal(SignalKind::hangup());
    hangups.map(Some).map_err(|error| Failure::io("cannot listen to signals", &error))
}

/// Waits until all connections have ended.
async fn drain(shared: &Shared) {
    let all = u32::try_from(shared.limits.connections_max).unwrap_or(u32::MAX);
    if timeout(shared.limits.drain_time_max, shared.permits.acquire_many(all)).await.is_err() {
        let open = shared.limits.connections_max - shared.permits.available_permits();
        tracing::warn!("{open} connections did not end in time and are cut");
    }
}

/// Accepts for ever.
async fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let shared = Arc::clone(shared);
                match Arc::clone(&shared.permits).try_acquire_owned() {
                    Ok(permit) => {
                        tokio::spawn(async move { shared.converse(stream, peer, permit).await });
                    }
                    Err(_) => shared.refuse(stream),
                }
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

impl Shared {
    async fn converse(&self, stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) {
        let server = &self.gate.server;
        server.connections.fetch_add(1, Ordering::Relaxed);
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => self.serve(stream, peer).await,
            Some(tls) => match timeout(self.limits.header_time_max, tls.acceptor().accept(stream)).await {
                Ok(Ok(stream)) => self.serve(stream, peer).await,
                Ok(Err(error)) => tracing::debug!("no TLS with {peer}: {error}"),
                Err(_) => tracing::debug!("no TLS with {peer}: it is too slow"),
            },
        }
        server.connections.fetch_sub(1, Ordering::Relaxed);
        drop(permit);
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S, peer: SocketAddr) {
        let phase = Phase::new();
        let stream = TokioIo::new(Timed::new(stream, phase.clone(), &self.limits));
        let service = service_fn(|request: hyper::Request<Incoming>| {
            phase.answering();
            let mut request = request.map(|body| body::observed(body, phase.clone()));
            request.extensions_mut().insert(ConnectInfo(peer));
            let answered = (!phase.is_ambiguous()).then(|| self.app.clone().call(request));
            let phase = phase.clone();
            async move {
                let mut answer = match answered {
                    Some(answered) => answered.await.unwrap_or_else(|never| match never {}),
                    None => reply::message(StatusCode::BAD_REQUEST, AMBIGUOUS),
                };
                if phase.is_unread() {
                    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer.map(|body| phase.answered_after(body)))
            }
        });
        let connection = http1::Builder::new()
            // Times are kept by `Timed`.
            .header_read_timeout(None)
            .max_header_size(self.limits.header_bytes_max)
            .serve_connection(stream, service);
        let mut connection = pin!(connection);
        let mut ending = self.ending.clone();
        let asked_to_end = async move {
            let _ = ending.wait_for(|is_ending| *is_ending).await;
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = asked_to_end => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!("connection with {peer}: {error}");
        }
    }

    /// Says why, at once and to all: a new connection has room for so little.
    fn refuse(&self, stream: TcpStream) {
        self.gate.server.refused.fetch_add(1, Ordering::Relaxed);
        if self.tls.is_some() {
            return;
        }
        let Ok(stream) = told(stream) else { return };
        let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() else { return };
        let Ok(mut stream) = TcpStream::from_std(stream) else { return };
        tokio::spawn(async move {
            let _permit = permit;
            let _ = timeout(REFUSAL_TIME_MAX, async {
                let mut rest = [0; 1024];
                while stream.read(&mut rest).await? > 0 {}
                io::Result::Ok(())
            })
            .await;
        });
    }
}

/// Writes the refusal. To close with something unread, or while the client still sends, would take it from the client:
/// so what is there is read, and who has the time reads the rest.
fn told(stream: TcpStream) -> io::Result<std::net::TcpStream> {
    // The runtime would wait until it knows that there is room.
    let mut stream = stream.into_std()?;
    stream.write_all(REFUSAL.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let _ = stream.read(&mut [0; REQUEST_BYTES]);
    Ok(stream)
}

const AMBIGUOUS: &str = "a request must not have both Content-Length and Transfer-Encoding";

const REFUSAL: &str = "HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\n\
    content-length: 45\r\n\
    retry-after: 1\r\n\
    connection: close\r\n\r\n\
    {\"message\":\"too many connections; try again\"}";
