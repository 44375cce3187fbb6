//! The servers.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use hbase::client::TableName;
use hbase::store::HbaseStore;

/// A cluster that runs, until it is dropped.
pub(crate) struct Cluster {
    folder: PathBuf,
    temporary: Option<tempfile::TempDir>,
    namespaces: AtomicU32,
    /// Tells this run's namespaces from those of runs before on the same cluster.
    run: u32,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/hbase")
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let run = std::process::id();
        let namespaces = AtomicU32::new(0);
        if let Some(folder) = std::env::var_os("ARBLAST_HBASE") {
            return Self { folder: folder.into(), temporary: None, namespaces, run };
        }
        let since = Instant::now();
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("hbase");
        let cluster = Self { folder, temporary: Some(temporary), namespaces, run };
        cluster.script("up", &[]);
        println!("an HBase is ready ({:.1} s)", since.elapsed().as_secs_f64());
        cluster
    }

    /// Runs `scripts/hbase COMMAND FOLDER ARGUMENTS`.
    pub(crate) fn script(&self, command: &str, arguments: &[&str]) -> String {
        let output = Command::new(script()).arg(command).arg(&self.folder).args(arguments).output();
        let output = output.expect("scripts/hbase runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, error) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "scripts/hbase {command} {arguments:?}: {out}{error}");
        out
    }

    /// The port of a daemon.
    pub(crate) fn port(&self, daemon: &str) -> u16 {
        let ports = std::fs::read_to_string(self.folder.join("ports")).unwrap();
        let find = |entry: &str| entry.strip_prefix(daemon)?.strip_prefix('=')?.parse().ok();
        ports.split_whitespace().find_map(find).expect("a daemon with a port")
    }

    /// A URL with a namespace of its own.
    pub(crate) fn url(&self) -> String {
        let number = self.namespaces.fetch_add(1, Ordering::Relaxed);
        format!("hbase://127.0.0.1:{}/hbase?namespace=t{}_{number}", self.port("zk"), self.run)
    }

    pub(crate) fn store(&self) -> HbaseStore {
        HbaseStore::open(&self.url()).unwrap()
    }

    /// With an option in its URL.
    pub(crate) fn store_with(&self, option: &str) -> HbaseStore {
        HbaseStore::open(&format!("{}&{option}", self.url())).unwrap()
    }

    /// Another one on the same tables.
    pub(crate) fn store_like(&self, store: &HbaseStore) -> HbaseStore {
        let table = store.table(events::Scope { app: 0, channel: None }).to_string();
        let (namespace, _) = table.split_once(':').unwrap();
        HbaseStore::open(&format!("hbase://127.0.0.1:{}/hbase?namespace={namespace}", self.port("zk")))
            .unwrap()
    }

    /// The region server that has the first region of a table.
    pub(crate) fn server_of(&self, store: &HbaseStore, table: &TableName) -> &'static str {
        let server = store.client().server_of(table, &[]).unwrap();
        let is = |name: &&&str| server.ends_with(&format!(":{}", self.port(name)));
        ["rs1", "rs2"].iter().find(is).unwrap()
    }

    /// What HBase's own client answers to commands: see `Rows.java`.
    pub(crate) fn rows(&self, commands: &str) -> String {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hbase/Rows.java");
        let mut java = Command::new(script())
            .arg("java")
            .arg(&self.folder)
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("scripts/hbase runs");
        let mut input = java.stdin.take().unwrap();
        input.write_all(commands.as_bytes()).unwrap();
        drop(input);
        let output = java.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "Rows.java: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Where the logs are, which then stay.
    pub(crate) fn keep_logs(&self) -> PathBuf {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hbase-log");
        if self.temporary.is_some() {
            _ = std::fs::remove_dir_all(&kept);
            _ = Command::new("cp").arg("-r").arg(self.folder.join("log")).arg(&kept).status();
            return kept;
        }
        self.folder.join("log")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.temporary.is_some() {
            _ = Command::new(script()).arg("down").arg(&self.folder).status();
        }
    }
}

/// The namespace that a URL of [`Cluster::url`] names.
pub(crate) fn namespace_of(url: &str) -> &str {
    url.split_once("namespace=").unwrap().1
}
