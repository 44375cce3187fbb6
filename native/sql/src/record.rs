//! An event as rows have it.

use chrono_tz::Tz;
use events::{Event, EventRef, EventTexts, EventTime};
use sha2::{Digest, Sha256};

use crate::address::Product;
use crate::connection::{Row, Value};
use crate::dialect::{Characters, Form};
use crate::fault::{Done, corrupt};
use crate::zone;

/// Longest id in a table of PredictionIO, in characters.
const ID_CHARS_MAX: usize = 32;
/// Longest name and entity id there: its `varchar(255)`, and well within what an index takes.
const NAME_CHARS_MAX: usize = 255;
/// MySQL's `text`.
pub(crate) const MYSQL_TEXT_BYTES_MAX: usize = 65_535;
/// Date and time of day that PostgreSQL and everybody else can read: years 1 to 9999, in ms.
const POSTGRES_CIVIL: std::ops::Range<i64> = -62_135_596_800_000..253_402_300_800_000;
/// MySQL's `timestamp`: 1970-01-01 00:00:01 to 2038-01-19 03:14:07.
const MYSQL_CIVIL: std::ops::Range<i64> = 1_000..2_147_483_648_000;

/// What a table of events can hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) product: Product,
    pub(crate) form: Form,
    pub(crate) zone: Tz,
    /// There is an index by which special events of others are found.
    pub(crate) follows: bool,
}

impl Room {
    /// The civil time to be stored, in µs; `None` if the column cannot hold it.
    pub(crate) fn civil_micros(&self, millis: i64) -> Option<i64> {
        let civil = zone::civil(self.zone, millis)?;
        let civil = civil.checked_sub(civil.rem_euclid(self.form.step_ms))?;
        self.civil_range().contains(&civil).then(|| civil * 1000)
    }

    /// Dates and times of day that the column can hold, ms.
    pub(crate) fn civil_range(&self) -> std::ops::Range<i64> {
        match self.product {
            Product::Postgres => POSTGRES_CIVIL,
            Product::MySql => MYSQL_CIVIL,
        }
    }

    pub(crate) fn holds_text(&self, text: &str) -> bool {
        let length = self.product == Product::Postgres || text.len() <= MYSQL_TEXT_BYTES_MAX;
        length
            && match self.form.characters {
                // PostgreSQL has no U+0000.
                Characters::All if self.product == Product::Postgres => !text.contains('\0'),
                Characters::All => true,
                Characters::Basic => text.chars().all(|c| c <= '\u{FFFF}'),
                Characters::Ascii => text.bytes().all(|byte| byte.is_ascii() && byte != 0),
            }
    }

    pub(crate) fn holds_name(&self, text: &str) -> bool {
        self.holds_text(text) && (text.len() <= NAME_CHARS_MAX || text.chars().count() <= NAME_CHARS_MAX)
    }

    pub(crate) fn holds_id(&self, id: &str) -> bool {
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        let is_plain = id.bytes().all(plain);
        let length = !id.is_empty() && (id.len() <= ID_CHARS_MAX || id.chars().count() <= ID_CHARS_MAX);
        let exact = self.product == Product::Postgres || (!self.form.folds_ids && !id.ends_with(' '));
        length && (is_plain || (exact && self.holds_text(id)))
    }

    pub(crate) fn holds(&self, event: &EventRef<'_>) -> bool {
        let target = event.target.unwrap_or_default();
        self.holds_id(event.event_id)
            && [event.event, event.entity_type, event.entity_id].iter().all(|text| self.holds_name(text))
            && [target.0, target.1, event.properties, event.tags, event.pr_id.unwrap_or_default()]
                .iter()
                .all(|text| self.holds_text(text))
            && [event.event_time, event.creation_time]
                .iter()
                .all(|time| self.civil_micros(time.millis).is_some())
    }
}

/// Which kind of table a row is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// PredictionIO's.
    Main,
    /// Ours, for what does not fit there.
    Rest,
}

/// An event to be stored.
pub(crate) struct Prepared<'e> {
    pub(crate) id: String,
    pub(crate) event: &'e Event,
    pub(crate) texts: EventTexts,
}

