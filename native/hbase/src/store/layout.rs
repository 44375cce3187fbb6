//! PredictionIO's rows: keys, columns, encodings; and what we add where PredictionIO does not look.
//!
//! Key: MD5 of `type-id` of the entity, event time, 8 bytes that make it unique. Family `e` is PredictionIO's. In `r`, which it
//! makes and leaves empty, are `id`, an event id that is not the key, and `t`, the tags.

use events::{Entity, Error, Event, EventRef, EventTime, Kind, Result};
use md5::{Digest, Md5};

use super::failure::told;
use super::zone;
use crate::client::{Mutation, Row};

pub(crate) const EVENT_FAMILY: &[u8] = b"e";
pub(crate) const OWN_FAMILY: &[u8] = b"r";
pub(crate) const OWN_ID: &[u8] = b"id";
const TAGS: &[u8] = b"t";

/// Key of a row of events.
pub(crate) type Key = [u8; 32];
const ID_DIGITS: usize = 43;

/// What keys of an entity begin with.
pub(crate) fn prefix(kind: &str, id: &str) -> [u8; 16] {
    let mut hash = Md5::new();
    hash.update(kind);
    hash.update("-");
    hash.update(id);
    hash.finalize().into()
}

/// The key of an event, made unique by `low`.
pub(crate) fn key(event: &Event, low: u64) -> Key {
    let mut key = [0; 32];
    key[..16].copy_from_slice(&prefix(&event.entity.kind, &event.entity.id));
    key[16..24].copy_from_slice(&event.event_time.millis.to_be_bytes());
    key[24..].copy_from_slice(&low.to_be_bytes());
    key
}

/// Is it the key that an event of this entity and time may have?
pub(crate) fn fits(key: &Key, event: &Event) -> bool {
    key[..24] == self::key(event, 0)[..24]
}

/// The event time that a key says.
pub(crate) fn key_time(key: &[u8]) -> i64 {
    let bytes = key.get(16..24).and_then(|bytes| bytes.try_into().ok());
    bytes.map(i64::from_be_bytes).unwrap_or_default()
}

/// Timestamp of the cells of an event: its time, as far as HBase can say it.
pub(crate) fn timestamp(millis: i64) -> i64 {
    // The greatest one would be replaced by the server's clock.
    millis.clamp(0, i64::MAX - 1)
}

/// The event id that PredictionIO gives to a key: URL-safe Base64 without padding.
pub(crate) fn id_of(key: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut id = String::with_capacity(ID_DIGITS);
    for chunk in key.chunks(3) {
        let bits =
            chunk.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        let shifts = [18, 12, 6, 0].into_iter().take(chunk.len() + 1);
        id.extend(shifts.map(|shift| char::from(DIGITS[bits >> shift & 63])));
    }
    id
}

/// The key of an event id, if it can be one. Takes the standard alphabet and padding, too.
pub(crate) fn key_of(id: &str) -> Option<Key> {
    let digits = id.strip_suffix('=').unwrap_or(id);
    if digits.len() != ID_DIGITS {
        return None;
    }
    let (mut key, mut filled, mut bits, mut count) = ([0; 32], 0, 0_u32, 0);
    for digit in digits.bytes() {
        bits = bits << 6 | u32::from(value_of(digit)?);
        count += 6;
        if count >= 8 {
            count -= 8;
            let [.., byte] = (bits >> count).to_be_bytes();
            *key.get_mut(filled)? = byte;
            filled += 1;
        }
    }
    Some(key)
}

fn value_of(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'-' | b'+' => Some(62),
        b'_' | b'/' => Some(63),
        _ => None,
    }
}

/// Family, qualifier, and the value if the column is written.
type Written<'a> = (&'a [u8], &'a [u8], Option<Vec<u8>>);

