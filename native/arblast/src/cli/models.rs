//! `arblast models`

use events::json::Object;
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
            .value(Json::Array(generations.iter().map(|listed| described(listed).into()).collect()));
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

fn described(listed: &Listed) -> Object {
    let (status, why) = match &listed.status {
        Status::Ready => ("ready", None),
        Status::Version(why) => ("version", Some(why)),
        Status::Corrupt(why) => ("corrupt", Some(why)),
    };
    let mut object = Object::new()
        .with("generation", listed.generation)
        .with("current", listed.current)
        .with("status", status);
    if let Some(why) = why {
        object.insert("message", why.as_str());
    }
    if let Some(info) = &listed.info {
        object.insert("digest", info.digest.as_str());
        object.insert("items", info.items);
        object.insert("users", info.users);
        object.insert("correlators", info.correlators);
        object.insert("bytes", info.bytes);
        object.insert("build", info.trained.build.as_str());
        object.insert("engineInstanceId", info.trained.engine_instance.as_str());
        object.insert("started", time(info.trained.started_ms));
        object.insert("published", time(info.trained.published_ms));
    }
    object
}

fn time(millis: i64) -> String {
    EventTime::utc(millis).to_string()
}
