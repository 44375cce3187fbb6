//! Apps, keys and channels in PredictionIO's tables; what those cannot say, and training runs, in ours.

use std::collections::BTreeMap;

use events::json::{self, Json, Object};
use events::{
    AccessKey, App, Channel, DeclaredEvents, EngineInstance, Error, InstanceStatus, Kind, NewApp, NewChannel,
    OnUnknown, Registry, Result, Rights,
};

use crate::address::Address;
use crate::connection::{Connection, Row, Value, transaction};
use crate::fault::{Done, corrupt};
use crate::pool::Again;
use crate::{Part, Sql};

/// Longest access key in PredictionIO's table, and in ours.
const PIO_KEY_CHARS_MAX: usize = 64;
const KEY_CHARS_MAX: usize = 255;

pub(crate) fn tables(address: &Address) -> Vec<String> {
    let (product, meta) = (address.product, &address.meta);
    let pio = |name: &str, columns: &str| product.create_meta(&format!("{meta}_{name}"), columns);
    let own = |name: &str, columns: &str| product.create(&format!("{meta}_arblast_{name}"), columns);
    let mut tables = vec![
        pio("apps", "id serial not null primary key, name text not null, description text"),
        pio("accesskeys", "accesskey varchar(64) not null primary key, appid integer not null, events text"),
        pio("channels", "id serial not null primary key, name text not null, appid integer not null"),
        own("ids", "name varchar(16) not null primary key, last bigint not null"),
        own("apps", "id bigint not null primary key, declared {text}"),
        own(
            "accesskeys",
            "accesskey varchar(255) not null primary key, app bigint not null, events {text} not null, rights smallint not null, expires bigint",
        ),
        own(
            "instances",
            "id varchar(64) not null primary key, start_ms bigint not null, body {text} not null",
        ),
    ];
    for name in [APPS, CHANNELS] {
        tables.push(format!(
            "insert into {meta}_arblast_ids (name, last) values ('{name}', 0){}",
            product.keep("name")
        ));
    }
    tables
}

const APPS: &str = "apps";
const CHANNELS: &str = "channels";

fn invalid(text: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, text)
}

/// An id of 32 bits, whatever sign its column has.
fn id_of(row: &dyn Row, column: usize) -> Option<u32> {
    let id = row.int(column)?;
    u32::try_from(id).ok().or_else(|| i32::try_from(id).ok().map(i32::cast_unsigned))
}

impl Sql {
    fn pio(&self, name: &str) -> String {
        format!("{}_{name}", self.address().meta)
    }

    fn meta(&self, name: &str) -> String {
        format!("{}_arblast_{name}", self.address().meta)
    }

    fn registry<T>(&self, again: Again, mut work: impl FnMut(&mut dyn Connection) -> Done<T>) -> Result<T> {
        self.run(again, |connection| {
            self.make(Part::Registry, connection)?;
            work(connection)
        })
    }

    /// A change of the registry: one at a time, all or nothing.
    fn change<T>(
        &self,
        counter: &str,
        mut work: impl FnMut(&mut dyn Connection, i64) -> Done<T>,
    ) -> Result<T> {
        self.registry(Again::Never, |connection| {
            transaction(connection, |connection| {
                let sql = format!("select last from {} where name = ? for update", self.meta("ids"));
                let last = connection.first(&sql, &[Value::Text(counter)], |row| row.int(0))?;
                work(connection, last.ok_or_else(|| corrupt("a counter of ids is missing"))?)
            })
        })
    }

    /// The next id that was never given out, or the one that is wanted; noted as given out.
    fn take_id(
        &self,
        connection: &mut dyn Connection,
        counter: &'static str,
        last: i64,
        wanted: Option<u32>,
    ) -> Done<u32> {
        let table = self.pio(counter);
        let highest =
            connection.all(&format!("select id from {table}"), &[], |row| id_of(row, 0))?.into_iter().max();
        let native = self.address().product.last_id(connection, &table)?;
        let last = last.max(native).max(highest.map_or(0, i64::from));
        let none_left = || invalid(format!("no id for {counter} is left"));
        let id = match wanted {
            Some(id) => id,
            None => u32::try_from(last + 1).map_err(|_| none_left())?,
        };
        let sql = format!("update {} set last = ? where name = ?", self.meta("ids"));
        connection.execute(&sql, &[Value::Int(last.max(i64::from(id))), Value::Text(counter)])?;
        Ok(id)
    }