/// The row of an event. `own_id` is its id, unless the key says it.
pub(crate) fn put(key: &Key, event: &Event, own_id: Option<&str>) -> Result<Mutation> {
    let texts = event.texts();
    let stamp = timestamp(event.event_time.millis);
    let long = |time: EventTime| time.millis.to_be_bytes();
    let (event_time, creation_time) = (long(event.event_time), long(event.creation_time));
    let zones = [event.event_time, event.creation_time].map(|time| zone::written(time.offset_seconds));
    let target = event.target.as_ref();
    let text = |text: &str| -> Option<Vec<u8>> { Some(text.as_bytes().to_vec()) };
    let columns: [Written<'_>; 13] = [
        (EVENT_FAMILY, b"e", text(&event.event)),
        (EVENT_FAMILY, b"ety", text(&event.entity.kind)),
        (EVENT_FAMILY, b"eid", text(&event.entity.id)),
        (EVENT_FAMILY, b"tety", target.and_then(|target| text(&target.kind))),
        (EVENT_FAMILY, b"teid", target.and_then(|target| text(&target.id))),
        (EVENT_FAMILY, b"p", text(&texts.properties).filter(|_| !event.properties.is_empty())),
        (EVENT_FAMILY, b"prid", event.pr_id.as_deref().and_then(text)),
        (EVENT_FAMILY, b"et", Some(event_time.to_vec())),
        (EVENT_FAMILY, b"etz", zones[0].as_deref().and_then(text)),
        (EVENT_FAMILY, b"ct", Some(creation_time.to_vec())),
        (EVENT_FAMILY, b"ctz", zones[1].as_deref().and_then(text)),
        (OWN_FAMILY, OWN_ID, own_id.and_then(text)),
        (OWN_FAMILY, TAGS, text(&texts.tags).filter(|tags| !tags.is_empty())),
    ];
    let mut put = Mutation::put(*key);
    for (family, qualifier, value) in columns {
        if let Some(value) = value {
            put = put.set(family, qualifier, stamp, &value).map_err(told)?;
        }
    }
    Ok(put)
}

/// Deletes a row whose newest cell has this timestamp, and whatever is still on its way to it.
pub(crate) fn delete(key: &[u8], newest: i64) -> Result<Mutation> {
    let stamp = newest.max(timestamp(key_time(key)));
    let delete = Mutation::delete(key).family(EVENT_FAMILY, stamp);
    delete.and_then(|delete| delete.family(OWN_FAMILY, stamp)).map_err(told)
}

/// An event as it stands in a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored<'r> {
    /// Its id, if the key does not say it.
    pub(crate) own_id: Option<&'r str>,
    /// Timestamp of its newest cell.
    pub(crate) newest: i64,
    /// All but the id.
    event: EventRef<'r>,
}

/// The columns of a row, as bytes.
#[derive(Default)]
struct Columns<'r> {
    event: Option<&'r [u8]>,
    entity: [Option<&'r [u8]>; 2],
    target: [Option<&'r [u8]>; 2],
    properties: Option<&'r [u8]>,
    pr_id: Option<&'r [u8]>,
    event_time: [Option<&'r [u8]>; 2],
    creation_time: [Option<&'r [u8]>; 2],
    own_id: Option<&'r [u8]>,
    tags: Option<&'r [u8]>,
    newest: i64,
}

impl<'r> Columns<'r> {
    fn of(row: &'r Row) -> Self {
        let mut columns = Self::default();
        for cell in row.cells() {
            let place = match (cell.family, cell.qualifier) {
                (EVENT_FAMILY, b"e") => &mut columns.event,
                (EVENT_FAMILY, b"ety") => &mut columns.entity[0],
                (EVENT_FAMILY, b"eid") => &mut columns.entity[1],
                (EVENT_FAMILY, b"tety") => &mut columns.target[0],
                (EVENT_FAMILY, b"teid") => &mut columns.target[1],
                (EVENT_FAMILY, b"p") => &mut columns.properties,
                (EVENT_FAMILY, b"prid") => &mut columns.pr_id,
                (EVENT_FAMILY, b"et") => &mut columns.event_time[0],
                (EVENT_FAMILY, b"etz") => &mut columns.event_time[1],
                (EVENT_FAMILY, b"ct") => &mut columns.creation_time[0],
                (EVENT_FAMILY, b"ctz") => &mut columns.creation_time[1],
                (OWN_FAMILY, OWN_ID) => &mut columns.own_id,
                (OWN_FAMILY, TAGS) => &mut columns.tags,
                _ => continue,
            };
            *place = Some(cell.value);
            columns.newest = columns.newest.max(cell.timestamp);
        }
        columns
    }
}

impl<'r> Stored<'r> {
    /// `Kind::Corrupt` if the row lacks one of the five columns that PredictionIO always writes, or has something else in one.
    pub(crate) fn of(row: &'r Row) -> Result<Self> {
        let columns = Columns::of(row);
        let corrupt = |column: &str| {
            let id = id_of(row.key());
            let text = format!(
                "event {id} in HBase has no good column e:{column}: delete the event, or repair its row"
            );
            Error::new(Kind::Corrupt, text)
        };
        let text = |bytes: Option<&'r [u8]>, column: &str| match bytes.map(str::from_utf8) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(corrupt(column)),
        };
        let needed = |bytes, column: &str| text(bytes, column)?.ok_or_else(|| corrupt(column));
        let time = |[millis, name]: [Option<&'r [u8]>; 2], column: &str| -> Result<EventTime> {
            let bytes = millis.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| corrupt(column))?;
            let millis = i64::from_be_bytes(bytes);
            let offset_seconds = text(name, column)?.map_or(0, |name| zone::offset(name, millis));
            Ok(EventTime { millis, offset_seconds })
        };
        let [target_type, target_id] = columns.target;
        let event = EventRef {
            event_id: "",
            event: needed(columns.event, "e")?,
            entity_type: needed(columns.entity[0], "ety")?,
            entity_id: needed(columns.entity[1], "eid")?,
            target: text(target_type, "tety")?.zip(text(target_id, "teid")?),
            properties: text(columns.properties, "p")?.unwrap_or("{}"),
            event_time: time(columns.event_time, "et")?,
            pr_id: text(columns.pr_id, "prid")?,
            tags: text(columns.tags, "tags")?.unwrap_or_default(),
            creation_time: time(columns.creation_time, "ct")?,
        };
        Ok(Self { own_id: text(columns.own_id, "id")?, newest: columns.newest, event })
    }

    /// The event, with the id that [`id`](Self::id) gave.
    pub(crate) fn lend<'a>(&self, id: &'a str) -> EventRef<'a>
    where
        'r: 'a,
    {
        EventRef { event_id: id, ..self.event }
    }

    /// The event but for its id.
    pub(crate) fn event(&self) -> &EventRef<'r> {
        &self.event
    }

    /// Its entity, if the event is a special one.
    pub(crate) fn special(&self) -> Option<Entity> {
        let EventRef { event, entity_type, entity_id, .. } = self.event;
        let entity = || Entity { kind: entity_type.to_owned(), id: entity_id.to_owned() };
        event.starts_with('$').then(entity)
    }
}

