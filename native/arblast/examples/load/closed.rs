//! Closed loops: every connection sends its next request when the last one is answered.

use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::connection::{Answer, Connection};
use crate::figures::Figures;
use crate::workload::Workload;

/// What the requests are.
pub enum Kind {
    Single,
    Batch {
        size: usize,
    },
    Ndjson {
        lines: usize,
        chunked: bool,
    },
    /// One of these users; of a pattern if there are none.
    Queries {
        users: Vec<String>,
        num: Option<u32>,
    },
}

/// A whole run.
pub struct Plan {
    pub kind: Kind,
    pub address: SocketAddr,
    pub access_key: String,
    pub seed: u64,
    pub users: u64,
    pub items: u64,
    pub timeout: Duration,
    pub acknowledged: Option<AckLog>,
}

/// A file that gets the id of each event as soon as the server has acknowledged it, for a comparison after a crash.
pub struct AckLog {
    file: Mutex<File>,
}

impl AckLog {
    pub fn create(path: &Path) -> Self {
        let file =
            File::create(path).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        Self { file: Mutex::new(file) }
    }

    /// In one write, so that whoever kills this process finds whole lines.
    fn write(&self, ids: &[String]) {
        let text: String = ids.iter().map(|id| format!("{id}\n")).collect();
        self.file.lock().unwrap().write_all(text.as_bytes()).unwrap();
    }
}

/// A request under construction and what it holds.
#[derive(Default)]
pub struct Request {
    pub text: Vec<u8>,
    body: String,
    /// Ids that the client gave, where the answer will not list any.
    ids: Vec<String>,
}

impl Plan {
    /// Runs `connections` of them for `time` and adds up what happened.
    pub async fn run(self: &Arc<Self>, connections: u64, time: Duration) -> Figures {
        let until = Instant::now() + time;
        let workers: Vec<_> = (0..connections)
            .map(|number| {
                let plan = Arc::clone(self);
                tokio::spawn(async move { plan.work(number, until).await })
            })
            .collect();
        let mut figures = Figures::default();
        for worker in workers {
            figures.merge(worker.await.unwrap());
        }
        figures
    }