    /// PredictionIO's next id is beyond this one.
    fn advance(&self, connection: &mut dyn Connection, counter: &str, id: u32) -> Done<()> {
        let (product, table) = (self.address().product, self.pio(counter));
        if product.last_id(connection, &table)? < i64::from(id) {
            product.advance_id(connection, &table, id)?;
        }
        Ok(())
    }

    fn list_apps(&self, connection: &mut dyn Connection) -> Done<Vec<App>> {
        let sql = format!("select id, declared from {}", self.meta("apps"));
        let declared = connection.all(&sql, &[], |row| Some((id_of(row, 0)?, row.text(1)?.to_owned())))?;
        let mut declared: BTreeMap<u32, String> = declared.into_iter().collect();
        let sql = format!("select id, name, description from {}", self.pio("apps"));
        let mut apps = connection.all(&sql, &[], |row| {
            let description = row.text(2).map(str::to_owned);
            Some(App { id: id_of(row, 0)?, name: row.text(1)?.to_owned(), description, declared: None })
        })?;
        for app in &mut apps {
            app.declared = declared.remove(&app.id).map(|text| read_declared(&text)).transpose()?;
        }
        apps.sort_by_key(|app| app.id);
        Ok(apps)
    }

    /// Of all apps.
    fn list_channels(&self, connection: &mut dyn Connection) -> Done<Vec<Channel>> {
        let sql = format!("select id, name, appid from {}", self.pio("channels"));
        let mut channels = connection.all(&sql, &[], |row| {
            Some(Channel { id: id_of(row, 0)?, name: row.text(1)?.to_owned(), app: id_of(row, 2)? })
        })?;
        channels.sort_by_key(|channel| channel.id);
        Ok(channels)
    }

    /// Keys of an app, or this key, or all, unsorted.
    fn list_keys(
        &self,
        connection: &mut dyn Connection,
        app: Option<u32>,
        key: Option<&str>,
    ) -> Done<Vec<AccessKey>> {
        let condition = |app_column: &str| match (app, key) {
            (Some(_), _) => format!(" where {app_column} = ?"),
            (None, Some(_)) => " where accesskey = ?".to_owned(),
            (None, None) => String::new(),
        };
        let values = |app_value: fn(u32) -> Value<'static>| -> Vec<Value<'_>> {
            app.map(app_value).or_else(|| key.map(Value::Text)).into_iter().collect()
        };
        let sql = format!(
            "select accesskey, app, events, rights, expires from {}{}",
            self.meta("accesskeys"),
            condition("app")
        );
        let own =
            connection.all(&sql, &values(|app| Value::Int(i64::from(app))), |row| Some(read_key(row)))?;
        let mut keys: BTreeMap<String, AccessKey> = BTreeMap::new();
        for own in own {
            let own = own?;
            keys.insert(own.key.clone(), own);
        }
        let sql =
            format!("select accesskey, appid, events from {}{}", self.pio("accesskeys"), condition("appid"));
        for key in connection.all(&sql, &values(app_value), read_pio_key)? {
            // What we know of a key goes before what PredictionIO knows.
            keys.entry(key.key.clone()).or_insert(key);
        }
        // The database may not tell cases apart.
        Ok(keys.into_values().filter(|found| key.is_none_or(|key| found.key == key)).collect())
    }

    fn insert_key(&self, connection: &mut dyn Connection, key: &AccessKey) -> Done<()> {
        check_key(key)?;
        if !self.list_keys(connection, None, Some(&key.key))?.is_empty() {
            return Err(invalid("this access key exists already").into());
        }
        self.put_key(connection, key)
    }

