//! What the store needs of a connection, whatever speaks at the other end.

use std::ops::ControlFlow;

use events::{Error, Kind};

use crate::address::{Address, Product};
use crate::fault::{Cause, Done, Fault, Refusal, refused};
use crate::{mysql_wire, postgres_wire};

/// A value that goes into a statement in place of a `?`.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    Null,
    Text(&'a str),
    Owned(String),
    Bytes(&'a [u8]),
    Int(i64),
    /// Date and time of day, microseconds from 1970-01-01 00:00.
    Civil(i64),
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

/// A row of an answer. Columns count from 0; `None` is NULL, or not of this type.
pub(crate) trait Row {
    /// Text as UTF-8, or bytes.
    fn bytes(&self, column: usize) -> Option<&[u8]>;
    fn int(&self, column: usize) -> Option<i64>;
    /// As [`Value::Civil`].
    fn civil(&self, column: usize) -> Option<i64>;
}

impl dyn Row + '_ {
    pub(crate) fn text(&self, column: usize) -> Option<&str> {
        std::str::from_utf8(self.bytes(column)?).ok()
    }
}

/// Called per row; `Break` ends the answer early.
pub(crate) type Each<'a> = &'a mut dyn FnMut(&dyn Row) -> Done<ControlFlow<()>>;

/// A connection. Statements are prepared once.
pub(crate) trait Connection: Send {
    /// Runs a statement and gives the number of rows it changed.
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Done<u64>;
    /// Runs a query and visits its rows as they come.
    fn query(&mut self, sql: &str, values: &[Value<'_>], each: Each<'_>) -> Done<()>;
    /// Runs a statement that is not worth preparing.
    fn plain(&mut self, sql: &str) -> Done<()>;
    /// Is it no standby?
    fn takes_writes(&mut self) -> Done<bool>;
    /// Is anybody still there?
    fn is_alive(&mut self) -> bool;
}

/// Opens a connection. Of several hosts only one that takes writes will do, and `first` is asked first. Gives its place among them, too.
pub(crate) fn connect(address: &Address, first: usize) -> Done<(Box<dyn Connection>, usize)> {
    let count = address.hosts.len();
    if count == 1 {
        return Ok((connect_to(address)?, 0));
    }
    let mut why = Vec::new();
    for host in (first..first + count).map(|host| host % count) {
        match connect_to_primary(&address.at(&address.hosts[host])) {
            Ok(connection) => return Ok((connection, host)),
            Err(fault) if fault.kind() == Kind::Unavailable => why.push(Error::from(fault).to_string()),
            Err(fault) => return Err(fault),
        }
    }
    let text = format!("no host of {} serves: {}", address.place(), why.join("; "));
    Err(Fault::new(Cause::Final, Kind::Unavailable, text))
}

fn connect_to_primary(address: &Address) -> Done<Box<dyn Connection>> {
    let mut connection = connect_to(address)?;
    if connection.takes_writes()? {
        return Ok(connection);
    }
    Err(refused(address, Refusal::ReadOnly, "it is a standby"))
}

fn connect_to(address: &Address) -> Done<Box<dyn Connection>> {
    Ok(match address.product {
        Product::Postgres => Box::new(postgres_wire::Postgres::connect(address)?),
        Product::MySql => Box::new(mysql_wire::MySql::connect(address)?),
    })
}

impl dyn Connection + '_ {
    /// The first row, made into something.
    pub(crate) fn first<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        make: impl Fn(&dyn Row) -> Option<T>,
    ) -> Done<Option<T>> {
        let mut found = None;
        self.query(sql, values, &mut |row| {
            found = make(row);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// All rows, each made into something.
    pub(crate) fn all<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        make: impl Fn(&dyn Row) -> Option<T>,
    ) -> Done<Vec<T>> {
        let mut found = Vec::new();
        self.query(sql, values, &mut |row| {
            found.extend(make(row));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }
}

/// Does `work` in a transaction: all or nothing of it takes effect.
pub(crate) fn transaction<T>(
    connection: &mut dyn Connection,
    work: impl FnOnce(&mut dyn Connection) -> Done<T>,
) -> Done<T> {
    connection.plain("begin")?;
    match work(connection) {
        Ok(value) => connection.plain("commit").map(|()| value),
        Err(fault) => {
            // Its own failure means that the connection is gone, and the transaction with it.
            let _ = connection.plain("rollback");
            Err(fault)
        }
    }
}
