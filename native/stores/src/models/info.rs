//! What stands beside a snapshot: everything about it that is not a function of its content.

use events::json::{self, Object};
use events::{Error, Json, Kind, Position, Result};
use model::{Counts, Written};

/// Who trained a model, and when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrainedBy {
    /// Version and commit of the program.
    pub build: String,
    /// Id of the training run.
    pub engine_instance: String,
    /// Start of the training, ms since 1970.
    pub started_ms: i64,
    /// Time of publishing, ms since 1970.
    pub published_ms: i64,
    /// Where the event store was before the training read it; unknown of models that are older than this member.
    pub position: Option<Position>,
}

/// A published model in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelInfo {
    /// SHA-256 of the snapshot, hexadecimal: equal content, equal digest.
    pub digest: String,
    /// Bytes of the snapshot.
    pub bytes: u64,
    /// Users that the correlators were counted over.
    pub users: u32,
    /// Items.
    pub items: u32,
    /// Correlators over all indicators.
    pub correlators: u64,
    /// Who trained it, and when.
    pub trained: TrainedBy,
}

impl ModelInfo {
    /// Of a snapshot that was written, and is not counted yet.
    pub(super) fn new(written: Written, trained: TrainedBy) -> Self {
        Self { digest: written.digest, trained, ..Self::default() }
    }

    pub(super) fn counted(self, counts: Counts) -> Self {
        let Counts { users, items, correlators, bytes } = counts;
        Self { bytes, users, items, correlators, ..self }
    }

    pub(super) fn to_json(&self) -> String {
        let Self { digest, bytes, users, items, correlators, trained } = self;
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let mut text = String::new();
        let mut object = Object::new()
            .with("digest", digest.as_str())
            .with("bytes", count(*bytes))
            .with("users", i64::from(*users))
            .with("items", i64::from(*items))
            .with("correlators", count(*correlators))
            .with("build", trained.build.as_str())
            .with("engineInstance", trained.engine_instance.as_str())
            .with("startedMs", trained.started_ms)
            .with("publishedMs", trained.published_ms);
        if let Some(position) = trained.position {
            object.insert("storePosition", position.to_string());
        }
        object.write_to(&mut text);
        text.push('\n');
        text
    }

    pub(super) fn from_json(text: &[u8]) -> Result<Self> {
        let json = json::parse(text)
            .map_err(|error| Error::new(Kind::Corrupt, format!("not JSON: {error}")).with_source(error))?;
        let wrong = |name: &str, right: &str| Error::new(Kind::Corrupt, format!("{name} must be {right}"));
        let string = |name: &str| {
            json.get(name).and_then(Json::as_str).map(str::to_owned).ok_or_else(|| wrong(name, "a string"))
        };
        let time =
            |name: &str| json.get(name).and_then(Json::as_i64).ok_or_else(|| wrong(name, "an integer"));
        let count = |name: &str| u64::try_from(time(name)?).map_err(|_| wrong(name, "0 or more"));
        let small = |name: &str| u32::try_from(time(name)?).map_err(|_| wrong(name, "0 to 4294967295"));
        let position = json.get("storePosition").and_then(Json::as_str).map(str::parse).transpose();
        Ok(Self {
            digest: string("digest")?,
            bytes: count("bytes")?,
            users: small("users")?,
            items: small("items")?,
            correlators: count("correlators")?,
            trained: TrainedBy {
                build: string("build")?,
                engine_instance: string("engineInstance")?,
                started_ms: time("startedMs")?,
                published_ms: time("publishedMs")?,
                position: position.map_err(|_| wrong("storePosition", "a position in an event store"))?,
            },
        })
    }
}
