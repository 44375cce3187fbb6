//! Load for the servers, from a client that costs little itself. Prints one JSON line per figure.
//!
//! `cargo run --release -p arblast --example load -- MODE --address 127.0.0.1:7070 …`; `--help` lists modes and options.
//! Requests are the same for the same `--seed`. `bench/servers` starts servers and runs the usual ones.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program for developers")]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "figures have four digits")]
#![allow(clippy::cast_sign_loss, reason = "rates are not negative")]

mod client;
mod closed;
mod connection;
mod figures;
mod hostile;
mod overload;
#[cfg(test)]
mod tests;
mod workload;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use events::json::Object;

use closed::{AckLog, Kind, Plan};
use figures::Meter;
use hostile::Hostile;
use overload::Overload;

/// Load for the servers; one JSON line per figure.
#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    mode: Mode,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// Address of the server
    #[arg(long, global = true, default_value = "127.0.0.1:7070")]
    address: SocketAddr,
    /// Access key of the app
    #[arg(long, global = true, default_value = "")]
    access_key: String,
    /// Connections at the same time
    #[arg(long, global = true, default_value_t = 64)]
    connections: u64,
    /// How long
    #[arg(long, global = true, default_value_t = 10.0)]
    seconds: f64,
    /// Same seed, same requests; a run with another seed sends other events
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
    /// Different users u0, u1, …
    #[arg(long, global = true, default_value_t = 100_000)]
    users: u64,
    /// Different items i0, i1, …
    #[arg(long, global = true, default_value_t = 27_000)]
    items: u64,
    /// A request without an answer after this long is a timeout
    #[arg(long, global = true, default_value_t = 30_000)]
    timeout_ms: u64,
    /// Process of the server on this machine, to read its processor time and memory
    #[arg(long, global = true)]
    server_pid: Option<u32>,
    /// Write the id of each acknowledged event to this file at once, one per line
    #[arg(long, global = true, value_name = "FILE")]
    ack_log: Option<PathBuf>,
    /// Name of the row
    #[arg(long, global = true)]
    name: Option<String>,
    /// Threads of this client
    #[arg(long, global = true, default_value_t = 1)]
    threads: usize,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// POST /events.json, one event per request
    Single,
    /// POST /batch/events.json
    Batch {
        /// Events per request
        #[arg(long, default_value_t = 50)]
        size: usize,
    },
    /// POST /events.ndjson
    Ndjson {
        /// Events per request
        #[arg(long, default_value_t = 50_000)]
        lines: usize,
        /// In chunks instead of with a length
        #[arg(long)]
        chunked: bool,
    },
    /// POST /queries.json
    Queries {
        /// File of user ids, one per line [default: u0 to u<USERS>]
        #[arg(long, value_name = "FILE")]
        user_file: Option<PathBuf>,
        /// Number of recommendations
        #[arg(long)]
        num: Option<u32>,
    },
    /// Measures the rate that the server sustains, then sends a multiple of it, whatever the server answers; then looks
    /// up what was acknowledged. Give --server-pid, and hold the server down so that this client can send as much
    Overload {
        /// Sends POST /queries.json instead of single events
        #[arg(long)]
        queries: bool,
        /// File of user ids for queries, one per line [default: u0 to u<USERS>]
        #[arg(long, value_name = "FILE")]
        user_file: Option<PathBuf>,
        /// So many times the sustained rate
        #[arg(long, default_value_t = 10.0)]
        times: f64,
        /// How long the sustained rate is measured
        #[arg(long, default_value_t = 10.0)]
        sustained_seconds: f64,
        /// So many acknowledged events are looked up, at random
        #[arg(long, default_value_t = 10_000)]
        verify: usize,
    },
    /// Looks up the ids of a file that --ack-log wrote; status 1 if one is missing
    Verify {
        /// File of event ids, one per line
        #[arg(long, value_name = "FILE")]
        ids: PathBuf,
    },
    /// Slow, huge, deep and broken requests
    Hostile {
        /// Where they go [default: /events.json with the access key]
        #[arg(long)]
        path: Option<String>,
        /// What is asked to see whether the server still answers
        #[arg(long, default_value = "/")]
        health: String,
        /// Size of the largest bodies
        #[arg(long, default_value_t = 1024)]
        body_mib: usize,
        /// Only attacks whose name contains this
        #[arg(long)]
        only: Option<String>,
    },
}