impl Prepared<'_> {
    pub(crate) fn lend(&self) -> EventRef<'_> {
        EventRef { event_id: &self.id, ..self.event.lend(&self.texts) }
    }

    pub(crate) fn is_special(&self) -> bool {
        self.event.event.starts_with('$')
    }

    pub(crate) fn bytes(&self) -> usize {
        let event = self.lend();
        let target = event.target.unwrap_or_default();
        let texts = [
            event.event,
            event.entity_type,
            event.entity_id,
            target.0,
            target.1,
            event.properties,
            event.tags,
        ];
        texts.iter().map(|text| text.len()).sum::<usize>() + 200
    }

    /// In the order of [`crate::dialect::COLUMNS`]; `None` if the times do not fit.
    pub(crate) fn main_values(&self, room: &Room) -> Option<[Value<'_>; 13]> {
        let event = self.lend();
        Some([
            Value::Text(&self.id),
            Value::Text(event.event),
            Value::Text(event.entity_type),
            Value::Text(event.entity_id),
            event.target.map(|target| target.0).into(),
            event.target.map(|target| target.1).into(),
            Value::Text(event.properties),
            Value::Civil(room.civil_micros(event.event_time.millis)?),
            Value::Owned(zone::name(event.event_time.offset_seconds)),
            Some(event.tags).filter(|tags| !tags.is_empty()).into(),
            event.pr_id.into(),
            Value::Civil(room.civil_micros(event.creation_time.millis)?),
            Value::Owned(zone::name(event.creation_time.offset_seconds)),
        ])
    }

    /// The same with bytes for texts and numbers for times.
    pub(crate) fn rest_values(&self) -> [Value<'_>; 13] {
        let event = self.lend();
        let optional = |text| match text {
            Some(text) => bytes_of(text),
            None => Value::Null,
        };
        [
            bytes_of(&self.id),
            bytes_of(event.event),
            bytes_of(event.entity_type),
            bytes_of(event.entity_id),
            optional(event.target.map(|target| target.0)),
            optional(event.target.map(|target| target.1)),
            bytes_of(event.properties),
            Value::Int(event.event_time.millis),
            Value::Owned(zone::name(event.event_time.offset_seconds)),
            optional(Some(event.tags).filter(|tags| !tags.is_empty())),
            optional(event.pr_id),
            Value::Int(event.creation_time.millis),
            Value::Owned(zone::name(event.creation_time.offset_seconds)),
        ]
    }
}

fn bytes_of(text: &str) -> Value<'_> {
    Value::Bytes(text.as_bytes())
}

/// Key of an id in our tables.
pub(crate) fn id_hash(id: &str) -> String {
    hex(Sha256::digest(id).into())
}

/// Key of an entity in our tables.
pub(crate) fn entity_hash(kind: &str, id: &str) -> String {
    // 0xFF is in no UTF-8 text, so ("ab", "c") and ("a", "bc") differ.
    hex(Sha256::new().chain_update(kind).chain_update([0xFF]).chain_update(id).finalize().into())
}

fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A row with the thirteen columns, lent as an event, and its raw times for the next page.
pub(crate) fn lend<'r>(row: &'r dyn Row, place: Place, zone: Tz) -> Done<(EventRef<'r>, (i64, i64))> {
    let id = row.text(0).ok_or_else(|| corrupt("an event has no id that is UTF-8"))?;
    let missing = |column: &str| {
        corrupt(format!("the event {id} in the database has no {column}, or none that can be read"))
    };
    let time = |column: usize, name: &str| -> Done<(i64, EventTime)> {
        let (raw, millis) = match place {
            Place::Main => {
                let raw = row.civil(column).ok_or_else(|| missing(name))?;
                (raw, zone::instant(zone, raw.div_euclid(1000)).ok_or_else(|| missing(name))?)
            }
            Place::Rest => row.int(column).map(|millis| (millis, millis)).ok_or_else(|| missing(name))?,
        };
        Ok((raw, zone::shown(millis, row.text(column + 1).unwrap_or("UTC"))))
    };
    let (event_raw, event_time) = time(7, "eventTime")?;
    let (creation_raw, creation_time) = time(11, "creationTime")?;
    let event = EventRef {
        event_id: id,
        event: row.text(1).ok_or_else(|| missing("event"))?,
        entity_type: row.text(2).ok_or_else(|| missing("entityType"))?,
        entity_id: row.text(3).ok_or_else(|| missing("entityId"))?,
        target: row.text(4).zip(row.text(5)),
        // PredictionIO writes NULL for what has none.
        properties: row.text(6).filter(|text| !text.is_empty()).unwrap_or("{}"),
        event_time,
        pr_id: row.text(10),
        tags: row.text(9).unwrap_or_default(),
        creation_time,
    };
    Ok((event, (event_raw, creation_raw)))
}

/// An event that was read and is kept for a moment.
pub(crate) struct Kept {
    id: String,
    event: String,
    entity: (String, String),
    target: Option<(String, String)>,
    properties: String,
    event_time: EventTime,
    pr_id: Option<String>,
    tags: String,
    creation_time: EventTime,
}

impl Kept {
    pub(crate) fn of(event: &EventRef<'_>) -> Self {
        let owned = |(kind, id): (&str, &str)| (kind.to_owned(), id.to_owned());
        Self {
            id: event.event_id.to_owned(),
            event: event.event.to_owned(),
            entity: owned((event.entity_type, event.entity_id)),
            target: event.target.map(owned),
            properties: event.properties.to_owned(),
            event_time: event.event_time,
            pr_id: event.pr_id.map(str::to_owned),
            tags: event.tags.to_owned(),
            creation_time: event.creation_time,
        }
    }

    pub(crate) fn lend(&self) -> EventRef<'_> {
        EventRef {
            event_id: &self.id,
            event: &self.event,
            entity_type: &self.entity.0,
            entity_id: &self.entity.1,
            target: self.target.as_ref().map(|(kind, id)| (kind.as_str(), id.as_str())),
            properties: &self.properties,
            event_time: self.event_time,
            pr_id: self.pr_id.as_deref(),
            tags: &self.tags,
            creation_time: self.creation_time,
        }
    }
}

/// The order of events: by time, by creation, by id.
pub(crate) fn order(event: &EventRef<'_>) -> (i64, i64, Vec<u8>) {
    (event.event_time.millis, event.creation_time.millis, event.event_id.as_bytes().to_vec())
}
