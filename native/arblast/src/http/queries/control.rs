//! Commands to a running server: `/reload` and `/stop`; and what it has no plugins of.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use events::json::Object;

use super::{QueryServer, Refused, Sender, Server, blocking, reply};
use crate::http::engines::Admin;

/// Reads the engine file again and takes the newest model; what was served stays if that fails.
pub(super) async fn reload(State(server): Server, _: Admin) -> Response {
    let loading = Arc::clone(&server);
    match blocking(move || (loading.load)()).await {
        Ok(fresh) => {
            *server.serving.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
            reply::message(StatusCode::OK, "Reloading...")
        }
        Err(failure) => failure.into_response(),
    }
}

pub(super) async fn stop(State(server): Server, _: Admin) -> Response {
    server.stop.notify_one();
    reply::message(StatusCode::OK, "Shutting down...")
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
