//! Who asks, and what he may do: access keys with their rights, and the key of the server.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arblast::http::{Caller, Refusal, Right, Sender};
use tonic::body::Body;
use tonic::codegen::http::request::Parts;
use tonic::codegen::http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower_service::Service;

use super::Server;
use super::listen::Peer;
use crate::errors;

/// Chooses the engine that functions ask, if a call names none.
const ENGINE: &str = "arblast-engine";
/// Chooses the channel that events are put into.
const CHANNEL: &str = "arblast-channel";
/// The only call without a key in a token.
const HANDSHAKE: &str = "/Handshake";

/// Whoever makes a call, with a valid key.
pub struct Client {
    /// By which key.
    pub who: Who,
    /// The engine that functions ask, if they name none.
    pub engine: Option<String>,
    /// May it train, and roll back?
    controls: bool,
}

/// What a key stands for.
pub enum Who {
    /// The key of the server: everything of every app.
    Admin,
    /// An access key: its app.
    Key(Caller),
}

impl Client {
    /// It must have this right.
    pub fn must(&self, right: Right) -> Result<(), Status> {
        match &self.who {
            Who::Admin => Ok(()),
            Who::Key(caller) => caller.must(right).map_err(errors::of_refusal),
        }
    }

    /// It must be allowed to control the server.
    pub fn must_control(&self) -> Result<(), Status> {
        if self.controls {
            return Ok(());
        }
        Err(Status::permission_denied(
            "only whoever shows the key of the server (the setting serverKey) may do that; without such a key, this machine",
        ))
    }

    /// Whose statements may it use? Those of the same app.
    pub fn owner(&self) -> Option<u32> {
        match &self.who {
            Who::Admin => None,
            Who::Key(caller) => Some(caller.scope.app),
        }
    }

    /// The app where events go that it sends.
    pub fn caller(&self) -> Result<&Caller, Status> {
        match &self.who {
            Who::Key(caller) => Ok(caller),
            Who::Admin => Err(Status::invalid_argument(
                "the key of the server belongs to no app: send events with an access key of their app",
            )),
        }
    }
}

/// The client of a call, which [`Guarded`] let through.
pub fn of<T>(request: &tonic::Request<T>) -> Result<Arc<Client>, Status> {
    let client = request.extensions().get::<Arc<Client>>().cloned();
    client.ok_or_else(|| Status::new(Code::Internal, "a call passed without a key"))
}

/// The key in a header `Basic …`: the password, or without one the user; BI tools hide passwords.
pub fn basic_key(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(arblast::http::base64(rest.trim())?).ok()?;
    let (user, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
    Some(if password.is_empty() { user } else { password }.to_owned())
}

fn key(headers: &HeaderMap) -> Result<String, Status> {
    let missing = || {
        Status::unauthenticated(
            "an access key is needed: as password of the connection, or in the header authorization: Bearer KEY",
        )
    };
    let value = headers.get(AUTHORIZATION).ok_or_else(missing)?.to_str().map_err(|_| missing())?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim().to_owned()),
        _ => basic_key(headers).ok_or_else(missing),
    }
}

impl Server {
    /// The client that shows `key`.
    pub async fn client(&self, key: &str, head: &Head<'_>) -> Result<Client, Status> {
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let engine = text(ENGINE).filter(|name| !name.is_empty()).map(str::to_owned);
        let sender = Sender { peer: head.peer, uri: head.uri, headers: head.headers };
        let server_key = self.settings.server_key.as_deref();
        if server_key.is_some_and(|wanted| arblast::http::same(key, wanted)) {
            return Ok(Client { who: Who::Admin, engine, controls: true });
        }
        let channel = text(CHANNEL).filter(|name| !name.is_empty());
        let address: IpAddr = head.peer.ip().to_canonical();
        let caller = self.intake.caller_by(key, channel, Some(address)).await.map_err(unknown)?;
        let controls = server_key.is_none() && sender.may_control(None).is_ok();
        Ok(Client { who: Who::Key(caller), engine, controls })
    }
}

/// What a call shows of its client.
pub struct Head<'a> {
    /// Other end of the connection.
    pub peer: SocketAddr,
    /// What is called.
    pub uri: &'a tonic::codegen::http::Uri,
    /// With the key.
    pub headers: &'a HeaderMap,
}

fn unknown(refusal: Refusal) -> Status {
    errors::of_refusal(refusal)
}

/// Lets calls through that show a valid key, with their [`Client`].
#[derive(Clone)]
pub struct Guarded<S> {
    /// What is guarded.
    pub inner: S,
    /// Knows the keys.
    pub server: Arc<Server>,
}

impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The one that is ready must be the one that is called.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let server = Arc::clone(&self.server);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            if !parts.uri.path().ends_with(HANDSHAKE) {
                match server.admitted(&parts).await {
                    Ok(client) => drop(parts.extensions.insert(client)),
                    Err(status) => return Ok(status.into_http()),
                }
            }
            inner.call(Request::from_parts(parts, body)).await
        })
    }
}

impl Server {
    async fn admitted(&self, parts: &Parts) -> Result<Arc<Client>, Status> {
        let peer = parts.extensions.get::<Peer>();
        let address = peer.map_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)), |peer| peer.address);
        let head = Head { peer: address, uri: &parts.uri, headers: &parts.headers };
        let client = self.client(&key(&parts.headers)?, &head).await?;
        if let Some(peer) = peer {
            peer.is_known_now();
        }
        Ok(Arc::new(client))
    }
}
