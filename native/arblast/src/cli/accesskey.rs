//! `arblast accesskey …`

use clap::{Subcommand, ValueEnum};
use events::json::Object;
use events::{AccessKey, EventTime, Json, Rights};
use stores::Storage;

use super::context::Context;
use super::table::{allowed_events, key_row};
use crate::apps;
use crate::failure::{Failure, Result};
use crate::{clock, keys};

/// Create, list, rotate and delete access keys.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  arblast accesskey new myapp                 a key for everything
  arblast accesskey new myapp view purchase   a key that may write these events only
  arblast accesskey new myapp --scope write --expires 30d
  arblast accesskey rotate KEY --overlap 1h   a new key like it; KEY is good for another hour
  arblast accesskey list myapp
  arblast accesskey delete KEY")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create an access key
    New(New),
    /// List access keys
    List {
        /// Only those of this app
        app: Option<String>,
    },
    /// Create a key like another one, which expires
    Rotate(Rotate),
    /// Delete an access key
    Delete {
        /// The key
        key: String,
    },
}

#[derive(Debug, clap::Args)]
struct New {
    /// Name of the app
    app: String,
    /// Events that the key may write [default: all]
    events: Vec<String>,
    /// The key [default: a random one]
    #[arg(long)]
    key: Option<String>,
    /// What the key may do, comma-separated [default: everything]
    #[arg(long, value_delimiter = ',')]
    scope: Vec<Right>,
    /// How long the key is good: a number with s, m, h or d [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    expires: Option<i64>,
}

#[derive(Debug, clap::Args)]
struct Rotate {
    /// The key to replace
    old: String,
    /// How long the old key stays good: a number with s, m, h or d
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1h")]
    overlap: i64,
    /// The new key [default: a random one]
    #[arg(long)]
    key: Option<String>,
    /// How long the new key is good [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    expires: Option<i64>,
}

/// What a key may do.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Right {
    /// See events
    Read,
    /// Send events
    Write,
    /// Delete events
    Delete,
}

/// Milliseconds of a text such as `90s`, `15m`, `1h` or `30d`.
fn duration(text: &str) -> std::result::Result<i64, String> {
    let unit_ms = match text.chars().last() {
        Some('s') => 1000,
        Some('m') => 60_000,
        Some('h') => 3_600_000,
        Some('d') => 86_400_000,
        _ => 0,
    };
    let number = text.get(..text.len().saturating_sub(1)).and_then(|number| number.parse::<u32>().ok());
    match number {
        Some(number) if unit_ms > 0 => Ok(i64::from(number) * unit_ms),
        _ => Err("give a whole number with s, m, h or d, such as 30d".to_owned()),
    }
}

pub fn run(args: Args, context: &Context) -> Result<()> {
    let storage = context.storage()?;
    match args.command {
        Command::New(args) => new(args, context, &storage),
        Command::List { app } => list(app.as_deref(), context, &storage),
        Command::Rotate(args) => rotate(args, context, &storage),
        Command::Delete { key } => delete(&key, context, &storage),
    }
}

fn new(args: New, context: &Context, storage: &Storage) -> Result<()> {
    let app = apps::find(storage, &args.app)?;
    let key = unused_key(args.key, storage)?;
    let key = AccessKey {
        events: args.events,
        rights: rights(&args.scope),
        expires_ms: args.expires.map(from_now),
        ..AccessKey::new(key, app.id)
    };
    storage.registry.create_access_key(&key)?;
    created(&key, context);
    Ok(())
}

fn rotate(args: Rotate, context: &Context, storage: &Storage) -> Result<()> {
    let old = storage.registry.access_key(&args.old)?.ok_or_else(|| no_such_key(&args.old))?;
    let key = unused_key(args.key, storage)?;
    let new = AccessKey { key, expires_ms: args.expires.map(from_now), ..old };
    let until = from_now(args.overlap);
    if !storage.registry.rotate_access_key(&args.old, &new, until)? {
        return Err(no_such_key(&args.old));
    }
    // it may have had less time than the overlap gives
    let until = storage.registry.access_key(&args.old)?.and_then(|old| old.expires_ms).unwrap_or(until);
    let verb = if until <= clock::now_ms() { "expired" } else { "expires" };
    let until = EventTime::utc(until);
    context.console.info("AccessKey$", format_args!("Access key {} {verb} at {until}.", args.old));
    created(&new, context);
    Ok(())
}

