//! What the commands that start servers have in common: log, metrics, runtime, ports.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use events::Kind;
use sha2::{Digest, Sha256};
use stores::Storage;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::Context;
use crate::failure::{Failure, Result};
use crate::http::{self, EventServer, Ingest};
use crate::observe::log::Log;
use crate::observe::metrics::Metrics;
use crate::settings::Settings;
use crate::webhooks::Connectors;

/// Log and metrics of this process. Lines are written as long as the log lives.
pub fn observe(settings: &Settings) -> (Log, Arc<Metrics>) {
    let log = Log::start(&settings.log);
    let metrics = Metrics::new();
    metrics.counted("arblast_log_lines_dropped_total", "Nobody read them in time.", &[], log.dropped());
    (log, metrics)
}

/// The threads of the servers.
pub fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot start threads", &error))
}

/// What other commands know a query server by that `command` starts.
pub fn identity(command: &'static str, context: &Context, settings: &Settings) -> Result<http::Identity> {
    let home = context.home()?;
    let failed = |error| Failure::io(format_args!("cannot look at {}", home.display()), &error);
    let path = home.canonicalize().map_err(failed)?;
    let metadata = path.metadata().map_err(failed)?;
    // Everybody may read it, and nobody needs to know the path.
    let place = format!("{} {} {}", path.display(), metadata.dev(), metadata.ino());
    let home = Sha256::digest(place).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let process = getrandom::u64()
        .map_err(|error| Failure::new(Kind::Unavailable, format!("no random bytes: {error}")))?;
    let limits = &settings.limits;
    let stop_seconds_max = (limits.stop_delay + limits.drain_time_max).as_secs();
    Ok(http::Identity { command, home, process: format!("{process:016x}"), stop_seconds_max })
}

/// What makes events durable: one for all servers of the process, so that they share commits and a limit.
pub fn ingest(storage: &Storage, settings: &Settings) -> Result<Arc<Ingest>> {
    Ingest::start(Arc::clone(&storage.events), settings.events.queued_events_max).map(Arc::new)
}

/// The event server as the settings want it.
pub fn event_server(storage: &Storage, ingest: Arc<Ingest>, settings: &Settings) -> Result<EventServer> {
    let connectors = match &settings.webhooks_file {
        Some(path) => Connectors::with_mappings("the setting webhooksFile", path)?,
        None => Connectors::builtin(),
    };
    Ok(EventServer::new(storage, ingest, settings.events, connectors))
}

/// Listens for an event server.
pub fn listen_for_events(settings: &Settings) -> Result<TcpListener> {
    listen(settings.event_server, settings)
}

/// Listens on an address.
pub fn listen(address: SocketAddr, settings: &Settings) -> Result<TcpListener> {
    http::listen(address, settings.reuse_port).map_err(|error| cannot_bind(address, &error))
}

fn cannot_bind(address: SocketAddr, error: &std::io::Error) -> Failure {
    let what_to_do = if error.kind() == std::io::ErrorKind::AddrInUse {
        "another program has the port, perhaps another server of Arblast; give another --port"
    } else {
        "give another --ip or --port"
    };
    Failure::new(Kind::Unavailable, format!("cannot listen on {address}: {error}; {what_to_do}"))
}
