//! `arblast config`, and how commands come to their settings.

use events::json::Object;

use super::Context;
use crate::failure::{Failure, Result};
use crate::settings::{Effective, FILE, Settings, Sources, Value};
use crate::storage::Places;

const LOGGER: &str = "Config$";

/// Show the settings of the servers, and where each comes from.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A setting is taken from an option, else from the environment, else from the file, else it has its default. Secrets are
not shown. docs/configuration.md explains all.

Examples:
  arblast config
  arblast config --config /etc/arblast/arblast.json --json
  ARBLAST_LOG_FORMAT=json arblast config --set connectionsMax=200")]
pub struct Args {}

/// Members that have an option of their own: member, value if it was given, option.
pub type Own<'a> = &'a [(&'a str, Option<String>, &'static str)];

/// Prints all settings.
pub fn run(context: &Context) -> Result<()> {
    let effective = read(context, &[])?;
    // A person who looks for a mistake wants to see it now.
    effective.settings()?;
    effective.places()?;
    let console = context.console;
    for warning in effective.warnings.iter().map(String::as_str).chain(effective.elsewhere()) {
        console.warn(LOGGER, warning);
    }
    if console.json() {
        let described = |value: &Value| {
            Object::new()
                .with("value", value.shown())
                .with("from", value.source().to_string())
                .with("meaning", value.meaning())
        };
        let members =
            effective.values().iter().map(|value| (value.name().to_owned(), described(value).into()));
        console.value(members.collect::<Object>());
    } else {
        for value in effective.values() {
            if let Some(title) = value.opens() {
                console.line(format_args!("# {title}"));
            }
            let (name, shown) = (value.name(), value.shown().to_string());
            console.line(format_args!("{name:20} {shown:24} {}", value.source()));
        }
    }
    Ok(())
}

/// The settings of a server, and its warnings told.
pub fn settings(context: &Context, own: Own<'_>) -> Result<Settings> {
    let effective = told(context, own)?;
    let settings = effective.settings()?;
    match effective.elsewhere() {
        Some(why) => Err(Failure::invalid(why)),
        None => Ok(settings),
    }
}

/// The same for who only talks to a server: where the data is does not matter.
pub fn settings_of_others(context: &Context, own: Own<'_>) -> Result<Settings> {
    told(context, own)?.settings()
}

/// Where everything is kept.
pub(super) fn places(context: &Context) -> Result<Places> {
    let effective = read(context, &[])?;
    let places = effective.places()?;
    match effective.elsewhere() {
        // Half of the data here and half of it out of reach is no state to work on.
        Some(elsewhere) if !places.are_at_home() => Err(Failure::invalid(elsewhere)),
        _ => Ok(places),
    }
}

fn told(context: &Context, own: Own<'_>) -> Result<Effective> {
    let effective = read(context, own)?;
    for warning in &effective.warnings {
        context.console.warn(LOGGER, warning);
    }
    Ok(effective)
}

fn read(context: &Context, own: Own<'_>) -> Result<Effective> {
    let env = |name: &str| std::env::var(name).ok();
    let (named, set) = context.named_settings();
    let option = named.map(|path| (path.to_path_buf(), Some("--config")));
    let variable = || Some((context.variable("ARBLAST_CONFIG")?.into(), Some("$ARBLAST_CONFIG")));
    let file = match option.or_else(variable) {
        Some(named) => named,
        None => (context.home()?.join(FILE), None),
    };
    let mut options = Vec::new();
    for text in set {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Failure::invalid("--set takes NAME=VALUE such as connectionsMax=200: what was given has no =")
        })?;
        options.push((name.trim().to_owned(), value.to_owned(), "--set"));
    }
    let given =
        own.iter().filter_map(|(name, value, option)| Some(((*name).to_owned(), value.clone()?, *option)));
    options.extend(given);
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
    Effective::of(&Sources { file, env: &env, names, pio_env: context.pio_env()?.clone(), options })
}
