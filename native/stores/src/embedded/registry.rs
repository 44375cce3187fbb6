//! Apps, access keys, channels and engine instances. Small tables, read whole.

use events::{
    AccessKey, App, Channel, DeclaredEvents, EngineInstance, Error, InstanceStatus, Kind, NewApp, NewChannel,
    OnUnknown, Registry, Result, Rights, Scope,
};

use super::bytes::{Reader, put_optional, put_signed, put_text, put_unsigned};
use super::env::Table;
use super::error::corrupt;
use super::write::Writer;
use super::{Core, Embedded};

const LAST_APP: &[u8] = b"last app";
const LAST_CHANNEL: &[u8] = b"last channel";

/// Longest access key or instance id: it is the key of a table.
const NAME_BYTES_MAX: usize = 500;

impl Registry for Embedded {
    fn create_app(&self, app: &NewApp) -> Result<App> {
        let new = app.clone();
        self.0.write(move |writer| writer.create_app(&new))
    }

    fn apps(&self) -> Result<Vec<App>> {
        self.0.list(self.0.tables.apps, decode_app)
    }

    /// Removes the app's events too, in the same transaction.
    fn delete_app(&self, id: u32) -> Result<bool> {
        for scope in self.0.scopes_of(id)? {
            self.0.open_slot(scope)?;
        }
        self.0.write(move |writer| writer.delete_app(id))
    }

    fn declare_events(&self, app: u32, declared: Option<&DeclaredEvents>) -> Result<bool> {
        let declared = declared.cloned();
        self.0.write(move |writer| {
            let found =
                writer.list(writer.core.tables.apps, decode_app)?.into_iter().find(|known| known.id == app);
            let Some(known) = found else { return Ok(false) };
            writer.put_app(&App { declared: declared.clone(), ..known }).map(|()| true)
        })
    }

    fn create_access_key(&self, key: &AccessKey) -> Result<()> {
        check_name("access key", &key.key)?;
        let key = key.clone();
        self.0.write(move |writer| writer.create_key(&key))
    }

    fn rotate_access_key(&self, old: &str, new: &AccessKey, old_expires_ms: i64) -> Result<bool> {
        check_name("access key", &new.key)?;
        if check_name("access key", old).is_err() {
            return Ok(false);
        }
        let (old, new) = (old.as_bytes().to_vec(), new.clone());
        self.0.write(move |writer| {
            let table = writer.core.tables.keys;
            let Some(bytes) = writer.core.env.get(&writer.txn, table, &old)? else { return Ok(false) };
            let mut key = decode_key(&old, bytes).ok_or_else(malformed)?;
            writer.create_key(&new)?;
            key.expires_ms =
                Some(key.expires_ms.map_or(old_expires_ms, |expires| expires.min(old_expires_ms)));
            writer.core.env.put(&mut writer.txn, table, &old, &encode_key(&key))?;
            Ok(true)
        })
    }

    fn access_keys(&self, app: Option<u32>) -> Result<Vec<AccessKey>> {
        let mut keys = self.0.list(self.0.tables.keys, decode_key)?;
        keys.retain(|key| app.is_none_or(|app| key.app == app));
        Ok(keys)
    }

    fn access_key(&self, key: &str) -> Result<Option<AccessKey>> {
        if check_name("access key", key).is_err() {
            return Ok(None);
        }
        let txn = self.0.env.read()?;
        let Some(bytes) = self.0.env.get(&txn, self.0.tables.keys, key.as_bytes())? else { return Ok(None) };
        decode_key(key.as_bytes(), bytes).map(Some).ok_or_else(malformed)
    }

    fn delete_access_key(&self, key: &str) -> Result<bool> {
        if check_name("access key", key).is_err() {
            return Ok(false);
        }
        let key = key.as_bytes().to_vec();
        self.0.write(move |writer| writer.core.env.delete(&mut writer.txn, writer.core.tables.keys, &key))
    }

    fn create_channel(&self, channel: &NewChannel) -> Result<Channel> {
        let new = channel.clone();
        self.0.write(move |writer| writer.create_channel(&new))
    }

    fn channels(&self, app: u32) -> Result<Vec<Channel>> {
        let mut channels = self.0.list(self.0.tables.channels, decode_channel)?;
        channels.retain(|channel| channel.app == app);
        Ok(channels)
    }

    /// Removes the channel's events too, in the same transaction.
    fn delete_channel(&self, id: u32) -> Result<bool> {
        let channels = self.0.list(self.0.tables.channels, decode_channel)?;
        let Some(channel) = channels.into_iter().find(|channel| channel.id == id) else { return Ok(false) };
        let scope = Scope { app: channel.app, channel: Some(id) };
        self.0.open_slot(scope)?;
        self.0.write(move |writer| {
            writer.remove(scope)?;
            writer.core.env.delete(&mut writer.txn, writer.core.tables.channels, &id.to_be_bytes())
        })
    }

