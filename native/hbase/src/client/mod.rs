//! A blocking client of HBase's own protocol, without a gateway: tables, rows, scans.
//!
//! [`Client`] may be shared by threads; a call takes a connection of its own out of a pool. Every operation finds the
//! regions by itself and goes on when they move, split or lose their server, until [`Config::operation_timeout`]. Puts
//! and deletes carry their timestamps, so that doing one again is doing it once.

mod admin;
mod cell;
mod connection;
mod error;
mod messages;
mod multi;
mod regions;
mod scan;
mod zookeeper;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prost::Message;

pub use admin::Family;
pub use cell::{Cell, CellKind, LATEST, Row};
pub use error::{Cause, Error, Result};
pub use multi::{Checked, Mutation};
pub use regions::TableName;
pub use scan::{Filter, Scan};

use connection::Connection;
use error::Retry;
use messages::{ServerInZooKeeper, ServerName, TableState};
use regions::Regions;

/// When a server may say that a change is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It is in the server's memory, and will be in its log before whatever comes there later: dies with the server, until a
    /// later change of the same server is durable.
    Lazy,
    /// It is in the memory of all replicas of the write-ahead log: survives the death of servers.
    Sync,
    /// It is on their disks: survives the loss of power as well.
    Fsync,
}

/// Whom to ask, as whom and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// ZooKeeper's servers, `host:port`; the first that answers is asked.
    pub zookeeper: Vec<String>,
    /// HBase's node in ZooKeeper (`/hbase`).
    pub znode: String,
    /// Name of the user, who is believed: this client knows no Kerberos.
    pub user: String,
    /// How long an operation is tried again. A dead region server is replaced within the timeout of its session and
    /// some seconds.
    pub operation_timeout: Duration,
    /// How long one answer may take.
    pub call_timeout: Duration,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// Of puts and deletes.
    pub durability: Durability,
}

impl Config {
    /// The usual ones.
    pub fn new(zookeeper: Vec<String>) -> Self {
        Self {
            zookeeper,
            znode: "/hbase".into(),
            user: "arblast".into(),
            operation_timeout: Duration::from_mins(1),
            call_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(3),
            durability: Durability::Fsync,
        }
    }
}

