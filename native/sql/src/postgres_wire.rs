//! A connection to PostgreSQL.

use std::collections::HashMap;
use std::error::Error as _;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Config, NoTls, SimpleQueryMessage, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::address::{Address, SslMode};
use crate::connection::{Connection, Each, Row, Value};
use crate::fault::{self, Cause, Done, Fault, Refusal};
use crate::tls;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A server that has vanished is noticed after so long.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Statements that are kept prepared.
const STATEMENTS_MAX: usize = 256;
/// PostgreSQL counts from 2000-01-01.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// `on conflict` came with 9.5.
const OLDEST: u32 = 90_500;
/// An acknowledged event is on the disk, whatever the server's configuration says.
const DURABLE: &str = "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'";

pub(crate) struct Postgres {
    address: Address,
    /// `None` after it was closed only.
    client: Option<Client>,
    statements: HashMap<String, Statement>,
}

/// The client waits by a runtime of its own, which may not be done on a thread of another one unless that is told.
fn waiting<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current() {
        Ok(handle) if handle.runtime_flavor() == RuntimeFlavor::MultiThread => {
            tokio::task::block_in_place(work)
        }
        _ => work(),
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let client = self.client.take();
        waiting(|| drop(client));
    }
}

impl Postgres {
    pub(crate) fn connect(address: &Address) -> Done<Self> {
        let mut config = Config::new();
        address.hosts.iter().for_each(|host| _ = config.host(&host.name).port(host.port));
        config.user(&address.user).dbname(&address.database);
        if let Some(password) = &address.password {
            config.password(password);
        }
        config.application_name("arblast").connect_timeout(CONNECT_TIMEOUT).tcp_user_timeout(SILENCE_MAX);
        config.keepalives_idle(SILENCE_MAX).ssl_mode(match address.ssl {
            SslMode::Disable => postgres::config::SslMode::Disable,
            SslMode::Prefer => postgres::config::SslMode::Prefer,
            _ => postgres::config::SslMode::Require,
        });
        let connected = if address.ssl == SslMode::Disable {
            waiting(|| config.connect(NoTls))
        } else {
            let tls = MakeRustlsConnect::new(tls::client(address)?);
            waiting(|| config.connect(tls))
        };
        let client = connected.map_err(|error| cannot_connect(address, &error))?;
        let mut connection =
            Self { address: address.clone(), client: Some(client), statements: HashMap::new() };
        connection.plain(DURABLE)?;
        connection.check_version()?;
        Ok(connection)
    }

    fn check_version(&mut self) -> Done<()> {
        let said = self.with(|client| client.simple_query("show server_version_num"))?;
        let number = said.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse::<u32>().ok(),
            _ => None,
        });
        match number {
            Some(number) if number < OLDEST => {
                let found = format!("{}.{}", number / 10_000, number / 100 % 100);
                Err(fault::too_old(&self.address, &found, "PostgreSQL 9.5"))
            }
            _ => Ok(()),
        }
    }

    fn with<T>(&mut self, work: impl FnOnce(&mut Client) -> Result<T, postgres::Error>) -> Done<T> {
        let Some(client) = &mut self.client else { return Err(fault::lost(&self.address, "it was closed")) };
        waiting(|| work(client)).map_err(|error| of(&self.address, &error))
    }

    fn prepared(&mut self, sql: &str) -> Done<Statement> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.with(|client| client.prepare(&numbered(sql)))?;
        if self.statements.len() >= STATEMENTS_MAX {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// A table that was made anew with other types: the statement must be prepared again.
    fn forget_if_stale(&mut self, sql: &str, fault: Fault) -> Fault {
        if fault.cause == Cause::Conflict {
            self.statements.remove(sql);
        }
        fault
    }
}

impl Connection for Postgres {
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Done<u64> {
        let statement = self.prepared(sql)?;
        let values: Vec<&(dyn ToSql + Sync)> =
            values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        let done = self.with(|client| client.execute(&statement, &values));
        done.map_err(|fault| self.forget_if_stale(sql, fault))
    }

    fn query(&mut self, sql: &str, values: &[Value<'_>], each: Each<'_>) -> Done<()> {
        let statement = self.prepared(sql)?;
        let Some(client) = &mut self.client else { return Err(fault::lost(&self.address, "it was closed")) };
        let visited = visit_rows(client, &self.address, &statement, values, each);
        visited.map_err(|fault| self.forget_if_stale(sql, fault))
    }

    fn plain(&mut self, sql: &str) -> Done<()> {
        self.with(|client| client.batch_execute(sql))
    }

    fn takes_writes(&mut self) -> Done<bool> {
        let said = self.with(|client| client.simple_query("show transaction_read_only"))?;
        Ok(said
            .iter()
            .any(|message| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("off"))))
    }