    fn put_instance(&self, instance: &EngineInstance) -> Result<()> {
        check_name("id of an engine instance", &instance.id)?;
        let (id, bytes) = (instance.id.clone(), encode_instance(instance));
        self.0.write(move |writer| {
            writer.core.env.put(&mut writer.txn, writer.core.tables.instances, id.as_bytes(), &bytes)
        })
    }

    fn instances(&self) -> Result<Vec<EngineInstance>> {
        let mut instances = self.0.list(self.0.tables.instances, decode_instance)?;
        instances.sort_by_key(|instance| std::cmp::Reverse(instance.start_ms));
        Ok(instances)
    }
}

impl Core {
    /// Everything in a table, in the order of its keys.
    fn list<T>(&self, table: Table, decode: fn(&[u8], &[u8]) -> Option<T>) -> Result<Vec<T>> {
        let txn = self.env.read()?;
        let entries = self.env.entries(&txn, table)?;
        entries.map(|entry| entry.and_then(|(key, value)| decode(key, value).ok_or_else(malformed))).collect()
    }

    /// Where the events of an app are.
    fn scopes_of(&self, app: u32) -> Result<Vec<Scope>> {
        let channels = self.list(self.tables.channels, decode_channel)?;
        let named = channels.into_iter().filter(|channel| channel.app == app).map(|channel| Some(channel.id));
        Ok(std::iter::once(None).chain(named).map(|channel| Scope { app, channel }).collect())
    }
}

impl Writer<'_> {
    fn list<T>(&self, table: Table, decode: fn(&[u8], &[u8]) -> Option<T>) -> Result<Vec<T>> {
        let entries = self.core.env.entries(&self.txn, table)?;
        entries.map(|entry| entry.and_then(|(key, value)| decode(key, value).ok_or_else(malformed))).collect()
    }

    /// Last id that a sequence gave out.
    fn last_id(&self, sequence: &[u8]) -> Result<u32> {
        match self.core.env.get(&self.txn, self.core.tables.meta, sequence)? {
            None => Ok(0),
            Some(bytes) => id_of(bytes).ok_or_else(malformed),
        }
    }

    fn set_last_id(&mut self, sequence: &[u8], id: u32) -> Result<()> {
        self.core.env.put(&mut self.txn, self.core.tables.meta, sequence, &id.to_be_bytes())
    }

    fn create_app(&mut self, new: &NewApp) -> Result<App> {
        let table = self.core.tables.apps;
        new.check(&self.list(table, decode_app)?)?;
        let last = self.last_id(LAST_APP)?;
        let id = match new.id {
            Some(id) => id,
            None => last.checked_add(1).ok_or_else(|| invalid("no app id is left"))?,
        };
        self.set_last_id(LAST_APP, last.max(id))?;
        let app = App { id, name: new.name.clone(), description: new.description.clone(), declared: None };
        self.put_app(&app)?;
        Ok(app)
    }

    fn put_app(&mut self, app: &App) -> Result<()> {
        let mut bytes = Vec::new();
        put_text(&mut bytes, &app.name);
        put_optional(&mut bytes, app.description.as_deref());
        put_unsigned(&mut bytes, u64::from(app.declared.is_some()));
        if let Some(declared) = &app.declared {
            put_unsigned(&mut bytes, u64::from(declared.unknown() == OnUnknown::Reject));
            put_texts(&mut bytes, declared.names());
        }
        self.core.env.put(&mut self.txn, self.core.tables.apps, &app.id.to_be_bytes(), &bytes)
    }

    fn create_key(&mut self, key: &AccessKey) -> Result<()> {
        let (table, name) = (self.core.tables.keys, key.key.as_bytes());
        if self.core.env.get(&self.txn, table, name)?.is_some() {
            return Err(invalid("this access key exists already"));
        }
        self.core.env.put(&mut self.txn, table, name, &encode_key(key))
    }

    fn delete_app(&mut self, id: u32) -> Result<bool> {
        let tables = &self.core.tables;
        for key in self.list(tables.keys, decode_key)?.iter().filter(|key| key.app == id) {
            self.core.env.delete(&mut self.txn, tables.keys, key.key.as_bytes())?;
        }
        self.remove(Scope { app: id, channel: None })?;
        for channel in self.list(tables.channels, decode_channel)?.iter().filter(|channel| channel.app == id)
        {
            self.remove(Scope { app: id, channel: Some(channel.id) })?;
            self.core.env.delete(&mut self.txn, tables.channels, &channel.id.to_be_bytes())?;
        }
        self.core.env.delete(&mut self.txn, tables.apps, &id.to_be_bytes())
    }

    fn create_channel(&mut self, new: &NewChannel) -> Result<Channel> {
        let table = self.core.tables.channels;
        new.check(&self.list(table, decode_channel)?)?;
        let last = self.last_id(LAST_CHANNEL)?;
        let id = match new.id {
            Some(id) => id,
            None => last.checked_add(1).ok_or_else(|| invalid("no channel id is left"))?,
        };
        self.set_last_id(LAST_CHANNEL, last.max(id))?;
        let mut bytes = Vec::new();
        put_unsigned(&mut bytes, u64::from(new.app));
        put_text(&mut bytes, &new.name);
        self.core.env.put(&mut self.txn, table, &id.to_be_bytes(), &bytes)?;
        Ok(Channel { id, name: new.name.clone(), app: new.app })
    }
}

