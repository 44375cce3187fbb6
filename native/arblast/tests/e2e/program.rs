//! Runs the program.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use events::{Json, json};
use tempfile::TempDir;

/// The program with a home and a working directory that vanish with it.
pub struct Program {
    directory: TempDir,
    env: Vec<(String, String)>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), env: Vec::new() }
    }

    /// With these variables in the environment of all its commands.
    pub fn with_env(env: &[(&str, &str)]) -> Self {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { env, ..Self::new() }
    }

    /// A file in the working directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_arblast"));
        // what the build script tells the compiler is also set for tests
        command.env_remove("ARBLAST_BUILD").env_remove("ARBLAST_TARGET");
        command.args(args).current_dir(self.directory.path()).env("ARBLAST_HOME", self.home());
        // on a busy machine a history may take longer than by default, and the answer would do without it
        command.env("ARBLAST_HISTORY_MS_MAX", "60000");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).spawn().unwrap()
    }

    pub fn run(&self, args: &[&str]) -> Outcome {
        outcome(self.start(args))
    }

    pub fn run_with_input(&self, args: &[&str], input: &str) -> Outcome {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        // A program that does not read its input closes it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        outcome(child)
    }

    /// Standard output of a command that must succeed.
    pub fn ok(&self, args: &[&str]) -> String {
        let outcome = self.run(args);
        assert_eq!(outcome.code, Some(0), "{args:?}: {outcome:?}");
        outcome.stdout
    }

    /// JSON on standard output of a command that must succeed.
    pub fn json(&self, args: &[&str]) -> Json {
        let text = self.ok(&[args, &["--json"]].concat());
        json::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
    }

    /// The one line on standard error of a command that must fail with this code.
    pub fn refused(&self, code: i32, args: &[&str]) -> String {
        let outcome = self.run(args);
        assert_eq!(outcome.code, Some(code), "{args:?}: {outcome:?}");
        let line = outcome.stderr.strip_prefix("error: ").unwrap_or_else(|| panic!("{args:?}: {outcome:?}"));
        assert_eq!(line.trim_end().lines().count(), 1, "{args:?}: {outcome:?}");
        line.trim_end().to_owned()
    }

    /// Writes the sample shop to the working directory, and imports it.
    pub fn sample_shop(&self) {
        self.ok(&["sample", "."]);
        self.ok(&["app", "new", "shop"]);
        self.ok(&["import", "--app", "shop", "--input", "events.jsonl"]);
    }

    /// Targets of all events, sorted.
    pub fn targets(&self, app: &str) -> Vec<String> {
        let text = self.ok(&["export", "--app", app, "--output", "-"]);
        let target = |line: &str| {
            let event = json::parse(line.as_bytes()).unwrap();
            event.get("targetEntityId").and_then(Json::as_str).unwrap_or_default().to_owned()
        };
        let mut targets: Vec<String> = text.lines().map(target).collect();
        targets.sort();
        targets
    }
}

fn outcome(child: Child) -> Outcome {
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Member `path` (dotted) of a JSON value.
pub fn at<'a>(json: &'a Json, path: &str) -> &'a Json {
    path.split('.').fold(json, |json, name| match name.parse::<usize>() {
        Ok(index) => &json.as_array().unwrap_or_else(|| panic!("{path}: {json}"))[index],
        Err(_) => json.get(name).unwrap_or_else(|| panic!("{path}: {json}")),
    })
}

pub fn text<'a>(json: &'a Json, path: &str) -> &'a str {
    at(json, path).as_str().unwrap_or_else(|| panic!("{path}: {json}"))
}

pub fn number(json: &Json, path: &str) -> i64 {
    at(json, path).as_i64().unwrap_or_else(|| panic!("{path}: {json}"))
}

/// One HTTP exchange: status and body.
pub fn http(port: u16, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// A port that no other test gets: the system gives none of these to who asks for any, nor to clients.
pub fn own_port() -> u16 {
    const FIRST: u32 = 10_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let given = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let end = given.split_whitespace().next().and_then(|port| port.parse().ok()).unwrap_or(32_768_u32);
    let count = end.saturating_sub(FIRST);
    let port = |_| (std::process::id() + NEXT.fetch_add(1, Ordering::Relaxed)) % count + FIRST;
    let bound = |port: u32| TcpListener::bind(("127.0.0.1", u16::try_from(port).ok()?)).ok();
    // a system that gives all of them away has one to give, too
    let free = (0..count).map(port).find_map(bound).or_else(|| bound(0)).unwrap();
    free.local_addr().unwrap().port()
}

/// The repository's neighbour with reference data, if it is there.
pub fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    path.exists().then_some(path)
}
