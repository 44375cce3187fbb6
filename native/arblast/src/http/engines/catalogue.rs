//! The engines that a home keeps: their files, and what is open of them.
//!
//! ```text
//! <home>/engines/<id>.json      an engine file; replaced by rename
//! ```
//! Several processes may share a home, so the files are looked at again and again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use crate::deployable::Deployable;
use crate::failure::{Failure, Result};
use engine::{EngineConfig, Leniency};

/// How often the files are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);
const ENGINE_ID_BYTES_MAX: usize = 64;

/// An engine that is kept, and the file that it was read from.
#[derive(Clone)]
struct Kept {
    engine: Arc<Deployable>,
    stamp: Option<Stamp>,
}

/// By what a file that was replaced is known.
type Stamp = (SystemTime, u64);

impl Kept {
    fn new(text: String, stamp: Option<Stamp>) -> Result<Self> {
        let config = parsed(&text)?;
        Ok(Self { engine: Arc::new(Deployable::new(config, text, None)), stamp })
    }
}

/// Reads an engine file.
fn parsed(text: &str) -> Result<EngineConfig> {
    let (config, _) = EngineConfig::parse(text.as_bytes(), Leniency::Strict, &|_| None)
        .map_err(|error| Failure::invalid(error.to_string()))?;
    let id = &config.variant;
    if id.is_empty() || id.len() > ENGINE_ID_BYTES_MAX || id.chars().any(char::is_control) {
        return Err(Failure::invalid(format!(
            "the id of an engine has 1 to {ENGINE_ID_BYTES_MAX} bytes without control characters"
        )));
    }
    Ok(config)
}

/// Engines by their id.
pub struct Catalogue {
    directory: PathBuf,
    engines: RwLock<BTreeMap<String, Kept>>,
    looked: Mutex<Option<Instant>>,
    /// Held while files change.
    changing: Mutex<()>,
}

impl Catalogue {
    /// The engines in a directory, which need not exist.
    pub fn open(directory: PathBuf) -> Self {
        let catalogue = Self {
            directory,
            engines: RwLock::default(),
            looked: Mutex::default(),
            changing: Mutex::default(),
        };
        catalogue.look();
        catalogue
    }

    /// The engine of this id.
    pub fn get(&self, id: &str) -> Option<Arc<Deployable>> {
        let engines = self.engines.read().unwrap_or_else(PoisonError::into_inner);
        engines.get(id).map(|kept| Arc::clone(&kept.engine))
    }

    /// All engines, by id.
    pub fn all(&self) -> Vec<Arc<Deployable>> {
        let engines = self.engines.read().unwrap_or_else(PoisonError::into_inner);
        engines.values().map(|kept| Arc::clone(&kept.engine)).collect()
    }

    /// Checks and keeps an engine. `expected`: the id it must have and must be kept under; `None`: it must be new, and not
    /// be called `taken`. `prepare` is called before it is kept. `Ok(None)` if it is there already, or not there.
    ///
    /// # Errors
    /// The text is no engine file; it cannot be written; what `prepare` says.
    pub fn put(
        &self,
        text: &str,
        expected: Option<&str>,
        taken: Option<&str>,
        prepare: impl FnOnce(&EngineConfig) -> Result<()>,
    ) -> Result<Option<Arc<Deployable>>> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let config = parsed(text)?;
        let id = config.variant.clone();
        if let Some(expected) = expected.filter(|expected| *expected != id) {
            return Err(Failure::invalid(format!("the engine file is of engine {id}, not {expected}")));
        }
        self.look();
        if (Some(id.as_str()) == taken || self.get(&id).is_some()) != expected.is_some() {
            return Ok(None);
        }
        prepare(&config)?;
        let path = self.path(&id);
        write_durably(&path, text)
            .map_err(|error| Failure::io(format_args!("cannot write {}", path.display()), &error))?;
        self.look();
        Ok(self.get(&id))
    }

    /// Forgets an engine; its events and models stay. `false` if there is none.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(&self, id: &str) -> Result<bool> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(id);
        let removed = match fs::remove_file(&path) {
            Ok(()) => true,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(Failure::io(format_args!("cannot remove {}", path.display()), &error)),
        };
        self.look();
        Ok(removed)
    }

    /// Follows what other processes change.
    pub fn refresh(&self) {
        let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.is_none_or(|looked| looked.elapsed() > LOOK) {
            self.look();
        }
    }

    /// Reads the files that changed. A file that is wrong leaves the engine as it was.
    fn look(&self) {
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let known = self.engines.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut engines = BTreeMap::new();
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let Some(id) = path.file_name().and_then(|name| name.to_str()).and_then(id_of) else { continue };
            let old = known.get(&id).cloned();
            let stamp = stamp(&path);
            let kept = match old.clone().filter(|old| old.stamp == stamp) {
                Some(same) => Some(same),
                None => fs::read_to_string(&path)
                    .ok()
                    .and_then(|text| Kept::new(text, stamp).ok())
                    .filter(|kept| kept.engine.config.variant == id)
                    .or(old),
            };
            if let Some(kept) = kept {
                engines.insert(id, kept);
            }
        }
        *self.engines.write().unwrap_or_else(PoisonError::into_inner) = engines;
    }

    fn path(&self, id: &str) -> PathBuf {
        self.directory.join(file_name(id))
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Written under another name, synced, renamed.
fn write_durably(path: &Path, text: &str) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(directory)?;
    let next = path.with_extension("next");
    let mut file = File::create(&next)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    File::open(directory)?.sync_all()
}

