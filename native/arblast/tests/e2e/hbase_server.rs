//! An HBase that `scripts/hbase` starts when a test needs one, shared by all, ended with this process however that ends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/hbase");

pub struct HBase {
    folder: TempDir,
    namespaces: AtomicUsize,
    _watch: Child,
}

impl HBase {
    pub fn shared() -> &'static Self {
        static HBASE: OnceLock<HBase> = OnceLock::new();
        HBASE.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let done = Command::new(SCRIPT).arg("up").arg(folder.path()).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            let watch = Command::new("sh")
                .args(["-c", r#"read line; "$0" down "$1"; rm -rf "$1""#, SCRIPT])
                .arg(folder.path())
                .stdin(Stdio::piped())
                .spawn();
            Self { folder, namespaces: AtomicUsize::new(0), _watch: watch.unwrap() }
        })
    }

    /// Where ZooKeeper listens.
    pub fn port(&self) -> u16 {
        let ports = std::fs::read_to_string(self.folder.path().join("ports")).unwrap();
        ports.split_whitespace().find_map(|port| port.strip_prefix("zk=")).unwrap().parse().unwrap()
    }

    /// The folder that holds `hbase-site.xml`.
    pub fn configuration(&self) -> PathBuf {
        Path::new(self.folder.path()).join("conf")
    }

    /// A namespace that no other test has.
    pub fn namespace(&self) -> String {
        format!("n{}", self.namespaces.fetch_add(1, Ordering::Relaxed))
    }

    pub fn url(&self, namespace: &str) -> String {
        format!("hbase://127.0.0.1:{}/hbase?namespace={namespace}", self.port())
    }
}
