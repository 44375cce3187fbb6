//! The settings as the program uses them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use events::Json;

use super::Effective;
use crate::failure::{Failure, Result};

/// All settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the event server listens.
    pub event_server: SocketAddr,
    /// Where the query server listens.
    pub query_server: SocketAddr,
    /// May several processes listen there?
    pub reuse_port: bool,
    /// What events may take.
    pub events: EventLimits,
    /// Declares webhooks.
    pub webhooks_file: Option<PathBuf>,
    /// What queries may take.
    pub queries: QueryLimits,
    /// Whoever shows it may control the query server; without one this machine may.
    pub server_key: Option<String>,
    /// Only who shows it may ask, if given.
    pub query_key: Option<String>,
    /// What the query server tells others, and whom.
    pub feedback: FeedbackSettings,
    /// Of the Flight server.
    pub flight: FlightSettings,
    /// What a connection and a request may take.
    pub limits: Limits,
    /// HTTPS, if given.
    pub tls: Option<TlsFiles>,
    /// Web pages that may call.
    pub cors: CorsSettings,
    /// Log lines.
    pub log: LogSettings,
    /// Needed for `/metrics`, if given.
    pub metrics_key: Option<String>,
}

/// What a connection and a request may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections.
    pub connections_max: usize,
    /// Request line and headers.
    pub header_bytes_max: usize,
    /// From the first byte of a request to the end of its headers.
    pub header_time_max: Duration,
    /// Between two pieces of a body.
    pub body_idle_max: Duration,
    /// Between an answer and the next request.
    pub idle_max: Duration,
    /// From the headers to the answer.
    pub request_time_max: Duration,
    /// From the wish to stop to the end of the last request.
    pub drain_time_max: Duration,
    /// From the wish to stop to the moment when nothing more is taken.
    pub stop_delay: Duration,
}

/// What events may take.
#[derive(Debug, Clone, Copy)]
pub struct EventLimits {
    /// Count events for `/stats.json`.
    pub stats: bool,
    /// Take what is JSON by tolerance only.
    pub lenient_json: bool,
    /// Events in one batch.
    pub batch_events_max: usize,
    /// Bytes of a single event, or of a line of a stream.
    pub event_bytes_max: usize,
    /// Bytes of a batch.
    pub batch_bytes_max: usize,
    /// Bytes of all bodies that are in memory at the same time; requests beyond it are refused until there is room.
    pub buffered_bytes_max: usize,
    /// Events that wait to become durable; requests beyond it are refused until there is room.
    pub queued_events_max: usize,
    /// Streams of events that are taken in at the same time.
    pub uploads_max: usize,
    /// Reads and deletions at the same time.
    pub reads_max: usize,
}

/// What queries may take.
#[derive(Debug, Clone, Copy)]
pub struct QueryLimits {
    /// A longer query is refused.
    pub query_bytes_max: usize,
    /// A longer batch of queries is refused.
    pub batch_bytes_max: usize,
    /// Queries in a batch.
    pub batch_queries_max: usize,
    /// Queries in work or waiting.
    pub queries_max: usize,
    /// A history that takes longer is done without.
    pub history_ms_max: u64,
}

/// What the query server tells others, and whom.
#[derive(Clone)]
pub struct FeedbackSettings {
    /// Are predictions posted?
    pub enabled: bool,
    /// For the event server.
    pub key: Option<String>,
    /// The event server, without parameters.
    pub url: String,
    /// Does every answer have its prediction's id?
    pub with_pr_id: bool,
    /// Does every answer say if it is degraded?
    pub with_degraded: bool,
    /// Where failures are posted.
    pub log_url: Option<String>,
    /// Before the JSON of a failure.
    pub log_prefix: String,
}

/// Without its secrets.
impl fmt::Debug for FeedbackSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FeedbackSettings").field("enabled", &self.enabled).finish_non_exhaustive()
    }
}

/// The Flight server.
#[derive(Debug, Clone)]
pub struct FlightSettings {
    /// Where it listens.
    pub address: SocketAddr,
    /// Statements in work.
    pub queries_max: usize,
    /// From the start of a statement to its last row.
    pub query_time_max: Duration,
    /// Memory of a statement.
    pub query_bytes_max: usize,
    /// Temporary files of a statement.
    pub spill_bytes_max: u64,
    /// Rows of a result.
    pub rows_max: u64,
    /// Where statements may write files.
    pub export_directory: Option<PathBuf>,
    /// What an app's folder there holds at most.
    pub export_bytes_max: u64,
}

/// PEM files.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate and those above it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Web pages that may call.
#[derive(Debug, Clone)]
pub struct CorsSettings {
    /// Their origins; `*` = all.
    pub origins: Vec<String>,
    /// How long browsers may remember that, seconds.
    pub seconds: u64,
}

/// Log lines.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// Their form.
    pub format: LogFormat,
    /// The least important that are written: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// One for each request?
    pub access: bool,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// An object per line.
    Json,
}

impl Effective {
    /// The settings as the program uses them.
    ///
    /// # Errors
    /// Members that do not fit together.
    pub fn settings(&self) -> Result<Settings> {
        Ok(Settings {
            event_server: self.address("eventServerIp", "eventServerPort"),
            query_server: self.address("queryServerIp", "queryServerPort"),
            reuse_port: self.flag("reusePort"),
            queries: self.queries(),
            server_key: self.text("serverKey").map(str::to_owned),
            query_key: self.text("queryKey").map(str::to_owned),
            feedback: self.feedback()?,
            flight: self.flight(),
            events: self.events(),
            webhooks_file: self.text("webhooksFile").map(PathBuf::from),
            limits: self.limits(),
            tls: self.tls()?,
            cors: self.cors()?,
            log: self.log(),
            metrics_key: self.text("metricsKey").map(str::to_owned),
        })
    }

