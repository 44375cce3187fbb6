//! The servers of a cluster: requests go to one that answers.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use events::{Error, Json, Kind, Result, json};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Body, http};

use crate::failure;
use crate::hosts::{Hosts, base64};

/// A host that did not answer is asked last for so long.
const AVOIDED: Duration = Duration::from_secs(5);
/// No answer of ours is longer.
const ANSWER_BYTES_MAX: u64 = 1 << 30;
/// A cluster that chooses another master is asked again after such a time.
const PAUSE: Duration = Duration::from_millis(300);

/// Where a cluster is, and how to speak to it.
#[derive(Clone)]
pub struct Options {
    /// `http(s)://[user:password@]host[:9200][,host…][/path]`
    pub url: String,
    /// Sent instead of user and password: `id:key` as the server gave it, or the Base64 of that.
    pub api_key: Option<String>,
    /// PEM file of the authorities that may have signed the servers' certificates, instead of those of the system.
    pub ca_file: Option<PathBuf>,
    /// Until a connection stands.
    pub connect: Duration,
    /// For each question of a query.
    pub search: Duration,
    /// For everything else: bulk requests, new indexes.
    pub write: Duration,
}

impl Options {
    /// With the usual time limits.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            api_key: None,
            ca_file: None,
            connect: Duration::from_secs(2),
            search: Duration::from_secs(5),
            write: Duration::from_secs(60),
        }
    }
}

/// Shows no key and no password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = Hosts::parse(&self.url).map(|hosts| format!("{hosts:?}")).unwrap_or_default();
        f.debug_struct("Options")
            .field("hosts", &hosts)
            .field("ca_file", &self.ca_file)
            .finish_non_exhaustive()
    }
}

/// A cluster of Elasticsearch or OpenSearch. Cheap to share; its connections stay open.
pub struct Cluster {
    hosts: Hosts,
    agent: Agent,
    authorization: Option<String>,
    search: Duration,
    write: Duration,
    /// The host asked first.
    preferred: AtomicUsize,
    /// Per host, ms since `born` until which it is asked last.
    avoided_until: Vec<AtomicU64>,
    born: Instant,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cluster({:?})", self.hosts)
    }
}

/// What is asked, and how long that may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    Search,
    Write,
}

/// A request without its host.
pub(crate) struct Ask<'a> {
    pub(crate) method: http::Method,
    /// From `/` on, encoded.
    pub(crate) path: &'a str,
    pub(crate) body: &'a str,
    pub(crate) pace: Pace,
    /// What it is for, after "cannot".
    pub(crate) what: &'a str,
}

/// What a server said.
pub(crate) struct Answer {
    pub(crate) host: String,
    pub(crate) status: u16,
    pub(crate) json: Json,
}

impl Answer {
    pub(crate) fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Cluster {
    /// Speaks to nobody yet.
    ///
    /// # Errors
    /// `Kind::Invalid`: the URL, the key or the file of authorities is none.
    pub fn new(options: &Options) -> Result<Self> {
        let hosts = Hosts::parse(&options.url)?;
        let authorization = match (&options.api_key, &hosts.user) {
            (Some(key), _) => Some(api_key(key)?),
            (None, Some((user, password))) => {
                Some(format!("Basic {}", base64(format!("{user}:{password}").as_bytes())))
            }
            (None, None) => None,
        };
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(options.connect))
            .max_idle_connections_per_host(32)
            .proxy(None)
            .user_agent("arblast");
        if hosts.origins.iter().any(|origin| origin.starts_with("https")) {
            config = config.tls_config(tls(options)?);
        }
        let avoided_until = hosts.origins.iter().map(|_| AtomicU64::new(0)).collect();
        Ok(Self {
            agent: config.build().new_agent(),
            hosts,
            authorization,
            search: options.search,
            write: options.write,
            preferred: AtomicUsize::new(0),
            avoided_until,
            born: Instant::now(),
        })
    }

