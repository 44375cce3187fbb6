//! Events and registry in PostgreSQL and in MySQL or MariaDB, in the very tables of PredictionIO: an existing store is used
//! in place, and PredictionIO may run beside.
//!
//! What those tables cannot say is in tables of our own, `<prefix>_arblast_…`; docs/operations.md lists them. Events go in
//! and out by [`Sql`] as [`EventStore`](events::EventStore), apps and keys as [`Registry`](events::Registry).

mod address;
mod connection;
mod dialect;
mod fault;
mod files;
mod journal;
mod mysql_wire;
mod pool;
mod postgres_wire;
mod read;
mod record;
mod registry;
mod scopes;
mod store;
mod tls;
mod write;
mod zone;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use events::{Error, Kind, Result, Scope};

use address::Address;
use connection::Connection;
use fault::{Cause, Done, Fault};
use pool::{Again, Pool};
use record::Room;

/// A database: a pool of connections, and what is known of its tables. Threads and processes may share it.
pub struct Sql {
    pool: Pool,
    /// Scopes whose tables have been seen.
    rooms: RwLock<BTreeMap<Scope, Room>>,
    /// When was last looked for events that others stored.
    looks: Mutex<BTreeMap<Scope, Instant>>,
    /// Our tables have been made: those of events, of the registry, of models.
    made: Mutex<[bool; 3]>,
}

impl Sql {
    /// Does this URL name a database that [`open`](Self::open) understands?
    pub fn understands(url: &str) -> bool {
        let scheme = url.strip_prefix("jdbc:").unwrap_or(url).split(':').next().unwrap_or_default();
        matches!(scheme, "postgresql" | "postgres" | "mysql" | "mariadb")
    }

    /// Connects to `postgresql://user:password@host:port/database?…` or `mysql://…`, also behind `jdbc:`. Parameters:
    /// `sslmode` and `sslrootcert`; `meta`, `event` and `model`, the prefixes of tables (`pio_meta` and so on); `timestampZone` of
    /// columns without one (`UTC`); `connections` that are kept (8); `index=enabled` for PredictionIO's other form of
    /// new tables; `indexes=create` makes missing indexes where they are wanted.
    ///
    /// # Errors
    /// `Kind::Invalid`: the URL, or TLS that cannot be had; `Kind::Denied`: user or password; `Kind::NotFound`: the database;
    /// `Kind::Unavailable`: nobody answers. None shows the password.
    pub fn open(url: &str) -> Result<Self> {
        let pool = Pool::open(Address::parse(url)?)?;
        Ok(Self { pool, rooms: RwLock::default(), looks: Mutex::default(), made: Mutex::default() })
    }

    /// Where a URL leads, without user, password and parameters.
    ///
    /// # Errors
    /// `Kind::Invalid` as for [`open`](Self::open).
    pub fn place(url: &str) -> Result<String> {
        Address::parse(url).map(|address| address.place())
    }

    fn address(&self) -> &Address {
        self.pool.address()
    }

    /// Does `work` on a connection.
    fn run<T>(&self, again: Again, work: impl FnMut(&mut dyn Connection) -> Done<T>) -> Result<T> {
        Ok(self.pool.run(again, work)?)
    }

    /// Makes tables of a part, once per process.
    fn make(&self, part: Part, connection: &mut dyn Connection) -> Done<()> {
        let is_made =
            |made: &Mutex<[bool; 3]>| made.lock().unwrap_or_else(PoisonError::into_inner)[part as usize];
        if is_made(&self.made) {
            return Ok(());
        }
        let tables = match part {
            Part::Events => scopes::tables(self.address()),
            Part::Registry => registry::tables(self.address()),
            Part::Models => files::tables(self.address()),
        };
        for table in tables {
            // Two processes that make the same at the same time: one of them is told that it is there.
            repeated(|| connection.plain(&table))?;
        }
        self.made.lock().unwrap_or_else(PoisonError::into_inner)[part as usize] = true;
        Ok(())
    }
}

/// Tables that belong together.
#[derive(Debug, Clone, Copy)]
enum Part {
    Events,
    Registry,
    Models,
}

/// Again, while somebody else has just done the same. Several can be in the way one after the other, each of a part: a table, its row type, its sequence.
fn repeated<T>(mut work: impl FnMut() -> Done<T>) -> Done<T> {
    let mut tries_left = 20;
    loop {
        let done = work();
        let in_the_way = |fault: &Fault| matches!(fault.cause, Cause::Taken | Cause::Conflict);
        if tries_left == 0 || !done.as_ref().err().is_some_and(in_the_way) {
            return done;
        }
        tries_left -= 1;
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn unknown_scope(scope: Scope) -> Error {
    let channel = scope.channel.map_or_else(String::new, |channel| format!(", channel {channel}"));
    Error::new(
        Kind::NotFound,
        format!("there is no event store for app {}{channel}: create the app first", scope.app),
    )
}

/// A new event id: 32 lower-case hexadecimal digits.
fn new_id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(Kind::Unavailable, format!("the system gives no random bytes: {error}"))
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
