//! `arblast deploy`

use std::net::{IpAddr, SocketAddr};

use events::{InstanceStatus, Kind};
use stores::Storage;
use tokio::net::TcpListener;

use super::Context;
use super::context::EngineFile;
use super::undeploy;
use crate::failure::{Failure, Result};
use crate::http::{QueryServer, Settings};
use crate::serving::Serving;

const LOGGER: &str = "MasterActor";

/// Answer queries over HTTP.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Serves the newest model of the engine and switches to a new one within a second of its publication. `/reload` reads
engine.json again; it and `/stop` obey this machine only. Ends on SIGTERM or SIGINT after the last answer.

Examples:
  arblast deploy
  arblast deploy --ip 127.0.0.1 --port 8001 --variant best.json
  curl -d '{\"user\": \"u1\", \"num\": 4}' http://localhost:8000/queries.json")]
pub struct Args {
    /// Address to listen on
    #[arg(long, default_value = "0.0.0.0")]
    ip: IpAddr,
    /// Port to listen on
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Serve the model of this training run instead of the newest
    #[arg(long, value_name = "ID")]
    engine_instance_id: Option<String>,
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
    feedback: bool,
    #[arg(long, hide = true)]
    event_server_ip: Option<String>,
    #[arg(long, hide = true)]
    event_server_port: Option<String>,
    #[arg(long, hide = true)]
    accesskey: Option<String>,
    #[arg(long, hide = true)]
    log_url: Option<String>,
    #[arg(long, hide = true)]
    log_prefix: Option<String>,
}

pub fn run(args: Args, context: Context) -> Result<()> {
    let console = context.console;
    if args.obsolete.feedback || args.obsolete.log_url.is_some() {
        console.warn(LOGGER, "--feedback and --log-url are not available yet and are ignored.");
    }
    let address = SocketAddr::new(args.ip, args.port);
    let storage = context.storage()?;
    let instance = args.engine_instance_id;
    let load = move || {
        let engine = context.engine()?;
        let pinned = instance.as_deref().map(|id| generation_of(&storage, &engine, id)).transpose()?;
        Serving::open(&storage, engine.config, pinned)
    };
    let server = QueryServer::new(Box::new(load), Settings::default())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot start threads", &error))?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.map_err(|error| cannot_bind(address, &error))?;
        let bound = listener.local_addr().map_err(|error| cannot_bind(address, &error))?;
        let ready = || {
            console.info(
                LOGGER,
                format_args!("Engine is deployed and running. Engine API is live at http://{bound}."),
            );
        };
        server.run(listener, ready).await
    })?;
    console.info(LOGGER, "Stopped.");
    Ok(())
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
    let port = address.port();
    let what_to_do = if error.kind() != std::io::ErrorKind::AddrInUse {
        "give another --ip or --port".to_owned()
    } else if undeploy::is_query_server(address) {
        format!(
            "a query server runs there; stop it with `arblast undeploy --port {port}`, or give another --port"
        )
    } else {
        "another program has the port; give another --port".to_owned()
    };
    Failure::new(Kind::Unavailable, format!("cannot listen on {address}: {error}; {what_to_do}"))
}
