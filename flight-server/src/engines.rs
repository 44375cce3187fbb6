//! The engines that can be asked: each that was trained, as its last train knew it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arblast::deployable::Deployable;
use arblast::failure::{Failure, Result};
use engine::{EngineConfig, Leniency};
use events::InstanceStatus;
use stores::Storage;

/// How often the records of trains are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);

/// Engines by app and id.
pub struct Engines {
    storage: Storage,
    /// The engine file that the server was started with.
    own: Option<Arc<Deployable>>,
    known: Mutex<Known>,
}

type Key = (String, String);

#[derive(Default)]
struct Known {
    engines: BTreeMap<Key, Arc<Deployable>>,
    looked: Option<Instant>,
}

impl Engines {
    /// Those of `storage`; `own` is asked by its own file, whatever its last train knew.
    pub fn new(storage: Storage, own: Option<(EngineConfig, String)>) -> Self {
        let own = own.map(|(config, text)| Arc::new(Deployable::new(config, text, None)));
        Self { storage, own, known: Mutex::default() }
    }

    /// Those of the apps for which `sees` says so, by app and id.
    ///
    /// # Errors
    /// Whatever the registry reports.
    pub fn all(&self, sees: impl Fn(&str) -> bool) -> Result<Vec<Arc<Deployable>>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            known.engines = self.look(&known.engines)?;
            known.looked = Some(Instant::now());
        }
        let seen = known.engines.iter().filter(|((app, _), _)| sees(app));
        Ok(seen.map(|(_, engine)| Arc::clone(engine)).collect())
    }

    fn look(&self, known: &BTreeMap<Key, Arc<Deployable>>) -> Result<BTreeMap<Key, Arc<Deployable>>> {
        let mut engines = BTreeMap::new();
        if let Some(own) = &self.own {
            engines.insert((own.config.app_name.clone(), own.config.variant.clone()), Arc::clone(own));
        }
        // the newest train comes first
        for run in self.storage.registry.instances()? {
            let key = (run.app, run.variant);
            if run.status != InstanceStatus::Completed || engines.contains_key(&key) {
                continue;
            }
            let same = known.get(&key).filter(|engine| engine.text == run.config);
            let engine = same.cloned().or_else(|| read(run.config).map(Arc::new));
            if let Some(engine) = engine.filter(|engine| engine.config.app_name == key.0) {
                engines.insert(key, engine);
            }
        }
        Ok(engines)
    }

    /// Where their events and models are.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }
}

/// An engine file as a train recorded it.
fn read(text: String) -> Option<Deployable> {
    let parsed = EngineConfig::parse(text.as_bytes(), Leniency::Lenient, &|name| std::env::var(name).ok());
    match parsed {
        Ok((config, _)) => Some(Deployable::new(config, text, None)),
        Err(error) => {
            tracing::warn!("the engine file of a train's record cannot be read: {error}");
            None
        }
    }
}

/// `app/engine`, by which an engine is named where several apps are seen.
pub fn full_name(engine: &Deployable) -> String {
    format!("{}/{}", engine.config.app_name, engine.config.variant)
}

/// The one of this name (`engine`, or `app/engine`), or the only one.
///
/// # Errors
/// There is none, or there are several.
pub fn chosen(engines: &[Arc<Deployable>], name: Option<&str>) -> Result<Arc<Deployable>> {
    let names = || engines.iter().map(|engine| full_name(engine)).collect::<Vec<_>>().join(", ");
    let Some(name) = name else {
        return match engines {
            [] => Err(Failure::not_found("no engine is trained yet; `arblast train` makes a model")),
            [one] => Ok(Arc::clone(one)),
            _ => Err(Failure::invalid(format!(
                "there are several engines: name one as last argument or in the header arblast-engine: {}",
                names()
            ))),
        };
    };
    let mut named =
        engines.iter().filter(|engine| engine.config.variant == name || full_name(engine) == name);
    match (named.next(), named.next()) {
        (Some(one), None) => Ok(Arc::clone(one)),
        (Some(_), Some(_)) => Err(Failure::invalid(format!(
            "several apps have an engine {name}: name it as app/engine: {}",
            names()
        ))),
        (None, _) => Err(Failure::not_found(format!("there is no engine {name}; there are: {}", names()))),
    }
}
