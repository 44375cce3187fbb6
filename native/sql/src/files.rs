//! Files of models in a table of our own, in parts, so that a machine that has nothing but the database has models, too.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::Path;

use events::{Error, Kind, Result};
use stores::{Object, Objects};

use crate::address::Address;
use crate::connection::{Connection, Value, transaction};
use crate::fault::{Cause, Done};
use crate::pool::Again;
use crate::{Part, Sql};

/// Less than any server's largest packet.
const PART_BYTES: usize = 1 << 20;

pub(crate) fn tables(address: &Address) -> Vec<String> {
    let columns = "name varchar(255) not null, part int not null, stored_ms bigint not null, content {bytes} not null, \
                   primary key (name, part)";
    vec![address.product.create(&table(address), columns)]
}

fn table(address: &Address) -> String {
    format!("{}_arblast_files", address.model)
}

impl Sql {
    fn files<T>(&self, mut work: impl FnMut(&mut dyn Connection, &str) -> Done<T>) -> Result<T> {
        let table = table(self.address());
        // A file that was written twice is there once.
        self.run(Again::Safe, |connection| {
            self.make(Part::Models, connection)?;
            work(connection, &table)
        })
    }

    /// Writes a part, also in the place of what is there.
    fn put_part(
        &self,
        connection: &mut dyn Connection,
        table: &str,
        (name, part): (&str, usize),
        content: &[u8],
    ) -> Done<()> {
        let product = self.address().product;
        let sql = format!(
            "insert into {table} (name, part, stored_ms, content) values (?, {part}, {}, ?){}",
            product.now_ms(),
            product.upsert("name, part", &["stored_ms", "content"])
        );
        connection.execute(&sql, &[Value::Text(name), Value::Bytes(content)]).map(drop)
    }
}

impl std::fmt::Debug for Sql {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.address().place())
    }
}

impl Objects for Sql {
    fn place(&self) -> String {
        format!("{}, table {}", self.address().place(), table(self.address()))
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.files(|connection, table| {
            let mut found = None;
            each_part(connection, table, name, &mut |content| {
                found.get_or_insert_with(Vec::new).extend_from_slice(content);
                Ok(())
            })?;
            Ok(found)
        })
    }

    fn create(&self, name: &str, content: &[u8]) -> Result<bool> {
        self.files(|connection, table| {
            let now = self.address().product.now_ms();
            let sql = format!("insert into {table} (name, part, stored_ms, content) values (?, 0, {now}, ?)");
            match connection.execute(&sql, &[Value::Text(name), Value::Bytes(content)]) {
                Err(fault) if fault.cause == Cause::Taken => Ok(false),
                inserted => inserted.map(|_| true),
            }
        })
    }

    fn put(&self, name: &str, content: &[u8]) -> Result<()> {
        self.files(|connection, table| {
            transaction(connection, |connection| {
                self.put_part(connection, table, (name, 0), content)?;
                remove_parts(connection, table, name, 1)
            })
        })
    }

    fn upload(&self, name: &str, from: &Path) -> Result<()> {
        let failed = |error: std::io::Error| {
            Error::new(Kind::Unavailable, format!("cannot read {}: {error}", from.display()))
        };
        let file = File::open(from).map_err(failed)?;
        self.files(|connection, table| {
            (&file).rewind().map_err(failed)?;
            transaction(connection, |connection| {
                let mut parts = 0;
                loop {
                    let mut content = Vec::with_capacity(PART_BYTES);
                    (&file).take(PART_BYTES as u64).read_to_end(&mut content).map_err(failed)?;
                    // An empty file has a part, too.
                    if content.is_empty() && parts > 0 {
                        break;
                    }
                    self.put_part(connection, table, (name, parts), &content)?;
                    parts += 1;
                }
                remove_parts(connection, table, name, parts)
            })
        })
    }

    fn download(&self, name: &str, to: &mut File) -> Result<bool> {
        let failed = |error: std::io::Error| {
            Error::new(Kind::Unavailable, format!("cannot write a copy of {name}: {error}"))
        };
        let begin = to.stream_position().map_err(failed)?;
        self.files(|connection, table| {
            // Again from the beginning, if it is tried again.
            to.set_len(begin).and_then(|()| to.seek(SeekFrom::Start(begin))).map_err(failed)?;
            let mut found = false;
            each_part(connection, table, name, &mut |content| {
                found = true;
                Ok(to.write_all(content).map_err(failed)?)
            })?;
            Ok(found)
        })
    }

    fn list(&self, folder: &str) -> Result<Vec<Object>> {
        let inside = format!("{folder}/");
        let length = inside.chars().count();
        self.files(|connection, table| {
            let sql = format!(
                "select name, octet_length(content), stored_ms from {table} where left(name, {length}) = ?"
            );
            let parts = connection.all(&sql, &[Value::Text(&inside)], |row| {
                Some((row.text(0)?.to_owned(), u64::try_from(row.int(1)?).ok()?, row.int(2)?))
            })?;
            let mut found: BTreeMap<String, (u64, i64)> = BTreeMap::new();
            for (name, bytes, stored_ms) in parts {
                let file = found.entry(name).or_default();
                *file = (file.0 + bytes, file.1.max(stored_ms));
            }
            let object = |(name, (bytes, modified_ms))| Object { name, bytes, modified_ms };
            Ok(found.into_iter().map(object).collect())
        })
    }

    fn remove(&self, name: &str) -> Result<()> {
        let inside = format!("{name}/");
        let length = inside.chars().count();
        self.files(|connection, table| {
            let sql = format!("delete from {table} where name = ? or left(name, {length}) = ?");
            connection.execute(&sql, &[Value::Text(name), Value::Text(&inside)]).map(drop)
        })
    }
}

fn each_part(
    connection: &mut dyn Connection,
    table: &str,
    name: &str,
    each: &mut dyn FnMut(&[u8]) -> Done<()>,
) -> Done<()> {
    let sql = format!("select content from {table} where name = ? order by part");
    connection.query(&sql, &[Value::Text(name)], &mut |row| {
        each(row.bytes(0).unwrap_or_default())?;
        Ok(ControlFlow::Continue(()))
    })
}

/// Removes what is left of a longer file of this name.
fn remove_parts(connection: &mut dyn Connection, table: &str, name: &str, from: usize) -> Done<()> {
    let sql = format!("delete from {table} where name = ? and part >= {from}");
    connection.execute(&sql, &[Value::Text(name)]).map(drop)
}
