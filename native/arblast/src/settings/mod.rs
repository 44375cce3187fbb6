//! The configuration of the servers: a file, the environment, options; in that order of rising strength.

#[cfg(test)]
mod docs;
mod pio_env;
mod pio_storage;
mod table;
#[cfg(test)]
mod tests;
mod typed;
mod value;

pub use pio_env::PioEnv;
pub use typed::{
    CorsSettings, EventLimits, FlightSettings, Limits, LogFormat, LogSettings, Settings, TlsFiles,
};

use std::fmt;
use std::path::{Path, PathBuf};

use events::{Json, json};

use crate::failure::{Failure, Result};
use crate::storage::Places;
use table::Member;

/// Name of the file in the home directory.
pub const FILE: &str = "arblast.json";

/// Instead of a URL: in the home directory, whatever PredictionIO's variables say.
const EMBEDDED: &str = "embedded";

/// Variables of the program that are no members.
const OTHER_VARIABLES: [&str; 3] = ["ARBLAST_HOME", "ARBLAST_CONFIG", "ARBLAST_BLESS"];

/// Where settings come from.
pub struct Sources<'a> {
    /// The file, and what named it: then it must be there.
    pub file: (PathBuf, Option<&'static str>),
    /// The environment of the process.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Names of its variables.
    pub names: Vec<String>,
    /// PredictionIO's file.
    pub pio_env: PioEnv,
    /// Member, value, and the option that said so.
    pub options: Vec<(String, String, &'static str)>,
}

/// All members with their values.
pub struct Effective {
    values: Vec<Value>,
    /// Doubtful things, as sentences.
    pub warnings: Vec<String>,
    /// PredictionIO's variables say that the data is elsewhere, and nobody said that it is here.
    elsewhere: Option<String>,
    /// What the store of models must be told beside its URL.
    models_options: Vec<(String, String)>,
}

/// The value of a member.
pub struct Value {
    member: &'static Member,
    value: Json,
    source: Source,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// This variable.
    Variable(String),
    /// This variable of this `pio-env.sh`.
    PioEnv(PathBuf, String),
    /// This option.
    Option(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "${name}"),
            Self::PioEnv(path, name) => write!(f, "${name} of {}", path.display()),
            Self::Option(name) => f.write_str(name),
        }
    }
}

impl Value {
    /// Name of the member.
    pub fn name(&self) -> &'static str {
        self.member.name
    }

    /// What it means.
    pub fn meaning(&self) -> &'static str {
        self.member.meaning
    }

    /// Title of its section, if it is the first there.
    pub fn opens(&self) -> Option<&'static str> {
        let is_first =
            |section: &&table::Section| section.members.first().is_some_and(|m| m.name == self.name());
        table::SECTIONS.iter().find(is_first).map(|section| section.title)
    }

    /// As JSON text, without secrets.
    pub fn shown(&self) -> Json {
        match self.member.kind {
            table::Kind::Secret if !self.value.is_null() => Json::from("***"),
            _ => self.value.clone(),
        }
    }

    /// Where it came from.
    pub fn source(&self) -> &Source {
        &self.source
    }
}

#[cfg(test)]
impl Settings {
    /// The defaults, but for these members.
    pub fn with(options: &[(&str, &str)]) -> Self {
        let effective = Effective::of(&Sources {
            file: ("/nowhere/arblast.json".into(), None),
            env: &|_| None,
            names: Vec::new(),
            pio_env: PioEnv::default(),
            options: options.iter().map(|(name, value)| ((*name).into(), (*value).into(), "--set")).collect(),
        });
        effective.and_then(|effective| effective.settings()).unwrap_or_else(|failure| panic!("{failure}"))
    }
}

impl Effective {
    /// Puts the sources together.
    ///
    /// # Errors
    /// One line that names each wrong member, where it was set, and what would be right.
    pub fn of(sources: &Sources<'_>) -> Result<Self> {
        let mut problems = Vec::new();
        let mut effective = Self::defaults()?;
        effective.read_file(sources, &mut problems)?;
        effective.read_variables(sources, &mut problems);
        effective.read_options(sources, &mut problems);
        effective.read_storage(sources);
        effective.warn_of_unknown_variables(sources);
        match problems.is_empty() {
            true => Ok(effective),
            false => Err(Failure::invalid(problems.join("; "))),
        }
    }

