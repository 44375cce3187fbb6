//! `arblast undeploy`

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use events::{Json, Kind, json};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::{Context, config};
use crate::failure::{Failure, Result};
use crate::http::trust;
use crate::settings::Settings;

const LOGGER: &str = "Engine$";
const TIMEOUT: Duration = Duration::from_secs(5);
/// Beyond what the server says that it needs.
const GRACE: Duration = Duration::from_secs(5);
/// Where several servers share a port, each connection goes to any of them: so many answers of others show that one is gone.
const LOOKS: u32 = 24;
const PAUSE: Duration = Duration::from_millis(50);

/// Stop a query server.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Only a query server of Arblast is stopped, never another program that has the port; and `arblast serve`, which takes in
events, too, only with --serve. Waits until the server has given up the port, as long as it said that this takes.

Examples:
  arblast undeploy --port 8001
  arblast undeploy --certificate /etc/arblast/cert.pem
  arblast undeploy --https --host recommend.example.com
  arblast undeploy --serve")]
pub struct Args {
    /// Address of the server [default: the setting queryServerIp, which is 0.0.0.0]
    #[arg(long)]
    ip: Option<IpAddr>,
    /// Port of the server [default: the setting queryServerPort, which is 8000]
    #[arg(long)]
    port: Option<u16>,
    /// Key of the server, if it was started with one [default: the setting serverKey]
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
    /// Stop it also if it is `arblast serve`: then no events are taken in either
    #[arg(long)]
    serve: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let own = [
        ("queryServerIp", args.ip.map(|ip| ip.to_string()), "--ip"),
        ("queryServerPort", args.port.map(|port| port.to_string()), "--port"),
        ("serverKey", args.server_key.clone(), "--server-key"),
    ];
    let settings = config::settings_of_others(context, &own)?;
    let server = args.server(&settings)?;
    context.console.info(LOGGER, format_args!("Looking for a query server at {server}..."));
    if let Err(error) = server.request("GET", "/", None) {
        return Err(server.unreachable(&error));
    }
    let Some(running) = server.running() else {
        return Err(Failure::invalid(format!(
            "Another program is at {server}; it is not stopped. Give the right --ip and --port."
        )));
    };
    if running.takes_events() && !args.serve {
        return Err(Failure::invalid(format!(
            "At {server} runs `arblast serve`, which takes in events, too; --serve stops it all."
        )));
    }
    server.stop(&running, settings.server_key.as_deref())?;
    context.console.info(LOGGER, format_args!("Undeployed {server}."));
    Ok(())
}

impl Args {
    /// The server of the settings, which speaks HTTPS if these or the options say so.
    fn server(&self, settings: &Settings) -> Result<Server> {
        let address = settings.query_server;
        let config = match &self.certificate {
            Some(path) => trust::only("--certificate", path)?,
            None if self.https => trust::authorities()?,
            None => return Server::like(settings),
        };
        let Some(host) = &self.host else { return Ok(Server::secure(address, config)) };
        let name = ServerName::try_from(host.clone())
            .map_err(|_| Failure::invalid(format!("--host {host}: this is no name of a host")))?;
        Ok(Server { address, tls: Some((Arc::new(config), name)) })
    }
}

/// A query server of Arblast that answers, as it introduces itself.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) app: Option<String>,
    pub(super) variant: Option<String>,
    /// Of the data that it answers from.
    pub(super) home: String,
    command: String,
    process: String,
}

impl Running {
    /// Is it `arblast serve`?
    pub(super) fn takes_events(&self) -> bool {
        self.command == "serve"
    }
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
        // A version before these members is no server of this home.
        let known = |name: &str| text(name).unwrap_or_default();
        Some(Running {
            app: text("app"),
            variant: text("variant"),
            home: known("home"),
            command: known("command"),
            process: known("process"),
        })
    }

    /// Stops a query server there, and waits until it has given up the port. `running`: the one that was met there; it may
    /// have ended meanwhile.
    pub(super) fn stop(&self, running: &Running, key: Option<&str>) -> Result<()> {
        let (status, body) = match self.request("POST", "/stop", key) {
            Ok(answer) => answer,
            Err(_) if self.running().is_none_or(|found| found.process != running.process) => return Ok(()),
            Err(error) => return Err(Failure::io(format_args!("cannot stop {self}"), &error)),
        };
        let said = json::parse(body.as_bytes()).unwrap_or_default();
        let text = |name: &str| said.get(name).and_then(|value| value.as_str());
        if status != 200 {
            let why = text("message").unwrap_or(&body);
            let what_to_do = if status == 401 {
                "; give its key with --server-key or the setting serverKey ($ARBLAST_SERVER_KEY)"
            } else {
                ""
            };
            return Err(Failure::invalid(format!("The server at {self} refuses to stop: {why}{what_to_do}")));
        }
        let seconds = said.get("stopSecondsMax").and_then(json_seconds).unwrap_or_default();
        let patience = Duration::from_secs(seconds).saturating_add(GRACE);
        // Of several that share the port, another may have heard it than the one that was met.
        self.wait_for_end(text("process").unwrap_or(&running.process), patience)
    }

    fn wait_for_end(&self, process: &str, patience: Duration) -> Result<()> {
        let (asked, mut others) = (Instant::now(), 0);
        while others < LOOKS {
            match TcpStream::connect_timeout(&reachable(self.address), TIMEOUT) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(()),
                _ => {}
            }
            match self.running() {
                Some(found) if found.process == process => others = 0,
                Some(_) => others += 1,
                None => {}
            }
            if asked.elapsed() > patience {
                let seconds = patience.as_secs();
                let message = format!("The server at {self} still runs after {seconds} s; try again.");
                return Err(Failure::new(Kind::Unavailable, message));
            }
            sleep(PAUSE);
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

fn json_seconds(value: &Json) -> Option<u64> {
    value.as_i64().and_then(|seconds| u64::try_from(seconds).ok())
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