    /// Name and version of what answers, such as `Elasticsearch 9.5.3`; refuses what is too old.
    ///
    /// # Errors
    /// `Kind::Version`: too old, or something else. `Unavailable`, `Denied`: there is no answer.
    pub fn version(&self) -> Result<String> {
        let answer = self.get("/", "ask the cluster for its version")?;
        let version = answer.json.get("version");
        let mut number =
            version.and_then(|version| version.get("number")).and_then(Json::as_str).map(str::to_owned);
        let distribution = version.and_then(|version| version.get("distribution")).and_then(Json::as_str);
        let mut refusal = None;
        if number.is_none() {
            // Some servers do not answer at the root, and some users may not ask there.
            let nodes =
                self.get("/_nodes/_local/jvm?filter_path=nodes.*.version", "ask a node for its version")?;
            let listed = nodes.json.get("nodes").and_then(Json::as_object).cloned().unwrap_or_default();
            let of_node = |node: &Json| node.get("version").and_then(Json::as_str).map(str::to_owned);
            number = listed.iter().find_map(|(_, node)| of_node(node));
            refusal = Some(nodes).filter(|nodes| !nodes.is_ok());
        }
        let product = if distribution == Some("opensearch") { "OpenSearch" } else { "Elasticsearch" };
        let Some(number) = number else {
            if let Some(refusal) = refusal.filter(|answer| !matches!(answer.status, 404 | 405)) {
                return Err(failure::of("ask the cluster for its version", &refusal));
            }
            let text = format!("{}: this is no Elasticsearch and no OpenSearch", answer.host);
            return Err(Error::new(Kind::Version, text));
        };
        let major: u32 = number.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
        let oldest = if product == "OpenSearch" { 2 } else { 8 };
        if major < oldest {
            let text = format!(
                "{}: {product} {number} is too old; Elasticsearch 8 or newer, or OpenSearch 2 or newer, is needed",
                answer.host
            );
            return Err(Error::new(Kind::Version, text));
        }
        Ok(format!("{product} {number}"))
    }

    pub(crate) fn get(&self, path: &str, what: &str) -> Result<Answer> {
        self.ask(&Ask { method: http::Method::GET, path, body: "", pace: Pace::Write, what })
    }

    /// The answer, or the error that it is.
    pub(crate) fn do_it(&self, method: http::Method, path: &str, body: &str, what: &str) -> Result<Json> {
        self.succeed(&Ask { method, path, body, pace: Pace::Write, what })
    }

    /// The same for any request.
    pub(crate) fn succeed(&self, ask: &Ask<'_>) -> Result<Json> {
        let answer = self.ask(ask)?;
        if answer.is_ok() { Ok(answer.json) } else { Err(failure::of(ask.what, &answer)) }
    }

    /// Asks one host after the other until one answers; whatever that is, unless it only says that it has no time or no
    /// master just now and another may do better.
    pub(crate) fn ask(&self, ask: &Ask<'_>) -> Result<Answer> {
        let order = self.order();
        let mut last = None;
        // One host alone gets a second chance: an idle connection may have been closed, a master lost.
        let rounds = if order.len() == 1 { 2 } else { 1 };
        for round in 0..rounds {
            for host in &order {
                if round > 0 {
                    std::thread::sleep(PAUSE);
                }
                let outcome = self.ask_host(*host, ask);
                self.note(*host, outcome.is_ok());
                match outcome {
                    Ok(answer) if !matches!(answer.status, 502..=504) => return Ok(answer),
                    Err(Fault { again: false, error }) => return Err(error),
                    outcome => last = Some(outcome.map_err(|fault| fault.error)),
                }
            }
        }
        last.unwrap_or_else(|| Err(Error::new(Kind::Internal, "there is no host")))
    }

