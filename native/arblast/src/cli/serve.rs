//! `arblast serve`

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use stores::Storage;
use tokio::sync::Notify;

use super::{Context, config, deploy, eventserver, query_server, servers};
use crate::failure::Result;
use crate::http::{self, EventServer, Front, Ingest, QueryServer};
use crate::observe::metrics::Metrics;
use crate::settings::Settings;

const LOGGER: &str = "Serve$";

/// Take in events and answer queries, in one process.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Both servers of a small site: events on port 7070, queries on port 8000; with --port both on one. As long as the engine has no
model, its queries get 503; they are answered from the first train on. Without an engine.json only the engines that clients
POST to /engines are served.

Examples:
  arblast serve
  arblast serve --ip 127.0.0.1 --event-port 7071 --query-port 8001
  arblast serve --port $PORT")]
pub struct Args {
    /// Address to listen on [default: the settings eventServerIp and queryServerIp, which are 0.0.0.0]
    #[arg(long)]
    ip: Option<IpAddr>,
    /// One port for both
    #[arg(long, conflicts_with_all = ["event_port", "query_port"])]
    port: Option<u16>,
    /// Port for events [default: the setting eventServerPort, which is 7070]
    #[arg(long)]
    event_port: Option<u16>,
    /// Port for queries [default: the setting queryServerPort, which is 8000]
    #[arg(long)]
    query_port: Option<u16>,
    /// Count events for /stats.json
    #[arg(long)]
    stats: bool,
    #[command(flatten)]
    queries: Box<query_server::QueryOptions>,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let settings = settings(args, context)?;
    let (_log, metrics) = servers::observe(&settings);
    args.queries.warn(&settings, context.console);
    let storage = context.storage()?;
    let ingest = servers::ingest(&storage, &settings)?;
    let both = Both { context, settings: &settings, metrics: &metrics, storage, ingest };
    let runtime = servers::runtime()?;
    let ended = runtime.block_on(async {
        if settings.event_server == settings.query_server && settings.event_server.port() != 0 {
            both.on_one_port().await
        } else {
            both.on_two_ports().await
        }
    });
    // What hangs in the store must not keep the process.
    runtime.shutdown_background();
    ended?;
    context.console.info(LOGGER, "Stopped.");
    Ok(())
}

fn settings(args: &Args, context: &Context) -> Result<Settings> {
    let ip = args.ip.map(|ip| ip.to_string());
    let port = |own: Option<u16>, option| {
        let option = if args.port.is_some() { "--port" } else { option };
        (args.port.or(own).map(|port| port.to_string()), option)
    };
    let (events, queries) = (port(args.event_port, "--event-port"), port(args.query_port, "--query-port"));
    let mut own = args.queries.settings();
    own.extend([
        ("eventServerIp", ip.clone(), "--ip"),
        ("queryServerIp", ip, "--ip"),
        ("eventServerPort", events.0, events.1),
        ("queryServerPort", queries.0, queries.1),
        ("stats", args.stats.then(|| "true".to_owned()), "--stats"),
    ]);
    config::settings(context, &own)
}

struct Both<'a> {
    context: &'a Context,
    settings: &'a Settings,
    metrics: &'a Arc<Metrics>,
    storage: Storage,
    ingest: Arc<Ingest>,
}

impl Both<'_> {
    /// Ends when the first of them ends, and the other has finished its requests.
    async fn on_two_ports(&self) -> Result<()> {
        let queries = self.query_server()?;
        let fronts = (self.front_for_queries(&queries).await?, self.front_for_events()?);
        let urls = (fronts.0.url()?, fronts.1.url()?);
        let ended = Notify::new();
        let (of_events, of_queries) = (AtomicBool::new(false), AtomicBool::new(false));
        let ready = |own: &AtomicBool, other: &AtomicBool| {
            own.store(true, Ordering::Relaxed);
            if other.load(Ordering::Relaxed) {
                http::notify("READY=1");
            }
        };
        let events = self.event_server()?.run(fronts.1, ended.notified(), || {
            self.takes_events(&urls.1);
            ready(&of_events, &of_queries);
        });
        let (console, url) = (self.context.console, urls.0.clone());
        let queries = async {
            let ready = || {
                self.context.console.info(LOGGER, format_args!("Query API is live at {}.", urls.0));
                ready(&of_queries, &of_events);
            };
            let outcome =
                queries.run(fronts.0, Router::new(), ready, move || deploy::live(console, &url)).await;
            ended.notify_one();
            outcome
        };
        tokio::try_join!(events, queries).map(|_| ())
    }

    async fn on_one_port(&self) -> Result<()> {
        let queries = self.query_server()?;
        let events = Arc::new(self.event_server()?);
        let mut front = self.front_for_queries(&queries).await?;
        events.equip(&mut front);
        let url = front.url()?;
        let ready = || {
            self.takes_events(&url);
            http::notify("READY=1");
        };
        let (console, live) = (self.context.console, url.clone());
        queries.run(front, events.routes(), ready, move || deploy::live(console, &live)).await
    }

    fn query_server(&self) -> Result<QueryServer> {
        let identity = servers::identity("serve", self.context, self.settings)?;
        let own = query_server::settings(self.settings, identity)?;
        let (storage, ingest) = (self.storage.clone(), Arc::clone(&self.ingest));
        let source = deploy::Source { instance: None, may_be_absent: true };
        let server = deploy::query_server(own, source, self.context, storage, ingest)?;
        if server.deployed().is_none() {
            let path = self.context.engine_path();
            let what = format!("There is no {}: only engines that are kept answer.", path.display());
            self.context.console.info(LOGGER, what);
        }
        deploy::open(&server, self.context.console)?;
        Ok(server)
    }

    fn event_server(&self) -> Result<EventServer> {
        servers::event_server(&self.storage, Arc::clone(&self.ingest), self.settings)
    }

    async fn front_for_queries(&self, server: &QueryServer) -> Result<Front> {
        let port = deploy::Port { settings: self.settings, console: self.context.console };
        Front::new("queries", port.listen(server).await?, self.settings, self.metrics)
    }

    fn front_for_events(&self) -> Result<Front> {
        Front::new("events", servers::listen_for_events(self.settings)?, self.settings, self.metrics)
    }

    fn takes_events(&self, url: &str) {
        self.context.console.info(eventserver::LOGGER, format_args!("Event API is live at {url}."));
    }
}
