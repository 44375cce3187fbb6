//! One connection to a [`Target`]: opened when it is needed, kept while the other side keeps it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Target;

/// For connecting, and for one exchange.
const TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 1 << 16;

pub(super) struct Connection {
    target: Arc<Target>,
    open: Option<SendRequest<Body>>,
}

impl Connection {
    pub(super) fn new(target: Arc<Target>) -> Self {
        Self { target, open: None }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Posts a JSON text; any status of success is one. The text of the error is for a log.
    pub(super) async fn post(&mut self, json: String) -> Result<(), String> {
        let target = &self.target;
        let request = Request::post(target.path.as_str())
            .header(header::HOST, &target.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(json));
        let request = request.map_err(|error| error.to_string())?;
        match timeout(TIMEOUT, self.exchange(request)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(why),
            Err(_) => {
                self.open = None;
                Err(format!("no answer within {} s", TIMEOUT.as_secs()))
            }
        }
    }

    async fn exchange(&mut self, request: Request<Body>) -> Result<(), String> {
        let mut request = request;
        if let Some(mut open) = self.open.take()
            && open.ready().await.is_ok()
        {
            match open.try_send_request(request).await {
                Ok(answer) => return self.finish(open, answer).await,
                // The other side closed it meanwhile: the request never left.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().to_string()),
                },
            }
        }
        let mut open = self.connect().await?;
        let answer = open.send_request(request).await.map_err(|error| error.to_string())?;
        self.finish(open, answer).await
    }

    /// Reads the answer to its end, so that the connection can be used again.
    async fn finish(
        &mut self,
        open: SendRequest<Body>,
        answer: hyper::Response<hyper::body::Incoming>,
    ) -> Result<(), String> {
        let status = answer.status();
        let body = to_bytes(Body::new(answer.into_body()), ANSWER_BYTES_MAX).await;
        let body = body.map_err(|error| error.to_string())?;
        self.open = Some(open);
        if status.is_success() {
            return Ok(());
        }
        let said: String = String::from_utf8_lossy(&body).chars().take(200).collect();
        Err(format!("answers {status} {said}"))
    }

    async fn connect(&self) -> Result<SendRequest<Body>, String> {
        let target = &self.target;
        let stream = TcpStream::connect((target.host.as_str(), target.port)).await;
        let stream = stream.map_err(|error| format!("cannot connect: {error}"))?;
        let _ = stream.set_nodelay(true);
        match &target.tls {
            None => open(stream).await,
            Some(tls) => {
                let secured = tls.connector.connect(tls.name.clone(), stream).await;
                open(secured.map_err(|error| format!("no secure connection: {error}"))?).await
            }
        }
    }
}

async fn open<S>(stream: S) -> Result<SendRequest<Body>, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| format!("no HTTP: {error}"))?;
    // Ends with the sender, or when the other side closes.
    tokio::spawn(connection);
    Ok(sender)
}
