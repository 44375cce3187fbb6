//! `arblast flight serve`: Flight SQL and Arrow Flight on one port.

mod actions;
mod answers;
mod client;
mod exchange;
mod listen;
mod metadata;
mod models;
mod put;
mod queries;
mod running;
mod service;
mod statements;
mod uploads;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arblast::cli::{Context, config, servers};
use arblast::failure::{Failure, Result};
use arblast::http::{self, Intake, Tls};
use arblast::jobs::Background;
use arblast::settings::Settings;
use arrow_flight::flight_service_server::FlightServiceServer;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::cluster::{Site, Where};
use crate::counting::Counter;
use crate::engines::Engines;
use crate::errors;
use crate::sql::{Limits, Session, Sight, TABLES_MAX};
use client::{Client, Guarded, Who};
use queries::Queries;
use running::Running;
use service::Front;
use statements::{Kept, Prepared, Waiting};

const LOGGER: &str = "Flight$";
/// Stack of a thread that plans: touched only as far as a statement is deep.
const STACK_BYTES: usize = 64 << 20;
/// For what is not reading.
const SPARE_THREADS: usize = 64;
/// Largest message that a client may send.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Calls of one connection at the same time.
const CALLS_MAX: u32 = 64;
/// Whether a peer still lives is asked so often, and for so long is waited for its answer.
const ALIVE: Duration = Duration::from_secs(20);
/// A cluster in which no task ends for so long is given up.
const STALLED_AFTER: Duration = Duration::from_secs(600);
/// A prepared statement that nobody uses.
const PREPARED_AGE_MAX: Duration = Duration::from_secs(3600);
/// A result that nobody fetches.
const WAITING_AGE_MAX: Duration = Duration::from_secs(600);

/// Answer SQL and Arrow Flight clients.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Clients show an access key: as password, or as bearer token. They see the app of their key; whoever shows the key of the server
(the setting serverKey) sees all. docs/flight.md has tables, functions and examples for clients.

Examples:
  arblast flight serve
  arblast flight serve --port 0 --set flightQueriesMax=2
  arblast flight serve --scheduler 10.0.0.1:20050 --scratch /shared/scratch
  arblast flight serve --ip 0.0.0.0 --set tlsCertificateFile=cert.pem --set tlsKeyFile=key.pem")]
pub struct Args {
    /// Address to listen on [default: the setting flightIp, which is 127.0.0.1]
    #[arg(long)]
    ip: Option<IpAddr>,
    /// Port to listen on [default: the setting flightPort, which is 8815]
    #[arg(long)]
    port: Option<u16>,
    /// Let COPY write into this folder [default: the setting flightExportDirectory]
    #[arg(long, value_name = "DIR")]
    export_directory: Option<String>,
    /// Let this cluster count what takes long: trains, cross_occurrence
    #[arg(long, value_name = "HOST:PORT")]
    scheduler: Option<String>,
    /// Folder that all processes of the cluster reach [default: `scratch` in the home]
    #[arg(long, value_name = "URL", requires = "scheduler")]
    scratch: Option<String>,
    /// Where correlators are counted
    #[arg(long, default_value = "auto", requires = "scheduler")]
    count: Where,
    /// Listen on an address that others reach, though keys travel in plain text
    #[arg(long)]
    allow_plaintext: bool,
}

impl Args {
    /// The cluster that counts.
    fn site(&self, context: &Context) -> Result<Option<Site>> {
        let Some(scheduler) = self.scheduler.clone() else { return Ok(None) };
        let scratch = match &self.scratch {
            Some(scratch) => scratch.clone(),
            None => context.home()?.join("scratch").display().to_string(),
        };
        let told = Box::new(|text: &str| tracing::info!("{text}"));
        let stalled_after = STALLED_AFTER;
        Ok(Some(Site { scheduler, scratch, count: self.count, deadline: None, stalled_after, told }))
    }
}

/// Runs until the process is asked to end.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let own = [
        ("flightIp", args.ip.map(|ip| ip.to_string()), "--ip"),
        ("flightPort", args.port.map(|port| port.to_string()), "--port"),
        ("flightExportDirectory", args.export_directory.clone(), "--export-directory"),
    ];
    let settings = config::settings(context, &own)?;
    check_exposure(&settings, args.allow_plaintext)?;
    let (_log, _metrics) = servers::observe(&settings);
    let (runtime, working) = (servers::runtime()?, working(context.threads(None), &settings)?);
    let server = Arc::new(Server::open(context, settings, args.site(context)?, &working)?);
    let ended = runtime.block_on(serve(Arc::clone(&server), context));
    server.trains.end();
    // What hangs in a statement must not keep the process.
    working.shutdown_background();
    runtime.shutdown_background();
    ended?;
    context.console.info(LOGGER, "Stopped.");
    Ok(())
}

/// Threads that plan and execute; those of connections are others.
fn working(threads: usize, settings: &Settings) -> Result<Runtime> {
    // each part of a table that a statement reads holds one
    let parts = TABLES_MAX * threads * settings.flight.queries_max;
    let runtime = Builder::new_multi_thread()
        .max_blocking_threads(parts + SPARE_THREADS)
        .enable_all()
        .thread_name("statement")
        .thread_stack_size(STACK_BYTES)
        .build();
    runtime.map_err(|error| Failure::io("cannot start threads", &error))
}

