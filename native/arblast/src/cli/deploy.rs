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
use super::{Context, config, servers};
use crate::failure::{Failure, Result};
use crate::http::{self, Engines, FailureLog, Front, Ingest, Intake, Limits, QueryServer, Target};
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
    keys: Keys,
    #[command(flatten)]
    feedback: Box<Feedback>,
    #[command(flatten)]
    options: config::Options,
    #[command(flatten)]
    obsolete: Obsolete,
}

/// Who may do what.
#[derive(clap::Args)]
struct Keys {
    /// Whoever shows this key may control the server, from anywhere [default: $ARBLAST_SERVER_KEY]
    #[arg(long, value_name = "KEY")]
    server_key: Option<String>,
    /// Only who shows this key may ask [default: $ARBLAST_QUERY_KEY]
    #[arg(long, value_name = "KEY")]
    query_key: Option<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Keys")
    }
}

/// What is told to other servers.
#[derive(Debug, clap::Args)]
struct Feedback {
    /// Post each prediction as an event to the event server; needs --accesskey
    #[arg(long)]
    feedback: bool,
    /// Host of the event server
    #[arg(long, value_name = "HOST", default_value = "0.0.0.0")]
    event_server_ip: String,
    /// Port of the event server
    #[arg(long, value_name = "PORT", default_value_t = 7070)]
    event_server_port: u16,
    /// The event server, instead of its host and port; https:// too
    #[arg(long, value_name = "URL")]
    event_server_url: Option<String>,
    /// Access key for the event server
    #[arg(long, value_name = "KEY")]
    accesskey: Option<String>,
    /// Post each query that fails to this URL
    #[arg(long, value_name = "URL")]
    log_url: Option<String>,
    /// Text before the JSON of a failed query
    #[arg(long, value_name = "TEXT", default_value = "")]
    log_prefix: String,
    /// Put the prediction's id into every answer, not only where the query says withPrId
    #[arg(long)]
    with_pr_id: bool,
    /// Say in every answer if it is degraded, not only where the query says withDegraded
    #[arg(long)]
    with_degraded: bool,
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
    let (_log, metrics) = servers::observe(&settings);
    let storage = context.storage()?;
    let runtime = servers::runtime()?;
    let ended = runtime.block_on(async {
        let own = args.of_queries(&settings, console)?;
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
    let Args { ip, port, history_timeout_ms, keys, .. } = args;
    let own = [
        ("queryServerIp", ip.map(|ip| ip.to_string()), "--ip"),
        ("queryServerPort", port.map(|port| port.to_string()), "--port"),
        ("historyMsMax", history_timeout_ms.map(|ms| ms.to_string()), "--history-timeout-ms"),
        ("serverKey", keys.server_key.clone(), "--server-key"),
        ("queryKey", keys.query_key.clone(), "--query-key"),
    ];
    config::settings(context, &args.options, &own)
}

impl Args {
    fn of_queries(&self, settings: &Settings, console: Console) -> Result<http::Settings> {
        let feedback = &self.feedback;
        Ok(http::Settings {
            with_degraded: feedback.with_degraded,
            with_pr_id: feedback.with_pr_id,
            feedback: feedback.event_server(console)?,
            failure_log: feedback.failure_log()?,
            ..of_queries(settings)
        })
    }
}

/// What the settings say of queries; no feedback.
pub(super) fn of_queries(settings: &Settings) -> http::Settings {
    let queries = &settings.queries;
    http::Settings {
        query_bytes_max: queries.query_bytes_max,
        event_bytes_max: settings.events.event_bytes_max,
        lenient_json: settings.events.lenient_json,
        batch_bytes_max: queries.batch_bytes_max,
        batch_queries_max: queries.batch_queries_max,
        answering: Limits {
            history_timeout_ms: queries.history_ms_max,
            queries_max: queries.queries_max,
            ..Limits::default()
        },
        server_key: settings.server_key.clone(),
        query_key: settings.query_key.clone(),
        ..http::Settings::default()
    }
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

impl Feedback {
    /// Where predictions go, if they are wanted.
    fn event_server(&self, console: Console) -> Result<Option<Target>> {
        if !self.feedback {
            return Ok(None);
        }
        let Some(key) = self.accesskey.as_deref().filter(|key| !key.is_empty()) else {
            console.warn(LOGGER, "Feedback loop cannot be enabled because accessKey is empty.");
            return Ok(None);
        };
        let host = if self.event_server_ip == "0.0.0.0" { "127.0.0.1" } else { &self.event_server_ip };
        let url = self.event_server_url.as_deref().map_or_else(
            || format!("http://{host}:{}", self.event_server_port),
            |url| url.trim_end_matches('/').to_owned(),
        );
        if url.contains(['?', '#']) {
            return Err(Failure::invalid("--event-server-url: give it without parameters"));
        }
        Target::parse(&format!("{url}/events.json?accessKey={}", escaped(key))).map(Some)
    }

    fn failure_log(&self) -> Result<Option<FailureLog>> {
        let prefix = self.log_prefix.clone();
        self.log_url.as_deref().map(|url| Ok(FailureLog { target: Target::parse(url)?, prefix })).transpose()
    }
}

/// A text as the value of a parameter.
fn escaped(text: &str) -> String {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if safe(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
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
