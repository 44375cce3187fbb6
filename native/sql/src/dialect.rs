//! Where the two products differ in what they understand.

use crate::address::Product;
use crate::connection::{Connection, Row, Value};
use crate::fault::Done;

/// Columns of a table of events, in PredictionIO's order.
pub(crate) const COLUMNS: [&str; 13] = [
    "id",
    "event",
    "entityType",
    "entityId",
    "targetEntityType",
    "targetEntityId",
    "properties",
    "eventTime",
    "eventTimeZone",
    "tags",
    "prId",
    "creationTime",
    "creationTimeZone",
];

/// What a product's table of events holds, as far as it differs from table to table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) characters: Characters,
    /// Ids that differ in case, or in blanks at the end, are the same.
    pub(crate) folds_ids: bool,
    /// Smallest step of a time, ms.
    pub(crate) step_ms: i64,
}

/// Characters that texts may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Characters {
    All,
    /// Up to U+FFFF.
    Basic,
    Ascii,
}

impl Product {
    /// PredictionIO's table of events.
    pub(crate) fn create_events(self, table: &str, indexed_form: bool) -> String {
        let name = if indexed_form { "varchar(255)" } else { "text" };
        let (time, end) = match self {
            Self::Postgres => ("timestamp default current_timestamp", ""),
            Self::MySql => (
                "timestamp(3) default current_timestamp(3)",
                " engine=InnoDB default charset=utf8mb4 collate=utf8mb4_bin",
            ),
        };
        format!(
            "create table if not exists {table} (id varchar(32) not null primary key, event {name} not null, entityType {name} not null, \
             entityId {name} not null, targetEntityType text, targetEntityId text, properties text, eventTime {time}, \
             eventTimeZone varchar(50) not null, tags text, prId text, creationTime {time}, creationTimeZone varchar(50) not null){end}"
        )
    }

    /// A table of our own: columns and keys as the products have them in common, `{bytes}` and `{text}` by their types.
    pub(crate) fn create(self, table: &str, columns: &str) -> String {
        let (bytes, text, end) = match self {
            Self::Postgres => ("bytea", "text", ""),
            Self::MySql => {
                ("longblob", "longtext", " engine=InnoDB default charset=utf8mb4 collate=utf8mb4_bin")
            }
        };
        let columns = columns.replace("{bytes}", bytes).replace("{text}", text);
        format!("create table if not exists {table} ({columns}){end}")
    }

    /// A table of the registry in PredictionIO's form.
    pub(crate) fn create_meta(self, table: &str, columns: &str) -> String {
        let end = match self {
            Self::Postgres => "",
            Self::MySql => " engine=InnoDB default charset=utf8mb4 collate=utf8mb4_bin",
        };
        format!("create table if not exists {table} ({columns}){end}")
    }

    /// Names and definitions of the indexes that reads want. `{concurrently}` stands where it may.
    pub(crate) fn indexes(self, table: &str) -> [(String, String); 3] {
        let (entity, special) = match self {
            Self::Postgres => ("(entityType, entityId, eventTime)", "(creationTime) where event like '$%'"),
            Self::MySql => ("(entityType(32), entityId(128), eventTime)", "(creationTime)"),
        };
        let names = [format!("idx_{table}_eet"), format!("idx_{table}_t"), special_index(table)];
        let mut columns = [entity, "(eventTime)", special].into_iter();
        names.map(|name| {
            let columns = columns.next().unwrap_or_default();
            (name.clone(), format!("index {{concurrently}} {name} on {table} {columns}"))
        })
    }

    /// PredictionIO's own, with `INDEX=enabled`.
    pub(crate) fn pio_indexes(self, table: &str) -> [(String, String); 2] {
        [("ei", "entityId"), ("et", "entityType")].map(|(end, column)| {
            (
                format!("idx_{table}_{end}"),
                format!("index {{concurrently}} idx_{table}_{end} on {table} ({column})"),
            )
        })
    }

