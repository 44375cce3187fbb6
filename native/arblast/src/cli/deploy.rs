//! `arblast deploy`

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use engine::EngineConfig;
use events::{InstanceStatus, Kind};
use stores::Storage;

use super::console::Console;
use super::context::EngineFile;
use super::undeploy::{self, Running};
use super::{Context, config, query_server, servers};
use crate::failure::{Failure, Result};
use crate::http::{self, Engines, Front, Ingest, Intake, QueryServer};
use crate::serving::Serving;
use crate::settings::Settings;

pub(super) const LOGGER: &str = "MasterActor";
/// How long a stopped server's port may take to come free.
const PORT_TIMEOUT: Duration = Duration::from_secs(10);

/// Answer queries over HTTP.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Serves the newest model of the engine and switches to a new one within a second of its publication. A query server of
the same engine that has the port is stopped first. `/reload` reads engine.json again; it, `/stop` and what changes
engines obey this machine only, or whoever shows the key of --server-key. Ends on SIGTERM or SIGINT after the last answer.

Examples:
  arblast deploy
  arblast deploy --ip 127.0.0.1 --port 8001 --variant best.json
  arblast deploy --feedback --accesskey KEY --event-server-url https://events.example.com
  curl -d '{\"user\": \"u1\", \"num\": 4}' http://localhost:8000/queries.json")]
pub struct Args {
    /// Address to listen on [default: the setting queryServerIp, which is 0.0.0.0]
    #[arg(long)]
    ip: Option<IpAddr>,
    /// Port to listen on [default: the setting queryServerPort, which is 8000]
    #[arg(long)]
    port: Option<u16>,
    /// Serve the model of this training run instead of the newest
    #[arg(long, value_name = "ID")]
    engine_instance_id: Option<String>,
    /// A history that takes longer is done without, and the answer marked as degraded
    #[arg(long, value_name = "MS")]
    history_timeout_ms: Option<u64>,
    #[command(flatten)]
    queries: Box<query_server::QueryOptions>,
    #[command(flatten)]
    options: config::Options,
    #[command(flatten)]
    obsolete: Obsolete,
}

/// Options of `pio deploy` without a meaning here.
#[derive(Debug, clap::Args)]
struct Obsolete {
    #[arg(long, hide = true)]
    batch: Option<String>,
    #[arg(long, hide = true)]
    json_extractor: Option<String>,
    #[arg(long, hide = true)]
    uber_jar: bool,
    #[arg(long, hide = true)]
    admin_server_ip: Option<String>,
    #[arg(long, hide = true)]
    admin_server_port: Option<String>,
}

pub fn run(args: Args, context: Context) -> Result<()> {
    let console = context.console;
    let settings = settings(&args, &context)?;
    query_server::warn(&settings, console);
    let (_log, metrics) = servers::observe(&settings);
    let storage = context.storage()?;
    let runtime = servers::runtime()?;
    let ended = runtime.block_on(async {
        let own = query_server::settings(&settings)?;
        let ingest = servers::ingest(&storage, &settings)?;
        let server = query_server(own, args.engine_instance_id, &context, storage, ingest)?;
        let port = Port { settings: &settings, console };
        let front =
            Front::new("queries", port.listen(server.serving().config()).await?, &settings, &metrics)?;
        let url = front.url()?;
        let ready = || {
            console
                .info(LOGGER, format_args!("Engine is deployed and running. Engine API is live at {url}."));
            http::notify("READY=1");
        };
        server.run(front, Router::new(), ready).await
    });
    // What hangs in the store must not keep the process.
    runtime.shutdown_background();
    ended?;
    console.info(LOGGER, "Stopped.");
    Ok(())
}

fn settings(args: &Args, context: &Context) -> Result<Settings> {
    let Args { ip, port, history_timeout_ms, .. } = args;
    let mut own = args.queries.settings();
    own.extend([
        ("queryServerIp", ip.map(|ip| ip.to_string()), "--ip"),
        ("queryServerPort", port.map(|port| port.to_string()), "--port"),
        ("historyMsMax", history_timeout_ms.map(|ms| ms.to_string()), "--history-timeout-ms"),
    ]);
    config::settings(context, &args.options, &own)
}

