//! `arblast adminserver`

use std::net::{IpAddr, SocketAddr};

use super::{Context, config, servers};
use crate::failure::Result;
use crate::http::{self, AdminServer, Front};

const LOGGER: &str = "AdminServer";

/// Create, list and delete apps over HTTP, as tools of PredictionIO do.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
There is no authentication: who reaches the port may delete every app. So it listens on this machine only, unless --ip says
otherwise. Failures are {\"status\":0,\"message\":…} with HTTP 200. Ends on SIGTERM or SIGINT.

Examples:
  arblast adminserver
  curl http://127.0.0.1:7071/cmd/app
  curl -d '{\"name\": \"myapp\"}' http://127.0.0.1:7071/cmd/app
  curl -X DELETE http://127.0.0.1:7071/cmd/app/myapp")]
pub struct Args {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    ip: IpAddr,
    /// Port to listen on; 0 = a free one
    #[arg(long, default_value_t = 7071)]
    port: u16,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let console = context.console;
    let settings = config::settings(context, &[])?;
    let (_log, metrics) = servers::observe(&settings);
    let address = SocketAddr::new(args.ip, args.port);
    if !args.ip.is_loopback() {
        console.warn(
            LOGGER,
            format_args!(
                "{address} can be reached from other machines: they may delete every app without a key."
            ),
        );
    }
    let server = AdminServer::new(context.storage()?, context.home()?);
    servers::runtime()?.block_on(async {
        let listener = servers::listen(address, &settings)?;
        let front = Front::new("admin", listener, &settings, &metrics)?;
        let url = front.url()?;
        let ready = || {
            console.info(LOGGER, format_args!("Admin API is live at {url}."));
            http::notify("READY=1");
        };
        server.run(front, ready).await
    })?;
    console.info(LOGGER, "Stopped.");
    Ok(())
}