    /// Makes an index unless it is there; without keeping writers out if the table is in use.
    pub(crate) fn create_index(
        self,
        connection: &mut dyn Connection,
        table: &str,
        index: &(String, String),
        in_use: bool,
    ) -> Done<()> {
        let (name, definition) = index;
        if self.has_index(connection, table, name)? {
            return Ok(());
        }
        let concurrently = if in_use && self == Self::Postgres { "concurrently" } else { "" };
        if self == Self::Postgres {
            // One that was broken off half-way is of no use.
            connection.plain(&format!("drop index if exists {name}"))?;
        }
        connection.plain(&format!("create {}", definition.replace("{concurrently}", concurrently)))
    }

    /// Is there such an index, and whole?
    pub(crate) fn has_index(self, connection: &mut dyn Connection, table: &str, name: &str) -> Done<bool> {
        let sql = match self {
            Self::Postgres => {
                "select 1 from pg_index where indrelid = to_regclass(?) and indexrelid = to_regclass(?) and indisvalid"
            }
            Self::MySql => {
                "select 1 from information_schema.statistics where table_schema = database() and table_name = ? and index_name = ? limit 1"
            }
        };
        Ok(connection.first(sql, &[Value::Text(table), Value::Text(name)], |_| Some(()))?.is_some())
    }

    /// The form of a table of events; `None` if there is none.
    pub(crate) fn form(self, connection: &mut dyn Connection, table: &str) -> Done<Option<Form>> {
        match self {
            Self::Postgres => {
                let sql =
                    "select current_setting('server_encoding') from pg_class where oid = to_regclass(?)";
                connection.first(sql, &[Value::Text(table)], |row| {
                    let characters = if row.text(0)? == "UTF8" { Characters::All } else { Characters::Ascii };
                    Some(Form { characters, folds_ids: false, step_ms: 1 })
                })
            }
            Self::MySql => {
                let sql = "select cast(column_name as char), cast(character_set_name as char), cast(collation_name as char), datetime_precision \
                     from information_schema.columns where table_schema = database() and table_name = ?";
                let columns = connection.all(sql, &[Value::Text(table)], mysql_column)?;
                Ok((!columns.is_empty()).then(|| mysql_form(&columns)))
            }
        }
    }

