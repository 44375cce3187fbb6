//! Connections that are kept, and what is tried again when one breaks.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::address::Address;
use crate::connection::{self, Connection};
use crate::fault::{Cause, Done, Fault};

/// How long a caller waits for a connection that others have.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// One that was idle for longer is asked whether it is alive.
const TRUSTED: Duration = Duration::from_secs(2);
/// A database that went away is waited for so long, counted from when that was first seen: a crash of PostgreSQL's worker, say, passes
/// within. After that callers are told at once.
const OUTAGE_MAX: Duration = Duration::from_secs(5);
const OUTAGE_PAUSE: Duration = Duration::from_millis(50);
/// Of work that may be repeated.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);

thread_local! {
    /// Connections that this thread has. One that has some gets another without waiting: whoever visits events may read.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// May work be done again if the connection broke and nobody knows what took effect?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// Twice is the same as once.
    Safe,
    /// It is an error then.
    Never,
}

pub(crate) struct Pool {
    address: Address,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<(Box<dyn Connection>, Instant)>,
    busy: usize,
    /// There was a connection once.
    was_open: bool,
    /// Since when no connection can be opened.
    away_since: Option<Instant>,
    /// Which of the hosts took the last one.
    host: usize,
}

/// A connection that goes back to the pool.
struct Lease<'a> {
    pool: &'a Pool,
    connection: Option<Box<dyn Connection>>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        HELD.set(HELD.get().saturating_sub(1));
        let mut state = self.pool.state();
        state.busy = state.busy.saturating_sub(1);
        let kept = self.connection.take().filter(|_| state.idle.len() < self.pool.address.connections);
        state.idle.extend(kept.map(|connection| (connection, Instant::now())));
        drop(state);
        self.pool.freed.notify_one();
    }
}

impl Pool {
    /// Opens the first connection, so that a wrong address is known at once.
    pub(crate) fn open(address: Address) -> Done<Self> {
        let pool = Self { address, state: Mutex::default(), freed: Condvar::new() };
        drop(pool.lease()?);
        Ok(pool)
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Nothing panics between the parts of a change.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lease(&self) -> Done<Lease<'_>> {
        let mut state = self.state();
        if HELD.get() == 0 {
            let is_full = |state: &mut State| state.busy >= self.address.connections;
            let waited = self.freed.wait_timeout_while(state, WAIT_MAX, is_full);
            let (waited, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if timeout.timed_out() {
                return Err(self.exhausted());
            }
            state = waited;
        }
        state.busy += 1;
        let idle = state.idle.pop();
        drop(state);
        HELD.set(HELD.get() + 1);
        // From here on its end gives the place back.
        let mut lease = Lease { pool: self, connection: None };
        let alive = idle.and_then(|(mut connection, since)| {
            (since.elapsed() < TRUSTED || connection.is_alive()).then_some(connection)
        });
        lease.connection = Some(match alive {
            Some(connection) => connection,
            None => self.connect()?,
        });
        Ok(lease)
    }

    /// Opens a connection, also while the database is away for a moment.
    fn connect(&self) -> Done<Box<dyn Connection>> {
        loop {
            let first = self.state().host;
            let fault = match connection::connect(&self.address, first) {
                Ok((connection, host)) => {
                    let mut state = self.state();
                    (state.was_open, state.away_since, state.host) = (true, None, host);
                    return Ok(connection);
                }
                Err(fault) if fault.kind() != events::Kind::Unavailable => return Err(fault),
                Err(fault) => fault,
            };
            let mut state = self.state();
            let away = state.away_since.get_or_insert_with(Instant::now).elapsed();
            if !state.was_open || away > OUTAGE_MAX {
                return Err(fault);
            }
            drop(state);
            std::thread::sleep(OUTAGE_PAUSE);
        }
    }

    fn exhausted(&self) -> Fault {
        let text = format!(
            "all {} connections to {} have been in use for {} s: raise connections= in the URL",
            self.address.connections,
            self.address.place(),
            WAIT_MAX.as_secs()
        );
        Fault::new(Cause::Final, events::Kind::Unavailable, text)
    }

    /// Does `work` on a connection, again if others were in the way, and on a new connection if the old one broke and
    /// that is `again`.
    pub(crate) fn run<T>(
        &self,
        again: Again,
        mut work: impl FnMut(&mut dyn Connection) -> Done<T>,
    ) -> Done<T> {
        let mut tries = 0;
        loop {
            let mut lease = self.lease()?;
            let Some(connection) = lease.connection.as_deref_mut() else { return Err(self.exhausted()) };
            let fault = match work(connection) {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            };
            let is_over = self.address.hosts.len() > 1 && fault.cause == Cause::Standby;
            if is_over || fault.cause == Cause::Lost {
                lease.connection = None;
                // The others were to the same server.
                let old = std::mem::take(&mut self.state().idle);
                drop(old);
            }
            drop(lease);
            tries += 1;
            let repeats = match fault.cause {
                Cause::Conflict => true,
                Cause::Lost => again == Again::Safe,
                // It refused: nothing took effect.
                Cause::Standby => is_over,
                _ => false,
            };
            if !repeats || !fault.may_repeat || tries >= TRIES {
                return Err(fault);
            }
            std::thread::sleep(PAUSE * 2_u32.pow(tries));
        }
    }
}