/// The id of the event in a row.
pub(crate) fn id_in(row: &Row, stored: &Stored<'_>) -> String {
    stored.own_id.map_or_else(|| id_of(row.key()), str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn event() -> Event {
        Event {
            event_id: None,
            event: "buy".into(),
            entity: Entity { kind: "user".into(), id: "u-1".into() },
            target: None,
            properties: events::json::Object::new(),
            event_time: EventTime { millis: 1_500_000_000_123, offset_seconds: 19_800 },
            pr_id: None,
            tags: vec!["one".into(), "two".into()],
            creation_time: EventTime::utc(5),
        }
    }

    /// Key and id of a row that PredictionIO wrote.
    #[test]
    fn keys_and_ids_are_those_of_predictionio() {
        let key = key(&event(), 0x8cad_6aef_3d0f_4f44);
        assert_eq!(hex(&key), "399fe56f6cda980c24427580f2cc36140000015d3ef7987b8cad6aef3d0f4f44");
        let id = "OZ_lb2zamAwkQnWA8sw2FAAAAV0-95h7jK1q7z0PT0Q";
        assert_eq!(id_of(&key), id);
        for written in [id.to_owned(), format!("{id}="), id.replace('-', "+").replace('_', "/")] {
            assert_eq!(key_of(&written), Some(key), "{written}");
        }
        assert!(fits(&key, &event()));
        assert!(!fits(&key, &Event { event: "x".into(), event_time: EventTime::utc(1), ..event() }));
        for wrong in ["", "plain", &id[1..], &format!("{id}=="), &id.replace('O', "*"), &"ä".repeat(43)] {
            assert_eq!(key_of(wrong), None, "{wrong}");
        }
        assert_eq!((key_time(&key), key_time(b"short")), (1_500_000_000_123, 0));
    }

    #[test]
    fn timestamps_are_such_that_hbase_takes_them() {
        assert_eq!([i64::MIN, -1, 0, 7, i64::MAX].map(timestamp), [0, 0, 0, 7, i64::MAX - 1]);
    }

    #[test]
    fn a_row_without_what_predictionio_writes_is_corrupt() {
        let mut row = Row::default();
        assert_eq!(Stored::of(&row).unwrap_err().kind(), Kind::Corrupt);
        row.push(&crate::client::Cell {
            row: &[7; 32],
            family: b"e",
            qualifier: b"e",
            timestamp: 1,
            kind: crate::client::CellKind::Put,
            value: &[0xFF],
        });
        let error = Stored::of(&row).unwrap_err().to_string();
        assert!(error.contains("e:e") && error.contains("BwcHBwcH"), "{error}");
    }

    proptest! {
        #[test]
        fn ids_are_keys(key: [u8; 32]) {
            prop_assert_eq!(key_of(&id_of(&key)), Some(key));
        }
    }
}
