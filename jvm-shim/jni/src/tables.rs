//! Rows in and out: events by columns, and what a model holds by columns.
//!
//! A table that leaves is little-endian: the number of rows (`u32`, padded to 8), then each column, each padded to 8 bytes.
//! Texts: `rows + 1` offsets (`i32`), padded, and the bytes. Numbers: the values.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use engine::itemsimilarity::push_line;
use engine::{Query, Recommendations};
use events::json::{self, Object};
use events::{EventRef, EventTime, Json, ParsedEvent};
use model::Model;

use crate::border::{Fault, Result};
use crate::columns::{Buffers, Numbers, Texts};
use crate::handles::Answering;

/// Events by columns.
pub struct Events {
    event: Texts,
    entity_type: Texts,
    entity_id: Texts,
    target_type: Option<Texts>,
    target_id: Option<Texts>,
    properties: Option<Texts>,
    event_id: Option<Texts>,
    event_time: Time,
    creation_time: Time,
}

/// A time by text or by number, or neither.
struct Time {
    name: &'static str,
    text: Option<Texts>,
    micros: Option<Numbers>,
}

impl Events {
    /// Nine columns of texts and two of numbers.
    pub const BUFFERS: usize = 9 * 3 + 2 * 2;

    /// The buffers in the order that Java sends them.
    pub fn read(buffers: &mut Buffers) -> Result<Self> {
        Ok(Self {
            event: buffers.full_texts(0, "event")?,
            entity_type: buffers.full_texts(3, "entityType")?,
            entity_id: buffers.full_texts(6, "entityId")?,
            target_type: buffers.texts(9)?,
            target_id: buffers.texts(12)?,
            properties: buffers.texts(15)?,
            event_id: buffers.texts(18)?,
            event_time: Time { name: "eventTime", text: buffers.texts(21)?, micros: buffers.numbers(27)? },
            creation_time: Time {
                name: "creationTime",
                text: buffers.texts(24)?,
                micros: buffers.numbers(29)?,
            },
        })
    }

    /// The event of a row, checked as one that came over HTTP.
    pub fn event<'s>(&'s self, row: usize, now: EventTime) -> Result<ParsedEvent<'s>> {
        let full = |texts| text(texts, row).unwrap_or_default();
        let some = |texts: &'s Option<Texts>| texts.as_ref().and_then(|texts| text(texts, row));
        let wrong = |reason: String| Fault::argument(format!("row {row} is no event: {reason}"));
        let target = match (some(&self.target_type), some(&self.target_id)) {
            (Some(kind), Some(id)) => Some((kind, id)),
            (None, None) => None,
            _ => {
                return Err(wrong(
                    "targetEntityType and targetEntityId must both be there or neither".to_owned(),
                ));
            }
        };
        let properties =
            match self.properties.as_ref().and_then(|texts| texts.get(row)).filter(|text| !text.is_empty()) {
                None => Object::new(),
                Some(text) => match json::parse(text.as_bytes()) {
                    Ok(Json::Object(mut object)) => {
                        object.keep_last();
                        object
                    }
                    Ok(_) => return Err(wrong("properties must be a JSON object".to_owned())),
                    Err(error) => return Err(wrong(format!("properties: {error}"))),
                },
            };
        let creation_time = self.creation_time.get(row).map_err(wrong)?.unwrap_or(now);
        let event = ParsedEvent {
            event_id: some(&self.event_id),
            event: full(&self.event),
            entity: (full(&self.entity_type), full(&self.entity_id)),
            target,
            properties,
            event_time: self.event_time.get(row).map_err(wrong)?.unwrap_or(creation_time),
            pr_id: None,
            creation_time,
        };
        event.validate().map_err(|error| wrong(error.to_string()))?;
        Ok(event)
    }
}

fn text(texts: &Texts, row: usize) -> Option<Cow<'_, str>> {
    texts.get(row).map(Cow::Borrowed)
}

impl Time {
    fn get(&self, row: usize) -> std::result::Result<Option<EventTime>, String> {
        if let Some(text) = self.text.as_ref().and_then(|texts| texts.get(row)) {
            let time = EventTime::parse(text).or_else(|| EventTime::parse_date(text));
            return time.map(Some).ok_or_else(|| {
                format!("{} must be a time such as 2026-01-31T12:00:00.000Z, got \"{text}\"", self.name)
            });
        }
        let micros = self.micros.as_ref().and_then(|numbers| numbers.get(row));
        Ok(micros.map(|micros| EventTime::utc(micros.div_euclid(1000))))
    }
}

/// Events on their way out: eventId, event, entityType, entityId, targetEntityType and targetEntityId (both empty: no target),
/// properties as JSON, then eventTime and creationTime in µs (`i64`).
#[derive(Default)]
pub struct EventRows {
    texts: [Strings; 7],
    times: [Vec<i64>; 2],
    bytes: usize,
}

/// Texts one after the other.
#[derive(Default)]
struct Strings {
    text: String,
    ends: Vec<usize>,
}

impl EventRows {
    const ROWS: usize = 8192;
    const BYTES: usize = 4 << 20;

