//! Starts an event server and talks to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Child;
use std::sync::{Arc, Mutex};

use events::{Json, json};

use crate::program::Program;
use crate::queries_client::{PATIENCE, until};

/// A running event server.
pub struct EventServer {
    pub child: Child,
    pub port: u16,
    stderr: Arc<Mutex<String>>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Name and value.
pub type Header<'a> = (&'a str, &'a str);

pub const AS_JSON: Header<'_> = ("Content-Type", "application/json");

impl EventServer {
    /// Starts on a free port and waits for the line that says so.
    pub fn start(program: &Program, options: &[&str]) -> Self {
        let args = [&["eventserver", "--ip", "127.0.0.1", "--port", "0"], options].concat();
        let mut child = program.start(&args);
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let line = stdout.lines().map_while(Result::ok).find(|line| line.contains("Event API is live at"));
        let Some(line) = line else { panic!("{:?}", child.wait_with_output()) };
        let port = line.trim_end_matches('.').rsplit(':').next().unwrap().parse().unwrap();
        let stderr = collected(child.stderr.take().unwrap());
        Self { child, port, stderr }
    }

    /// What the server has told its operator, once that holds `wanted`.
    pub fn told(&self, wanted: &str) -> String {
        self.told_times(wanted, 1)
    }

    /// The same, once that holds `wanted` so often.
    pub fn told_times(&self, wanted: &str, count: usize) -> String {
        until(&format!("the server tells {wanted:?}"), || {
            let text = self.stderr.lock().unwrap().clone();
            (text.matches(wanted).count() >= count).then_some(text)
        })
    }

    pub fn request(&self, method: &str, path: &str, headers: &[Header<'_>], body: &[u8]) -> Answer {
        exchange(self.port, method, path, headers, body).unwrap()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path, &[], b"")
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.request("POST", path, &[AS_JSON], body.as_bytes())
    }

    /// Stores an event and gives its id.
    pub fn stored(&self, path: &str, event: &str) -> String {
        let answer = self.post(path, event);
        assert_eq!(answer.status, 201, "{event}: {answer:?}");
        answer.json().get("eventId").unwrap().as_str().unwrap().to_owned()
    }

    /// Number of events that `path` finds.
    pub fn found(&self, path: &str) -> usize {
        let answer = self.get(path);
        match answer.status {
            404 => 0,
            _ => answer.json().as_array().unwrap().len(),
        }
    }
}

/// What a process writes, as it comes.
pub fn collected(stderr: std::process::ChildStderr) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let (mut source, told) = (BufReader::new(stderr), Arc::clone(&text));
    std::thread::spawn(move || {
        let mut line = String::new();
        while source.read_line(&mut line).is_ok_and(|length| length > 0) {
            told.lock().unwrap().push_str(&line);
            line.clear();
        }
    });
    text
}

impl Drop for EventServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    /// The body, which must be JSON and say so.
    pub fn json(&self) -> Json {
        assert!(self.head.contains("content-type: application/json"), "{self:?}");
        json::parse(self.body.as_bytes()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn message(&self) -> String {
        self.json().get("message").unwrap().as_str().unwrap().to_owned()
    }

    /// Status and message, if it has one.
    pub fn refusal_or_none(&self) -> Option<(u16, String)> {
        Some((self.status, self.json().get("message")?.as_str()?.to_owned()))
    }

    /// Status and message.
    pub fn refusal(&self) -> (u16, String) {
        (self.status, self.message())
    }
}

/// One request on a connection of its own. The server may answer before it has read the whole body.
pub fn exchange(port: u16, method: &str, path: &str, headers: &[Header<'_>], body: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let has_length = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if !has_length {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    if sent.is_ok() && has_length {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    answer(&bytes)
}

fn answer(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let head = head.to_ascii_lowercase();
    let body = if head.contains("transfer-encoding: chunked") { dechunked(body) } else { body.to_owned() };
    Some(Answer { status: head.split(' ').nth(1)?.parse().ok()?, head, body })
}

fn dechunked(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, tail)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        body.push_str(&tail[..size]);
        rest = &tail[size + 2..];
    }
    body
}

/// A program with app `shop` and access key `key`.
pub fn shop() -> Program {
    let program = Program::new();
    program.ok(&["app", "new", "shop", "--access-key", "key"]);
    program
}

/// An event as JSON.
pub fn buy(user: &str, item: &str) -> String {
    format!(
        r#"{{"event":"buy","entityType":"user","entityId":"{user}","targetEntityType":"item","targetEntityId":"{item}"}}"#
    )
}
