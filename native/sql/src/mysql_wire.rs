//! A connection to MySQL or MariaDB.

use std::time::Duration;

use mysql::consts::CapabilityFlags;
use mysql::prelude::Queryable;
use mysql::{Conn, DriverError, Opts, OptsBuilder, Params, SslOpts};

use crate::address::{Address, SslMode};
use crate::connection::{Connection, Each, Row, Value};
use crate::fault::{self, Cause, Done, Fault, Refusal};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A server that has vanished is noticed after some such times.
const KEEPALIVE_MS: u32 = 30_000;
const STATEMENTS_MAX: usize = 256;
const DAY_MICROS: i64 = 86_400_000_000;
/// Times go in and out as UTC; texts that do not fit are refused and not cut off; long ids are sorted whole; a reader
/// may take its time.
const SESSION: [&str; 4] = [
    "set time_zone = '+00:00'",
    "set sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO'",
    "set session transaction isolation level read committed",
    "set max_sort_length = 8192, net_write_timeout = 3600",
];

pub(crate) struct MySql {
    address: Address,
    connection: Conn,
}

impl MySql {
    pub(crate) fn connect(address: &Address) -> Done<Self> {
        if let Some(path) = &address.root_file {
            let why = |error| format!("cannot read sslrootcert {}: {error}", path.display());
            std::fs::metadata(path).map_err(|error| fault::no_tls(address, &why(error)))?;
        }
        let secure = (address.ssl != SslMode::Disable).then(|| ssl(address));
        let connected = match Conn::new(options(address, secure)) {
            Err(error) if address.ssl == SslMode::Prefer && !is_refusal(&error) => {
                Conn::new(options(address, None))
            }
            connected => connected,
        };
        let connection = connected.map_err(|error| cannot_connect(address, &error))?;
        Ok(Self { address: address.clone(), connection })
    }
}

fn ssl(address: &Address) -> SslOpts {
    let verifies = matches!(address.ssl, SslMode::VerifyCa | SslMode::VerifyFull);
    SslOpts::default()
        .with_root_cert_path(address.root_file.clone())
        .with_danger_accept_invalid_certs(!verifies)
        .with_danger_skip_domain_validation(address.ssl != SslMode::VerifyFull)
}

fn options(address: &Address, ssl: Option<SslOpts>) -> Opts {
    let host = &address.hosts[0];
    OptsBuilder::new()
        .ip_or_hostname(Some(host.name.as_str()))
        .tcp_port(host.port)
        .user(Some(address.user.as_str()))
        .pass(address.password.as_deref())
        .db_name(Some(address.database.as_str()))
        .prefer_socket(false)
        .tcp_connect_timeout(Some(CONNECT_TIMEOUT))
        .tcp_keepalive_time_ms(Some(KEEPALIVE_MS))
        .stmt_cache_size(STATEMENTS_MAX)
        // An update that changes nothing has found its row all the same.
        .additional_capabilities(CapabilityFlags::CLIENT_FOUND_ROWS)
        .init(SESSION.to_vec())
        .ssl_opts(ssl)
        .into()
}

impl Connection for MySql {
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Done<u64> {
        let address = &self.address;
        let run = |connection: &mut Conn| {
            let statement = connection.prep(sql)?;
            let answer = connection.exec_iter(&statement, parameters(values))?;
            Ok(answer.affected_rows())
        };
        run(&mut self.connection).map_err(|error| of(address, &error))
    }

