//! Opens what the settings name: events, registry and models.

use std::path::Path;
use std::sync::Arc;

use events::{EventStore, Registry};
use sql::Sql;
use stores::{Models, Objects, Storage};

use crate::failure::{Failure, Result};
use crate::searching;

/// Where everything is kept; `None` = in the home directory.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// URL of apps, access keys, channels and training runs.
    pub registry: Option<String>,
    /// URL of events.
    pub events: Option<String>,
    /// Path or URL of models.
    pub models: Option<String>,
    /// What the store of models must be told beside its URL: keys, mostly.
    pub models_options: Vec<(String, String)>,
    /// Where models are searched, if not there.
    pub index: elasticsearch::Setting,
}

/// A store of both events and the registry.
#[derive(Clone)]
enum Store {
    Embedded(Arc<stores::Embedded>),
    Sql(Arc<Sql>),
}

impl Store {
    fn open(setting: &str, url: Option<&str>, home: &Path) -> Result<Self> {
        match url {
            None => Ok(Self::Embedded(Arc::new(stores::Embedded::open(&home.join("store"))?))),
            Some(url) if Sql::understands(url) => {
                let opened = Sql::open(url).map_err(|error| Failure::from(error).of(setting))?;
                Ok(Self::Sql(Arc::new(opened)))
            }
            Some(url) => Err(unknown(setting, url, "postgresql://user:password@host/database or mysql://…")),
        }
    }

    fn events(&self) -> Arc<dyn EventStore> {
        match self {
            Self::Embedded(store) => Arc::<stores::Embedded>::clone(store),
            Self::Sql(store) => Arc::<Sql>::clone(store),
        }
    }

    fn registry(&self) -> Arc<dyn Registry> {
        match self {
            Self::Embedded(store) => Arc::<stores::Embedded>::clone(store),
            Self::Sql(store) => Arc::<Sql>::clone(store),
        }
    }
}

impl Places {
    /// Is all data in the home directory?
    pub fn are_at_home(&self) -> bool {
        self.registry.is_none() && self.events.is_none() && self.models.is_none()
    }

    /// Opens everything, one store only where two are the same.
    ///
    /// # Errors
    /// A URL is not understood, or what it names cannot be used; one line that names the setting and no password.
    pub fn open(&self, home: &Path) -> Result<Storage> {
        let registry = Store::open("registryUrl", self.registry.as_deref(), home)?;
        let events = match self.events.as_deref() {
            Some(url) if url.starts_with("hbase://") => {
                hbase::open(url).map_err(|error| Failure::from(error).of("eventsUrl"))?
            }
            _ if self.events == self.registry => registry.events(),
            url => Store::open("eventsUrl", url, home)?.events(),
        };
        // It has more than stores: engines, progress of imports.
        stores::create_directory(home)?;
        let models = self.open_models(home, &registry)?;
        let search = searching::servers(&self.index)?;
        Ok(Storage { events, registry: registry.registry(), models, search })
    }

    /// Where the URL of a store leads, without its password.
    ///
    /// # Errors
    /// It is not understood.
    pub fn shown(url: &str) -> Result<String> {
        // Of the others none has a password.
        match Sql::understands(url) {
            true => Ok(Sql::place(url)?),
            false => Ok(url.to_owned()),
        }
    }

    fn open_models(&self, home: &Path, registry: &Store) -> Result<Models> {
        let url = self.models.as_deref().unwrap_or("models");
        let objects: Arc<dyn Objects> = match url {
            url if objects::understands(url) => objects::open(url, &self.models_options)
                .map_err(|error| Failure::from(error).of("modelsUrl"))?,
            url if Sql::understands(url) => match registry {
                Store::Sql(store) if self.models == self.registry => Arc::<Sql>::clone(store),
                _ => Arc::new(Sql::open(url).map_err(|error| Failure::from(error).of("modelsUrl"))?),
            },
            url => {
                let path = url.strip_prefix("file://").unwrap_or(url);
                if path.contains("://") {
                    return Err(unknown("modelsUrl", url, "a path, hdfs://…, s3://… or postgresql://…"));
                }
                let made = stores::create_directory(&home.join(path));
                let made = made.map_err(|error| match &self.models {
                    Some(_) => Failure::from(error).of("modelsUrl"),
                    None => error.into(),
                });
                return Ok(Models::at(made?));
            }
        };
        let models = Models::shared(objects, &home.join("copies"));
        stores::create_directory(models.path())?;
        Ok(models)
    }
}

/// Shows the scheme only: behind it there may be a password.
fn unknown(setting: &str, url: &str, right: &str) -> Failure {
    match url.split_once("://") {
        Some((scheme, _)) => {
            Failure::invalid(format!("{setting}: stores of the kind {scheme}:// are not known; give {right}"))
        }
        None => Failure::invalid(format!("{setting} is no URL of a store; give {right}")),
    }
}

#[cfg(test)]
mod tests {
    use events::Kind;

    use super::*;

    #[test]
    fn nothing_said_is_the_home_directory() {
        let home = tempfile::tempdir().unwrap();
        let storage = Places::default().open(home.path()).unwrap();
        assert_eq!(storage.models.path(), home.path().join("models"));
        assert!(storage.models.path().is_dir() && home.path().join("store").is_dir());
    }

    #[test]
    fn models_may_be_elsewhere_in_the_file_system() {
        let home = tempfile::tempdir().unwrap();
        let models = home.path().join("m");
        for url in ["m".to_owned(), models.display().to_string(), format!("file://{}", models.display())] {
            let places = Places { models: Some(url), ..Places::default() };
            assert_eq!(places.open(home.path()).unwrap().models.path(), models);
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_without_its_password() {
        let home = tempfile::tempdir().unwrap();
        for (registry, models, words) in [
            (
                Some("mongodb://u:hunter2@h/d"),
                None,
                "registryUrl: stores of the kind mongodb:// are not known",
            ),
            (Some("hunter2"), None, "registryUrl is no URL of a store"),
            (
                Some("postgresql://u:hunter2@h"),
                None,
                "registryUrl: wrong URL of a database: the database is missing",
            ),
            (None, Some("ftp://k:hunter2@b"), "modelsUrl: stores of the kind ftp:// are not known"),
            (None, Some("s3://k:hunter2@b"), "modelsUrl: s3://: keys do not belong into the URL"),
            (
                None,
                Some("hdfs:///models"),
                "modelsUrl: hdfs:///models: the name of the file system is missing",
            ),
        ] {
            let own = |text: Option<&str>| text.map(str::to_owned);
            let places = Places { registry: own(registry), models: own(models), ..Places::default() };
            let failure = places.open(home.path()).err().unwrap();
            assert_eq!(failure.kind(), Kind::Invalid);
            assert!(
                failure.to_string().starts_with(words) && !failure.to_string().contains("hunter2"),
                "{failure}"
            );
        }
    }
}
