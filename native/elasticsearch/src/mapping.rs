//! Fields of an index. Nothing is left to the server's guesses.

use std::collections::BTreeSet;

use events::json::Object;
use events::{Error, Json, Kind, Result};

use crate::indexes::Layout;
use crate::names;

/// Of `_meta`; another number is another meaning of documents.
const FORMAT: i64 = 1;
/// Hits that a search may skip and return: more than any query asks for.
const WINDOW: i64 = 20_000;
/// Fields that later changes of items may add.
const SPARE_FIELDS: usize = 10_000;

/// What holds values of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    Indicator,
    Keyword,
    Number,
    Date,
    Rank,
}

impl Holder {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Indicator => "indicator",
            Self::Keyword => "keyword",
            Self::Number => "number",
            Self::Date => "date",
            Self::Rank => "rank",
        }
    }

    /// The field in queries.
    pub(crate) fn path(self, name: &str) -> String {
        format!("{}.{}", self.name(), names::field(name))
    }

    fn mapping(self) -> Object {
        let of = |kind: &str| Object::new().with("type", kind);
        match self {
            // Matched exactly and never sorted by.
            Self::Indicator | Self::Keyword => of("keyword").with("doc_values", false),
            Self::Number => of("double").with("doc_values", false),
            Self::Date => of("long").with("doc_values", false),
            // Sorted by and never searched.
            Self::Rank => of("float").with("index", false),
        }
    }
}

/// A field: what it holds, and its name among people.
pub(crate) type Field = (Holder, String);

/// What an index says of itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Meta {
    pub(crate) generation: u64,
    /// Whatever the publisher wants to find again.
    pub(crate) note: String,
    pub(crate) items: u64,
    pub(crate) indicators: Vec<String>,
    pub(crate) rankings: Vec<String>,
}

impl Meta {
    fn to_json(&self) -> Object {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let meta = Object::new()
            .with("format", FORMAT)
            .with("generation", number(self.generation))
            .with("note", self.note.as_str())
            .with("items", number(self.items))
            .with("indicators", self.indicators.clone())
            .with("rankings", self.rankings.clone());
        Object::new().with("arblast", meta)
    }

    /// From the answer to a question for the mapping of one index.
    ///
    /// # Errors
    /// `Kind::Version`: another program made the index, or another version of this one.
    pub(crate) fn of_mapping(index: &str, json: &Json) -> Result<Self> {
        let meta = json.get(index).and_then(|index| index.get("mappings")?.get("_meta")?.get("arblast"));
        let foreign = || {
            let text = format!("index {index} is not of this version of Arblast: train again, or remove it");
            Error::new(Kind::Version, text)
        };
        let meta = meta.ok_or_else(foreign)?;
        let number =
            |name: &str| meta.get(name).and_then(Json::as_i64).and_then(|number| number.try_into().ok());
        let texts = |name: &str| {
            let texts = meta.get(name)?.as_array()?.iter();
            texts.map(|text| text.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        };
        let read = || {
            (meta.get("format").and_then(Json::as_i64)? == FORMAT).then_some(())?;
            Some(Self {
                generation: number("generation")?,
                note: meta.get("note").and_then(Json::as_str)?.to_owned(),
                items: number("items")?,
                indicators: texts("indicators")?,
                rankings: texts("rankings")?,
            })
        };
        read().ok_or_else(foreign)
    }
}

/// The body that creates an index under an alias.
pub(crate) fn creation(layout: Layout, meta: &Meta, fields: &BTreeSet<Field>, alias: &str) -> String {
    let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let mut settings = Object::new()
        .with("number_of_shards", i64::from(layout.shards))
        .with("refresh_interval", "-1")
        .with("max_result_window", WINDOW)
        // Templates of the cluster shall not change what becomes of items.
        .with("default_pipeline", "_none")
        .with("final_pipeline", "_none")
        .with("mapping.total_fields.limit", number(fields.len() + SPARE_FIELDS));
    match layout.replicas {
        Some(replicas) => settings.insert("number_of_replicas", i64::from(replicas)),
        None => settings.insert("auto_expand_replicas", "0-1"),
    }
    let mut properties = Object::new()
        .with("id", Object::new().with("type", "keyword"))
        .with("shard", Object::new().with("type", "byte"))
        .with("gone", Object::new().with("type", "boolean"))
        .with("item", Object::new().with("type", "object").with("enabled", false));
    for (name, holder) in added(fields) {
        properties.push(name, holder);
    }
    let mappings = Object::new()
        .with("dynamic", "strict")
        .with("_source", Object::new().with("enabled", true))
        .with("_routing", Object::new().with("required", false))
        .with("_meta", meta.to_json())
        .with("properties", properties);
    let aliases = Object::new().with(alias, Object::new());
    Object::new().with("settings", settings).with("mappings", mappings).with("aliases", aliases).to_string()
}

/// The mapping of more fields.
pub(crate) fn addition(fields: &BTreeSet<Field>) -> String {
    let properties: Object = added(fields).map(|(name, holder)| (name.to_owned(), holder.into())).collect();
    Object::new().with("properties", properties).to_string()
}

fn added(fields: &BTreeSet<Field>) -> impl Iterator<Item = (&'static str, Object)> {
    let holders = [Holder::Indicator, Holder::Keyword, Holder::Number, Holder::Date, Holder::Rank];
    holders.into_iter().map(|holder| {
        let of_holder = fields.iter().filter(move |(of, _)| *of == holder);
        let properties = of_holder.map(|(_, name)| (names::field(name), holder.mapping().into()));
        let properties: Object = properties.collect();
        (holder.name(), Object::new().with("properties", properties))
    })
}
