//! Apps, access keys, channels and engine instances: what the rest of the product looks up by name.

use crate::{Error, Kind, MAX_NAME_BYTES, Result};

/// An owner of events: one default channel and any number of named ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Positive.
    pub id: u32,
    /// Unique.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// The event names it is meant to have; `None` = any.
    pub declared: Option<DeclaredEvents>,
}

/// The event names that an app is meant to have. `$set`, `$unset` and `$delete` always belong to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredEvents {
    names: Vec<String>,
    unknown: OnUnknown,
}

/// What becomes of an event whose name was not declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnknown {
    /// It is stored, with a warning to the operator.
    Warn,
    /// It is refused.
    Reject,
}

impl DeclaredEvents {
    /// Of these names, in any order. `Kind::Invalid` if there is none, or one is empty or too long.
    pub fn new(names: impl IntoIterator<Item = String>, unknown: OnUnknown) -> Result<Self> {
        let mut names: Vec<String> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let rule = format!("an event name has 1 to {MAX_NAME_BYTES} bytes");
        if names.is_empty() {
            return Err(Error::new(Kind::Invalid, "Declare at least one event name."));
        }
        match names.iter().find(|name| name.is_empty() || name.len() > MAX_NAME_BYTES) {
            Some(bad) => Err(Error::new(Kind::Invalid, format!("One has {} bytes: {rule}.", bad.len()))),
            None => Ok(Self { names, unknown }),
        }
    }

    /// The names, sorted, each once.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What becomes of others.
    pub fn unknown(&self) -> OnUnknown {
        self.unknown
    }

    /// Why an event of a name that is not declared is refused.
    pub fn refusal(&self, event: &str) -> String {
        let some: Vec<&str> = self.names.iter().take(20).map(String::as_str).collect();
        let more = if self.names.len() > some.len() { ", …" } else { "" };
        format!("The event {event} is not declared for this app; declared: {}{more}.", some.join(", "))
    }

    /// Is this name declared, or special?
    pub fn allows(&self, event: &str) -> bool {
        matches!(event, "$set" | "$unset" | "$delete")
            || self.names.binary_search_by(|name| name.as_str().cmp(event)).is_ok()
    }
}

/// What [`Registry::create_app`] needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewApp {
    /// `None` = the next free id. An explicit id also advances the sequence.
    pub id: Option<u32>,
    /// Unique, not empty.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
}

/// What [`Registry::create_channel`] needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewChannel {
    /// Its app.
    pub app: u32,
    /// `^[a-zA-Z0-9-]{1,16}$`, unique in its app.
    pub name: String,
    /// `None` = the next free id of all apps. An explicit id also advances the sequence.
    pub id: Option<u32>,
}

/// Grants access to one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// The secret. 64 URL-safe characters when generated.
    pub key: String,
    /// Its app.
    pub app: u32,
    /// Event names it may write; empty = all.
    pub events: Vec<String>,
    /// What it may do.
    pub rights: Rights,
    /// From this time on it is worth nothing, ms since 1970; `None` = it does not expire.
    pub expires_ms: Option<i64>,
}

impl AccessKey {
    /// A key for everything in `app`, for ever.
    pub fn new(key: impl Into<String>, app: u32) -> Self {
        Self { key: key.into(), app, events: Vec::new(), rights: Rights::ALL, expires_ms: None }
    }

    /// Has it expired?
    pub fn is_expired(&self, now_ms: i64) -> bool {
        self.expires_ms.is_some_and(|expires| expires <= now_ms)
    }
}

/// What an access key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// See events, entities and statistics.
    pub read: bool,
    /// Send events.
    pub write: bool,
    /// Delete events and entities.
    pub delete: bool,
}

impl Rights {
    /// Everything.
    pub const ALL: Self = Self { read: true, write: true, delete: true };
    /// Nothing.
    pub const NONE: Self = Self { read: false, write: false, delete: false };

    /// Their names: of `read`, `write`, `delete` those that are granted, in this order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [("read", self.read), ("write", self.write), ("delete", self.delete)];
        all.into_iter().filter_map(|(name, granted)| granted.then_some(name))
    }
}

/// A named channel of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Unique over all apps.
    pub id: u32,
    /// `^[a-zA-Z0-9-]{1,16}$`, unique in its app.
    pub name: String,
    /// Its app.
    pub app: u32,
}

impl NewApp {
    /// `Kind::Invalid` if the app cannot join `apps`: name empty or taken, id 0 or taken. For stores.
    pub fn check<'a>(&self, apps: impl IntoIterator<Item = &'a App>) -> Result<()> {
        let invalid = |text: String| Err(Error::new(Kind::Invalid, text));
        if self.name.is_empty() {
            return invalid("The name of an app must not be empty.".to_owned());
        }
        if self.id == Some(0) {
            return invalid("The id of an app must be positive.".to_owned());
        }
        for app in apps {
            if app.name == self.name {
                return invalid(format!("App {} already exists.", app.name));
            }
            if Some(app.id) == self.id {
                return invalid(format!(
                    "App ID {} already exists and maps to the app '{}'.",
                    app.id, app.name
                ));
            }
        }
        Ok(())
    }
}

