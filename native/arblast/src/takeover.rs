//! Apps, keys and channels of another installation become ours, under the same ids.

use elasticsearch::Metadata;
use events::{AccessKey, App, Channel, NewApp, NewChannel, Scope};
use stores::Storage;

use crate::failure::{Failure, Result};
use crate::{apps, keys};

/// What is not here yet.
pub struct Takeover<'a> {
    pub apps: Vec<&'a App>,
    pub keys: Vec<&'a AccessKey>,
    pub channels: Vec<&'a Channel>,
}

/// What is here.
struct Own {
    apps: Vec<App>,
    keys: Vec<AccessKey>,
    channels: Vec<Channel>,
}

impl Own {
    fn of(storage: &Storage) -> Result<Self> {
        let registry = &storage.registry;
        let (apps, keys) = (registry.apps()?, registry.access_keys(None)?);
        let mut channels = Vec::new();
        for app in &apps {
            channels.extend(registry.channels(app.id)?);
        }
        Ok(Self { apps, keys, channels })
    }
}

impl<'a> Takeover<'a> {
    /// Everything of `other` that is not here, the same, already. So it may be done again.
    ///
    /// # Errors
    /// `Kind::Invalid`: another of the same id, name or key is here; a name or key that cannot be; whatever the registry reports.
    pub fn plan(storage: &Storage, other: &'a Metadata) -> Result<Self> {
        let own = Own::of(storage)?;
        let is_here = |app: &App| own.apps.iter().any(|own| (own.id, &own.name) == (app.id, &app.name));
        let has_key = |key: &AccessKey| own.keys.iter().any(|own| (own.app, &own.key) == (key.app, &key.key));
        let new = Self {
            apps: other.apps.iter().filter(|app| !is_here(app)).collect(),
            keys: other.keys.iter().filter(|key| !has_key(key)).collect(),
            channels: other.channels.iter().filter(|channel| !own.channels.contains(channel)).collect(),
        };
        let has_app = |id: u32| own.apps.iter().chain(&other.apps).any(|app| app.id == id);
        for app in &new.apps {
            apps::check_free(
                storage,
                &NewApp { id: Some(app.id), name: app.name.clone(), description: None },
            )?;
        }
        for key in &new.keys {
            check_key(key, &own, &has_app)?;
        }
        for channel in &new.channels {
            check_channel(channel, &own, &has_app)?;
        }
        Ok(new)
    }

    /// Creates it, with places for events.
    ///
    /// # Errors
    /// Whatever the stores report; what was created stays.
    pub fn create(&self, storage: &Storage) -> Result<()> {
        let registry = &storage.registry;
        for app in &self.apps {
            let (name, description) = (app.name.clone(), app.description.clone());
            registry.create_app(&NewApp { id: Some(app.id), name, description })?;
            storage.events.init(Scope { app: app.id, channel: None })?;
        }
        for key in &self.keys {
            registry.create_access_key(key)?;
        }
        for channel in &self.channels {
            let new = NewChannel { id: Some(channel.id), ..NewChannel::named(channel.app, &channel.name) };
            registry.create_channel(&new)?;
            storage.events.init(Scope { app: channel.app, channel: Some(channel.id) })?;
        }
        Ok(())
    }
}

fn no_app(what: &str, app: u32) -> Failure {
    Failure::invalid(format!("{what} is of the app with ID {app}, which does not exist there"))
}

fn check_key(key: &AccessKey, own: &Own, has_app: &dyn Fn(u32) -> bool) -> Result<()> {
    let name = format!("access key {}", key.key);
    keys::checked(key.key.clone()).map_err(|failure| Failure::invalid(format!("{name}: {failure}")))?;
    if own.keys.iter().any(|own| own.key == key.key) {
        return Err(Failure::invalid(format!("{name} is here already, for another app")));
    }
    if has_app(key.app) { Ok(()) } else { Err(no_app(&name, key.app)) }
}

fn check_channel(channel: &Channel, own: &Own, has_app: &dyn Fn(u32) -> bool) -> Result<()> {
    let name = format!("channel {} with ID {}", channel.name, channel.id);
    let clashes =
        |own: &&Channel| own.id == channel.id || (own.app, &own.name) == (channel.app, &channel.name);
    if let Some(own) = own.channels.iter().find(clashes) {
        let Channel { id, name: other, app } = own;
        return Err(Failure::invalid(format!(
            "{name}: here is channel {other} with ID {id} of app ID {app}"
        )));
    }
    if has_app(channel.app) { Ok(()) } else { Err(no_app(&name, channel.app)) }
}