/// A query server of the engine here, with its newest model or that of a training run. Within a runtime.
pub(super) fn query_server(
    own: http::Settings,
    instance: Option<String>,
    context: &Context,
    storage: Storage,
    ingest: Arc<Ingest>,
) -> Result<QueryServer> {
    let intake = Intake::new(&storage, ingest, own.lenient_json);
    let engines = Engines::open(storage.clone(), intake, context.home()?.join("engines"));
    let context = context.clone();
    let load = move || {
        let engine = context.engine()?;
        let pinned = instance.as_deref().map(|id| generation_of(&storage, &engine, id)).transpose()?;
        let EngineFile { config, text, .. } = engine;
        Ok(Serving::open(&storage, config, pinned)?.described_by(text))
    };
    QueryServer::new(Box::new(load), engines, own)
}

/// The port to listen on.
pub(super) struct Port<'a> {
    pub(super) settings: &'a Settings,
    pub(super) console: Console,
}

impl Port<'_> {
    /// Listens; first stops a query server of the same engine that has the port, and nothing else.
    pub(super) async fn listen(&self, config: &EngineConfig) -> Result<tokio::net::TcpListener> {
        let address = self.settings.query_server;
        let bind = || http::listen(address, self.settings.reuse_port);
        let error = match bind() {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == ErrorKind::AddrInUse => error,
            Err(error) => return Err(cannot_bind(address, &error)),
        };
        let own = Running { app: config.app_name.clone(), variant: config.variant.clone() };
        let running = undeploy::Server::like(self.settings)?;
        match running.running() {
            Some(found) if found == own => {}
            Some(Running { app, variant }) => {
                return Err(Failure::new(
                    Kind::Unavailable,
                    format!(
                        "cannot listen on {address}: a query server of engine {variant} of app {app} runs there; stop it \
                         with `arblast undeploy --port {}`, or give another --port",
                        address.port()
                    ),
                ));
            }
            None => return Err(cannot_bind(address, &error)),
        }
        self.console.info(LOGGER, format_args!("Stopping the query server of this engine at {running}..."));
        running.stop(self.settings.server_key.as_deref())?;
        let asked = Instant::now();
        loop {
            match bind() {
                Err(error) if error.kind() == ErrorKind::AddrInUse && asked.elapsed() < PORT_TIMEOUT => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                bound => return bound.map_err(|error| cannot_bind(address, &error)),
            }
        }
    }
}

pub(super) fn generation_of(storage: &Storage, engine: &EngineFile, id: &str) -> Result<u64> {
    let invalid = |why: String| Failure::invalid(format!("Invalid engine instance ID {id}. Aborting. {why}"));
    let instances = storage.registry.instances()?;
    let instance = instances
        .into_iter()
        .find(|instance| instance.id == id)
        .ok_or_else(|| invalid("There is no such training run.".to_owned()))?;
    let config = &engine.config;
    if instance.app != config.app_name || instance.variant != config.variant {
        return Err(invalid(format!("It is of app {} and variant {}.", instance.app, instance.variant)));
    }
    match instance.status {
        InstanceStatus::Completed => {
            instance.generation.ok_or_else(|| invalid("It published no model.".to_owned()))
        }
        InstanceStatus::Init => Err(invalid("It is not complete.".to_owned())),
        InstanceStatus::Failed(reason) => Err(invalid(format!("It failed: {reason}"))),
    }
}

fn cannot_bind(address: SocketAddr, error: &std::io::Error) -> Failure {
    let what_to_do = if error.kind() == ErrorKind::AddrInUse {
        "another program has the port; give another --port"
    } else {
        "give another --ip or --port"
    };
    Failure::new(Kind::Unavailable, format!("cannot listen on {address}: {error}; {what_to_do}"))
}
