//! `arblast undeploy`

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use events::{Kind, json};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::Context;
use crate::failure::{Failure, Result};
use crate::http::trust;
use crate::settings::Settings;

const LOGGER: &str = "Engine$";
const TIMEOUT: Duration = Duration::from_secs(5);
/// A server that drains its requests may take this long to free the port.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// Stop a query server.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Only a query server of Arblast is stopped, never another program that has the port.

Examples:
  arblast undeploy --port 8001
  arblast undeploy --certificate /etc/arblast/cert.pem
  arblast undeploy --https --host recommend.example.com")]
pub struct Args {
    /// Address of the server
    #[arg(long, default_value = "0.0.0.0")]
    ip: IpAddr,
    /// Port of the server
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Key of the server, if it was started with one [default: $ARBLAST_SERVER_KEY]
    #[arg(long, value_name = "KEY")]
    server_key: Option<String>,
    /// The server speaks HTTPS, with a certificate of an authority that this machine trusts, or $SSL_CERT_FILE
    #[arg(long)]
    https: bool,
    /// The server speaks HTTPS: its certificate, or that of the authority which signed it (PEM)
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Name in the certificate of the server [default: its address; its own certificate needs none]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let server = args.server()?;
    context.console.info(LOGGER, format_args!("Looking for a query server at {server}..."));
    if let Err(error) = server.request("GET", "/", None) {
        return Err(server.unreachable(&error));
    }
    if server.running().is_none() {
        return Err(Failure::invalid(format!(
            "Another program is at {server}; it is not stopped. Give the right --ip and --port."
        )));
    }
    server.stop(server_key(args.server_key.clone()).as_deref())?;
    context.console.info(LOGGER, format_args!("Undeployed {server}."));
    Ok(())
}

impl Args {
    fn server(&self) -> Result<Server> {
        let address = SocketAddr::new(self.ip, self.port);
        let config = match &self.certificate {
            Some(path) => trust::only("--certificate", path)?,
            None if self.https => trust::authorities()?,
            None => return Ok(Server { address, tls: None }),
        };
        let Some(host) = &self.host else { return Ok(Server::secure(address, config)) };
        let name = ServerName::try_from(host.clone())
            .map_err(|_| Failure::invalid(format!("--host {host}: this is no name of a host")))?;
        Ok(Server { address, tls: Some((Arc::new(config), name)) })
    }
}

/// The key of query servers: as given, else from the environment.
pub(super) fn server_key(given: Option<String>) -> Option<String> {
    given.or_else(|| std::env::var("ARBLAST_SERVER_KEY").ok()).filter(|key| !key.is_empty())
}

/// Which engine a query server answers for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) app: String,
    pub(super) variant: String,
}

/// What may be a query server.
pub(super) struct Server {
    address: SocketAddr,
    /// Whom to trust, and the name that its certificate must have.
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        write!(formatter, "{scheme}://{}", self.address)
    }
}

impl Server {
    /// The one that has the port of a server with these settings: it shows the same certificate, if any.
    pub(super) fn like(settings: &Settings) -> Result<Self> {
        let address = settings.query_server;
        let Some(files) = &settings.tls else { return Ok(Self { address, tls: None }) };
        Ok(Self::secure(address, trust::only("the setting tlsCertificateFile", &files.certificate)?))
    }

    /// Its certificate must be of its address, unless it is known itself.
    fn secure(address: SocketAddr, config: ClientConfig) -> Self {
        let name = ServerName::from(reachable(address).ip());
        Self { address, tls: Some((Arc::new(config), name)) }
    }

    fn unreachable(&self, error: &io::Error) -> Failure {
        if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::HostUnreachable) {
            return Failure::not_found(format!("Nothing at {self} ({error})."));
        }
        let what_to_do = match &self.tls {
            Some(_) => "give the --certificate that it shows, or that of its authority with its --host",
            None => "if it speaks HTTPS, give --https or --certificate FILE",
        };
        Failure::invalid(format!("No answer from {self} ({error}); {what_to_do}."))
    }

    /// The query server of Arblast that answers there.
    pub(super) fn running(&self) -> Option<Running> {
        let (_, body) = self.request("GET", "/", None).ok()?;
        let status = json::parse(body.as_bytes()).ok()?;
        let text = |name: &str| status.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        (text("server")? == "arblast query server").then_some(())?;
        Some(Running { app: text("app")?, variant: text("variant")? })
    }

    /// Stops the query server there, and waits until it has given up the port.
    pub(super) fn stop(&self, key: Option<&str>) -> Result<()> {
        let (status, body) = self
            .request("POST", "/stop", key)
            .map_err(|error| Failure::io(format_args!("cannot stop {self}"), &error))?;
        if status != 200 {
            return Err(Failure::invalid(format!("The server at {self} refuses to stop: {body}")));
        }
        let asked = Instant::now();
        while TcpStream::connect_timeout(&reachable(self.address), TIMEOUT).is_ok() {
            if asked.elapsed() > STOP_TIMEOUT {
                let message = format!("The server at {self} still runs; try again.");
                return Err(Failure::new(Kind::Unavailable, message));
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// One request without body; gives status and body.
    fn request(&self, method: &str, path: &str, key: Option<&str>) -> io::Result<(u16, String)> {
        let address = reachable(self.address);
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let key = key.map_or_else(String::new, |key| format!("Authorization: Bearer {key}\r\n"));
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAccept: application/json\r\n{key}Content-Length: 0\r\n\
             Connection: close\r\n\r\n"
        );
        let Some((config, name)) = &self.tls else { return exchange(stream, &request) };
        let session = ClientConnection::new(Arc::clone(config), name.clone()).map_err(io::Error::other)?;
        exchange(StreamOwned::new(session, stream), &request)
    }
}

fn exchange(mut stream: impl Read + Write, request: &str) -> io::Result<(u16, String)> {
    const ANSWER_BYTES_MAX: u64 = 1 << 20;
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "not an HTTP answer");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(malformed)?;
    Ok((status, body.to_owned()))
}

/// Where to connect for a server that listens on every address.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port())
    } else {
        address
    }
}