    fn query(&mut self, sql: &str, values: &[Value<'_>], each: Each<'_>) -> Done<()> {
        let address = &self.address;
        let statement = self.connection.prep(sql).map_err(|error| of(address, &error))?;
        let answer = self.connection.exec_iter(&statement, parameters(values));
        for row in answer.map_err(|error| of(address, &error))? {
            if each(&row.map_err(|error| of(address, &error))?)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn plain(&mut self, sql: &str) -> Done<()> {
        self.connection.query_drop(sql).map_err(|error| of(&self.address, &error))
    }

    fn takes_writes(&mut self) -> Done<bool> {
        let said = self.connection.query_first::<bool, _>("select @@global.read_only");
        said.map(|is_read_only| is_read_only == Some(false)).map_err(|error| of(&self.address, &error))
    }

    fn is_alive(&mut self) -> bool {
        self.connection.ping().is_ok()
    }
}

fn parameters(values: &[Value<'_>]) -> Params {
    if values.is_empty() {
        return Params::Empty;
    }
    Params::Positional(values.iter().map(parameter).collect())
}

fn parameter(value: &Value<'_>) -> mysql::Value {
    match value {
        Value::Null => mysql::Value::NULL,
        Value::Text(text) => mysql::Value::Bytes(text.as_bytes().to_vec()),
        Value::Owned(text) => mysql::Value::Bytes(text.clone().into_bytes()),
        Value::Bytes(bytes) => mysql::Value::Bytes(bytes.to_vec()),
        Value::Int(number) => mysql::Value::Int(*number),
        Value::Civil(micros) => date(*micros).unwrap_or(mysql::Value::NULL),
    }
}

fn date(micros: i64) -> Option<mysql::Value> {
    use chrono::{Datelike, Timelike};
    let time = chrono::DateTime::from_timestamp_micros(micros)?;
    let part = |number: u32| u8::try_from(number).ok();
    Some(mysql::Value::Date(
        u16::try_from(time.year()).ok()?,
        part(time.month())?,
        part(time.day())?,
        part(time.hour())?,
        part(time.minute())?,
        part(time.second())?,
        time.nanosecond() / 1000,
    ))
}

fn micros(date: &mysql::Value) -> Option<i64> {
    let mysql::Value::Date(year, month, day, hour, minute, second, micros) = *date else { return None };
    let day = chrono::NaiveDate::from_ymd_opt(i32::from(year), u32::from(month), u32::from(day))?;
    let days = day.signed_duration_since(chrono::NaiveDate::default()).num_days();
    let seconds = (i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second);
    Some(days * DAY_MICROS + seconds * 1_000_000 + i64::from(micros))
}

impl Row for mysql::Row {
    fn bytes(&self, column: usize) -> Option<&[u8]> {
        match self.as_ref(column)? {
            mysql::Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn int(&self, column: usize) -> Option<i64> {
        match *self.as_ref(column)? {
            mysql::Value::Int(number) => Some(number),
            mysql::Value::UInt(number) => i64::try_from(number).ok(),
            // Sums and the like are decimals.
            mysql::Value::Bytes(ref digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
            _ => None,
        }
    }

    fn civil(&self, column: usize) -> Option<i64> {
        micros(self.as_ref(column)?)
    }
}

/// Did the server listen, and say no?
fn is_refusal(error: &mysql::Error) -> bool {
    matches!(error, mysql::Error::MySqlError(_))
}

fn cannot_connect(address: &Address, error: &mysql::Error) -> Fault {
    match error {
        mysql::Error::MySqlError(_) => of(address, error),
        mysql::Error::TlsError(error) => fault::no_tls(address, &error.to_string()),
        mysql::Error::DriverError(DriverError::TlsNotSupported) => {
            fault::no_tls(address, "the server does not speak it")
        }
        error => {
            let why = error.to_string();
            if why.contains("certificate") {
                fault::no_tls(address, &why)
            } else {
                fault::unreachable(address, &why)
            }
        }
    }
}

fn of(address: &Address, error: &mysql::Error) -> Fault {
    match error {
        mysql::Error::MySqlError(told) => of_server(address, told),
        mysql::Error::IoError(error) => fault::lost(address, &error.to_string()),
        mysql::Error::CodecError(error) => fault::lost(address, &error.to_string()),
        mysql::Error::DriverError(DriverError::PacketTooLarge) => too_large(address),
        mysql::Error::DriverError(error) => fault::lost(address, &error.to_string()),
        error => fault::refused(address, Refusal::Other, &error.to_string()),
    }
}

fn of_server(address: &Address, told: &mysql::MySqlError) -> Fault {
    let refusal = match told.code {
        1045 | 1698 => Refusal::WrongPassword,
        1044 | 1142 | 1143 | 1227 | 1370 | 1419 => Refusal::NoRights,
        1049 => Refusal::NoDatabase,
        1146 => Refusal::NoTable,
        1062 => Refusal::Taken,
        // Waited too long for a lock, deadlock, a table that changed under a statement, an index that another made just now.
        1205 | 1213 | 1020 | 1412 | 1615 | 1061 => Refusal::Conflict,
        1040 | 1203 | 1226 => Refusal::TooManyConnections,
        1290 | 1792 | 1836 => Refusal::ReadOnly,
        1021 | 1114 | 1041 => Refusal::Full,
        1053 | 1077 | 1079 | 1927 | 3159 => Refusal::Stopping,
        1153 => return too_large(address),
        1264 | 1292 | 1366 | 1406 => Refusal::Unfit,
        1118 => Refusal::TooLarge,
        _ => Refusal::Other,
    };
    fault::refused(address, refusal, &told.message)
}

fn too_large(address: &Address) -> Fault {
    let text = format!("{} does not take so much at once: raise max_allowed_packet there", address.place());
    Fault::new(Cause::Final, events::Kind::Invalid, text)
}
