//! `arblast config`, and the options by which servers are set.

use std::path::PathBuf;

use events::json::Object;

use super::Context;
use crate::failure::{Failure, Result};
use crate::settings::{Effective, FILE, Settings, Sources, Value};

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
pub struct Args {
    #[command(flatten)]
    options: Options,
}

/// Options of everything that reads settings.
#[derive(Debug, Default, clap::Args)]
pub struct Options {
    /// Configuration file [default: $ARBLAST_CONFIG, else arblast.json in the home directory]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set any member of the configuration; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let effective = read(context, &args.options, &[])?;
    // A person who looks for a mistake wants to see it now.
    effective.settings()?;
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

/// The settings of a server, and its warnings told. `own` are members that have an option of their own: member,
/// value if it was given, option.
pub fn settings(
    context: &Context,
    options: &Options,
    own: &[(&str, Option<String>, &'static str)],
) -> Result<Settings> {
    let effective = told(context, options, own)?;
    let settings = effective.settings()?;
    match effective.elsewhere() {
        Some(why) => Err(Failure::invalid(why)),
        None => Ok(settings),
    }
}

/// The same for who only talks to a server: where the data is does not matter.
pub fn settings_of_others(
    context: &Context,
    options: &Options,
    own: &[(&str, Option<String>, &'static str)],
) -> Result<Settings> {
    told(context, options, own)?.settings()
}

fn told(
    context: &Context,
    options: &Options,
    own: &[(&str, Option<String>, &'static str)],
) -> Result<Effective> {
    let effective = read(context, options, own)?;
    for warning in &effective.warnings {
        context.console.warn(LOGGER, warning);
    }
    Ok(effective)
}

fn read(
    context: &Context,
    options: &Options,
    own: &[(&str, Option<String>, &'static str)],
) -> Result<Effective> {
    let env = |name: &str| std::env::var(name).ok();
    let option = options.config.clone().map(|path| (path, Some("--config")));
    let variable = || Some((context.variable("ARBLAST_CONFIG")?.into(), Some("$ARBLAST_CONFIG")));
    let file = match option.or_else(variable) {
        Some(named) => named,
        None => (context.home()?.join(FILE), None),
    };
    let mut set = Vec::new();
    for text in &options.set {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Failure::invalid(format!("--set {text}: it takes NAME=VALUE such as connectionsMax=200"))
        })?;
        set.push((name.trim().to_owned(), value.to_owned(), "--set"));
    }
    let given =
        own.iter().filter_map(|(name, value, option)| Some(((*name).to_owned(), value.clone()?, *option)));
    set.extend(given);
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
    Effective::of(&Sources { file, env: &env, names, pio_env: context.pio_env()?.clone(), options: set })
}
