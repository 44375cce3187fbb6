//! Counts of HTTP requests by server, route template, method and status.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::{Histogram, Labels, header, sample};

/// Routes × methods of all servers together; what comes later is counted as `other`.
const SERIES_MAX: usize = 512;
const STATUSES: std::ops::Range<u16> = 100..600;

/// Methods that are told apart: a client may invent others.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"];

/// All requests of the process.
pub struct Requests {
    /// Open addressing; a slot is filled once and never changed, so readers need no lock.
    slots: Box<[OnceLock<Series>]>,
    other: Series,
    servers: Mutex<Vec<Arc<Server>>>,
}

/// Counts of one server.
#[derive(Debug, Default)]
pub struct Server {
    name: &'static str,
    /// Requests in work.
    pub in_flight: AtomicI64,
    /// Open connections.
    pub connections: AtomicI64,
    /// Connections turned away, as there were too many.
    pub refused: AtomicU64,
}

impl Server {
    /// Its name in labels and log lines.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

struct Series {
    server: &'static str,
    route: String,
    method: &'static str,
    by_status: Box<[AtomicU64]>,
    times: Histogram,
}

impl Series {
    fn new(server: &'static str, route: &str, method: &'static str) -> Self {
        let by_status = STATUSES.map(|_| AtomicU64::new(0)).collect();
        Self { server, route: route.to_owned(), method, by_status, times: Histogram::default() }
    }

    fn is_of(&self, server: &str, route: &str, method: &str) -> bool {
        self.route == route && self.method == method && self.server == server
    }

    fn count(&self, status: u16, time: Duration) {
        let index = usize::from(status.saturating_sub(STATUSES.start));
        if let Some(count) = self.by_status.get(index) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.times.observe(time);
    }

    fn labels(&self) -> Labels {
        vec![
            ("server", self.server.to_owned()),
            ("route", self.route.clone()),
            ("method", self.method.to_owned()),
        ]
    }
}

impl Default for Requests {
    fn default() -> Self {
        let slots = (0..SERIES_MAX).map(|_| OnceLock::new()).collect();
        Self { slots, other: Series::new("other", "other", "other"), servers: Mutex::default() }
    }
}

impl Requests {
    /// Counts of a server of this name, from now on.
    pub fn server(&self, name: &'static str) -> Arc<Server> {
        let server = Arc::new(Server { name, ..Server::default() });
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&server));
        server
    }

    /// Counts an answered request.
    pub fn count(&self, server: &Server, route: &str, method: &str, status: u16, time: Duration) {
        let method = METHODS.into_iter().find(|known| *known == method).unwrap_or("other");
        self.series(server.name, route, method).count(status, time);
    }

    fn series(&self, server: &'static str, route: &str, method: &'static str) -> &Series {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((server, route, method));
        let start = usize::try_from(hash % SERIES_MAX as u64).unwrap_or_default();
        let (before, from_start) = self.slots.split_at(start);
        for slot in from_start.iter().chain(before) {
            let series = slot.get_or_init(|| Series::new(server, route, method));
            if series.is_of(server, route, method) {
                return series;
            }
        }
        &self.other
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub(super) fn write(&self, out: &mut String) {
        let mut all: Vec<&Series> = self.slots.iter().filter_map(OnceLock::get).collect();
        all.push(&self.other);
        all.retain(|series| series.by_status.iter().any(|count| count.load(Ordering::Relaxed) > 0));
        all.sort_by_key(|series| (series.server, &series.route, series.method));
        let name = "arblast_http_requests_total";
        header(
            out,
            name,
            "Answered requests; status 499: the client went away before the answer.",
            "counter",
        );
        for series in &all {
            for (status, count) in STATUSES.zip(series.by_status.iter()) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let mut labels = series.labels();
                    labels.push(("status", status.to_string()));
                    sample(out, name, &labels, count as f64);
                }
            }
        }
        let name = "arblast_http_request_seconds";
        header(out, name, "From the headers of a request to the headers of its answer.", "histogram");
        all.iter().for_each(|series| series.times.write(out, name, &series.labels()));
        self.write_servers(out);
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    fn write_servers(&self, out: &mut String) {
        type Read = fn(&Server) -> f64;
        let families: [(&str, &str, &str, Read); 3] = [
            ("arblast_http_requests_in_flight", "Requests in work.", "gauge", |server| {
                server.in_flight.load(Ordering::Relaxed) as f64
            }),
            ("arblast_http_connections", "Open connections.", "gauge", |server| {
                server.connections.load(Ordering::Relaxed) as f64
            }),
            (
                "arblast_http_connections_refused_total",
                "Connections turned away, as there were too many.",
                "counter",
                |server| server.refused.load(Ordering::Relaxed) as f64,
            ),
        ];
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, help, kind, read) in families {
            header(out, name, help, kind);
            for server in servers.iter() {
                sample(out, name, &vec![("server", server.name.to_owned())], read(server));
            }
        }
    }
}