    /// Indexes of hosts in the order of asking.
    fn order(&self) -> Vec<usize> {
        let count = self.hosts.origins.len();
        let first = self.preferred.load(Ordering::Relaxed);
        let now = self.now();
        let is_avoided = |host: &usize| {
            self.avoided_until.get(*host).is_some_and(|until| until.load(Ordering::Relaxed) > now)
        };
        let mut order: Vec<usize> = (0..count).map(|step| (first + step) % count).collect();
        order.sort_by_key(is_avoided);
        order
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn note(&self, host: usize, answered: bool) {
        let until =
            if answered { 0 } else { self.now().saturating_add(AVOIDED.as_millis().try_into().unwrap_or(0)) };
        if let Some(avoided) = self.avoided_until.get(host) {
            avoided.store(until, Ordering::Relaxed);
        }
        if answered {
            self.preferred.store(host, Ordering::Relaxed);
        }
    }

    fn ask_host(&self, host: usize, ask: &Ask<'_>) -> std::result::Result<Answer, Fault> {
        let origin = self.hosts.origins.get(host).map_or("", String::as_str);
        let limit = if ask.pace == Pace::Search { self.search } else { self.write };
        let fault = |error: ureq::Error| {
            // A server that is slow for one request will not be quick for the same again.
            let timeout = matches!(error, ureq::Error::Timeout(_));
            let again = !timeout || self.hosts.origins.len() > 1;
            Fault { again, error: failure::of_connection(ask.what, origin, limit, error) }
        };
        let mut request = http::Request::builder()
            .method(&ask.method)
            .uri(format!("{origin}{}{}", self.hosts.prefix, ask.path));
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        if !ask.body.is_empty() {
            let bulk = ask.path.contains("/_bulk");
            let kind = if bulk { "application/x-ndjson" } else { "application/json" };
            request = request.header("Content-Type", kind);
        }
        let answer = if ask.body.is_empty() {
            let request = request.body(()).map_err(|error| fault(error.into()))?;
            let request = self.agent.configure_request(request).timeout_global(Some(limit)).build();
            self.agent.run(request)
        } else {
            let request = request.body(ask.body).map_err(|error| fault(error.into()))?;
            let config = self.agent.configure_request(request).timeout_global(Some(limit));
            self.agent.run(config.allow_non_standard_methods(true).build())
        };
        read(origin, answer.map_err(fault)?).map_err(|error| match error {
            ReadError::Connection(error) => fault(error),
            ReadError::Content(error) => Fault { again: false, error },
        })
    }
}

/// Why one host gave no answer, and whether asking again is of use.
struct Fault {
    again: bool,
    error: Error,
}

enum ReadError {
    Connection(ureq::Error),
    Content(Error),
}

fn read(origin: &str, answer: http::Response<Body>) -> std::result::Result<Answer, ReadError> {
    let status = answer.status().as_u16();
    let mut bytes = Vec::new();
    let reader = answer.into_body().into_with_config().limit(ANSWER_BYTES_MAX).reader();
    let mut reader = reader;
    reader.read_to_end(&mut bytes).map_err(|error| ReadError::Connection(error.into()))?;
    let json = if bytes.is_empty() { Ok(Json::Null) } else { json::parse(&bytes) };
    let json = match json {
        Ok(json) => json,
        // Proxies and others answer in HTML.
        Err(_) if status >= 400 => Json::Null,
        Err(error) => {
            let text = format!("{origin}: the answer is no JSON: {error}; is this Elasticsearch?");
            return Err(ReadError::Content(Error::new(Kind::Unavailable, text)));
        }
    };
    Ok(Answer { host: origin.to_owned(), status, json })
}

fn api_key(key: &str) -> Result<String> {
    if key.is_empty() || key.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(Error::new(
            Kind::Invalid,
            "the API key of Elasticsearch must be visible ASCII characters",
        ));
    }
    Ok(if key.contains(':') { format!("ApiKey {}", base64(key.as_bytes())) } else { format!("ApiKey {key}") })
}

fn tls(options: &Options) -> Result<TlsConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots: Vec<Certificate<'static>> = match &options.ca_file {
        None => rustls_native_certs::load_native_certs()
            .certs
            .iter()
            .map(|certificate| Certificate::from_der(certificate).to_owned())
            .collect(),
        Some(path) => {
            let failed = |error: &dyn fmt::Display| {
                Error::new(Kind::Invalid, format!("cannot read the CA file {}: {error}", path.display()))
            };
            let text = std::fs::read(path).map_err(|error| failed(&error))?;
            let mut certificates = Vec::new();
            for item in ureq::tls::parse_pem(&text) {
                if let PemItem::Certificate(certificate) = item.map_err(|error| failed(&error))? {
                    certificates.push(certificate);
                }
            }
            if certificates.is_empty() {
                return Err(failed(&"it has no certificate in PEM form"));
            }
            certificates
        }
    };
    Ok(TlsConfig::builder()
        .unversioned_rustls_crypto_provider(provider)
        .root_certs(RootCerts::from(roots))
        .build())
}
