//! Apps, access keys, channels and engine instances: what the rest of the product looks up by name.

use crate::{Error, Kind, Result};

/// An owner of events: one default channel and any number of named ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Positive.
    pub id: u32,
    /// Unique.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
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

/// Grants access to one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// The secret. 64 URL-safe characters when generated.
    pub key: String,
    /// Its app.
    pub app: u32,
    /// Event names it may write; empty = all.
    pub events: Vec<String>,
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

    /// `Kind::Invalid` unless `name` is `^[a-zA-Z0-9-]{1,16}$`. For stores.
    pub fn check_name(name: &str) -> Result<()> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if (1..=Self::MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_allowed) {
            return Ok(());
        }
        let rule = "Only alphanumeric and - characters are allowed and max length is 16.";
        Err(Error::new(Kind::Invalid, format!("The channel name {name} is invalid. {rule}")))
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
    /// Report of the run as JSON text; `{}` until it ends.
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

    /// Adds a key. `Kind::Invalid` if it exists.
    fn create_access_key(&self, key: &AccessKey) -> Result<()>;
    /// All keys, or those of one app.
    fn access_keys(&self, app: Option<u32>) -> Result<Vec<AccessKey>>;
    /// The key's record.
    fn access_key(&self, key: &str) -> Result<Option<AccessKey>>;
    /// `false` if there was none.
    fn delete_access_key(&self, key: &str) -> Result<bool>;

    /// Adds a channel. `Kind::Invalid` if the name is taken in this app or malformed.
    fn create_channel(&self, app: u32, name: &str) -> Result<Channel>;
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
