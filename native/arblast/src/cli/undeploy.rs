//! `arblast undeploy`

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use events::json;

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
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let address = SocketAddr::new(args.ip, args.port);
    let at = format!("http://{address}");
    context.console.info(LOGGER, format_args!("Looking for a query server at {at}..."));
    if request(address, "GET", "/").is_err() {
        return Err(Failure::not_found(format!("Nothing at {at} ({address} does not answer).")));
    }
    if !is_query_server(address) {
        return Err(Failure::invalid(format!(
            "Another program is at {at}; it is not stopped. Give the right --ip and --port."
        )));
    }
    let (status, body) = request(address, "POST", "/stop")
        .map_err(|error| Failure::io(format_args!("cannot stop {at}"), &error))?;
    if status != 200 {
        return Err(Failure::invalid(format!("The server at {at} refuses to stop: {body}")));
    }
    let asked = Instant::now();
    while TcpStream::connect_timeout(&reachable(address), TIMEOUT).is_ok() {
        if asked.elapsed() > STOP_TIMEOUT {
            return Err(Failure::new(
                events::Kind::Unavailable,
                format!("The server at {at} still runs; try again."),
            ));
        }
        sleep(Duration::from_millis(50));
    }
    context.console.info(LOGGER, format_args!("Undeployed {at}."));
    Ok(())
}

/// Does a query server of Arblast answer there?
pub fn is_query_server(address: SocketAddr) -> bool {
    let Ok((_, body)) = request(address, "GET", "/") else { return false };
    let Ok(status) = json::parse(body.as_bytes()) else { return false };
    status.get("server").and_then(|server| server.as_str()) == Some("arblast query server")
}

/// One request without body; gives status and body.
fn request(address: SocketAddr, method: &str, path: &str) -> io::Result<(u16, String)> {
    const ANSWER_BYTES_MAX: u64 = 1 << 20;
    let mut stream = TcpStream::connect_timeout(&reachable(address), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
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