fn unused_key(key: Option<String>, storage: &Storage) -> Result<String> {
    let key = key.map_or_else(keys::generate, keys::checked)?;
    if storage.registry.access_key(&key)?.is_some() {
        return Err(Failure::invalid("Unable to create new access key: it exists already."));
    }
    Ok(key)
}

fn created(key: &AccessKey, context: &Context) {
    context.console.info("AccessKey$", format_args!("Created new access key: {}", key.key));
    if context.console.json() {
        context.console.value(described(key));
    }
}

fn rights(scope: &[Right]) -> Rights {
    if scope.is_empty() {
        return Rights::ALL;
    }
    scope.iter().fold(Rights::NONE, |rights, right| match right {
        Right::Read => Rights { read: true, ..rights },
        Right::Write => Rights { write: true, ..rights },
        Right::Delete => Rights { delete: true, ..rights },
    })
}

fn from_now(ms: i64) -> i64 {
    clock::now_ms().saturating_add(ms)
}

fn no_such_key(key: &str) -> Failure {
    Failure::not_found(format!("Access key {key} does not exist. `arblast accesskey list` shows all."))
}

fn list(app: Option<&str>, context: &Context, storage: &Storage) -> Result<()> {
    let app = app.map(|name| apps::find(storage, name)).transpose()?;
    let keys = storage.registry.access_keys(app.map(|app| app.id))?;
    let console = context.console;
    if console.json() {
        console.value(Json::Array(keys.iter().map(|key| described(key).into()).collect()));
        return Ok(());
    }
    console.info("Pio$", key_row("Access Key(s)", "App ID", "Allowed Event(s)"));
    for key in &keys {
        let events = format!("{}{}", allowed_events(key), restrictions(key));
        console.info("Pio$", key_row(&key.key, &key.app.to_string(), &events));
    }
    console.info("Pio$", format_args!("Finished listing {} access key(s).", keys.len()));
    Ok(())
}

fn delete(key: &str, context: &Context, storage: &Storage) -> Result<()> {
    if !storage.registry.delete_access_key(key)? {
        return Err(no_such_key(key));
    }
    context.console.info("AccessKey$", format_args!("Deleted access key {key}."));
    Ok(())
}

/// ` | scope | expires …` of a key that has such; nothing for others, whose lines people's scripts parse.
fn restrictions(key: &AccessKey) -> String {
    let mut text = String::new();
    if key.rights != Rights::ALL {
        let names: Vec<&str> = key.rights.names().collect();
        text = format!(" | {}", names.join(","));
    }
    if let Some(expires) = key.expires_ms {
        let verb = if key.is_expired(clock::now_ms()) { "expired" } else { "expires" };
        text.push_str(&format!(" | {verb} {}", EventTime::utc(expires)));
    }
    text
}

fn described(key: &AccessKey) -> Object {
    let expires = key.expires_ms.map_or(Json::Null, |expires| EventTime::utc(expires).to_string().into());
    Object::new()
        .with("accessKey", key.key.as_str())
        .with("appId", key.app)
        .with("events", key.events.clone())
        .with("scopes", key.rights.names().collect::<Vec<_>>())
        .with("expires", expires)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        let good = [("0s", 0), ("90s", 90_000), ("15m", 900_000), ("1h", 3_600_000), ("30d", 2_592_000_000)];
        for (text, ms) in good {
            assert_eq!(duration(text), Ok(ms), "{text}");
        }
        for bad in ["", "d", "30", "1.5h", "-1h", "1w", "soon", "1ü"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn plain_keys_are_listed_as_ever() {
        let plain = AccessKey::new("k", 1);
        assert_eq!(restrictions(&plain), "");
        let writes = Rights { write: true, ..Rights::NONE };
        assert_eq!(restrictions(&AccessKey { rights: writes, ..plain.clone() }), " | write");
        let old = AccessKey { expires_ms: Some(0), ..plain };
        assert_eq!(restrictions(&old), " | expired 1970-01-01T00:00:00.000Z");
    }
}
