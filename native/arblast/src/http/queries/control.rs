//! Commands to a running server: `/reload` and `/stop`; and what it has no plugins of.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use events::Kind;
use events::json::Object;

use super::{QueryServer, Refused, Sender, Server, blocking, reply, untrained};
use crate::http::engines::Admin;

/// Reads the engine file again and takes the newest model; what was served stays if that fails. A server that waits for
/// its first model waits for that of the new file from then on.
pub(super) async fn reload(State(server): Server, _: Admin) -> Response {
    let loading = Arc::clone(&server);
    let reloaded = blocking(move || {
        let fresh = (loading.load)()?.map(Arc::new);
        let opened =
            fresh.as_ref().map_or(Ok(()), |fresh| fresh.serving(loading.engines.storage()).map(|_| ()));
        let is_untrained = opened.as_ref().is_err_and(|failure| failure.kind() == Kind::NotFound);
        if opened.is_ok() || (is_untrained && loading.serving().is_none()) {
            *loading.deployed.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        opened
    });
    match reloaded.await {
        Ok(()) => reply::message(StatusCode::OK, "Reloading..."),
        Err(failure) => untrained("<id>", failure).into_response(),
    }
}

pub(super) async fn stop(State(server): Server, _: Admin) -> Response {
    server.stop.notify_one();
    let identity = &server.settings.identity;
    let told = Object::new()
        .with("message", "Shutting down...")
        .with("process", identity.process.as_str())
        .with("stopSecondsMax", identity.stop_seconds_max);
    reply::json(StatusCode::OK, told.to_string())
}

impl QueryServer {
    /// May the sender of a request control the server?
    pub fn may_control(&self, peer: SocketAddr, uri: &Uri, headers: &HeaderMap) -> Result<(), Refused> {
        Sender { peer, uri, headers }.may_control(self.settings.server_key.as_deref())
    }

    /// May the sender of a request ask, and see what is known of the engine?
    pub fn may_ask(&self, request: &Request) -> Result<(), Refused> {
        let peer = crate::http::peer(request.extensions());
        let sender = Sender { peer, uri: request.uri(), headers: request.headers() };
        sender.may_ask(self.settings.query_key.as_deref())
    }
}

/// There are none, said in the form that tools of PredictionIO read.
pub(super) async fn plugins() -> Response {
    let none = Object::new().with("outputblockers", Object::new()).with("outputsniffers", Object::new());
    reply::json(StatusCode::OK, Object::new().with("plugins", none).to_string())
}
