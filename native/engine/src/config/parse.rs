//! From the text of `engine.json` to an [`EngineConfig`]: the two forms.

use std::fmt;
use std::path::PathBuf;

use events::json::{self, Json, JsonError};

use super::build::{self, Form};
use super::{EngineConfig, EventWindow, tables};
use crate::members::{Env, Members, Path, Problem, Reader};

/// Something doubtful in a configuration: it works, perhaps not as meant.
pub type Warning = Problem;

/// What to do with a wrong value of an optional member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leniency {
    /// Refuse the file.
    #[default]
    Strict,
    /// Count it as absent, with a warning: for old files that only worked because nobody looked.
    Lenient,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// At least one; bounded in number.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    /// One line for each problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl From<JsonError> for ConfigError {
    fn from(error: JsonError) -> Self {
        Self { problems: vec![Problem { path: String::new(), message: format!("is not JSON: {error}") }] }
    }
}

impl EngineConfig {
    /// Reads `engine.json` in either form: with `engineId` Harness', else PredictionIO's. `env` gives environment
    /// variables for `system.env.NAME`.
    ///
    /// # Errors
    /// The text is no JSON, or all that is wrong with its content.
    pub fn parse(
        text: &[u8],
        leniency: Leniency,
        env: Env<'_>,
    ) -> Result<(EngineConfig, Vec<Warning>), ConfigError> {
        let json = json::parse(text)?;
        let mut reader = Reader::of_config(leniency == Leniency::Lenient, env);
        let config = match form(&json) {
            Some(Form::Harness) => harness(&mut reader, &json),
            Some(Form::PredictionIo) => prediction_io(&mut reader, &json),
            None => {
                let members = "either \"engineId\", or \"id\", \"engineFactory\" and \"algorithms\"";
                reader.error("", format!("is no engine configuration: it must be an object with {members}"));
                None
            }
        };
        let findings = reader.finish();
        match config {
            Some(config) if findings.errors.is_empty() => Ok((config, findings.warnings)),
            _ => Err(ConfigError { problems: findings.errors }),
        }
    }
}

/// The form of a file; a file with any member of a form is taken for a broken file of that form.
fn form(json: &Json) -> Option<Form> {
    let object = json.as_object()?;
    if object.contains("engineId") {
        return Some(Form::Harness);
    }
    ["id", "algorithms", "datasource", "engineFactory"]
        .iter()
        .any(|name| object.contains(name))
        .then_some(Form::PredictionIo)
}

fn prediction_io(reader: &mut Reader<'_>, json: &Json) -> Option<EngineConfig> {
    let mut engine = reader.object(&Path::Root, json, &tables::ENGINE)?;
    let source = engine.object("datasource").and_then(|mut source| source.object("params"));
    let mut algorithm = the_algorithm(reader, &mut engine)?;
    let mut config = build::algorithm(reader, &mut algorithm, Form::PredictionIo);
    config.variant = build::name(reader, &mut engine, "id");
    config.engine_factory = engine.text("engineFactory").unwrap_or_default();
    config.app_name = build::name(reader, &mut algorithm, "appName");
    config.index_name = build::index_name(reader, &mut algorithm);
    build::spark_conf(reader, &mut engine, &mut config);
    if let Some(mut source) = source {
        data_source(reader, &mut source, &mut config);
    }
    if engine.free("plugins").and_then(Json::as_object).is_some_and(|plugins| !plugins.is_empty()) {
        reader.warn(engine.path_of("plugins"), "are not supported and do not run");
    }
    Some(config)
}

/// The parameters of the only algorithm.
fn the_algorithm<'a>(reader: &mut Reader<'_>, engine: &mut Members<'a>) -> Option<Members<'a>> {
    let mut entries = engine.objects("algorithms")?;
    if entries.len() != 1 {
        let found = entries.len();
        reader.error(engine.path_of("algorithms"), format!("must have exactly one entry, got {found}"));
    }
    entries.first_mut()?.object("params")
}

fn data_source(reader: &mut Reader<'_>, source: &mut Members<'_>, config: &mut EngineConfig) {
    config.min_events_per_user = source.count("minEventsPerUser").unwrap_or(1).max(1);
    if let Some(mut window) = source.object("eventWindow") {
        config.window = EventWindow {
            duration_ms: window.whole("duration"),
            remove_duplicates: window.flag("removeDuplicates").unwrap_or(false),
            compress_properties: window.flag("compressProperties").unwrap_or(false),
            prune_store: window.flag("pruneStore").unwrap_or(false),
        };
    }
    let app = source.text("appName");
    if let (Some(app), false) = (app, config.app_name.is_empty())
        && app != config.app_name
    {
        let message = format!("must be the app of the algorithm, \"{}\", got \"{app}\"", config.app_name);
        reader.error(source.path_of("appName"), message);
    }
    if let Some(names) = source.texts("eventNames") {
        build::require_same_names(reader, &names, source.path_of("eventNames"), config);
    }
}

fn harness(reader: &mut Reader<'_>, json: &Json) -> Option<EngineConfig> {
    const YEAR_MS: i64 = 365 * 86_400_000;
    let mut engine = reader.object(&Path::Root, json, &tables::HARNESS)?;
    let mut algorithm = engine.object("algorithm")?;
    let mut config = build::algorithm(reader, &mut algorithm, Form::Harness);
    config.variant = build::name(reader, &mut engine, "engineId");
    config.engine_factory = engine.text("engineFactory").unwrap_or_default();
    config.app_name = if engine.has("sharedDBName") {
        build::name(reader, &mut engine, "sharedDBName")
    } else {
        config.variant.clone()
    };
    config.query_rules_replace = true;
    let ttl = engine.object("dataset").and_then(|mut dataset| dataset.whole("ttl"));
    config.window.duration_ms = Some(ttl.unwrap_or(YEAR_MS));
    build::spark_conf(reader, &mut engine, &mut config);
    config.mirror_container = mirror_container(reader, &mut engine);
    Some(config)
}

fn mirror_container(reader: &mut Reader<'_>, engine: &mut Members<'_>) -> Option<PathBuf> {
    const NO_HDFS: &str = "\"hdfs\" is not there: events are mirrored to directories only, give \"localfs\"";
    let kind = engine.text("mirrorType")?;
    if kind == "hdfs" {
        reader.error(engine.path_of("mirrorType"), NO_HDFS);
    } else if !engine.has("mirrorContainer") {
        reader.error(engine.path_of("mirrorContainer"), "is missing; \"mirrorType\" needs it");
    }
    engine.text("mirrorContainer").map(PathBuf::from)
}