fn invalid(text: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, text)
}

fn malformed() -> Error {
    corrupt("a record of the registry is malformed")
}

fn check_name(what: &str, name: &str) -> Result<()> {
    if (1..=NAME_BYTES_MAX).contains(&name.len()) {
        return Ok(());
    }
    Err(invalid(format!("the {what} has {} bytes; 1 to {NAME_BYTES_MAX} are possible", name.len())))
}

fn id_of(key: &[u8]) -> Option<u32> {
    key.try_into().ok().map(u32::from_be_bytes)
}

fn decode_app(key: &[u8], value: &[u8]) -> Option<App> {
    let mut reader = Reader::new(value);
    Some(App {
        id: id_of(key)?,
        name: reader.text()?.to_owned(),
        description: reader.optional()?.map(str::to_owned),
        declared: match reader.unsigned()? {
            0 => None,
            _ => Some(decode_declared(&mut reader)?),
        },
    })
}

fn decode_declared(reader: &mut Reader<'_>) -> Option<DeclaredEvents> {
    let unknown = if reader.unsigned()? == 0 { OnUnknown::Warn } else { OnUnknown::Reject };
    DeclaredEvents::new(texts(reader)?, unknown).ok()
}

/// Number, then each.
fn put_texts(out: &mut Vec<u8>, texts: &[String]) {
    put_unsigned(out, texts.len() as u64);
    texts.iter().for_each(|text| put_text(out, text));
}

fn texts(reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let count = reader.unsigned()?;
    (0..count).map(|_| reader.text().map(str::to_owned)).collect()
}

fn decode_channel(key: &[u8], value: &[u8]) -> Option<Channel> {
    let mut reader = Reader::new(value);
    Some(Channel { id: id_of(key)?, app: reader.small()?, name: reader.text()?.to_owned() })
}

const READ: u64 = 1;
const WRITE: u64 = 2;
const DELETE: u64 = 4;

fn encode_key(key: &AccessKey) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_unsigned(&mut bytes, u64::from(key.app));
    put_texts(&mut bytes, &key.events);
    let Rights { read, write, delete } = key.rights;
    put_unsigned(&mut bytes, u64::from(read) * READ + u64::from(write) * WRITE + u64::from(delete) * DELETE);
    put_unsigned(&mut bytes, u64::from(key.expires_ms.is_some()));
    if let Some(expires) = key.expires_ms {
        put_signed(&mut bytes, expires);
    }
    bytes
}

fn decode_key(key: &[u8], value: &[u8]) -> Option<AccessKey> {
    let mut reader = Reader::new(value);
    let (app, events, bits) = (reader.small()?, texts(&mut reader)?, reader.unsigned()?);
    let rights = Rights { read: bits & READ != 0, write: bits & WRITE != 0, delete: bits & DELETE != 0 };
    let expires_ms = match reader.unsigned()? {
        0 => None,
        _ => Some(reader.signed()?),
    };
    Some(AccessKey { key: std::str::from_utf8(key).ok()?.to_owned(), app, events, rights, expires_ms })
}

fn encode_instance(instance: &EngineInstance) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (status, reason) = match &instance.status {
        InstanceStatus::Init => (0, None),
        InstanceStatus::Completed => (1, None),
        InstanceStatus::Failed(reason) => (2, Some(reason.as_str())),
    };
    put_unsigned(&mut bytes, status);
    put_optional(&mut bytes, reason);
    put_signed(&mut bytes, instance.start_ms);
    put_signed(&mut bytes, instance.end_ms);
    // 0 = none
    put_unsigned(&mut bytes, instance.generation.map_or(0, |generation| generation.saturating_add(1)));
    let EngineInstance { app, variant, engine_factory, batch, config, report, .. } = instance;
    for text in [app, variant, engine_factory, batch, config, report] {
        put_text(&mut bytes, text);
    }
    bytes
}

fn decode_instance(key: &[u8], value: &[u8]) -> Option<EngineInstance> {
    let mut reader = Reader::new(value);
    let status = match (reader.unsigned()?, reader.optional()?) {
        (0, _) => InstanceStatus::Init,
        (1, _) => InstanceStatus::Completed,
        (2, reason) => InstanceStatus::Failed(reason?.to_owned()),
        _ => return None,
    };
    let (start_ms, end_ms) = (reader.signed()?, reader.signed()?);
    let generation = reader.unsigned()?.checked_sub(1);
    let mut text = || reader.text().map(str::to_owned);
    Some(EngineInstance {
        id: std::str::from_utf8(key).ok()?.to_owned(),
        status,
        start_ms,
        end_ms,
        generation,
        app: text()?,
        variant: text()?,
        engine_factory: text()?,
        batch: text()?,
        config: text()?,
        report: text()?,
    })
}
