//! The URL of a database and what its parameters say.

use std::path::PathBuf;

use chrono_tz::Tz;
use events::{Error, Kind, Result};

/// Connections that are kept open, unless the URL says another number.
const CONNECTIONS: usize = 8;
const CONNECTIONS_MAX: usize = 1000;
/// Longer ones leave no room for ids in the name of a table.
const PREFIX_BYTES_MAX: usize = 32;

/// What speaks at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Product {
    Postgres,
    /// MariaDB, too.
    MySql,
}

/// How much a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SslMode {
    Disable,
    /// TLS if the server has it, whoever it is.
    Prefer,
    /// TLS, whoever the server is.
    Require,
    /// TLS, and the certificate leads to a known authority.
    VerifyCa,
    /// The same, and it is made out to this host.
    VerifyFull,
}

/// Where one server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) port: u16,
}

/// A database and how to use it. Two that are equal can share connections.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) product: Product,
    /// One server, or several of which one takes writes at a time; never empty.
    pub(crate) hosts: Vec<Host>,
    pub(crate) user: String,
    pub(crate) password: Option<String>,
    pub(crate) database: String,
    pub(crate) ssl: SslMode,
    pub(crate) root_file: Option<PathBuf>,
    /// Prefix of the tables of the registry.
    pub(crate) meta: String,
    /// Prefix of the tables of events.
    pub(crate) event: String,
    /// Prefix of the table of models.
    pub(crate) model: String,
    /// Of the columns without a zone.
    pub(crate) zone: Tz,
    pub(crate) connections: usize,
    /// New tables have `varchar(255)` columns and PredictionIO's two indexes.
    pub(crate) indexed_form: bool,
    /// Missing indexes are made when a table is first used.
    pub(crate) makes_indexes: bool,
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// `Kind::Invalid` says what is wrong, without the password.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let (product, rest, is_jdbc) = scheme(url)?;
        let rest = rest
            .strip_prefix("//")
            .ok_or_else(|| invalid(format!("behind {} there must be //", product.scheme())))?;
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        let (user_info, hosts) =
            authority.rsplit_once('@').map_or((None, authority), |(user, hosts)| (Some(user), hosts));
        let hosts = hosts.split(',').map(|host| Host::parse(host, product)).collect::<Result<_>>()?;
        let (user, password) = match user_info.map(|text| text.split_once(':').unwrap_or((text, ""))) {
            None => (String::new(), None),
            Some((user, "")) => (decoded(user)?, None),
            Some((user, password)) => (decoded(user)?, Some(decoded(password)?)),
        };
        let mut address = Self {
            product,
            hosts,
            user,
            password,
            database: decoded(database)?,
            ssl: SslMode::Prefer,
            root_file: None,
            meta: "pio_meta".to_owned(),
            event: "pio_event".to_owned(),
            model: "pio_model".to_owned(),
            zone: Tz::UTC,
            connections: CONNECTIONS,
            indexed_form: false,
            makes_indexes: false,
        };
        for pair in parameters.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            address.take(name, decoded(value)?, is_jdbc)?;
        }
        address.checked()
    }

    fn take(&mut self, name: &str, value: String, is_jdbc: bool) -> Result<()> {
        match name {
            "user" => self.user = value,
            "password" => self.password = Some(value),
            "sslmode" | "ssl-mode" | "sslMode" => self.ssl = ssl_mode(&value)?,
            "ssl" | "useSSL" | "requireSSL" if is_jdbc && value != "false" => {
                self.ssl = self.ssl.max_require()
            }
            "sslrootcert" => self.root_file = Some(value.into()),
            "meta" => self.meta = prefix(name, value)?,
            "event" => self.event = prefix(name, value)?,
            "model" => self.model = prefix(name, value)?,
            "timestampZone" => self.zone = zone(&value)?,
            "connections" => self.connections = connections(&value)?,
            "index" => self.indexed_form = value == "enabled",
            "indexes" => self.makes_indexes = indexes(&value)?,
            // PredictionIO's users have parameters of their driver there.
            _ if is_jdbc => {}
            _ => {
                return Err(invalid(format!(
                    "{name} is no parameter; there are user, password, sslmode, sslrootcert, meta, event, model, timestampZone, connections, index, indexes"
                )));
            }
        }
        Ok(())
    }

    fn checked(self) -> Result<Self> {
        let lacks = |what: &str| {
            let scheme = self.product.scheme();
            Err(invalid(format!("the {what} is missing, as in {scheme}://user:password@host/database")))
        };
        match () {
            () if self.hosts.iter().any(|host| host.name.is_empty()) => lacks("host"),
            () if self.database.is_empty() => lacks("database"),
            () if self.user.is_empty() => lacks("user"),
            () => Ok(self),
        }
    }

    /// The same, of one of its hosts only.
    pub(crate) fn at(&self, host: &Host) -> Self {
        Self { hosts: vec![host.clone()], ..self.clone() }
    }

    /// Where it is, for messages.
    pub(crate) fn place(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(Host::to_string).collect();
        format!("{}://{}/{}", self.product.scheme(), hosts.join(","), self.database)
    }
}