    /// How ids are compared byte by byte.
    pub(crate) fn id_order(self) -> &'static str {
        match self {
            Self::Postgres => "id collate \"C\"",
            Self::MySql => "cast(convert(id using utf8mb4) as binary)",
        }
    }

    /// What stands behind an insert that replaces rows with the same key.
    pub(crate) fn upsert(self, key: &str, columns: &[&str]) -> String {
        let set = |new: &dyn Fn(&str) -> String| {
            columns.iter().map(|column| new(column)).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Postgres => format!(
                " on conflict ({key}) do update set {}",
                set(&|column| format!("{column} = excluded.{column}"))
            ),
            Self::MySql => {
                format!(" on duplicate key update {}", set(&|column| format!("{column} = values({column})")))
            }
        }
    }

    /// What stands behind an insert that leaves a row with the same key alone.
    pub(crate) fn keep(self, column: &str) -> String {
        match self {
            Self::Postgres => " on conflict do nothing".to_owned(),
            Self::MySql => format!(" on duplicate key update {column} = {column}"),
        }
    }

    /// The server's time, ms since 1970.
    pub(crate) fn now_ms(self) -> &'static str {
        match self {
            Self::Postgres => "cast(extract(epoch from clock_timestamp()) * 1000 as bigint)",
            Self::MySql => "cast(unix_timestamp(now(3)) * 1000 as signed)",
        }
    }

    /// Begins a transaction that sees one state of everything.
    pub(crate) fn begin_snapshot(self, connection: &mut dyn Connection) -> Done<()> {
        match self {
            Self::Postgres => connection.plain("begin transaction isolation level repeatable read read only"),
            Self::MySql => {
                connection.plain("set transaction isolation level repeatable read")?;
                connection.plain("start transaction with consistent snapshot, read only")
            }
        }
    }

    /// Rows of a table, roughly.
    pub(crate) fn estimate(self, connection: &mut dyn Connection, table: &str) -> Done<u64> {
        let sql = match self {
            Self::Postgres => "select reltuples::bigint from pg_class where oid = to_regclass(?)",
            Self::MySql => {
                "select table_rows from information_schema.tables where table_schema = database() and table_name = ?"
            }
        };
        let rows = connection.first(sql, &[Value::Text(table)], |row| row.int(0))?;
        Ok(rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0))
    }

    /// The last id that the table's own counter gave out.
    pub(crate) fn last_id(self, connection: &mut dyn Connection, table: &str) -> Done<i64> {
        let id = match self {
            Self::Postgres => {
                let sql = "select pg_get_serial_sequence(?, 'id')";
                let Some(sequence) =
                    connection.first(sql, &[Value::Text(table)], |row| row.text(0).map(str::to_owned))?
                else {
                    return Ok(0);
                };
                connection.first(
                    &format!("select case when is_called then last_value else 0 end from {sequence}"),
                    &[],
                    |row| row.int(0),
                )?
            }
            Self::MySql => {
                // Where statistics are cached they may be old; elsewhere there is no such variable.
                let _ = connection.plain("set information_schema_stats_expiry = 0");
                let sql = "select auto_increment - 1 from information_schema.tables where table_schema = database() and table_name = ?";
                connection.first(sql, &[Value::Text(table)], |row| row.int(0))?
            }
        };
        Ok(id.unwrap_or(0))
    }

    /// Moves the table's own counter up to an id that was given out.
    pub(crate) fn advance_id(self, connection: &mut dyn Connection, table: &str, id: u32) -> Done<()> {
        match self {
            // Its range is that of PredictionIO's ids.
            Self::Postgres if i32::try_from(id).is_ok() => {
                let sql = "select setval(pg_get_serial_sequence(?, 'id')::regclass, ?)";
                connection
                    .first(sql, &[Value::Text(table), Value::Int(i64::from(id))], |_| Some(()))
                    .map(drop)
            }
            // MySQL has done it.
            _ => Ok(()),
        }
    }

    /// A column of ids: 32 bits with sign, into which ours are folded, or more.
    pub(crate) fn id_value(self, id: u32) -> Value<'static> {
        match self {
            Self::Postgres => Value::Int(i64::from(id.cast_signed())),
            Self::MySql => Value::Int(i64::from(id)),
        }
    }
}

/// The index that special events are found by.
pub(crate) fn special_index(table: &str) -> String {
    format!("idx_{table}_s")
}

type Column = (String, Option<String>, Option<String>, Option<i64>);

fn mysql_column(row: &dyn Row) -> Option<Column> {
    let text = |column| row.text(column).map(str::to_owned);
    Some((text(0)?.to_ascii_lowercase(), text(1), text(2), row.int(3)))
}

fn mysql_form(columns: &[Column]) -> Form {
    let characters = columns.iter().filter_map(|column| column.1.as_deref()).map(|set| match set {
        "utf8mb4" => Characters::All,
        "utf8" | "utf8mb3" => Characters::Basic,
        _ => Characters::Ascii,
    });
    let id = columns.iter().find(|column| column.0 == "id");
    let is_exact = id.and_then(|id| id.2.as_deref()).is_some_and(|collation| collation.ends_with("_bin"));
    let digits = columns.iter().filter_map(|column| column.3).min().unwrap_or(0);
    Form {
        characters: characters.max_by_key(|characters| *characters as u8).unwrap_or(Characters::Ascii),
        folds_ids: !is_exact,
        step_ms: [1000, 100, 10, 1][usize::try_from(digits).unwrap_or(0).min(3)],
    }
}