fn file_name(id: &str) -> String {
    escaped(id) + ".json"
}

/// Letters, digits, `-` and `_` stay; other bytes become `%` and two hex digits.
pub(super) fn escaped(id: &str) -> String {
    let mut name = String::new();
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    name
}

/// The reverse of [`file_name`]; `None` for other names.
fn id_of(name: &str) -> Option<String> {
    let mut rest = name.strip_suffix(".json")?.as_bytes();
    let mut id = Vec::new();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            id.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after.get(2..)?;
        } else {
            id.push(*first);
        }
    }
    let id = String::from_utf8(id).ok()?;
    (file_name(&id) == name).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_as_names_of_files() {
        for id in ["ur", "a/b", "..", "%41", "ä", "A b", "next"] {
            assert_eq!(id_of(&file_name(id)).as_deref(), Some(id), "{id}");
            assert!(!file_name(id).contains('/') && !file_name(id).starts_with('.'));
        }
        for name in ["x", "x.next", "%4.json", "%zz.json", "a b.json"] {
            assert_eq!(id_of(name), None, "{name}");
        }
    }

    fn engine(num: u32) -> String {
        format!(
            r#"{{"engineId":"e","engineFactory":"com.actionml.engines.ur.UREngine",
            "algorithm":{{"indicators":[{{"name":"buy"}}],"num":{num}}}}}"#
        )
    }

    #[test]
    fn engines_are_kept_replaced_and_forgotten() {
        let home = tempfile::tempdir().unwrap();
        let one = Catalogue::open(home.path().join("engines"));
        let prepared = |_: &EngineConfig| Ok(());
        let unprepared = |_: &EngineConfig| Err(Failure::invalid("no app"));
        assert!(one.put(&engine(3), None, Some("d"), unprepared).is_err() && one.get("e").is_none());
        assert!(
            one.put(&engine(3), Some("e"), Some("d"), prepared).unwrap().is_none(),
            "there is none to replace"
        );
        assert_eq!(one.put(&engine(3), None, Some("d"), prepared).unwrap().unwrap().config.num, 3);
        assert!(one.put(&engine(4), None, Some("d"), prepared).unwrap().is_none(), "it is there");
        assert!(one.put(&engine(4), None, Some("e"), prepared).unwrap().is_none(), "it is deployed");
        assert!(one.put(&engine(4), Some("f"), Some("d"), prepared).is_err());
        assert!(one.put("{}", None, Some("d"), prepared).is_err());
        let other = Catalogue::open(home.path().join("engines"));
        assert_eq!(other.get("e").unwrap().config.num, 3);
        assert_eq!(one.put(&engine(44), Some("e"), Some("d"), prepared).unwrap().unwrap().config.num, 44);
        other.look();
        assert_eq!(other.get("e").unwrap().config.num, 44);
        fs::write(home.path().join("engines/e.json"), "{").unwrap();
        other.look();
        assert_eq!(other.get("e").unwrap().config.num, 44, "a broken file changes nothing");
        assert!(one.remove("e").unwrap() && !one.remove("e").unwrap());
        other.look();
        assert!(one.get("e").is_none() && other.get("e").is_none());
    }
}