    /// PredictionIO sees the keys that mean the same to it, and no others.
    fn put_key(&self, connection: &mut dyn Connection, key: &AccessKey) -> Done<()> {
        for table in [self.pio("accesskeys"), self.meta("accesskeys")] {
            connection
                .execute(&format!("delete from {table} where accesskey = ?"), &[Value::Text(&key.key)])?;
        }
        if is_plain(key) {
            let events = (!key.events.is_empty()).then(|| key.events.join(","));
            let sql =
                format!("insert into {} (accesskey, appid, events) values (?, ?, ?)", self.pio("accesskeys"));
            let values = [Value::Text(&key.key), app_value(key.app), events.as_deref().into()];
            return connection.execute(&sql, &values).map(drop);
        }
        let sql = format!(
            "insert into {} (accesskey, app, events, rights, expires) values (?, ?, ?, ?, ?)",
            self.meta("accesskeys")
        );
        let rights =
            i64::from(key.rights.read) + 2 * i64::from(key.rights.write) + 4 * i64::from(key.rights.delete);
        let values = [
            Value::Text(&key.key),
            Value::Int(i64::from(key.app)),
            Value::Owned(Json::from(key.events.clone()).to_string()),
            Value::Int(rights),
            key.expires_ms.map_or(Value::Null, Value::Int),
        ];
        connection.execute(&sql, &values).map(drop)
    }
}

fn app_value(app: u32) -> Value<'static> {
    Value::Int(i64::from(app.cast_signed()))
}

fn check_key(key: &AccessKey) -> Result<()> {
    let chars = key.key.chars().count();
    if (1..=KEY_CHARS_MAX).contains(&chars) && !key.key.contains('\0') {
        return Ok(());
    }
    Err(invalid(format!(
        "the access key has {chars} characters; 1 to {KEY_CHARS_MAX} are possible, and none may be U+0000"
    )))
}

/// Can PredictionIO's table say all of it?
fn is_plain(key: &AccessKey) -> bool {
    let name = |name: &String| !name.is_empty() && !name.contains([',', '\0']) && name.is_ascii();
    let short = key.key.chars().count() <= PIO_KEY_CHARS_MAX;
    short
        && key.key.is_ascii()
        && key.rights == Rights::ALL
        && key.expires_ms.is_none()
        && key.events.iter().all(name)
}

fn read_pio_key(row: &dyn Row) -> Option<AccessKey> {
    let names = row.text(2).unwrap_or_default().split(',').filter(|name| !name.is_empty());
    let events = names.map(str::to_owned).collect();
    Some(AccessKey { events, ..AccessKey::new(row.text(0)?, id_of(row, 1)?) })
}

fn read_key(row: &dyn Row) -> Done<AccessKey> {
    let read = || {
        let Ok(Json::Array(names)) = json::parse(row.bytes(2)?) else { return None };
        let events = names.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<_>>()?;
        let rights = row.int(3)?;
        let rights = Rights { read: rights & 1 != 0, write: rights & 2 != 0, delete: rights & 4 != 0 };
        Some(AccessKey {
            key: row.text(0)?.to_owned(),
            app: id_of(row, 1)?,
            events,
            rights,
            expires_ms: row.int(4),
        })
    };
    read().ok_or_else(|| corrupt("an access key in the registry is malformed"))
}

fn write_declared(declared: &DeclaredEvents) -> String {
    let rejects = declared.unknown() == OnUnknown::Reject;
    Json::from(Object::new().with("names", declared.names().to_vec()).with("reject", rejects)).to_string()
}

fn read_declared(text: &str) -> Done<DeclaredEvents> {
    let read = || {
        let Ok(Json::Object(object)) = json::parse(text.as_bytes()) else { return None };
        let names = object.get("names")?.as_array()?.iter().map(|name| name.as_str().map(str::to_owned));
        let unknown = if object.get("reject")?.as_bool()? { OnUnknown::Reject } else { OnUnknown::Warn };
        DeclaredEvents::new(names.collect::<Option<Vec<_>>>()?, unknown).ok()
    };
    read().ok_or_else(|| corrupt("the declared events of an app in the registry are malformed"))
}