    async fn work(&self, number: u64, until: Instant) -> Figures {
        let mut figures = Figures::default();
        let mut workload = Workload::new(self.seed, number, self.users, self.items);
        let mut request = Request::default();
        let mut connection = None;
        while Instant::now() < until {
            self.build(&mut request, &mut workload);
            let start = Instant::now();
            match self.send(&mut connection, &request.text).await {
                Ok(answer) => {
                    figures.answered(start);
                    self.count(&answer, &request, &mut figures);
                }
                Err(error) => {
                    connection = None;
                    figures.fail(named(&error));
                    // A server that is away is asked again, but not in a busy loop.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        figures
    }

    /// Sends on `connection`, a new one if there is none that is usable.
    pub async fn send(&self, connection: &mut Option<Connection>, request: &[u8]) -> io::Result<Answer> {
        let exchange = async {
            if !connection.as_ref().is_some_and(Connection::usable) {
                *connection = Some(Connection::open(self.address).await?);
            }
            match connection {
                Some(open) => open.exchange(request).await,
                None => Err(io::ErrorKind::NotConnected.into()),
            }
        };
        tokio::time::timeout(self.timeout, exchange)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// The next request of a connection.
    pub fn build(&self, request: &mut Request, workload: &mut Workload) {
        let Request { text, body, ids } = request;
        body.clear();
        ids.clear();
        let (path, content_type, chunked) = match &self.kind {
            Kind::Single => {
                workload.event(None, body);
                ("/events.json", "application/json", false)
            }
            Kind::Batch { size } => {
                for number in 0..*size {
                    body.push(if number == 0 { '[' } else { ',' });
                    workload.event(None, body);
                }
                body.push_str(if *size == 0 { "[]" } else { "]" });
                ("/batch/events.json", "application/json", false)
            }
            Kind::Ndjson { lines, chunked } => {
                for _ in 0..*lines {
                    let id = self.acknowledged.is_some().then(|| workload.id());
                    workload.event(id.as_deref(), body);
                    body.push('\n');
                    ids.extend(id);
                }
                ("/events.ndjson", "application/x-ndjson", *chunked)
            }
            Kind::Queries { users, num } => {
                let user = match usize::try_from(workload.below(users.len() as u64))
                    .ok()
                    .and_then(|at| users.get(at))
                {
                    Some(user) => user.clone(),
                    None => format!("u{}", workload.below(self.users)),
                };
                let num = num.map(|num| format!(",\"num\":{num}")).unwrap_or_default();
                body.push_str(&format!("{{\"user\":\"{user}\"{num}}}"));
                ("/queries.json", "application/json", false)
            }
        };
        self.write_request(text, path, content_type, body, chunked);
    }

    /// Makes `text` a POST of `body`.
    fn write_request(&self, text: &mut Vec<u8>, path: &str, content_type: &str, body: &str, chunked: bool) {
        text.clear();
        let (path, address) = (self.path(path), self.address);
        let _ = write!(text, "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {content_type}\r\n");
        if chunked {
            text.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in body.as_bytes().chunks(16 << 10) {
                let _ = write!(text, "{:x}\r\n", chunk.len());
                text.extend(chunk);
                text.extend(b"\r\n");
            }
            text.extend(b"0\r\n\r\n");
        } else {
            let _ = write!(text, "Content-Length: {}\r\n\r\n", body.len());
            text.extend(body.as_bytes());
        }
    }

    /// With the key.
    pub fn path(&self, path: &str) -> String {
        if self.access_key.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?accessKey={}", self.access_key)
        }
    }

    fn count(&self, answer: &Answer, request: &Request, figures: &mut Figures) {
        if !(200..300).contains(&answer.status) {
            figures.fail(answer.status.to_string());
            figures.without_retry_after +=
                u64::from(matches!(answer.status, 429 | 503) && !answer.retry_after);
            return;
        }
        let body = String::from_utf8_lossy(&answer.body);
        match &self.kind {
            Kind::Single => {
                figures.good += 1;
                self.acknowledge(&event_ids(&body));
            }
            Kind::Batch { size } => {
                let stored = body.matches("\"status\":201").count();
                figures.good += stored as u64;
                for _ in stored..*size {
                    figures.fail("event of a batch");
                }
                self.acknowledge(&event_ids(&body));
            }
            Kind::Ndjson { lines, .. } => {
                let stored = stored_lines(&body).unwrap_or(*lines as u64);
                figures.good += stored;
                if stored == *lines as u64 {
                    self.acknowledge(&request.ids);
                } else {
                    figures.fail("stream stored in part");
                }
            }
            Kind::Queries { .. } if body.contains("\"item\":") => figures.good += 1,
            Kind::Queries { .. } => figures.fail("empty answer"),
        }
    }

    pub fn acknowledge(&self, ids: &[String]) {
        if let Some(log) = self.acknowledged.as_ref().filter(|_| !ids.is_empty()) {
            log.write(ids);
        }
    }
}

/// The values of all members `eventId`, which servers write without spaces and ids without escapes.
pub fn event_ids(body: &str) -> Vec<String> {
    let rests = body.split("\"eventId\":\"").skip(1);
    rests.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

/// What the summary of a stream says that it stored; `None` if it does not say.
fn stored_lines(body: &str) -> Option<u64> {
    let last = body.lines().rfind(|line| !line.trim().is_empty())?;
    let summary =
        events::json::parse(last.as_bytes()).or_else(|_| events::json::parse(body.as_bytes())).ok()?;
    let names = ["stored", "accepted", "created", "imported"];
    names.iter().find_map(|name| summary.get(name)?.as_i64()).and_then(|count| u64::try_from(count).ok())
}

/// The kind of an error in a word or two.
pub fn named(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => "timeout".to_owned(),
        io::ErrorKind::UnexpectedEof => "closed without an answer".to_owned(),
        io::ErrorKind::InvalidData => "not HTTP".to_owned(),
        kind => kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_and_ids_are_read() {
        assert_eq!(event_ids(r#"[{"status":201,"eventId":"a"},{"status":400},{"eventId":"b"}]"#), ["a", "b"]);
        assert_eq!(stored_lines("{\"line\":2}\n{\"stored\":7}\n"), Some(7));
        assert_eq!(stored_lines("{\n\"accepted\": 3}"), Some(3));
        assert_eq!(stored_lines("{}"), None);
    }
}
