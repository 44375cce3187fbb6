//! `arblast serve`

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use events::Kind;
use stores::Storage;
use tokio::sync::Notify;

use super::{Context, config, deploy, eventserver, query_server, servers};
use crate::failure::Result;
use crate::http::{self, EventServer, Front, Ingest, QueryServer};
use crate::observe::metrics::Metrics;
use crate::settings::Settings;

const LOGGER: &str = "Serve$";
/// How often is looked for the first model.
const INTERVAL: Duration = Duration::from_millis(500);

/// Take in events and answer queries, in one process.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Both servers of a small site: events on port 7070, queries on port 8000; with --port both on one. As long as the engine has no
model, events are taken in; queries are answered from the first `arblast train` on.

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
    #[command(flatten)]
    options: config::Options,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let settings = settings(args, context)?;
    let (_log, metrics) = servers::observe(&settings);
    query_server::warn(&settings, context.console);
    // A mistake in the engine file or in an address should be seen now, not after the first train.
    context.engine()?;
    query_server::settings(&settings)?;
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
    config::settings(context, &args.options, &own)
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
        let ended = Notify::new();
        let queries = async {
            let outcome = self.queries_from_the_first_model_on().await;
            ended.notify_one();
            outcome
        };
        tokio::try_join!(self.events(ended.notified(), || http::notify("READY=1")), queries).map(|_| ())
    }

    /// Events alone until there is a model, then both; in between the port is closed for a moment.
    async fn on_one_port(&self) -> Result<()> {
        let mut first = self.query_server()?.map(Ok);
        if first.is_none() {
            let found = async { first = Some(self.first_model().await) };
            self.events(found, || http::notify("READY=1")).await?;
        }
        let Some(server) = first.transpose()? else { return Ok(()) };
        let events = Arc::new(self.event_server()?);
        let mut front = self.front_for_queries(&server).await?;
        events.equip(&mut front);
        let url = front.url()?;
        let ready = || {
            self.say(eventserver::LOGGER, format_args!("Event API is live at {url}."));
            self.live(&url);
        };
        server.run(front, events.routes(), ready).await
    }

    async fn events(&self, ended: impl Future<Output = ()> + Send, ready: impl FnOnce()) -> Result<()> {
        let server = self.event_server()?;
        let listener = servers::listen_for_events(self.settings)?;
        let front = Front::new("events", listener, self.settings, self.metrics)?;
        let url = front.url()?;
        let told = || {
            self.say(eventserver::LOGGER, format_args!("Event API is live at {url}."));
            ready();
        };
        server.run(front, ended, told).await
    }

    fn event_server(&self) -> Result<EventServer> {
        servers::event_server(&self.storage, Arc::clone(&self.ingest), self.settings)
    }

    async fn queries_from_the_first_model_on(&self) -> Result<()> {
        let server = tokio::select! {
            server = self.first_model() => server?,
            () = http::termination()? => return Ok(()),
        };
        let front = self.front_for_queries(&server).await?;
        let url = front.url()?;
        server.run(front, Router::new(), || self.live(&url)).await
    }

    async fn front_for_queries(&self, server: &QueryServer) -> Result<Front> {
        let port = deploy::Port { settings: self.settings, console: self.context.console };
        Front::new("queries", port.listen(server.serving().config()).await?, self.settings, self.metrics)
    }

    /// Waits until the engine has a model.
    async fn first_model(&self) -> Result<QueryServer> {
        let mut told = false;
        loop {
            if let Some(server) = self.query_server()? {
                return Ok(server);
            }
            if !told {
                self.say(
                    LOGGER,
                    "The engine has no model yet: queries are answered after the first `arblast train`.",
                );
                told = true;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// `None` if the engine has no model, or its app is not there yet.
    fn query_server(&self) -> Result<Option<QueryServer>> {
        let own = query_server::settings(self.settings)?;
        let (storage, ingest) = (self.storage.clone(), Arc::clone(&self.ingest));
        match deploy::query_server(own, None, self.context, storage, ingest) {
            Ok(server) => Ok(Some(server)),
            Err(failure) if failure.kind() == Kind::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    fn live(&self, url: &str) {
        self.say(
            deploy::LOGGER,
            format_args!("Engine is deployed and running. Engine API is live at {url}."),
        );
    }

    fn say(&self, logger: &str, text: impl std::fmt::Display) {
        self.context.console.info(logger, text);
    }
}