/// See the [module](self).
#[derive(Debug)]
pub struct Client {
    config: Config,
    /// Idle connections by service and address.
    pool: Mutex<BTreeMap<(&'static str, String), Vec<Connection>>>,
    /// Server of `hbase:meta`, as far as known.
    meta: Mutex<Option<String>>,
    regions: Mutex<BTreeMap<TableName, Arc<Regions>>>,
    /// They do not change several rows in one step, as has been seen.
    old_servers: AtomicBool,
}

const CLIENT_SERVICE: &str = "ClientService";
const MASTER_SERVICE: &str = "MasterService";
/// Servers close what is idle for two minutes.
const IDLE_MAX: Duration = Duration::from_mins(1);
const IDLE_CONNECTIONS_MAX: usize = 16;

impl Client {
    /// A client that has not asked anybody yet.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            pool: Mutex::default(),
            meta: Mutex::default(),
            regions: Mutex::default(),
            old_servers: AtomicBool::new(false),
        }
    }

    /// Whom this client asks.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Is anybody there? One attempt, `Unavailable` if not.
    ///
    /// # Errors
    /// No ZooKeeper, no HBase known to it, or no answer from the server that it names.
    pub fn ping(&self) -> Result<()> {
        let meta = self.meta_server()?;
        let connection = self.connection(CLIENT_SERVICE, &meta)?;
        self.keep(CLIENT_SERVICE, connection);
        Ok(())
    }

    /// Is there such a table?
    ///
    /// # Errors
    /// `Unavailable` if nobody answers.
    pub fn table_exists(&self, table: &TableName) -> Result<bool> {
        lock(&self.regions).remove(table);
        match self.retrying(table, |client| client.regions(table)) {
            Ok(_) => Ok(true),
            Err(error) if error.cause() == Cause::NoTable => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Bounds of the regions of a table: the key at which each begins.
    ///
    /// # Errors
    /// `NoTable`; `Unavailable` if nobody answers.
    pub fn region_starts(&self, table: &TableName) -> Result<Vec<Vec<u8>>> {
        let regions = self.retrying(table, |client| client.regions(table))?;
        Ok(regions.all().iter().map(|region| region.start.clone()).collect())
    }

    /// The region server, `host:port`, that has a key.
    ///
    /// # Errors
    /// As [`region_starts`](Self::region_starts).
    pub fn server_of(&self, table: &TableName, key: &[u8]) -> Result<String> {
        lock(&self.regions).remove(table);
        self.retrying(table, |client| client.regions(table)?.of(key)?.server().map(str::to_owned))
    }

    /// Attempts until one succeeds, fails for good, or the time is over.
    fn retrying<T>(&self, table: &TableName, mut attempt: impl FnMut(&Self) -> Result<T>) -> Result<T> {
        let mut patience = Patience::new(self);
        loop {
            match attempt(self) {
                Ok(done) => return Ok(done),
                Err(error) => patience.wait(table, error)?,
            }
        }
    }

    /// The regions of a table, as far as known.
    fn regions(&self, table: &TableName) -> Result<Arc<Regions>> {
        if let Some(known) = lock(&self.regions).get(table) {
            return Ok(Arc::clone(known));
        }
        let mut rows = Vec::new();
        let read = self.scan_meta(table, &mut |row| rows.push(row.clone()));
        if read.is_err() {
            *lock(&self.meta) = None;
        }
        read?;
        let none = || Error::new(Cause::NoTable, format!("HBase has no table {table}"));
        let regions = Arc::new(Regions::parse(&rows)?.ok_or_else(none)?);
        lock(&self.regions).insert(table.clone(), Arc::clone(&regions));
        Ok(regions)
    }

    /// Server of `hbase:meta`.
    fn meta_server(&self) -> Result<String> {
        if let Some(known) = lock(&self.meta).clone() {
            return Ok(known);
        }
        let server = self.server_in_zookeeper("meta-region-server")?;
        let address = address(&server);
        *lock(&self.meta) = Some(address.clone());
        Ok(address)
    }

    fn server_in_zookeeper(&self, node: &str) -> Result<ServerName> {
        let path = format!("{}/{node}", self.config.znode);
        let hosts = &self.config.zookeeper;
        let data = zookeeper::read_node(hosts, &path, self.config.connect_timeout)?;
        let missing = || {
            let hosts = hosts.join(",");
            Error::locate(format!(
                "ZooKeeper at {hosts} has no {path}: HBase is not running, or its node is another one"
            ))
        };
        let data = data.ok_or_else(missing)?;
        let message = ServerInZooKeeper::decode(zookeeper::strip(&data)?).map_err(Error::protocol)?;
        Ok(message.server)
    }

    /// An idle connection, or a new one.
    fn connection(&self, service: &'static str, address: &str) -> Result<Connection> {
        let idle = lock(&self.pool).get_mut(&(service, address.to_owned())).and_then(Vec::pop);
        if let Some(idle) = idle.filter(|idle| idle.used.elapsed() < IDLE_MAX) {
            return Ok(idle);
        }
        let Config { user, connect_timeout, call_timeout, .. } = &self.config;
        let opened = Connection::open(address, service, user, *connect_timeout, *call_timeout);
        if opened.is_err() {
            lock(&self.pool).remove(&(service, address.to_owned()));
        }
        opened
    }

    /// Gives a connection back on which nothing went wrong.
    fn keep(&self, service: &'static str, mut connection: Connection) {
        connection.used = Instant::now();
        let mut pool = lock(&self.pool);
        let idle = pool.entry((service, connection.address().to_owned())).or_default();
        if idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push(connection);
        }
    }

    /// One call over a connection of the pool.
    fn call<T: Message + Default>(
        &self,
        service: &'static str,
        address: &str,
        method: &str,
        request: &impl Message,
        cells: &[u8],
    ) -> Result<connection::Answer<T>> {
        let mut connection = self.connection(service, address)?;
        let answer = connection.call(method, request, cells)?;
        self.keep(service, connection);
        Ok(answer)
    }

    /// The error for a table that is disabled, if it is.
    fn disabled(&self, table: &TableName) -> Option<Error> {
        const ENABLED: i32 = 0;
        let row = self.meta_row(table.to_string().as_bytes()).ok()?;
        let state = TableState::decode(row.value(b"table", b"state")?).ok()?;
        let text = format!("table {table} is disabled: enable it in HBase's shell");
        (state.state != ENABLED).then(|| Error::new(Cause::Refused, text))
    }
}

fn address(server: &ServerName) -> String {
    format!("{}:{}", server.host_name, server.port())
}

/// Nothing panics while one of these locks is held, but for want of memory.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often and how long an operation was tried.
struct Patience<'c> {
    client: &'c Client,
    since: Instant,
    attempts: u32,
    pause: Duration,
}

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// After so many attempts it is worth a look whether the table is disabled.
const SUSPICIOUS: u32 = 4;

impl<'c> Patience<'c> {
    fn new(client: &'c Client) -> Self {
        Self { client, since: Instant::now(), attempts: 0, pause: FIRST_PAUSE }
    }

    /// Waits for a better time to try again; gives the error back if there is none.
    fn wait(&mut self, table: &TableName, error: Error) -> Result<()> {
        self.attempts += 1;
        match error.retry() {
            Retry::Never => return Err(error),
            Retry::Locate => drop(lock(&self.client.regions).remove(table)),
            Retry::Wait | Retry::Reopen => {}
        }
        if self.attempts == SUSPICIOUS
            && let Some(disabled) = self.client.disabled(table)
        {
            return Err(disabled);
        }
        if self.since.elapsed() + self.pause > self.client.config.operation_timeout {
            return Err(error.after(self.attempts, self.since.elapsed().as_secs()));
        }
        std::thread::sleep(self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }

    /// Something was achieved: from here on all the time again.
    fn renew(&mut self) {
        *self = Self::new(self.client);
    }
}
