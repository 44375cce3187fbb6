//! Scopes: which tables there are, and what is known of each.

use std::sync::PoisonError;

use events::Scope;

use crate::address::{Address, Product};
use crate::connection::{Connection, Value};
use crate::dialect::{COLUMNS, special_index};
use crate::fault::Done;
use crate::record::Room;
use crate::{Part, Sql, new_id};

/// Our tables beside those of events.
pub(crate) fn tables(address: &Address) -> Vec<String> {
    let (product, event) = (address.product, &address.event);
    let key = "app bigint not null, channel bigint not null";
    let mut rest =
        format!("{key}, hash varchar(64) not null, entity varchar(64) not null, special smallint not null");
    for column in COLUMNS {
        let kind = match column {
            "eventTime" | "creationTime" => "bigint not null",
            "eventTimeZone" | "creationTimeZone" => "varchar(50) not null",
            "id" | "event" | "entityType" | "entityId" | "properties" => "{bytes} not null",
            _ => "{bytes}",
        };
        rest.push_str(&format!(", {column} {kind}"));
    }
    rest.push_str(", primary key (app, channel, hash)");
    let scopes = format!(
        "{key}, life varchar(32) not null, revision bigint not null, forgotten bigint not null, looked bigint not null, primary key (app, channel)"
    );
    let mut changes = format!(
        "{key}, revision bigint not null, part int not null, entityType {{bytes}}, entityId {{bytes}}, event varchar(64), primary key (app, channel, revision, part)"
    );
    // What else is looked up in them.
    let keys = [("rest", "entity"), ("changes", "event")];
    if product == Product::MySql {
        rest.push_str(", index (app, channel, entity)");
        changes.push_str(", index (app, channel, event)");
    }
    let probe = "id varchar(32) not null primary key, filling {bytes} not null";
    let mut tables = vec![
        product.create(&format!("{event}_arblast_rest"), &rest),
        product.create(&format!("{event}_arblast_scopes"), &scopes),
        product.create(&format!("{event}_arblast_changes"), &changes),
        product.create(&format!("{event}_arblast_probe"), probe),
    ];
    if product == Product::Postgres {
        tables.extend(keys.map(|(table, column)| {
            let table = format!("{event}_arblast_{table}");
            format!("create index if not exists idx_{table}_{column} on {table} (app, channel, {column})")
        }));
    }
    tables
}

/// Key columns of our tables.
pub(crate) fn key(scope: Scope) -> [Value<'static>; 2] {
    // Ids of channels start at 1.
    [Value::Int(i64::from(scope.app)), Value::Int(scope.channel.map_or(0, i64::from))]
}

impl Sql {
    /// PredictionIO's table of a scope.
    pub(crate) fn main(&self, scope: Scope) -> String {
        let channel = scope.channel.map_or_else(String::new, |channel| format!("_{channel}"));
        format!("{}_{}{channel}", self.address().event, scope.app)
    }

    /// A table of ours for events.
    pub(crate) fn own(&self, name: &str) -> String {
        format!("{}_arblast_{name}", self.address().event)
    }

    /// Looks at a scope's table, once per process; `None` if there is none.
    pub(crate) fn enter(&self, connection: &mut dyn Connection, scope: Scope) -> Done<Option<Room>> {
        let known = self.rooms.read().unwrap_or_else(PoisonError::into_inner).get(&scope).copied();
        if known.is_some() {
            return Ok(known);
        }
        self.make(Part::Events, connection)?;
        let (address, table) = (self.address(), self.main(scope));
        let Some(form) = address.product.form(connection, &table)? else { return Ok(None) };
        self.put_scope(connection, scope)?;
        if address.makes_indexes {
            for index in address.product.indexes(&table) {
                address.product.create_index(connection, &table, &index, true)?;
            }
        }
        let follows = address.product.has_index(connection, &table, &special_index(&table))?;
        let room = Room { product: address.product, form, zone: address.zone, follows };
        self.rooms.write().unwrap_or_else(PoisonError::into_inner).insert(scope, room);
        Ok(Some(room))
    }

    /// Its table is not there any more.
    pub(crate) fn forget(&self, scope: Scope) {
        self.rooms.write().unwrap_or_else(PoisonError::into_inner).remove(&scope);
    }

    fn put_scope(&self, connection: &mut dyn Connection, scope: Scope) -> Done<()> {
        let keep = self.address().product.keep("app");
        let sql = format!(
            "insert into {} (app, channel, life, revision, forgotten, looked) values (?, ?, ?, 0, 0, 0){keep}",
            self.own("scopes")
        );
        let [app, channel] = key(scope);
        connection.execute(&sql, &[app, channel, Value::Owned(new_id()?)]).map(drop)
    }

    pub(crate) fn create_scope(&self, connection: &mut dyn Connection, scope: Scope) -> Done<()> {
        if self.enter(connection, scope)?.is_some() {
            return Ok(());
        }
        let (address, table) = (self.address(), self.main(scope));
        let product = address.product;
        crate::repeated(|| connection.plain(&product.create_events(&table, address.indexed_form)))?;
        let pio = if address.indexed_form { product.pio_indexes(&table).to_vec() } else { Vec::new() };
        for index in product.indexes(&table).into_iter().chain(pio) {
            crate::repeated(|| product.create_index(connection, &table, &index, false))?;
        }
        self.enter(connection, scope).map(drop)
    }

    pub(crate) fn drop_scope(&self, connection: &mut dyn Connection, scope: Scope) -> Done<()> {
        self.make(Part::Events, connection)?;
        self.forget(scope);
        // First what says that the scope is there: nobody may begin to write meanwhile.
        for name in ["scopes", "changes", "rest"] {
            connection.execute(
                &format!("delete from {} where app = ? and channel = ?", self.own(name)),
                &key(scope),
            )?;
        }
        connection.plain(&format!("drop table if exists {}", self.main(scope)))
    }
}
