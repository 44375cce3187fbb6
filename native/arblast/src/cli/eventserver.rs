//! `arblast eventserver`

use std::net::IpAddr;

use super::{Context, config, servers};
use crate::failure::Result;
use crate::http::{self, Front};

pub(super) const LOGGER: &str = "EventServer";

/// Take in events over HTTP.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Events are durable when they are acknowledged. Each request needs the access key of an app. Ends on SIGTERM or SIGINT after
the last answer. docs/event-api.md has all paths.

Examples:
  arblast eventserver
  arblast eventserver --ip 127.0.0.1 --port 7071 --stats
  curl -H 'Content-Type: application/json' 'http://localhost:7070/events.json?accessKey=KEY' \\
    -d '{\"event\": \"view\", \"entityType\": \"user\", \"entityId\": \"u1\",
         \"targetEntityType\": \"item\", \"targetEntityId\": \"i1\"}'")]
pub struct Args {
    /// Address to listen on [default: the setting eventServerIp, which is 0.0.0.0]
    #[arg(long)]
    ip: Option<IpAddr>,
    /// Port to listen on [default: the setting eventServerPort, which is 7070]
    #[arg(long)]
    port: Option<u16>,
    /// Count events for /stats.json
    #[arg(long)]
    stats: bool,
    /// Events in one batch, at most [default: the setting maxBatch, which is 50]
    #[arg(long, value_name = "N")]
    max_batch: Option<u32>,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let console = context.console;
    let own = [
        ("eventServerIp", args.ip.map(|ip| ip.to_string()), "--ip"),
        ("eventServerPort", args.port.map(|port| port.to_string()), "--port"),
        ("stats", args.stats.then(|| "true".to_owned()), "--stats"),
        ("maxBatch", args.max_batch.map(|events| events.to_string()), "--max-batch"),
    ];
    let settings = config::settings(context, &own)?;
    let (_log, metrics) = servers::observe(&settings);
    let storage = context.storage()?;
    let server = servers::event_server(&storage, servers::ingest(&storage, &settings)?, &settings)?;
    servers::runtime()?.block_on(async {
        let front = Front::new("events", servers::listen_for_events(&settings)?, &settings, &metrics)?;
        let url = front.url()?;
        let ready = || {
            console.info(LOGGER, format_args!("Event API is live at {url}."));
            http::notify("READY=1");
        };
        server.run(front, std::future::pending(), ready).await
    })?;
    console.info(LOGGER, "Stopped.");
    Ok(())
}