fn main() {
    let Options { mode, common } = Options::parse();
    let mut builder = match common.threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.worker_threads(common.threads.max(1)).enable_all().build().unwrap();
    let good = runtime.block_on(run(mode, common));
    std::process::exit(i32::from(!good));
}

/// `false` = an acknowledged event is missing.
async fn run(mode: Mode, common: Common) -> bool {
    let time = Duration::from_secs_f64(common.seconds);
    match mode {
        Mode::Single => closed_loop("load single", "events", Kind::Single, common, time).await,
        Mode::Batch { size } => closed_loop("load batch", "events", Kind::Batch { size }, common, time).await,
        Mode::Ndjson { lines, chunked } => {
            closed_loop("load ndjson", "events", Kind::Ndjson { lines, chunked }, common, time).await;
        }
        Mode::Queries { user_file, num } => {
            let users = user_file.map(|path| workload::ids(&path)).unwrap_or_default();
            closed_loop("load queries", "answers", Kind::Queries { users, num }, common, time).await;
        }
        Mode::Overload { queries, user_file, times, sustained_seconds, verify } => {
            let users = user_file.map(|path| workload::ids(&path)).unwrap_or_default();
            let kind = if queries { Kind::Queries { users, num: None } } else { Kind::Single };
            let sustained_time = Duration::from_secs_f64(sustained_seconds);
            let (clients, server_pid, name) = (common.connections, common.server_pid, common.name.clone());
            let overload = Overload { times, sustained_time, clients, time, verify, server_pid };
            let row = overload.run(&plan(kind, common)).await;
            let good = row.get("missing").and_then(events::Json::as_i64) == Some(0);
            print("load overload", name, row);
            return good;
        }
        Mode::Verify { ids } => {
            let ids = workload::ids(&ids);
            let (count, name) = (ids.len(), common.name.clone());
            let missing = overload::missing(&plan(Kind::Single, common), ids).await;
            let head: Vec<String> = missing.iter().take(10).cloned().collect();
            let row =
                Object::new().with("looked_up", count).with("missing", missing.len()).with("head", head);
            print("load verify", name, row);
            return missing.is_empty();
        }
        Mode::Hostile { path, health, body_mib, only } => {
            let path = path.unwrap_or_else(|| format!("/events.json?accessKey={}", common.access_key));
            let connections = usize::try_from(common.connections).unwrap();
            let Common { address, server_pid, name: on, .. } = common;
            Hostile { on, address, path, health, connections, time, body_mib, server_pid, only }.run().await;
        }
    }
    true
}

fn plan(kind: Kind, common: Common) -> Arc<Plan> {
    Arc::new(Plan {
        kind,
        address: common.address,
        access_key: common.access_key,
        seed: common.seed,
        users: common.users,
        items: common.items,
        timeout: Duration::from_millis(common.timeout_ms),
        acknowledged: common.ack_log.as_deref().map(AckLog::create),
    })
}

async fn closed_loop(bench: &str, unit: &str, kind: Kind, common: Common, time: Duration) {
    let (connections, name) = (common.connections, common.name.clone());
    let meter = Meter::start(common.server_pid);
    let figures = plan(kind, common).run(connections, time).await;
    let wall = meter.wall();
    let row = figures.describe(unit, wall, Object::new().with("connections", connections));
    print(bench, name, meter.describe(row));
}

fn print(bench: &str, name: Option<String>, row: Object) {
    let mut named = Object::new().with("bench", bench);
    if let Some(name) = name {
        named.insert("name", name);
    }
    row.into_iter().for_each(|(name, value)| named.push(name, value));
    println!("{named}");
}
