//! Connections: no more than allowed, TLS if there is a certificate, and none that stays without ever showing a key.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use arblast::http::Tls;
use arblast::settings::Limits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Sleep, sleep, timeout};
use tonic::transport::server::Connected;

/// After an error of the system, such as too many open files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// Connections that wait to be served: there is no more to do than a handshake of HTTP/2.
const WAITING: usize = 16;

trait Io: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Io for T {}

/// A connection of a client. Reading from it fails if no key was shown in time.
pub struct Connection {
    io: Pin<Box<dyn Io>>,
    peer: Peer,
    patience: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

/// Who is at the other end.
#[derive(Clone)]
pub struct Peer {
    /// Where.
    pub address: SocketAddr,
    known: Arc<AtomicBool>,
}

impl Peer {
    /// It has shown a valid key: the connection may stay.
    pub fn is_known_now(&self) {
        self.known.store(true, Ordering::Relaxed);
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.peer.known.load(Ordering::Relaxed) && self.patience.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "no access key was shown in time",
            )));
        }
        self.io.as_mut().poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_shutdown(context)
    }
}

/// Accepts connections until the receiver is dropped.
pub fn connections(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    limits: &Limits,
) -> mpsc::Receiver<io::Result<Connection>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    let patience = limits.header_time_max;
    tokio::spawn(async move {
        let watched = tls.clone();
        let watching = async {
            match &watched {
                Some(tls) => tls.watch().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = watching => {}
            () = accept(listener, tls, permits, patience, &sender) => {}
            () = sender.closed() => {}
        }
    });
    receiver
}

async fn accept(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    permits: Arc<Semaphore>,
    patience: Duration,
    sender: &mpsc::Sender<io::Result<Connection>>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
                    tracing::warn!("a connection from {address} is refused: there are too many");
                    continue;
                };
                let (tls, sender) = (tls.clone(), sender.clone());
                tokio::spawn(async move {
                    if let Some(connection) = opened(stream, address, tls.as_deref(), patience, permit).await
                    {
                        let _ = sender.send(Ok(connection)).await;
                    }
                });
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn opened(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<&Tls>,
    patience: Duration,
    permit: OwnedSemaphorePermit,
) -> Option<Connection> {
    let _ = stream.set_nodelay(true);
    let io: Pin<Box<dyn Io>> = match tls {
        None => Box::pin(stream),
        Some(tls) => match timeout(patience, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => Box::pin(stream),
            Ok(Err(error)) => {
                tracing::debug!("no TLS with {address}: {error}");
                return None;
            }
            Err(_) => return None,
        },
    };
    let peer = Peer { address, known: Arc::default() };
    Some(Connection { io, peer, patience: Box::pin(sleep(patience)), _permit: permit })
}