fn write_instance(instance: &EngineInstance) -> String {
    let (status, reason) = match &instance.status {
        InstanceStatus::Init => ("INIT", Json::Null),
        InstanceStatus::Completed => ("COMPLETED", Json::Null),
        InstanceStatus::Failed(reason) => ("FAILED", reason.as_str().into()),
    };
    let generation = instance.generation.map_or(Json::Null, |generation| generation.to_string().into());
    let object = Object::new()
        .with("status", status)
        .with("reason", reason)
        .with("end", instance.end_ms)
        .with("app", instance.app.as_str())
        .with("variant", instance.variant.as_str())
        .with("engineFactory", instance.engine_factory.as_str())
        .with("batch", instance.batch.as_str())
        .with("generation", generation)
        .with("config", instance.config.as_str())
        .with("report", instance.report.as_str());
    Json::from(object).to_string()
}

fn read_instance(row: &dyn Row) -> Done<EngineInstance> {
    let read = || {
        let Ok(Json::Object(object)) = json::parse(row.bytes(2)?) else { return None };
        let text = |name: &str| object.get(name)?.as_str().map(str::to_owned);
        let status = match object.get("status")?.as_str()? {
            "INIT" => InstanceStatus::Init,
            "COMPLETED" => InstanceStatus::Completed,
            "FAILED" => InstanceStatus::Failed(text("reason")?),
            _ => return None,
        };
        Some(EngineInstance {
            id: row.text(0)?.to_owned(),
            status,
            start_ms: row.int(1)?,
            end_ms: object.get("end")?.as_i64()?,
            app: text("app")?,
            variant: text("variant")?,
            engine_factory: text("engineFactory")?,
            batch: text("batch")?,
            generation: text("generation").and_then(|generation| generation.parse().ok()),
            config: text("config")?,
            report: text("report")?,
        })
    };
    read().ok_or_else(|| corrupt("a training run in the registry is malformed"))
}

impl Registry for Sql {
    fn create_app(&self, app: &NewApp) -> Result<App> {
        let texts = [Some(app.name.as_str()), app.description.as_deref()];
        if texts.into_iter().flatten().any(|text| text.contains('\0')) {
            return Err(invalid("name and description of an app cannot have U+0000 in them"));
        }
        self.change(APPS, |connection, last| {
            app.check(&self.list_apps(connection)?)?;
            let id = self.take_id(connection, APPS, last, app.id)?;
            let (product, table) = (self.address().product, self.pio("apps"));
            let values = [product.id_value(id), Value::Text(&app.name), app.description.as_deref().into()];
            connection
                .execute(&format!("insert into {table} (id, name, description) values (?, ?, ?)"), &values)?;
            self.advance(connection, APPS, id)?;
            Ok(App { id, name: app.name.clone(), description: app.description.clone(), declared: None })
        })
    }

    fn apps(&self) -> Result<Vec<App>> {
        self.registry(Again::Safe, |connection| self.list_apps(connection))
    }

    fn delete_app(&self, id: u32) -> Result<bool> {
        self.change(APPS, |connection, last| {
            // The highest id is known from the app that has it, if PredictionIO gave it one of its own.
            self.take_id(connection, APPS, last, Some(0))?;
            let own = Value::Int(i64::from(id));
            for table in ["channels", "accesskeys"] {
                connection
                    .execute(&format!("delete from {} where appid = ?", self.pio(table)), &[app_value(id)])?;
            }
            connection.execute(
                &format!("delete from {} where app = ?", self.meta("accesskeys")),
                std::slice::from_ref(&own),
            )?;
            connection.execute(&format!("delete from {} where id = ?", self.meta("apps")), &[own])?;
            let apps = format!("delete from {} where id = ?", self.pio("apps"));
            Ok(connection.execute(&apps, &[self.address().product.id_value(id)])? > 0)
        })
    }

    fn declare_events(&self, app: u32, declared: Option<&DeclaredEvents>) -> Result<bool> {
        self.change(APPS, |connection, _| {
            let sql = format!("select 1 from {} where id = ?", self.pio("apps"));
            if connection.first(&sql, &[self.address().product.id_value(app)], |_| Some(()))?.is_none() {
                return Ok(false);
            }
            let id = Value::Int(i64::from(app));
            connection.execute(
                &format!("delete from {} where id = ?", self.meta("apps")),
                std::slice::from_ref(&id),
            )?;
            if let Some(declared) = declared {
                let sql = format!("insert into {} (id, declared) values (?, ?)", self.meta("apps"));
                connection.execute(&sql, &[id, Value::Owned(write_declared(declared))])?;
            }
            Ok(true)
        })
    }