impl Channel {
    /// Longest name, in bytes.
    pub const MAX_NAME_BYTES: usize = 16;
}

impl NewChannel {
    /// One that gets the next id.
    pub fn named(app: u32, name: impl Into<String>) -> Self {
        Self { app, name: name.into(), id: None }
    }

    /// `Kind::Invalid` if the channel cannot join `channels`, which are those of all apps: name malformed, or taken in the app;
    /// id 0 or taken. For stores.
    pub fn check<'a>(&self, channels: impl IntoIterator<Item = &'a Channel>) -> Result<()> {
        let invalid = |text: String| Err(Error::new(Kind::Invalid, text));
        let Self { app, name, id } = self;
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !(1..=Channel::MAX_NAME_BYTES).contains(&name.len()) || !name.bytes().all(is_allowed) {
            let rule = "Only alphanumeric and - characters are allowed and max length is 16.";
            return invalid(format!("The channel name {name} is invalid. {rule}"));
        }
        if *id == Some(0) {
            return invalid("The id of a channel must be positive.".to_owned());
        }
        for channel in channels {
            if channel.app == *app && channel.name == *name {
                return invalid(format!("Channel {name} already exists. Unable to create new channel."));
            }
            if Some(channel.id) == *id {
                let Channel { id, name, app } = channel;
                return invalid(format!(
                    "Channel ID {id} already exists and maps to the channel '{name}' of app ID {app}."
                ));
            }
        }
        Ok(())
    }
}

/// Where a training run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceStatus {
    /// Running, or its process died.
    Init,
    /// Its model was published.
    Completed,
    /// Ended without a model, for this reason.
    Failed(String),
}

/// One training run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInstance {
    /// Unique, 32 hex digits.
    pub id: String,
    /// Where it stands.
    pub status: InstanceStatus,
    /// Start, ms since 1970.
    pub start_ms: i64,
    /// End, ms since 1970; = start while running.
    pub end_ms: i64,
    /// App whose events were read.
    pub app: String,
    /// `id` of the engine.json.
    pub variant: String,
    /// `engineFactory` of the engine.json.
    pub engine_factory: String,
    /// Label given with `--batch`.
    pub batch: String,
    /// Generation of the model it published.
    pub generation: Option<u64>,
    /// The engine.json it ran with, secrets redacted.
    pub config: String,
    /// Report of the run as JSON text; how far it is until it ends.
    pub report: String,
}

/// Keeps what is looked up by name. Every change is durable on return. Lists are sorted by id (keys: by key;
/// instances: newest start first, then id). Ids of apps and channels start at 1 and never come again, not even after a
/// deletion: they name stored events.
pub trait Registry: Send + Sync {
    /// Creates an app. `Kind::Invalid` if the name or the explicit id is taken.
    fn create_app(&self, app: &NewApp) -> Result<App>;
    /// All apps.
    fn apps(&self) -> Result<Vec<App>>;
    /// Deletes the app with its channels and keys, in one transaction. `false` if there was none.
    fn delete_app(&self, id: u32) -> Result<bool>;
    /// Replaces what the app declares. `false` if there is no such app.
    fn declare_events(&self, app: u32, declared: Option<&DeclaredEvents>) -> Result<bool>;

    /// Adds a key. `Kind::Invalid` if it exists.
    fn create_access_key(&self, key: &AccessKey) -> Result<()>;
    /// All keys, or those of one app.
    fn access_keys(&self, app: Option<u32>) -> Result<Vec<AccessKey>>;
    /// The key's record.
    fn access_key(&self, key: &str) -> Result<Option<AccessKey>>;
    /// `false` if there was none.
    fn delete_access_key(&self, key: &str) -> Result<bool>;
    /// Adds `new` and lets `old` expire at `old_expires_ms` unless it does so before, both or nothing. `false` if there is
    /// no `old`; `Kind::Invalid` if `new` exists.
    fn rotate_access_key(&self, old: &str, new: &AccessKey, old_expires_ms: i64) -> Result<bool>;

    /// Adds a channel. `Kind::Invalid` if the name is taken in this app or malformed, or the explicit id is taken.
    fn create_channel(&self, channel: &NewChannel) -> Result<Channel>;
    /// Channels of an app.
    fn channels(&self, app: u32) -> Result<Vec<Channel>>;
    /// `false` if there was none.
    fn delete_channel(&self, id: u32) -> Result<bool>;

    /// Inserts or replaces by id.
    fn put_instance(&self, instance: &EngineInstance) -> Result<()>;
    /// All training runs, newest first.
    fn instances(&self) -> Result<Vec<EngineInstance>>;

    /// The app of this name.
    fn app_by_name(&self, name: &str) -> Result<Option<App>> {
        Ok(self.apps()?.into_iter().find(|app| app.name == name))
    }
}