impl Product {
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::Postgres => "postgresql",
            Self::MySql => "mysql",
        }
    }

    /// As people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL",
        }
    }
}

impl SslMode {
    fn max_require(self) -> Self {
        match self {
            Self::Disable | Self::Prefer => Self::Require,
            stricter => stricter,
        }
    }
}

fn scheme(url: &str) -> Result<(Product, &str, bool)> {
    let (is_jdbc, rest) = url.strip_prefix("jdbc:").map_or((false, url), |rest| (true, rest));
    let (scheme, rest) = rest.split_once(':').unwrap_or((rest, ""));
    match scheme {
        "postgresql" | "postgres" => Ok((Product::Postgres, rest, is_jdbc)),
        "mysql" | "mariadb" => Ok((Product::MySql, rest, is_jdbc)),
        _ => Err(invalid("it must begin with postgresql:// or mysql://")),
    }
}

impl Host {
    fn parse(text: &str, product: Product) -> Result<Self> {
        let usual = match product {
            Product::Postgres => 5432,
            Product::MySql => 3306,
        };
        let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((name, rest)) => (name, rest.strip_prefix(':').unwrap_or("")),
            None => text.split_once(':').unwrap_or((text, "")),
        };
        let port = match port {
            "" => usual,
            port => port.parse().map_err(|_| {
                // The rest of an unescaped password would stand here.
                invalid("behind the host there is no port number; in user and password write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23, % as %25")
            })?,
        };
        Ok(Self { name: decoded(name)?, port })
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') {
            write!(formatter, "[{name}]:{port}")
        } else {
            write!(formatter, "{name}:{port}")
        }
    }
}

fn ssl_mode(text: &str) -> Result<SslMode> {
    Ok(match text.to_ascii_lowercase().replace('_', "-").as_str() {
        "disable" | "disabled" => SslMode::Disable,
        "prefer" | "preferred" | "allow" => SslMode::Prefer,
        "require" | "required" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" | "verify-identity" => SslMode::VerifyFull,
        _ => return Err(invalid("sslmode must be disable, prefer, require, verify-ca or verify-full")),
    })
}

fn prefix(name: &str, value: String) -> Result<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts = value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts && value.len() <= PREFIX_BYTES_MAX && value.bytes().all(plain) {
        return Ok(value);
    }
    Err(invalid(format!(
        "{name} begins the names of tables: 1 to {PREFIX_BYTES_MAX} letters, digits and _, no digit first"
    )))
}

fn zone(text: &str) -> Result<Tz> {
    text.parse().map_err(|_| invalid(format!("timestampZone={text} is no zone such as UTC or Europe/Berlin")))
}

