//! Servers that the project's script starts; they end with this process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

/// Its password needs escapes in a URL.
pub(crate) const PASSWORD: &str = "pio:secret";

/// Which product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    PostgreSql,
    MariaDb,
}

/// A running server.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    pub(crate) folder: String,
    pipes: Mutex<Pipes>,
    databases: AtomicUsize,
}

struct Pipes {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Drop for Pipes {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

impl Pipes {
    fn ask(&mut self, order: &str) -> Vec<String> {
        writeln!(self.input.as_mut().unwrap(), "{order}").unwrap();
        self.read()
    }

    /// Lines up to one that says how it went.
    fn read(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the server's script ended: {lines:?}");
            let line = line.trim_end().to_owned();
            let is_last = ["ready", "done", "failed", "killed"].iter().any(|word| line.starts_with(word));
            lines.push(line);
            if is_last {
                return lines;
            }
        }
    }
}

impl Server {
    /// A server of this test's own; `words` as the script takes them.
    pub(crate) fn start(kind: Kind, words: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/database");
        let name = match kind {
            Kind::PostgreSql => "postgresql",
            Kind::MariaDb => "mariadb",
        };
        let mut command = Command::new(script);
        command.arg(name).args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut pipes = Pipes { child, input, output };
        let ready = pipes.read().pop().unwrap();
        let words: Vec<&str> = ready.split(' ').collect();
        let (port, folder) = (words[1].parse().unwrap(), words[2].to_owned());
        Self { kind, port, folder, pipes: Mutex::new(pipes), databases: AtomicUsize::new(0) }
    }

    /// The one that all tests of this process share, each in a database of its own.
    pub(crate) fn shared(kind: Kind) -> &'static Self {
        static SERVERS: [OnceLock<Server>; 2] = [OnceLock::new(), OnceLock::new()];
        SERVERS[kind as usize].get_or_init(|| Self::start(kind, &[]))
    }

    fn ask(&self, order: &str) -> Vec<String> {
        self.pipes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).ask(order)
    }

    /// Runs a statement and gives the lines of its answer.
    pub(crate) fn sql(&self, database: &str, text: &str) -> Vec<String> {
        let mut lines = self.ask(&format!("sql {database} {}", text.replace('\n', " ")));
        assert_eq!(lines.pop().as_deref(), Some("done"), "{text}");
        lines
    }

    pub(crate) fn kill(&self) {
        self.ask("kill");
    }

    /// A standby takes writes from now on.
    pub(crate) fn promote(&self) {
        assert_eq!(self.ask("promote"), ["done"]);
    }

    pub(crate) fn start_again(&self) {
        self.ask("start");
    }

    /// Makes an empty database and gives its name.
    pub(crate) fn database(&self) -> String {
        let name = format!("d{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let system = match self.kind {
            Kind::PostgreSql => "postgres",
            Kind::MariaDb => "mysql",
        };
        self.sql(system, &format!("create database {name}"));
        name
    }

    pub(crate) fn url(&self, database: &str) -> String {
        let scheme = match self.kind {
            Kind::PostgreSql => "postgresql",
            Kind::MariaDb => "mysql",
        };
        format!("{scheme}://pio:pio%3Asecret@127.0.0.1:{}/{database}", self.port)
    }
}
