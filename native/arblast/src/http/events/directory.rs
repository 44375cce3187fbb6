//! Who may do what: the registry as requests see it, at most a second old.
//!
//! A request reads no registry: keys, channels and declared events stand in a snapshot, which is taken anew when it is too
//! old, or when it does not know what is asked for (a key or channel made a moment ago).

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use events::{AccessKey, App, Channel, DeclaredEvents, Registry, Rights, Scope};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::blocking;
use super::refusal::Refusal;

/// How long a change of the registry may take to be seen.
const AGE_MAX: Duration = Duration::from_secs(1);

/// Unknown keys do not make the registry be read more often than this.
const AGE_MIN: Duration = Duration::from_millis(20);

/// Looks up access keys.
pub struct Directory {
    registry: Arc<dyn Registry>,
    current: RwLock<Option<Arc<Snapshot>>>,
    loading: Mutex<()>,
}

struct Snapshot {
    taken: Instant,
    /// By SHA-256 of the key: the time that a lookup takes says nothing of how much of a key was right.
    keys: BTreeMap<[u8; 32], Arc<Access>>,
}

/// What an access key gives access to.
pub struct Access {
    /// Its app.
    pub app: Arc<AppEntry>,
    /// What may be done there.
    pub rights: Rights,
    /// From when on it is worth nothing, ms since 1970.
    pub expires_ms: Option<i64>,
    /// Event names it may write; empty = all.
    events: Vec<String>,
}

/// An app.
pub struct AppEntry {
    /// Its id.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// The event names it is meant to have.
    pub declared: Option<DeclaredEvents>,
    channels: BTreeMap<String, u32>,
}

impl Access {
    /// To everything in an app.
    pub fn to_all_of(app: App) -> Self {
        let app = Arc::new(AppEntry::new(app, Vec::new()));
        Self { app, rights: Rights::ALL, expires_ms: None, events: Vec::new() }
    }

    /// Is there anything that it may not write?
    pub fn has_list(&self) -> bool {
        !self.events.is_empty()
    }

    /// May it write events of this name?
    pub fn allows(&self, event: &str) -> bool {
        self.events.is_empty() || self.events.iter().any(|name| name == event)
    }
}

impl AppEntry {
    fn new(app: App, channels: Vec<Channel>) -> Self {
        let channels = channels.into_iter().map(|channel| (channel.name, channel.id)).collect();
        Self { id: app.id, name: app.name, declared: app.declared, channels }
    }
}

/// What was found: an access and the channel's id, or what is unknown.
pub type Found = Result<(Arc<Access>, Option<u32>), Unknown>;

/// What is not in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    Key,
    Channel,
}

impl Directory {
    pub fn new(registry: Arc<dyn Registry>) -> Self {
        Self { registry, current: RwLock::new(None), loading: Mutex::new(()) }
    }

    /// What `key` gives access to, and the id of the channel of that name.
    pub async fn find(&self, key: &str, channel: Option<&str>) -> Result<Found, Refusal> {
        let asked = Instant::now();
        let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let oldest = asked.checked_sub(AGE_MAX).unwrap_or(asked);
        let snapshot = match self.current().filter(|snapshot| snapshot.taken >= oldest) {
            Some(snapshot) => snapshot,
            None => self.taken_since(oldest).await?,
        };
        match snapshot.find(&digest, channel) {
            Err(_) if snapshot.taken < asked => Ok(self.taken_since(asked).await?.find(&digest, channel)),
            found => Ok(found),
        }
    }

    /// All channels of an app as they are now, by name; the one without a name first.
    pub fn scopes(&self, app: u32) -> events::Result<Vec<(Option<String>, Scope)>> {
        let named = self.registry.channels(app)?.into_iter();
        let named = named.map(|channel| (Some(channel.name), Scope { app, channel: Some(channel.id) }));
        Ok(std::iter::once((None, Scope { app, channel: None })).chain(named).collect())
    }

    /// Can the registry be read?
    pub fn check(&self) -> crate::failure::Result<()> {
        self.registry.access_key("")?;
        Ok(())
    }

    fn current(&self) -> Option<Arc<Snapshot>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A snapshot not older than `since`; many waiters share one.
    async fn taken_since(&self, since: Instant) -> Result<Arc<Snapshot>, Refusal> {
        let _loading = self.loading.lock().await;
        if let Some(snapshot) = self.current() {
            if snapshot.taken >= since {
                return Ok(snapshot);
            }
            tokio::time::sleep_until((snapshot.taken + AGE_MIN).into()).await;
        }
        let registry = Arc::clone(&self.registry);
        let snapshot = blocking(move || Ok(Arc::new(Snapshot::take(registry.as_ref())?))).await?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&snapshot));
        Ok(snapshot)
    }
}

impl Snapshot {
    fn take(registry: &dyn Registry) -> events::Result<Self> {
        let taken = Instant::now();
        let mut apps = BTreeMap::new();
        for app in registry.apps()? {
            let channels = registry.channels(app.id)?;
            apps.insert(app.id, Arc::new(AppEntry::new(app, channels)));
        }
        let access = |key: AccessKey| {
            let app = Arc::clone(apps.get(&key.app)?);
            let AccessKey { rights, expires_ms, events, .. } = key;
            let digest = Sha256::digest(key.key.as_bytes()).into();
            Some((digest, Arc::new(Access { app, rights, expires_ms, events })))
        };
        Ok(Self { taken, keys: registry.access_keys(None)?.into_iter().filter_map(access).collect() })
    }

    fn find(&self, digest: &[u8; 32], channel: Option<&str>) -> Found {
        let access = self.keys.get(digest).ok_or(Unknown::Key)?;
        let channel = match channel {
            None => None,
            Some(name) => Some(*access.app.channels.get(name).ok_or(Unknown::Channel)?),
        };
        Ok((Arc::clone(access), channel))
    }
}

#[cfg(test)]
mod tests {
    use events::{MemoryStore, NewApp, NewChannel};

    use super::*;

    #[tokio::test]
    async fn what_was_made_a_moment_ago_is_known_and_what_is_gone_soon_is_not() {
        let store = Arc::new(MemoryStore::new());
        let directory = Directory::new(Arc::<MemoryStore>::clone(&store));
        let found = async |key: &str, channel: Option<&str>| {
            directory.find(key, channel).await.unwrap().map(|(access, channel)| (access.app.id, channel))
        };
        assert_eq!(found("k", None).await, Err(Unknown::Key));
        let app = store.create_app(&NewApp { name: "a".into(), ..NewApp::default() }).unwrap();
        store.create_access_key(&AccessKey::new("k", app.id)).unwrap();
        assert_eq!(found("k", None).await, Ok((app.id, None)));
        assert_eq!(found("k", Some("web")).await, Err(Unknown::Channel));
        let web = store.create_channel(&NewChannel::named(app.id, "web")).unwrap();
        assert_eq!(found("k", Some("web")).await, Ok((app.id, Some(web.id))));
        store.create_access_key(&AccessKey::new("orphan", 99)).unwrap();
        assert_eq!(found("orphan", None).await, Err(Unknown::Key));
        store.delete_access_key("k").unwrap();
        let deleted = Instant::now();
        while found("k", None).await.is_ok() {
            assert!(deleted.elapsed() < Duration::from_secs(60), "a deleted key lives on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