fn connections(text: &str) -> Result<usize> {
    let number = text.parse().ok().filter(|number| (1..=CONNECTIONS_MAX).contains(number));
    number.ok_or_else(|| invalid(format!("connections must be a number from 1 to {CONNECTIONS_MAX}")))
}

fn indexes(text: &str) -> Result<bool> {
    match text {
        "create" => Ok(true),
        "keep" => Ok(false),
        _ => Err(invalid("indexes must be create or keep")),
    }
}

/// With `%40` as `@`.
pub(crate) fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = if byte == b'%' { after.get(..2) } else { None };
        match digits {
            None if byte == b'%' => return Err(bad_escape()),
            None => (bytes.push(byte), rest = after).1,
            Some(digits) => {
                let digits = std::str::from_utf8(digits).map_err(|_| bad_escape())?;
                bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad_escape())?);
                rest = &after[2..];
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| bad_escape())
}

fn bad_escape() -> Error {
    invalid("behind % there must be two hexadecimal digits of UTF-8; write % itself as %25")
}

fn invalid(text: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, format!("wrong URL of a database: {}", text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        let error = Address::parse(url).err().unwrap();
        assert_eq!(error.kind(), Kind::Invalid);
        error.to_string()
    }

    #[test]
    fn urls_are_read_in_all_their_forms() {
        let address = Address::parse("postgres://u%40x:p%3Aw%25@db.example/shop").unwrap();
        assert_eq!(
            (address.product, address.hosts.len(), address.ssl),
            (Product::Postgres, 1, SslMode::Prefer)
        );
        assert_eq!((address.user.as_str(), address.password.as_deref()), ("u@x", Some("p:w%")));
        assert_eq!(address.place(), "postgresql://db.example:5432/shop");
        let address = Address::parse(
            "jdbc:mysql://[::1]:3307/pio?user=u&password=p&useSSL=true&serverTimezone=UTC&meta=m&event=e_1&connections=3&timestampZone=Europe/Berlin&index=enabled",
        )
        .unwrap();
        assert_eq!((address.place().as_str(), address.ssl), ("mysql://[::1]:3307/pio", SslMode::Require));
        assert_eq!((address.meta.as_str(), address.event.as_str(), address.connections), ("m", "e_1", 3));
        assert!(address.zone == Tz::Europe__Berlin && address.indexed_form && !address.makes_indexes);
        let address = Address::parse("postgresql://u@a,b:5433,[::1]/d").unwrap();
        assert_eq!(address.place(), "postgresql://a:5432,b:5433,[::1]:5432/d");
    }

    #[test]
    fn wrong_urls_are_told_without_the_password() {
        for (url, words) in [
            ("oracle://u:hunter2@h/d", "must begin with postgresql:// or mysql://"),
            ("postgresql:u:hunter2@h/d", "there must be //"),
            ("postgresql://u:hunter2@h", "database is missing"),
            ("postgresql://:hunter2@h/d", "user is missing"),
            ("postgresql://u:hunter2@/d", "host is missing"),
            ("postgresql://u:hunter2@h:x/d", "no port number"),
            ("postgresql://u:hunter2/3@h/d", "no port number"),
            ("postgresql://u:hunter2@a,,b/d", "host is missing"),
            ("postgresql://u:hunter2@a,b:x/d", "no port number"),
            ("postgresql://u:hunter2%@h/d", "%25"),
            ("postgresql://u:hunter2@h/d?x=1", "x is no parameter"),
            ("postgresql://u:hunter2@h/d?meta=a-b", "meta begins"),
            ("postgresql://u:hunter2@h/d?timestampZone=Berlin", "Europe/Berlin"),
            ("postgresql://u:hunter2@h/d?connections=0", "1 to 1000"),
            ("postgresql://u:hunter2@h/d?sslmode=x", "verify-full"),
            ("mysql://u:hunter2@h/d?indexes=x", "create or keep"),
        ] {
            let text = refused(url);
            assert!(text.contains(words) && !text.contains("hunter2"), "{url}: {text}");
        }
    }
}
