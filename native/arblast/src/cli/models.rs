//! `arblast models`

use events::{EventTime, Json};
use stores::{Listed, Status};

use super::Context;
use super::console::Console;
use super::progress::grouped;
use crate::failure::Result;
use crate::models;

/// List the generations of the engine's model.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The generation marked with * answers queries; `arblast rollback` chooses another one.

Examples:
  arblast models
  arblast models --json")]
pub struct Args {}

pub fn run(context: &Context) -> Result<()> {
    let config = context.engine()?.config;
    let generations = models::of(&context.storage()?, &config.app_name, &config.variant).list()?;
    if context.console.json() {
        context
            .console
            .value(Json::Array(generations.iter().map(|listed| models::described(listed).into()).collect()));
    } else {
        table(context.console, &generations);
    }
    Ok(())
}

fn table(console: Console, generations: &[Listed]) {
    let row = |cells: [&str; 6]| {
        let [generation, published, items, correlators, bytes, digest] = cells;
        console.line(format_args!(
            "{generation:>10}  {published:24}  {items:>10}  {correlators:>12}  {bytes:>14}  {digest}"
        ));
    };
    row(["generation", "published", "items", "correlators", "bytes", "digest"]);
    for listed in generations {
        let number = format!("{}{}", if listed.current { "*" } else { "" }, listed.generation);
        match (&listed.info, &listed.status) {
            (Some(info), Status::Ready) => {
                let items = grouped(u64::from(info.items));
                let (correlators, bytes) = (grouped(info.correlators), grouped(info.bytes));
                let digest = info.digest.get(..16).unwrap_or(&info.digest);
                row([&number, &time(info.trained.published_ms), &items, &correlators, &bytes, digest]);
            }
            (_, Status::Ready) => row([&number, "info.json is missing", "", "", "", ""]),
            (_, Status::Version(why) | Status::Corrupt(why)) => row([&number, why, "", "", "", ""]),
        }
    }
}

fn time(millis: i64) -> String {
    EventTime::utc(millis).to_string()
}
