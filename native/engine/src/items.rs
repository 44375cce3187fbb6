//! Item properties as fields of the model: exact texts, numbers and dates.

use std::collections::{BTreeMap, BTreeSet};

use events::properties::PropertyFold;
use events::{EventRef, EventTime, Json, json::Object};
use model::PropertyPart;

use crate::EngineConfig;
use crate::config::{Ranking, RankingKind};
use crate::ranking::to_f32;

/// Entities of this type are items.
pub(crate) const ITEM: &str = "item";

/// Gives `fold` the event if it describes an item. Training and live changes both read items this way.
///
/// # Errors
/// The event's properties are no JSON object.
pub(crate) fn describe(fold: &mut PropertyFold, event: &EventRef<'_>) -> events::Result<()> {
    if event.event.starts_with('$') && event.entity_type == ITEM { fold.push(event) } else { Ok(()) }
}

/// Fields of items, collected item by item in ascending row order.
pub(crate) struct ItemFields<'a> {
    /// Names of indicators and counted rankings: a property of such a name is not a field.
    reserved: BTreeSet<&'a str>,
    /// Properties that the configuration declares as dates.
    declared_dates: BTreeSet<&'a str>,
    fields: BTreeMap<String, PropertyPart>,
    collisions: BTreeSet<String>,
    bad_dates: BTreeMap<String, (u64, String)>,
}

impl<'a> ItemFields<'a> {
    /// No items yet.
    pub fn new(config: &'a EngineConfig) -> Self {
        Self {
            reserved: config.indicator_names().chain(counted_rankings(config)).collect(),
            declared_dates: config.date_properties().collect(),
            fields: BTreeMap::new(),
            collisions: BTreeSet::new(),
            bad_dates: BTreeMap::new(),
        }
    }

    /// Adds the properties of the item at `row`.
    pub fn push(&mut self, row: u32, properties: &Object) {
        for (name, value) in properties.iter() {
            if self.reserved.contains(name) {
                self.collisions.insert(name.to_owned());
            } else if let Json::Array(values) = value {
                values.iter().for_each(|value| self.push_scalar(row, name, value));
            } else {
                self.push_scalar(row, name, value);
            }
        }
    }

    /// `null`s and objects stay in the document, but are no field.
    fn push_scalar(&mut self, row: u32, name: &str, value: &Json) {
        let text = match value {
            Json::String(text) => text.clone(),
            Json::Number(_) | Json::Bool(_) => value.to_string(),
            Json::Null | Json::Array(_) | Json::Object(_) => return,
        };
        let declared = self.declared_dates.contains(name);
        let date = date_of(value, declared);
        if date.is_none() && declared {
            self.bad_dates.entry(name.to_owned()).or_insert((0, value.to_string())).0 += 1;
        }
        let part = self
            .fields
            .entry(name.to_owned())
            .or_insert_with(|| PropertyPart { name: name.to_owned(), ..PropertyPart::default() });
        part.keywords.push((row, text));
        if let Json::Number(number) = value {
            part.numbers.push((row, number.as_f64()));
        }
        part.dates.extend(date.map(|ms| (row, ms)));
    }

    /// The fields by name, and what was left out, in words.
    pub fn finish(self) -> (Vec<PropertyPart>, Vec<String>) {
        let collisions = self.collisions.iter().map(|name| {
            format!("property \"{name}\" has the name of an indicator or ranking: rules cannot use it; rename the property")
        });
        let dates = self.bad_dates.iter().map(|(name, (count, example))| {
            format!(
                "property \"{name}\": {count} value(s) are no ISO 8601 date and were skipped, e.g. {example}"
            )
        });
        let warnings = collisions.chain(dates).collect();
        (self.fields.into_values().collect(), warnings)
    }
}

/// Rankings whose values training computes; a user-defined one *is* a property.
fn counted_rankings(config: &EngineConfig) -> impl Iterator<Item = &str> {
    let counted = config.rankings.iter().filter(|ranking| ranking.kind != RankingKind::UserDefined);
    counted.map(|ranking| ranking.name.as_str())
}

/// ISO dates are recognised everywhere; numbers are dates (ms since 1970) only where declared.
fn date_of(value: &Json, declared: bool) -> Option<i64> {
    match value {
        Json::String(text) => EventTime::parse_date(text).map(|time| time.millis),
        Json::Number(number) if declared => number.as_i64(),
        _ => None,
    }
}

/// The rank of an item with these properties in a user-defined ranking.
pub(crate) fn user_defined(ranking: &Ranking, properties: &Object) -> Option<f32> {
    properties.get(&ranking.name).and_then(user_rank).map(to_f32)
}

/// The rank that a user-defined ranking finds in an item's property: a number, or text that is one.
fn user_rank(value: &Json) -> Option<f64> {
    let rank = match value {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => text.trim().parse().ok()?,
        Json::Array(values) if values.len() == 1 => user_rank(&values[0])?,
        _ => return None,
    };
    rank.is_finite().then_some(rank)
}
