//! `arblast status`

use std::path::Path;

use events::json::Object;
use events::{Event, EventTime, Scope};
use stores::Storage;

use super::{Context, config};
use crate::clock;
use crate::failure::{Failure, Result};
use crate::identity::{BUILD, VERSION};
use crate::storage::Places;

const LOGGER: &str = "Management$";
/// A scope that no app gets: ids of apps are handed out from 1 up.
const PROBE: Scope = Scope { app: u32::MAX, channel: None };

/// Check that this installation works.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Opens every store, writes, reads and removes an event.

Examples:
  arblast status
  arblast status --json --home /var/lib/arblast")]
pub struct Args {}

pub fn run(context: &Context) -> Result<()> {
    let console = context.console;
    let home = context.home()?;
    console.info(LOGGER, "Inspecting Arblast...");
    console.info(LOGGER, format_args!("Arblast {VERSION} ({BUILD}) keeps its data in {}", home.display()));
    // What stops a server from starting stops this, too.
    config::settings(context, &[])?;
    let storage = context.storage()?;
    let Places { registry, events, models, .. } = context.places()?;
    for (what, url) in [("Apps and keys", registry), ("Events", events), ("Models", models)] {
        if let Some(url) = url {
            console.info(LOGGER, format_args!("{what} are in {}", Places::shown(url)?));
        }
    }
    let (apps, keys) = (storage.registry.apps()?, storage.registry.access_keys(None)?);
    console.info(LOGGER, format_args!("Registry: {} app(s), {} access key(s).", apps.len(), keys.len()));
    probe(&storage)?;
    console.info(LOGGER, "Event store: an event was written, read and removed.");
    storage.models.check().map_err(|error| Failure::from(error).of("modelsUrl"))?;
    let free = writable(storage.models.path())?;
    let what = if storage.models.are_shared() { "Directory for copies of models" } else { "Model directory" };
    console.info(LOGGER, format_args!("{what}: {free}."));
    if let Some(servers) = &storage.search {
        console.info(LOGGER, format_args!("Search servers: {}.", servers.about()?));
    }
    console.info(LOGGER, "Your system is all ready to go.");
    if console.json() {
        console.value(
            Object::new()
                .with("status", "ready")
                .with("version", VERSION)
                .with("build", BUILD)
                .with("home", home.display().to_string())
                .with("apps", apps.len() as u64)
                .with("accessKeys", keys.len() as u64),
        );
    }
    Ok(())
}

/// Writes, reads and removes an event, away from every app.
fn probe(storage: &Storage) -> Result<()> {
    let events = &storage.events;
    let now = EventTime::utc(clock::now_ms());
    let text = br#"{"event": "status", "entityType": "test", "entityId": "test"}"#;
    let event = Event::parse(text, now)?;
    events.init(PROBE)?;
    let checked = (|| {
        let ids = events.append(PROBE, std::slice::from_ref(&event))?;
        let found = ids.first().map(|id| events.get(PROBE, id)).transpose()?.flatten();
        Ok(found.is_some_and(|found| found.entity == event.entity))
    })();
    events.remove(PROBE)?;
    match checked {
        Ok(true) => Ok(()),
        Ok(false) => {
            Err(Failure::new(events::Kind::Corrupt, "the event store lost an event; restore a backup"))
        }
        Err(failure) => Err(failure),
    }
}

fn writable(models: &Path) -> Result<&'static str> {
    let probe = models.join(format!(".status-{}", std::process::id()));
    let failed = |error| Failure::io(format_args!("cannot write in {}", models.display()), &error);
    std::fs::write(&probe, b"status").map_err(failed)?;
    std::fs::remove_file(&probe).map_err(failed)?;
    Ok("writable")
}