    fn create_access_key(&self, key: &AccessKey) -> Result<()> {
        self.change(APPS, |connection, _| self.insert_key(connection, key))
    }

    fn access_keys(&self, app: Option<u32>) -> Result<Vec<AccessKey>> {
        self.registry(Again::Safe, |connection| self.list_keys(connection, app, None))
    }

    fn access_key(&self, key: &str) -> Result<Option<AccessKey>> {
        if key.contains('\0') {
            return Ok(None);
        }
        self.registry(Again::Safe, |connection| Ok(self.list_keys(connection, None, Some(key))?.pop()))
    }

    fn delete_access_key(&self, key: &str) -> Result<bool> {
        self.change(APPS, |connection, _| {
            if key.contains('\0') || self.list_keys(connection, None, Some(key))?.is_empty() {
                return Ok(false);
            }
            for table in [self.pio("accesskeys"), self.meta("accesskeys")] {
                connection
                    .execute(&format!("delete from {table} where accesskey = ?"), &[Value::Text(key)])?;
            }
            Ok(true)
        })
    }

    fn rotate_access_key(&self, old: &str, new: &AccessKey, old_expires_ms: i64) -> Result<bool> {
        self.change(APPS, |connection, _| {
            check_key(new)?;
            if !self.list_keys(connection, None, Some(&new.key))?.is_empty() {
                return Err(invalid("this access key exists already").into());
            }
            let Some(old) = self.list_keys(connection, None, Some(old))?.pop() else { return Ok(false) };
            let expires = old.expires_ms.map_or(old_expires_ms, |expires| expires.min(old_expires_ms));
            self.put_key(connection, &AccessKey { expires_ms: Some(expires), ..old })?;
            self.put_key(connection, new)?;
            Ok(true)
        })
    }

    fn create_channel(&self, channel: &NewChannel) -> Result<Channel> {
        let NewChannel { app, name, id } = channel;
        self.change(CHANNELS, |connection, last| {
            channel.check(&self.list_channels(connection)?)?;
            let id = self.take_id(connection, CHANNELS, last, *id)?;
            let sql = format!("insert into {} (id, name, appid) values (?, ?, ?)", self.pio("channels"));
            connection
                .execute(&sql, &[self.address().product.id_value(id), Value::Text(name), app_value(*app)])?;
            self.advance(connection, CHANNELS, id)?;
            Ok(Channel { id, name: name.clone(), app: *app })
        })
    }

    fn channels(&self, app: u32) -> Result<Vec<Channel>> {
        let channels = self.registry(Again::Safe, |connection| self.list_channels(connection))?;
        Ok(channels.into_iter().filter(|channel| channel.app == app).collect())
    }

    fn delete_channel(&self, id: u32) -> Result<bool> {
        self.change(CHANNELS, |connection, last| {
            self.take_id(connection, CHANNELS, last, Some(0))?;
            let sql = format!("delete from {} where id = ?", self.pio("channels"));
            Ok(connection.execute(&sql, &[self.address().product.id_value(id)])? > 0)
        })
    }

    fn put_instance(&self, instance: &EngineInstance) -> Result<()> {
        self.registry(Again::Safe, |connection| {
            let upsert = self.address().product.upsert("id", &["start_ms", "body"]);
            let sql = format!(
                "insert into {} (id, start_ms, body) values (?, ?, ?){upsert}",
                self.meta("instances")
            );
            let values = [
                Value::Text(&instance.id),
                Value::Int(instance.start_ms),
                Value::Owned(write_instance(instance)),
            ];
            connection.execute(&sql, &values).map(drop)
        })
    }

    fn instances(&self) -> Result<Vec<EngineInstance>> {
        let mut instances = self.registry(Again::Safe, |connection| {
            let sql = format!("select id, start_ms, body from {}", self.meta("instances"));
            connection.all(&sql, &[], |row| Some(read_instance(row)))?.into_iter().collect::<Done<Vec<_>>>()
        })?;
        instances.sort_by(|a, b| b.start_ms.cmp(&a.start_ms).then_with(|| a.id.cmp(&b.id)));
        Ok(instances)
    }
}