    /// Where everything is kept.
    ///
    /// # Errors
    /// The settings contradict each other.
    pub fn places(&self) -> Result<Places> {
        let text = |name: &str| self.get(name).as_str().map(str::to_owned);
        let url = |name: &str| text(name).filter(|url| url != EMBEDDED);
        let index = elasticsearch::Setting {
            url: url("indexUrl"),
            api_key: text("indexApiKey"),
            ca_file: text("indexCaFile").map(PathBuf::from),
            shards: self.get("indexShards").as_i64().and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
        };
        let places = Places {
            registry: url("registryUrl"),
            events: url("eventsUrl"),
            models: text("modelsUrl"),
            models_options: self.models_options.clone(),
            index,
        };
        if self.is_embedded() && (places.registry.is_some() || places.events.is_some()) {
            return Err(Failure::invalid(
                "storage says embedded, and registryUrl or eventsUrl a database: remove one of them",
            ));
        }
        Ok(places)
    }

    fn is_embedded(&self) -> bool {
        self.get("storage").as_str() == Some(EMBEDDED)
    }

    fn defaults() -> Result<Self> {
        let values = table::members().map(|member| {
            let value = value::default(member)
                .map_err(|why| Failure::new(events::Kind::Internal, format!("{} {why}", member.name)))?;
            Ok(Value { member, value, source: Source::Default })
        });
        Ok(Self {
            values: values.collect::<Result<_>>()?,
            warnings: Vec::new(),
            elsewhere: None,
            models_options: Vec::new(),
        })
    }

