//! `arblast deploy`

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use events::{InstanceStatus, Kind};
use stores::Storage;

use super::console::Console;
use super::context::EngineFile;
use super::undeploy::{self, Running};
use super::{Context, config, query_server, servers};
use crate::deployable::Deployable;
use crate::failure::{Failure, Result};
use crate::http::{self, Engines, Front, Ingest, Intake, QueryServer};
use crate::settings::Settings;

pub(super) const LOGGER: &str = "MasterActor";
/// A server that has the port may need a moment to answer, or be about to end.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);
/// How long a stopped server's port may take to come free.
const PORT_TIMEOUT: Duration = Duration::from_secs(10);

/// Answer queries over HTTP.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Serves the newest model of the engine and switches to a new one within a second of its publication. A query server of
the same engine and home that has the port is stopped first, but not `arblast serve`. Without a model the command fails;
with --without-model it begins and answers 503 until the first train. `/reload` reads engine.json again; it, `/stop` and what changes
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
    /// Begin before the first train: queries are answered from then on
    #[arg(long, conflicts_with = "engine_instance_id")]
    without_model: bool,
    /// A history that takes longer is done without, and the answer marked as degraded
    #[arg(long, value_name = "MS")]
    history_timeout_ms: Option<u64>,
    #[command(flatten)]
    queries: Box<query_server::QueryOptions>,
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

impl Obsolete {
    fn tell(&self, console: Console) {
        let given = [
            ("--batch", self.batch.is_some()),
            ("--json-extractor", self.json_extractor.is_some()),
            ("--uber-jar", self.uber_jar),
            ("--admin-server-ip", self.admin_server_ip.is_some()),
            ("--admin-server-port", self.admin_server_port.is_some()),
        ];
        for (name, _) in given.iter().filter(|(_, is_given)| *is_given) {
            console.warn(LOGGER, format_args!("{name} has no meaning here and is ignored."));
        }
    }
}

pub fn run(args: Args, context: Context) -> Result<()> {
    let console = context.console;
    let settings = settings(&args, &context)?;
    args.obsolete.tell(console);
    args.queries.warn(&settings, console);
    let (_log, metrics) = servers::observe(&settings);
    let storage = context.storage()?;
    let runtime = servers::runtime()?;
    let ended = runtime.block_on(async {
        let identity = servers::identity("deploy", &context, &settings)?;
        let own = query_server::settings(&settings, identity)?;
        let ingest = servers::ingest(&storage, &settings)?;
        let source = Source { instance: args.engine_instance_id, may_be_absent: false };
        let server = query_server(own, source, &context, storage, ingest)?;
        if args.without_model {
            open(&server, console)?;
        } else {
            server.open()?;
        }
        let port = Port { settings: &settings, console };
        let front = Front::new("queries", port.listen(&server).await?, &settings, &metrics)?;
        let url = front.url()?;
        server.run(front, Router::new(), || http::notify("READY=1"), move || live(console, &url)).await
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
    config::settings(context, &own)
}

/// What a query server serves: the engine file here.
pub(super) struct Source {
    /// With the model of this training run instead of the newest.
    pub(super) instance: Option<String>,
    /// Without a file it serves only the engines that are kept.
    pub(super) may_be_absent: bool,
}

/// Says that queries are answered.
pub(super) fn live(console: Console, url: &str) {
    console.info(LOGGER, format_args!("Engine is deployed and running. Engine API is live at {url}."));
}

/// Opens the model; says so if there is none yet.
pub(super) fn open(server: &QueryServer, console: Console) -> Result<()> {
    match server.open() {
        Err(failure) if failure.kind() == Kind::NotFound => {
            console.info(
                LOGGER,
                format_args!(
                    "The engine has no model yet: queries are answered after the first `arblast train`. ({failure})"
                ),
            );
            Ok(())
        }
        opened => opened,
    }
}

/// A query server of the engine here. Within a runtime.
pub(super) fn query_server(
    own: http::Settings,
    Source { instance, may_be_absent }: Source,
    context: &Context,
    storage: Storage,
    ingest: Arc<Ingest>,
) -> Result<QueryServer> {
    let intake = Intake::new(&storage, ingest, own.lenient_json);
    let engines = Engines::open(storage.clone(), intake, context.home()?);
    let context = context.clone();
    let load = move || {
        let engine = if may_be_absent { context.engine_if_any()? } else { Some(context.engine()?) };
        let Some(engine) = engine else { return Ok(None) };
        let pinned = instance.as_deref().map(|id| generation_of(&storage, &engine, id)).transpose()?;
        let EngineFile { config, text, .. } = engine;
        Ok(Some(Deployable::new(config, text, pinned)))
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
    pub(super) async fn listen(&self, server: &QueryServer) -> Result<tokio::net::TcpListener> {
        let address = self.settings.query_server;
        let mut patience = Instant::now() + LOOK_TIMEOUT;
        loop {
            let error = match http::listen(address, self.settings.reuse_port) {
                Ok(listener) => return Ok(listener),
                Err(error) => error,
            };
            if error.kind() != ErrorKind::AddrInUse || Instant::now() > patience {
                return Err(cannot_bind(address, &error));
            }
            let running = undeploy::Server::like(self.settings)?;
            match running.running() {
                Some(found) => {
                    may_replace(&found, server, address)?;
                    self.console.info(
                        LOGGER,
                        format_args!("Stopping the query server of this engine at {running}..."),
                    );
                    running.stop(&found, self.settings.server_key.as_deref())?;
                    patience = Instant::now() + PORT_TIMEOUT;
                }
                // It may be about to end, or another to begin.
                None => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

/// Only the same engine of the same home is replaced, and not what takes in events, too.
fn may_replace(running: &Running, server: &QueryServer, address: SocketAddr) -> Result<()> {
    let (port, own) = (address.port(), server.deployed());
    let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".to_owned());
    let (app, variant) = (name(&running.app), name(&running.variant));
    let is_same = own.is_some_and(|own| own.config.app_name == app && own.config.variant == variant);
    let (what, option) = if running.takes_events() {
        ("`arblast serve`, which takes in events, too, runs there".to_owned(), " --serve")
    } else if !is_same {
        (format!("a query server of engine {variant} of app {app} runs there"), "")
    } else if running.home != server.settings().identity.home {
        (format!("a query server of engine {variant} of app {app} of another home runs there"), "")
    } else {
        return Ok(());
    };
    let message = format!(
        "cannot listen on {address}: {what}; stop it with `arblast undeploy --port {port}{option}`, or give another port"
    );
    Err(Failure::new(Kind::Unavailable, message))
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