    /// Adds a row.
    pub fn push(&mut self, event: &EventRef<'_>) {
        let (target_type, target_id) = event.target.unwrap_or_default();
        let texts = [
            event.event_id,
            event.event,
            event.entity_type,
            event.entity_id,
            target_type,
            target_id,
            event.properties,
        ];
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.text.push_str(text);
            column.ends.push(column.text.len());
            self.bytes += text.len();
        }
        for (column, time) in self.times.iter_mut().zip([event.event_time, event.creation_time]) {
            column.push(time.millis.saturating_mul(1000));
        }
    }

    /// Should the rows go before the next comes?
    pub fn is_full(&self) -> bool {
        self.times[0].len() >= Self::ROWS || self.bytes >= Self::BYTES
    }

    /// Is there no row?
    pub fn is_empty(&self) -> bool {
        self.times[0].is_empty()
    }

    /// The rows as a table. There are none after.
    pub fn take(&mut self) -> Vec<u8> {
        let Self { texts, times, .. } = std::mem::take(self);
        let mut table = Table::new(times[0].len());
        for column in &texts {
            table.texts(column.iter());
        }
        for column in &times {
            column.iter().for_each(|time| table.0.extend_from_slice(&time.to_le_bytes()));
        }
        table.0
    }
}

impl Strings {
    fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.text[start..end])
    }
}

/// Answers a query by what it says itself; nothing is known of users.
pub fn answer(answering: &Answering, query: &[u8], now_ms: i64) -> Result<Recommendations> {
    let recommender = answering.recommender.as_ref();
    let recommender =
        recommender.ok_or_else(|| Fault::state("opened without an engine file: it answers no queries"))?;
    let query = Query::parse(query).map_err(engine::Error::from)?;
    let history = recommender.history_without_store(&query)?;
    Ok(recommender.recommend_with(&answering.model, &query, &history, now_ms)?)
}

/// Items and their scores (`f64`), best first.
pub fn hits(answer: &Recommendations) -> Vec<u8> {
    let mut table = Table::new(answer.items.len());
    table.texts(answer.items.iter().map(|hit| hit.item.as_str()));
    table.numbers(answer.items.iter().map(|hit| f64::from(hit.score)));
    table.0
}

/// Names and values.
pub fn pairs(map: &BTreeMap<String, String>) -> Vec<u8> {
    let mut table = Table::new(map.len());
    table.texts(map.keys().map(String::as_str));
    table.texts(map.values().map(String::as_str));
    table.0
}

/// Names of the indicators and rankings of a model, as JSON.
pub fn names(model: &Model) -> String {
    let list = |names: &mut dyn Iterator<Item = &str>| Json::Array(names.map(Json::from).collect());
    let names = Object::new()
        .with("indicators", list(&mut model.indicators()))
        .with("rankings", list(&mut model.rankings()));
    names.to_string()
}

/// Rows of a model. 0, correlators: item, indicator, place from 1 (`f64`), correlator, LLR. 1, items: item, properties as JSON.
/// 2, rankings: item, ranking, value (`f64`). 3 is no table but correlators as lines of JSON.
pub fn of_model(model: &Model, what: i32, items: Range<u32>) -> Result<Vec<u8>> {
    let items = items.start.min(model.items())..items.end.min(model.items());
    let id = |row| model.item(row).unwrap_or_default();
    match what {
        0 => {
            let rows: Vec<(&str, &str, u32, &str, f64)> = items
                .flat_map(|row| model.indicators().map(move |indicator| (row, indicator)))
                .flat_map(|(row, indicator)| {
                    let strongest = (1..).zip(model.correlators(indicator, row));
                    strongest.map(move |(place, (thing, llr))| (id(row), indicator, place, thing, llr))
                })
                .collect();
            let mut table = Table::new(rows.len());
            table.texts(rows.iter().map(|row| row.0));
            table.texts(rows.iter().map(|row| row.1));
            table.numbers(rows.iter().map(|row| f64::from(row.2)));
            table.texts(rows.iter().map(|row| row.3));
            table.numbers(rows.iter().map(|row| row.4));
            Ok(table.0)
        }
        1 => {
            let mut table = Table::new(items.len());
            table.texts(items.clone().map(id));
            table.texts(items.map(|row| model.document(row).unwrap_or("{}")));
            Ok(table.0)
        }
        2 => {
            let rows: Vec<(&str, &str, f32)> = items
                .flat_map(|row| model.ranks(row).map(move |(name, rank)| (id(row), name, rank)))
                .collect();
            let mut table = Table::new(rows.len());
            table.texts(rows.iter().map(|row| row.0));
            table.texts(rows.iter().map(|row| row.1));
            table.numbers(rows.iter().map(|row| f64::from(row.2)));
            Ok(table.0)
        }
        3 => {
            let mut text = Vec::new();
            for (row, indicator) in
                items.flat_map(|row| model.indicators().map(move |indicator| (row, indicator)))
            {
                push_line(&mut text, id(row), indicator, model.correlators(indicator, row));
            }
            Ok(text)
        }
        other => Err(Fault::argument(format!("no table has the number {other}"))),
    }
}

struct Table(Vec<u8>);

impl Table {
    fn new(rows: usize) -> Self {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        let mut table = Self(rows.to_le_bytes().to_vec());
        table.pad();
        table
    }

    fn texts<'a>(&mut self, texts: impl Iterator<Item = &'a str> + Clone) {
        let mut end = 0_u32;
        self.0.extend_from_slice(&end.to_le_bytes());
        for text in texts.clone() {
            end = end.saturating_add(u32::try_from(text.len()).unwrap_or(u32::MAX));
            self.0.extend_from_slice(&end.to_le_bytes());
        }
        self.pad();
        texts.for_each(|text| self.0.extend_from_slice(text.as_bytes()));
        self.pad();
    }

    fn numbers(&mut self, numbers: impl Iterator<Item = f64>) {
        numbers.for_each(|number| self.0.extend_from_slice(&number.to_le_bytes()));
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
    }
}