    fn read_file(&mut self, sources: &Sources<'_>, problems: &mut Vec<String>) -> Result<()> {
        let (path, named_by) = &sources.file;
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named_by.is_none() => return Ok(()),
            Err(error) => {
                return Err(Failure::file("read", named_by.unwrap_or("the home directory"), path)(error));
            }
        };
        let shown = path.display();
        let object = json::parse(&bytes).map_err(|error| Failure::invalid(format!("{shown}: {error}")))?;
        let Json::Object(object) = object else {
            return Err(Failure::invalid(format!(
                "{shown} must be an object such as {{\"queryServerPort\": 8000}}"
            )));
        };
        let directory = path.parent().unwrap_or(Path::new(""));
        for (name, json) in object.iter() {
            let set = self.find(name).and_then(|found| {
                let value = value::from_json(found.member, json, directory);
                found.take(value, Source::File(path.clone()))
            });
            problems.extend(set.err().map(|why| format!("{shown}: {name} {why}")));
        }
        Ok(())
    }

    fn read_variables(&mut self, sources: &Sources<'_>, problems: &mut Vec<String>) {
        for found in &mut self.values {
            let own = found.member.variable();
            let names = [Some(own.as_str()), found.member.alias];
            let Some((name, text, source)) =
                names.into_iter().flatten().find_map(|name| variable(sources, name))
            else {
                continue;
            };
            let set = found.take(value::from_text(found.member, &text), source);
            problems.extend(set.err().map(|why| format!("${name} {why}")));
        }
    }

    fn read_options(&mut self, sources: &Sources<'_>, problems: &mut Vec<String>) {
        for (name, text, option) in &sources.options {
            let set = self
                .find(name)
                .and_then(|found| found.take(value::from_text(found.member, text), Source::Option(option)));
            problems.extend(set.err().map(|why| format!("{option}: {name} {why}")));
        }
    }

    /// Only a warning: container platforms invent variables from the names of services.
    fn warn_of_unknown_variables(&mut self, sources: &Sources<'_>) {
        let of_file = sources.pio_env.variables.keys();
        for name in sources.names.iter().chain(of_file).filter(|name| name.starts_with("ARBLAST_")) {
            let is_known = OTHER_VARIABLES.contains(&name.as_str())
                || table::members().any(|member| member.variable() == *name);
            if !is_known {
                let known: Vec<String> = table::members().map(Member::variable).collect();
                let known = known.iter().map(|known| (known.as_str(), known.as_str()));
                let meant = engine::nearest(name, known).map(|meant| format!("; did you mean {meant}?"));
                self.warnings
                    .push(format!("${name} is no setting and is ignored{}", meant.unwrap_or_default()));
            }
        }
    }

    /// What the variables of others say of storage.
    fn read_storage(&mut self, sources: &Sources<'_>) {
        let look_up = |name: &str| variable(sources, name).map(|(_, text, _)| text);
        self.set_unless_said("indexUrl", pio_storage::search_servers(&look_up), sources);
        let pio_storage::Storage { registry, events, models, models_options } =
            pio_storage::Storage::of(&look_up);
        let elsewhere = pio_storage::elsewhere(&look_up);
        if self.is_embedded() {
            let ignored = registry.or(events).map(|found| format!("${} names a database", found.variable));
            let told = elsewhere.or(ignored);
            self.warnings.extend(told.map(|told| {
                format!("{told}; as storage is \"embedded\", all data is in the home directory")
            }));
            return;
        }
        self.models_options = models_options;
        self.set_unless_said("registryUrl", registry, sources);
        self.set_unless_said("eventsUrl", events, sources);
        self.set_unless_said("modelsUrl", models, sources);
        let is_said = |name: &str| {
            self.values.iter().any(|value| value.name() == name && value.source != Source::Default)
        };
        if is_said("registryUrl") && is_said("eventsUrl") {
            return;
        }
        self.elsewhere = elsewhere.map(|told| {
            format!("PredictionIO's variables say that data is elsewhere: {told} Set registryUrl and eventsUrl to what Arblast knows, or to embedded for the home directory (ARBLAST_STORAGE=embedded: both); docs/migrating.md tells how to bring data over")
        });
    }

    fn set_unless_said(&mut self, name: &str, found: Option<pio_storage::Found>, sources: &Sources<'_>) {
        let unset = |value: &&mut Value| value.name() == name && value.source == Source::Default;
        if let (Some(found), Some(value)) = (found, self.values.iter_mut().find(unset)) {
            value.source =
                variable(sources, &found.variable).map_or(Source::Default, |(_, _, source)| source);
            value.value = Json::from(found.url);
        }
    }

    fn find(&mut self, name: &str) -> std::result::Result<&mut Value, String> {
        let known = table::members().map(|member| (member.name, member.name));
        let meant = engine::nearest(name, known);
        self.values.iter_mut().find(|value| value.member.name == name).ok_or_else(|| match meant {
            Some(meant) => format!("is not a setting; did you mean {meant}?"),
            None => "is not a setting; `arblast config` lists all".to_owned(),
        })
    }

    /// Values in the order of the reference.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Why no server should start with these settings, though they are well-formed.
    pub fn elsewhere(&self) -> Option<&str> {
        self.elsewhere.as_deref()
    }

    fn get(&self, name: &str) -> &Json {
        let found = self.values.iter().find(|value| value.member.name == name);
        debug_assert!(found.is_some(), "{name} is not in the table");
        found.map_or(&Json::Null, |value| &value.value)
    }
}

impl Value {
    fn take(
        &mut self,
        value: std::result::Result<Json, String>,
        source: Source,
    ) -> std::result::Result<(), String> {
        self.value = value?;
        self.source = source;
        Ok(())
    }
}

/// A variable of the process, else of `pio-env.sh`; an empty one counts as not set.
fn variable(sources: &Sources<'_>, name: &str) -> Option<(String, String, Source)> {
    let is_set = |text: &String| !text.is_empty();
    if let Some(text) = (sources.env)(name).filter(is_set) {
        return Some((name.to_owned(), text, Source::Variable(name.to_owned())));
    }
    let text = sources.pio_env.get(name).map(str::to_owned).filter(is_set)?;
    let path = sources.pio_env.path.clone()?;
    Some((name.to_owned(), text, Source::PioEnv(path, name.to_owned())))
}