fn check_exposure(settings: &Settings, allow_plaintext: bool) -> Result<()> {
    let address = settings.flight.address;
    if address.ip().is_loopback() || settings.tls.is_some() || allow_plaintext {
        return Ok(());
    }
    Err(Failure::invalid(format!(
        "{} is an address that others reach, and access keys would travel in plain text: set tlsCertificateFile and tlsKeyFile, \
         or give --allow-plaintext if the network is your own",
        address.ip()
    )))
}

/// Everything that calls need.
pub struct Server {
    settings: Settings,
    intake: Intake,
    engines: Engines,
    trains: Background,
    queries: Arc<Queries>,
    limits: Limits,
    prepared: Kept<Prepared>,
    waiting: Kept<Waiting>,
    running: Arc<Running>,
    uploads: Arc<tokio::sync::Semaphore>,
}

impl Server {
    fn open(context: &Context, settings: Settings, site: Option<Site>, working: &Runtime) -> Result<Self> {
        let storage = context.storage()?;
        let ingest = servers::ingest(&storage, &settings)?;
        let own = context.engine_if_any()?.map(|engine| (engine.config, engine.text));
        let spill_directory = context.home()?.join("flight-spill");
        std::fs::create_dir_all(&spill_directory).map_err(|error| {
            Failure::io(format_args!("cannot create {}", spill_directory.display()), &error)
        })?;
        let limits = Limits {
            bytes_max: settings.flight.query_bytes_max,
            spill_bytes_max: settings.flight.spill_bytes_max,
            spill_directory,
            counter: Counter { threads: context.threads(None), site: site.map(Arc::new) },
            export: Arc::default(),
        };
        Ok(Self {
            intake: Intake::new(&storage, ingest, settings.events.lenient_json),
            engines: Engines::new(storage, own),
            trains: Background::default(),
            queries: Arc::new(Queries::new(&settings.flight, working.handle().clone())),
            limits: limits
                .with_export(settings.flight.export_directory.as_deref(), settings.flight.export_bytes_max)?,
            prepared: Kept::new("prepared statement", PREPARED_AGE_MAX),
            waiting: Kept::new("result", WAITING_AGE_MAX),
            running: Arc::default(),
            uploads: Arc::new(tokio::sync::Semaphore::new(settings.events.uploads_max)),
            settings,
        })
    }

    /// What a client sees.
    fn sight(&self, client: &Client) -> Result<Sight> {
        let apps = match &client.who {
            Who::Admin => None,
            Who::Key(caller) => Some((caller.access.app.name.clone(), caller.access.app.id)),
        };
        Sight::new(&self.engines, apps, client.engine.clone())
    }

    /// A session for one statement of a client.
    fn session(&self, client: &Client) -> std::result::Result<Session, Status> {
        let sight = self.sight(client).map_err(|failure| errors::of_failure(&failure))?;
        Session::new(sight, &self.limits).map_err(|error| errors::of_datafusion(&error))
    }
}

async fn serve(server: Arc<Server>, context: &Context) -> Result<()> {
    let terminated = http::termination()?;
    let settings = &server.settings;
    let tls = settings.tls.as_ref().map(|files| Tls::load(files.clone(), b"h2").map(Arc::new)).transpose()?;
    let listener = servers::listen(settings.flight.address, settings)?;
    announce(&listener, tls.is_some(), context)?;
    let connections = listen::connections(listener, tls, &settings.limits);
    let service = FlightServiceServer::new(Front(Arc::clone(&server)))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(usize::MAX);
    let header_bytes_max = u32::try_from(settings.limits.header_bytes_max).unwrap_or(u32::MAX);
    let drain = settings.limits.drain_time_max;
    let (asked, ending) = tokio::sync::oneshot::channel::<()>();
    let served = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(ALIVE))
        .http2_keepalive_timeout(Some(ALIVE))
        .http2_max_header_list_size(header_bytes_max)
        .max_concurrent_streams(CALLS_MAX)
        .add_service(Guarded { inner: service, server: Arc::clone(&server) })
        .serve_with_incoming_shutdown(ReceiverStream::new(connections), async {
            terminated.await;
            tracing::info!("stopping: calls in work are finished");
            http::notify("STOPPING=1");
            let _ = asked.send(());
        });
    tokio::select! {
        ended = served => ended.map_err(|error| Failure::new(events::Kind::Unavailable, error.to_string())),
        () = async {
            let _ = ending.await;
            tokio::time::sleep(drain).await;
        } => {
            tracing::warn!("some calls did not end in time and are cut");
            Ok(())
        }
    }
}

fn announce(listener: &TcpListener, is_tls: bool, context: &Context) -> Result<()> {
    let address: SocketAddr =
        listener.local_addr().map_err(|error| Failure::io("the server has no address", &error))?;
    let scheme = if is_tls { "grpc+tls" } else { "grpc" };
    context.console.info(LOGGER, format_args!("Flight SQL is live at {scheme}://{address}."));
    http::notify("READY=1");
    Ok(())
}