    fn is_alive(&mut self) -> bool {
        self.with(|client| client.is_valid(CONNECT_TIMEOUT)).is_ok()
    }
}

fn visit_rows(
    client: &mut Client,
    address: &Address,
    statement: &Statement,
    values: &[Value<'_>],
    each: Each<'_>,
) -> Done<()> {
    let asked = waiting(|| client.query_raw(statement, values));
    let mut rows = asked.map_err(|error| of(address, &error))?;
    let visited = loop {
        match waiting(|| rows.next()) {
            Ok(None) => break Ok(()),
            Ok(Some(row)) => match each(&row) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break Ok(()),
                Err(fault) => break Err(fault),
            },
            Err(error) => break Err(of(address, &error)),
        }
    };
    waiting(|| drop(rows));
    visited
}

/// With `$1`, `$2`, … for each `?`. Our statements have no other question mark.
fn numbered(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len() + 16);
    for (number, part) in sql.split('?').enumerate() {
        if number > 0 {
            out.push('$');
            out.push_str(&number.to_string());
        }
        out.push_str(part);
    }
    out
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Text(text) => out.put_slice(text.as_bytes()),
            Self::Owned(text) => out.put_slice(text.as_bytes()),
            Self::Bytes(bytes) => out.put_slice(bytes),
            Self::Civil(micros) => out.put_i64(micros.saturating_sub(EPOCH_MICROS)),
            Self::Int(number) if *kind == Type::INT4 => out.put_i32(i32::try_from(*number)?),
            Self::Int(number) if *kind == Type::INT2 => out.put_i16(i16::try_from(*number)?),
            Self::Int(number) => out.put_i64(*number),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A value as it came.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Row for postgres::Row {
    fn bytes(&self, column: usize) -> Option<&[u8]> {
        self.try_get::<_, Option<Raw<'_>>>(column).ok().flatten().map(|raw| raw.0)
    }

    fn int(&self, column: usize) -> Option<i64> {
        let bytes = self.bytes(column)?;
        match *bytes {
            [byte] => Some(i64::from(byte)),
            [a, b] => Some(i64::from(i16::from_be_bytes([a, b]))),
            [a, b, c, d] => Some(i64::from(i32::from_be_bytes([a, b, c, d]))),
            _ => bytes.try_into().ok().map(i64::from_be_bytes),
        }
    }

    fn civil(&self, column: usize) -> Option<i64> {
        // The ends of the range are "infinity".
        let micros = i64::from_be_bytes(self.bytes(column)?.try_into().ok()?);
        micros.checked_add(EPOCH_MICROS).filter(|_| micros != i64::MIN)
    }
}

fn cannot_connect(address: &Address, error: &postgres::Error) -> Fault {
    if error.as_db_error().is_some() {
        return of(address, error);
    }
    let why = with_causes(error);
    if why.contains("TLS") || why.contains("certificate") {
        return fault::no_tls(address, &why);
    }
    if why.contains("password missing") {
        let text = format!(
            "{} asks for a password: write it into the URL, as in user:password@host",
            address.place()
        );
        return Fault::new(Cause::Final, events::Kind::Denied, text);
    }
    fault::unreachable(address, &why)
}

fn with_causes(error: &postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        cause = error.source();
    }
    text
}

fn of(address: &Address, error: &postgres::Error) -> Fault {
    let Some(told) = error.as_db_error() else {
        let text = with_causes(error);
        return if error.is_closed() || text.contains("communicating with the server") {
            fault::lost(address, &text)
        } else {
            fault::refused(address, Refusal::Other, &text)
        };
    };
    fault::refused(address, refusal(told.code()), told.message())
}

fn refusal(code: &SqlState) -> Refusal {
    let text = code.code();
    match text {
        "28P01" | "28000" => Refusal::WrongPassword,
        "42501" => Refusal::NoRights,
        "3D000" => Refusal::NoDatabase,
        "42P01" => Refusal::NoTable,
        "23505" => Refusal::Taken,
        // Serialization, deadlock, a plan for a table that was made anew.
        "40001" | "40P01" | "55P03" | "0A000" | "26000" | "XX000" => Refusal::Conflict,
        // A table, or its row type, that another makes at the same time, in spite of `if not exists`.
        "42P07" | "42710" => Refusal::Conflict,
        "53300" => Refusal::TooManyConnections,
        "25006" => Refusal::ReadOnly,
        "53100" | "53200" => Refusal::Full,
        "22001" | "22021" | "22P05" | "22003" => Refusal::Unfit,
        "54000" => Refusal::TooLarge,
        "57P01" | "57P02" | "57P03" => Refusal::Stopping,
        _ if text.starts_with("08") => Refusal::Stopping,
        _ => Refusal::Other,
    }
}