    fn events(&self) -> EventLimits {
        EventLimits {
            stats: self.flag("stats"),
            lenient_json: self.flag("lenientJson"),
            batch_events_max: self.size("maxBatch"),
            event_bytes_max: self.size("eventBytesMax"),
            batch_bytes_max: self.size("batchBytesMax"),
            buffered_bytes_max: self.size("bufferedBytesMax"),
            queued_events_max: self.size("queuedEventsMax"),
            uploads_max: self.size("uploadsMax"),
            reads_max: self.size("readsMax"),
        }
    }

    fn flight(&self) -> FlightSettings {
        FlightSettings {
            address: self.address("flightIp", "flightPort"),
            queries_max: self.size("flightQueriesMax"),
            query_time_max: self.seconds("flightQuerySecondsMax"),
            query_bytes_max: self.size("flightQueryBytesMax"),
            spill_bytes_max: self.whole("flightSpillBytesMax"),
            rows_max: self.whole("flightRowsMax"),
            export_directory: self.text("flightExportDirectory").map(PathBuf::from),
            export_bytes_max: self.whole("flightExportBytesMax"),
        }
    }

    fn feedback(&self) -> Result<FeedbackSettings> {
        let given = self.text("feedbackUrl").filter(|url| !url.trim().is_empty());
        let url = given.map_or_else(
            || format!("http://{}", reachable(self.address("eventServerIp", "eventServerPort"))),
            |url| url.trim().trim_end_matches('/').to_owned(),
        );
        if url.contains(['?', '#']) {
            return Err(Failure::invalid("feedbackUrl (--event-server-url): give it without parameters"));
        }
        Ok(FeedbackSettings {
            enabled: self.flag("feedback"),
            key: self.text("feedbackKey").map(str::to_owned),
            url,
            with_pr_id: self.flag("withPrId"),
            with_degraded: self.flag("withDegraded"),
            log_url: self.text("logUrl").map(str::to_owned),
            log_prefix: self.text("logPrefix").unwrap_or_default().to_owned(),
        })
    }

    fn queries(&self) -> QueryLimits {
        QueryLimits {
            query_bytes_max: self.size("queryBytesMax"),
            batch_bytes_max: self.size("queryBatchBytesMax"),
            batch_queries_max: self.size("maxQueryBatch"),
            queries_max: self.size("queriesMax"),
            history_ms_max: self.whole("historyMsMax"),
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            connections_max: self.size("connectionsMax"),
            header_bytes_max: self.size("headerBytesMax"),
            header_time_max: self.seconds("headerSecondsMax"),
            body_idle_max: self.seconds("bodyIdleSecondsMax"),
            idle_max: self.seconds("idleSecondsMax"),
            request_time_max: self.seconds("requestSecondsMax"),
            drain_time_max: self.seconds("drainSecondsMax"),
            stop_delay: self.seconds("stopDelaySeconds"),
        }
    }

    fn tls(&self) -> Result<Option<TlsFiles>> {
        let path = |name| self.text(name).map(PathBuf::from);
        match (path("tlsCertificateFile"), path("tlsKeyFile")) {
            (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(Failure::invalid("tlsCertificateFile needs tlsKeyFile, which is not set")),
            (None, Some(_)) => Err(Failure::invalid("tlsKeyFile needs tlsCertificateFile, which is not set")),
        }
    }

    fn cors(&self) -> Result<CorsSettings> {
        let items = self.get("corsOrigins").as_array().unwrap_or_default();
        let origins: Vec<String> = items.iter().filter_map(Json::as_str).map(str::to_owned).collect();
        let is_origin = |text: &str| {
            let host = text.strip_prefix("https://").or(text.strip_prefix("http://"));
            host.is_some_and(|host| {
                !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic() && !b"/?#@,*".contains(&b))
            })
        };
        match origins.iter().find(|origin| *origin != "*" && !is_origin(origin)) {
            Some(wrong) => Err(Failure::invalid(format!(
                "corsOrigins: {} is no origin such as \"https://shop.example\" (no path, no slash at the end) and not \"*\"",
                Json::from(wrong.as_str()).excerpt()
            ))),
            None => Ok(CorsSettings { origins, seconds: self.seconds("corsSeconds").as_secs() }),
        }
    }

    fn log(&self) -> LogSettings {
        LogSettings {
            format: if self.text("logFormat") == Some("json") { LogFormat::Json } else { LogFormat::Text },
            level: self.text("logLevel").unwrap_or("info").to_owned(),
            access: self.flag("accessLog"),
        }
    }

    // The kinds of the table were checked when the values were taken.

    fn text(&self, name: &str) -> Option<&str> {
        self.get(name).as_str()
    }

    fn flag(&self, name: &str) -> bool {
        self.get(name).as_bool().unwrap_or_default()
    }

    fn whole(&self, name: &str) -> u64 {
        self.get(name).as_i64().and_then(|n| u64::try_from(n).ok()).unwrap_or_default()
    }

    fn size(&self, name: &str) -> usize {
        usize::try_from(self.whole(name)).unwrap_or(usize::MAX)
    }

    fn seconds(&self, name: &str) -> Duration {
        Duration::from_secs(self.whole(name))
    }

    fn address(&self, ip: &str, port: &str) -> SocketAddr {
        let ip = self.text(ip).and_then(|text| text.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        SocketAddr::new(ip, u16::try_from(self.whole(port)).unwrap_or_default())
    }
}

/// Where to connect for a server that listens on every address.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}
