//! `arblast undeploy`

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use events::{Kind, json};

use super::Context;
use crate::failure::{Failure, Result};

const LOGGER: &str = "Engine$";
const TIMEOUT: Duration = Duration::from_secs(5);
/// A server that drains its requests may take this long to free the port.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// Stop a query server.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Only a query server of Arblast is stopped, never another program that has the port.

Example:
  arblast undeploy --port 8001")]
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
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let address = SocketAddr::new(args.ip, args.port);
    let at = format!("http://{address}");
    context.console.info(LOGGER, format_args!("Looking for a query server at {at}..."));
    if request(address, "GET", "/", None).is_err() {
        return Err(Failure::not_found(format!("Nothing at {at} ({address} does not answer).")));
    }
    if running_at(address).is_none() {
        return Err(Failure::invalid(format!(
            "Another program is at {at}; it is not stopped. Give the right --ip and --port."
        )));
    }
    stop(address, server_key(args.server_key.clone()).as_deref())?;
    context.console.info(LOGGER, format_args!("Undeployed {at}."));
    Ok(())
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

/// The query server of Arblast that answers there.
pub(super) fn running_at(address: SocketAddr) -> Option<Running> {
    let (_, body) = request(address, "GET", "/", None).ok()?;
    let status = json::parse(body.as_bytes()).ok()?;
    let text = |name: &str| status.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    (text("server")? == "arblast query server").then_some(())?;
    Some(Running { app: text("app")?, variant: text("variant")? })
}

/// Stops the query server there, and waits until it has given up the port.
pub(super) fn stop(address: SocketAddr, key: Option<&str>) -> Result<()> {
    let at = format!("http://{address}");
    let (status, body) = request(address, "POST", "/stop", key)
        .map_err(|error| Failure::io(format_args!("cannot stop {at}"), &error))?;
    if status != 200 {
        return Err(Failure::invalid(format!("The server at {at} refuses to stop: {body}")));
    }
    let asked = Instant::now();
    while TcpStream::connect_timeout(&reachable(address), TIMEOUT).is_ok() {
        if asked.elapsed() > STOP_TIMEOUT {
            let message = format!("The server at {at} still runs; try again.");
            return Err(Failure::new(Kind::Unavailable, message));
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// One request without body; gives status and body.
fn request(address: SocketAddr, method: &str, path: &str, key: Option<&str>) -> io::Result<(u16, String)> {
    const ANSWER_BYTES_MAX: u64 = 1 << 20;
    let mut stream = TcpStream::connect_timeout(&reachable(address), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let key = key.map_or_else(String::new, |key| format!("Authorization: Bearer {key}\r\n"));
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAccept: application/json\r\n{key}Content-Length: 0\r\n\
         Connection: close\r\n\r\n"
    )?;
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
