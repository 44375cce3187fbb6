//! The project as files and as crates.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Nothing that people wrote by hand is larger.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The text files of the project, by path from its root with `/`.
pub(crate) struct Tree {
    root: PathBuf,
    files: BTreeMap<String, String>,
}

/// Crate → crates of the workspace that it imports.
pub(crate) type Imports = BTreeMap<String, BTreeSet<String>>;

impl Tree {
    /// Reads everything but hidden folders, build output, data (files of 1 MiB and more) and files that are not UTF-8.
    pub(crate) fn open() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .canonicalize()
            .expect("the project's root exists");
        let mut tree = Self { files: BTreeMap::new(), root };
        tree.read(&tree.root.clone());
        assert!(tree.files.contains_key("Cargo.toml"), "{} is not the project's root", tree.root.display());
        tree
    }

    fn read(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).expect("a folder of the project can be read") {
            let entry = entry.expect("a folder of the project can be read");
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().expect("a file has a type");
            if kind.is_dir() {
                if !name.starts_with('.')
                    && !["target", "__pycache__", "node_modules"].contains(&name.as_str())
                {
                    self.read(&entry.path());
                }
            } else if kind.is_file()
                && entry.metadata().is_ok_and(|data| data.len() < FILE_BYTES_MAX)
                && let Ok(text) = fs::read_to_string(entry.path())
            {
                let path = entry.path();
                let path = path.strip_prefix(&self.root).expect("it lies below the root");
                self.files.insert(path.to_string_lossy().replace('\\', "/"), text);
            }
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub(crate) fn files(&self, ending: &str) -> impl Iterator<Item = (&str, &str)> {
        self.all().filter(move |(path, _)| path.ends_with(ending))
    }

    pub(crate) fn text(&self, path: &str) -> &str {
        self.files.get(path).unwrap_or_else(|| panic!("{path} is missing"))
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// What the manifests say, imports of tests and build scripts included.
    pub(crate) fn imports(&self) -> Imports {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--no-deps", "--format-version=1"])
            .current_dir(&self.root)
            .output()
            .expect("cargo can be started");
        assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        imports_of(&serde_json::from_slice(&output.stdout).expect("cargo writes JSON"))
    }
}

/// Dependencies with a `path` are crates of the workspace.
fn imports_of(metadata: &Value) -> Imports {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let imported = |package: &Value| {
        list(&package["dependencies"]).iter().filter(|import| import["path"].is_string()).map(name).collect()
    };
    list(&metadata["packages"]).iter().map(|package| (name(package), imported(package))).collect()
}

#[test]
fn reads_cargo_metadata() {
    let metadata = serde_json::json!({ "packages": [
        { "name": "cco", "dependencies": [{ "name": "libm", "kind": null }] },
        { "name": "engine", "dependencies": [{ "name": "cco", "kind": "dev", "path": "/cco" }] },
    ]});
    let expected =
        [("cco".to_owned(), BTreeSet::new()), ("engine".to_owned(), BTreeSet::from(["cco".to_owned()]))];
    assert_eq!(imports_of(&metadata), BTreeMap::from(expected));
}
