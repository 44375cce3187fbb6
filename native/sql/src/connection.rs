//! What the store needs of a connection, whatever speaks at the other end.

use std::ops::ControlFlow;

use crate::address::{Address, Product};
use crate::fault::Done;
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
    /// Is anybody still there?
    fn is_alive(&mut self) -> bool;
}

/// Opens a connection.
pub(crate) fn connect(address: &Address) -> Done<Box<dyn Connection>> {
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
