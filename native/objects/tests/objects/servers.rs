//! The servers.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use objects::{Patience, open_with};
use stores::Objects;

pub(crate) struct Servers {
    pub(crate) hdfs: Hdfs,
    pub(crate) s3: S3,
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts").join(name)
}

/// An HDFS that runs, until it is dropped by who started it.
pub(crate) struct Hdfs {
    folder: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

impl Hdfs {
    pub(crate) fn start() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let hdfs = Self { folder: temporary.path().join("hdfs"), temporary: Some(temporary) };
        hdfs.script("up", &["ha"]);
        hdfs
    }

    pub(crate) fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), temporary: None }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.folder.join("conf")
    }

    /// Runs `scripts/hdfs COMMAND FOLDER ARGUMENTS`.
    pub(crate) fn script(&self, command: &str, arguments: &[&str]) -> String {
        let output =
            Command::new(script("hdfs")).arg(command).arg(&self.folder).args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, error) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "scripts/hdfs {command} {arguments:?}: {out}{error}");
        out
    }

    /// Name of the active name node.
    pub(crate) fn active(&self) -> String {
        self.script("active", &[]).trim().to_owned()
    }

    /// Sends a signal to a daemon.
    pub(crate) fn signal(&self, signal: &str, daemon: &str) {
        let pid = std::fs::read_to_string(self.folder.join("pid").join(daemon)).unwrap();
        let done = Command::new("kill").args([signal, pid.trim()]).status().unwrap();
        assert!(done.success(), "kill {signal} {daemon}");
    }

    pub(crate) fn url(&self, path: impl Display) -> String {
        let root = std::fs::read_to_string(self.folder.join("url")).unwrap();
        format!("{}/{path}", root.trim())
    }

    /// The place of this path.
    pub(crate) fn place(&self, path: &str) -> Arc<dyn Objects> {
        self.place_with(path, Patience::default())
    }

    pub(crate) fn place_with(&self, path: &str, patience: Patience) -> Arc<dyn Objects> {
        open_with(&self.url(path), &[], patience).unwrap()
    }

    /// Where the logs are, which then stay.
    pub(crate) fn keep_logs(&self) -> PathBuf {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hdfs-log");
        _ = std::fs::remove_dir_all(&kept);
        _ = Command::new("cp").arg("-r").arg(self.folder.join("log")).arg(&kept).status();
        kept
    }
}

impl Drop for Hdfs {
    fn drop(&mut self) {
        if self.temporary.is_some() {
            _ = Command::new(script("hdfs")).arg("down").arg(&self.folder).status();
        }
    }
}

/// A server that speaks S3 and has the bucket `shop`; it ends with this.
pub(crate) struct S3 {
    /// With scheme and port.
    pub(crate) endpoint: String,
    pub(crate) key: String,
    pub(crate) secret: String,
    pipes: Mutex<Pipes>,
}

struct Pipes {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Pipes {
    fn read(&mut self) -> String {
        let mut line = String::new();
        assert!(self.output.read_line(&mut line).unwrap() > 0, "scripts/s3 ended");
        line
    }
}

impl Drop for Pipes {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

impl S3 {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(script("s3"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut pipes = Pipes { child, input, output };
        let ready = pipes.read();
        let words: Vec<&str> = ready.split_whitespace().collect();
        let own = |word: &str| word.to_owned();
        Self {
            endpoint: format!("http://127.0.0.1:{}", words[1]),
            key: own(words[2]),
            secret: own(words[3]),
            pipes: Mutex::new(pipes),
        }
    }

    /// `stop` or `start`, `strict` or `lenient`.
    pub(crate) fn order(&self, order: &str) {
        let mut pipes = self.pipes.lock().unwrap();
        writeln!(pipes.input.as_mut().unwrap(), "{order}").unwrap();
        pipes.read();
    }

    pub(crate) fn place(&self, path: &str) -> Arc<dyn Objects> {
        self.place_as(&format!("shop/{path}"), &self.secret)
    }

    pub(crate) fn place_as(&self, path: &str, secret: &str) -> Arc<dyn Objects> {
        let options = [
            ("endpoint", self.endpoint.as_str()),
            ("region", "us-east-1"),
            ("access_key_id", &self.key),
            ("secret_access_key", secret),
        ];
        let options = options.map(|(name, value)| (name.to_owned(), value.to_owned()));
        open_with(&format!("s3://{path}"), &options, Patience::default()).unwrap()
    }
}
