//! Real servers: started when a test needs one, shared by all, ended with this process however that ends.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use elasticsearch::{Cluster, Indexes, Options};
use tempfile::TempDir;

/// Needs no newer JDK than the rest of the project.
const OLDER: &str = "elasticsearch-8.19.21";
const READY: Duration = Duration::from_secs(120);

/// A running node.
pub struct Node {
    pub port: u16,
    directory: TempDir,
    distribution: String,
    watch: Option<Child>,
}

/// The server of all tests that do not kill theirs: the one that `ARBLAST_TEST_SEARCH` names, which may want a newer JDK
/// by `ES_JAVA_HOME`.
fn node() -> &'static Node {
    static NODE: OnceLock<Node> = OnceLock::new();
    NODE.get_or_init(|| {
        let distribution = std::env::var("ARBLAST_TEST_SEARCH").unwrap_or_else(|_| OLDER.to_owned());
        Node::prepared(&distribution, &[], |_| {})
    })
}

/// A client of the shared server.
pub fn shared() -> Arc<Cluster> {
    Arc::new(Cluster::new(&Options::new(format!("http://127.0.0.1:{}", node().port))).unwrap())
}

/// Its port.
pub fn shared_port() -> u16 {
    node().port
}

/// Models under a name that no other test has.
pub fn indexes(test: &str) -> Indexes {
    Indexes::of(shared(), "Tests é", test)
}

/// A port that is free now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The home of a JDK that is new enough: the named one, else the oldest of those installed.
fn java(least: u32) -> Option<PathBuf> {
    let version = |home: &PathBuf| {
        let text = std::fs::read_to_string(home.join("release")).ok()?;
        let version = text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION=\""))?;
        let major: u32 = version.split(['.', '"', '-']).next()?.parse().ok()?;
        (major >= least && home.join("bin/java").exists()).then_some(major)
    };
    let named = std::env::var_os("ES_JAVA_HOME").map(PathBuf::from).filter(|home| version(home).is_some());
    let installed = || {
        let homes =
            std::fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten().map(|entry| entry.path());
        homes.filter_map(|home| Some((version(&home)?, home))).min().map(|(_, home)| home)
    };
    named.or_else(installed)
}

impl Node {
    /// Starts one with more lines in its configuration, after something was done to its directory.
    pub fn prepared(distribution: &str, settings: &[&str], prepare: impl FnOnce(&Self)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut node = Self { port, directory, distribution: distribution.to_owned(), watch: None };
        node.configure(settings);
        prepare(&node);
        node.run();
        node
    }

    fn is_secured(&self) -> bool {
        self.path().join("conf/server.pem").exists()
    }

    fn is_opensearch(&self) -> bool {
        self.distribution.starts_with("opensearch")
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    fn home(&self) -> PathBuf {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/elasticsearch");
        let output = Command::new(script).arg(&self.distribution).output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    }

    fn configure(&self, settings: &[&str]) {
        let (home, path) = (self.home(), self.path());
        for folder in ["conf/jvm.options.d", "data", "logs", "tmp"] {
            std::fs::create_dir_all(path.join(folder)).unwrap();
        }
        std::fs::copy(home.join("config/log4j2.properties"), path.join("conf/log4j2.properties")).unwrap();
        let options = std::fs::read_to_string(home.join("config/jvm.options")).unwrap();
        let unwanted = ["HeapDump", "Xlog", "ErrorFile", "UseG1GC"];
        let options = options.lines().filter(|line| !unwanted.iter().any(|word| line.contains(word)));
        std::fs::write(path.join("conf/jvm.options"), options.collect::<Vec<_>>().join("\n")).unwrap();
        let heap = "-Xms160m\n-Xmx160m\n-XX:+UseSerialGC\n-XX:TieredStopAtLevel=1\n";
        std::fs::write(path.join("conf/jvm.options.d/test.options"), heap).unwrap();
        let at = path.display();
        let mut lines = vec![
            "cluster.name: tests".to_owned(),
            "node.name: node".to_owned(),
            "discovery.type: single-node".to_owned(),
            "network.host: 127.0.0.1".to_owned(),
            format!("path.data: {at}/data"),
            format!("path.logs: {at}/logs"),
            format!("http.port: {}", self.port),
            format!("transport.port: {}", free_port()),
            "node.processors: 2".to_owned(),
            "cluster.routing.allocation.disk.threshold_enabled: false".to_owned(),
        ];
        lines.extend(settings.iter().map(|line| (*line).to_owned()));
        if !self.is_opensearch() && !settings.iter().any(|line| line.contains("security")) {
            lines.push("xpack.security.enabled: false".to_owned());
        }
        let file = if self.is_opensearch() { "opensearch.yml" } else { "elasticsearch.yml" };
        std::fs::write(path.join("conf").join(file), lines.join("\n") + "\n").unwrap();
    }

    /// A program of the distribution, with its environment; as nobody if we are root.
    pub fn program(&self, name: &str) -> Command {
        let path = self.path();
        let least = if self.distribution == OLDER { 17 } else { 21 };
        let java =
            java(least).unwrap_or_else(|| panic!("{} needs a JDK {least} or newer", self.distribution));
        let program = self.home().join("bin").join(name);
        let is_root =
            std::fs::metadata("/proc/self").is_ok_and(|data| std::os::unix::fs::MetadataExt::uid(&data) == 0);
        let mut command = if is_root {
            assert!(Command::new("chown").args(["-R", "65534:65534"]).arg(path).status().unwrap().success());
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let prefix = if self.is_opensearch() { "OPENSEARCH" } else { "ES" };
        command.env_remove("JAVA_HOME").env_remove("JAVA_OPTS").current_dir(path);
        command.env(format!("{prefix}_PATH_CONF"), path.join("conf"));
        command.env(format!("{prefix}_TMPDIR"), path.join("tmp")).env(format!("{prefix}_JAVA_HOME"), java);
        command.env("CLI_JAVA_OPTS", "-XX:TieredStopAtLevel=1").env("HOSTNAME", "localhost");
        command
    }

    /// Starts the server, and what kills it when this process ends.
    pub fn run(&mut self) {
        let pid = self.path().join("tmp/pid");
        let _ = std::fs::remove_file(&pid);
        let log = std::fs::File::create(self.path().join("out.log")).unwrap();
        let program = if self.is_opensearch() { "opensearch" } else { "elasticsearch" };
        let mut command = self.program(program);
        command.arg("-d").arg("-p").arg(&pid).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let started = command.status().unwrap();
        let log = || std::fs::read_to_string(self.path().join("out.log")).unwrap_or_default();
        assert!(started.success(), "{} does not start: {}", self.distribution, log());
        let watch = Command::new("sh")
            .args(["-c", "read line; kill -9 $(cat \"$0\")"])
            .arg(&pid)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        // Some come back before they answer; others speak TLS, which begins at the same time.
        let began = Instant::now();
        // 401: it knows its users.
        let answers = || {
            http(self.port, "GET", "/_cluster/health", "")
                .is_some_and(|(status, _)| matches!(status, 200 | 401))
        };
        while !(answers()
            || self.is_secured() && std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok())
        {
            assert!(began.elapsed() < READY, "{} does not answer: {}", self.distribution, log());
            std::thread::sleep(Duration::from_millis(100));
        }
        self.watch = Some(watch);
    }

    /// As if the machine had lost power.
    pub fn kill(&mut self) {
        if let Some(mut watch) = self.watch.take() {
            drop(watch.stdin.take());
            watch.wait().unwrap();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A plain request, for what is not under test.
pub fn http(port: u16, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
}
