//! Events in tables: columns named as the members of events.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use events::json::{self, Object};
use events::{Entity, Event, EventTime, Json};

use crate::border::{Fault, Result, Stop};
use crate::frames::Table;
use crate::lines::place_id;
use crate::texts::{Texts, check};
use crate::told::Take;

/// The columns of a batch of events.
struct Columns<'a> {
    event: Texts,
    entity_type: Texts,
    entity_id: Texts,
    target_type: Option<Texts>,
    target_id: Option<Texts>,
    properties: Option<Properties<'a>>,
    event_id: Option<Texts>,
    event_time: Option<Times>,
    creation_time: Option<Times>,
}

enum Properties<'a> {
    Text(Texts),
    Nested(&'a ArrayRef),
}

/// Gives the event of every row to `take`, each checked as one that came over HTTP. Those without an id get one by `source`.
///
/// # Errors
/// A column is missing or of a wrong type; a row is no event: its number, from 0, is told; whatever `take` says; the call was
/// stopped.
pub fn read(table: &Table, source: u64, now: EventTime, stop: &Stop, take: Take<'_>) -> Result<()> {
    for name in ["event", "entityType", "entityId"] {
        table.position(name)?;
    }
    let mut number = 0;
    for batch in table.batches() {
        let columns = Columns::of(batch)?;
        for row in 0..batch.num_rows() {
            if number % 65_536 == 0 {
                stop.check()?;
            }
            let event = columns.event(row, now);
            let mut event =
                event.map_err(|reason| Fault::argument(format!("row {number} is no event: {reason}")))?;
            event.event_id.get_or_insert_with(|| place_id(source, number));
            take(&event.lend(&event.texts()))?;
            number += 1;
        }
    }
    Ok(())
}

/// Gives a `$set` of every row of a table of items to `take`: its properties are all columns but that of the ids.
///
/// # Errors
/// There is no such column; an id is missing; a property has a type that JSON has not; whatever `take` says; the call was stopped.
pub fn read_items(
    table: &Table,
    id: &str,
    source: u64,
    time: EventTime,
    stop: &Stop,
    take: Take<'_>,
) -> Result<()> {
    let id_at = table.position(id)?;
    let mut number = 0;
    for batch in table.batches() {
        stop.check()?;
        let schema = batch.schema();
        let names = schema.fields().iter().map(|field| field.name());
        let columns: Vec<_> = names.zip(batch.columns()).enumerate().filter(|(at, _)| *at != id_at).collect();
        columns.iter().try_for_each(|(_, (name, column))| check(column, name))?;
        check(batch.column(id_at), id)?;
        let ids = Texts::new(batch.column(id_at), id)?;
        for row in 0..batch.num_rows() {
            let wrong = |reason: String| Fault::argument(format!("row {number} of the items: {reason}"));
            let mut properties = Object::new();
            for (_, (name, column)) in &columns {
                let value = json_of(column, row).map_err(|reason| wrong(format!("\"{name}\": {reason}")))?;
                if !value.is_null() {
                    properties.insert(name.as_str(), value);
                }
            }
            let item = ids.get(row).ok_or_else(|| wrong(format!("{id} is missing")))?;
            let event = Event {
                event_id: Some(place_id(source, number)),
                event: "$set".to_owned(),
                entity: Entity { kind: "item".to_owned(), id: item.to_owned() },
                target: None,
                properties,
                event_time: time,
                pr_id: None,
                tags: Vec::new(),
                creation_time: time,
            };
            event.validate().map_err(|error| wrong(error.to_string()))?;
            take(&event.lend(&event.texts()))?;
            number += 1;
        }
    }
    Ok(())
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self> {
        let needed = |name: &str| {
            texts(batch, name)?
                .ok_or_else(|| Fault::argument(format!("a table of events has no column \"{name}\"")))
        };
        let nested = |array: &&ArrayRef| matches!(array.data_type(), DataType::Struct(_) | DataType::Map(..));
        let properties = match batch.column_by_name("properties").filter(nested) {
            Some(array) => {
                check(array, "properties")?;
                Some(Properties::Nested(array))
            }
            None => texts(batch, "properties")?.map(Properties::Text),
        };
        Ok(Self {
            event: needed("event")?,
            entity_type: needed("entityType")?,
            entity_id: needed("entityId")?,
            target_type: texts(batch, "targetEntityType")?,
            target_id: texts(batch, "targetEntityId")?,
            properties,
            event_id: texts(batch, "eventId")?,
            event_time: Times::of(batch, "eventTime")?,
            creation_time: Times::of(batch, "creationTime")?,
        })
    }

    fn event(&self, row: usize, now: EventTime) -> std::result::Result<Event, String> {
        let text = |texts: &Option<Texts>| texts.as_ref().and_then(|texts| texts.get(row)).map(str::to_owned);
        let needed = |texts: &Texts, name: &str| {
            texts.get(row).map(str::to_owned).ok_or_else(|| format!("{name} is missing"))
        };
        let target = match (text(&self.target_type), text(&self.target_id)) {
            (Some(kind), Some(id)) => Some(Entity { kind, id }),
            (None, None) => None,
            _ => return Err("targetEntityType and targetEntityId must both be there or neither".to_owned()),
        };
        let time = |times: &Option<Times>| times.as_ref().map_or(Ok(None), |times| times.get(row));
        let creation_time = time(&self.creation_time)?.unwrap_or(now);
        let event = Event {
            event_id: text(&self.event_id),
            event: needed(&self.event, "event")?,
            entity: Entity {
                kind: needed(&self.entity_type, "entityType")?,
                id: needed(&self.entity_id, "entityId")?,
            },
            target,
            properties: self.properties(row)?,
            event_time: time(&self.event_time)?.unwrap_or(creation_time),
            pr_id: None,
            tags: Vec::new(),
            creation_time,
        };
        event.validate().map_err(|error| error.to_string())?;
        Ok(event)
    }

    fn properties(&self, row: usize) -> std::result::Result<Object, String> {
        let found = match &self.properties {
            None => return Ok(Object::new()),
            Some(Properties::Nested(array)) => json_of(array, row)?,
            Some(Properties::Text(texts)) => match texts.get(row).filter(|text| !text.is_empty()) {
                None => return Ok(Object::new()),
                Some(text) => json::parse(text.as_bytes()).map_err(|error| format!("properties: {error}"))?,
            },
        };
        match found {
            Json::Object(object) => Ok(object),
            Json::Null => Ok(Object::new()),
            _ => Err("properties must be a JSON object".to_owned()),
        }
    }
}

fn texts(batch: &RecordBatch, name: &str) -> Result<Option<Texts>> {
    let Some(array) = batch.column_by_name(name) else { return Ok(None) };
    check(array, name)?;
    Texts::new(array, name).map(Some)
}

/// A column of times: timestamps of any unit and zone (without one: UTC), dates, ms since 1970, or text as in event JSON.
pub enum Times {
    Text(Texts, String),
    /// Values, what they are multiplied with and divided by to be ms, and rows without one.
    Number(Vec<Option<i64>>, i64, i64),
}

impl Times {
    /// The column of this name, if there is one.
    ///
    /// # Errors
    /// It holds no times.
    pub fn of(batch: &RecordBatch, name: &str) -> Result<Option<Self>> {
        let Some(array) = batch.column_by_name(name) else { return Ok(None) };
        check(array, name)?;
        Self::new(array, name).map(Some)
    }

    fn new(array: &ArrayRef, name: &str) -> Result<Self> {
        macro_rules! numbers {
            ($kind:ty, $times:expr, $parts:expr) => {
                Self::Number(array.as_primitive::<$kind>().iter().collect(), $times, $parts)
            };
        }
        Ok(match array.data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => numbers!(TimestampSecondType, 1000, 1),
            DataType::Timestamp(TimeUnit::Millisecond, _) => numbers!(TimestampMillisecondType, 1, 1),
            DataType::Timestamp(TimeUnit::Microsecond, _) => numbers!(TimestampMicrosecondType, 1, 1000),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => numbers!(TimestampNanosecondType, 1, 1_000_000),
            DataType::Int64 => numbers!(Int64Type, 1, 1),
            DataType::Date32 => {
                let days = array.as_primitive::<arrow_array::types::Date32Type>();
                Self::Number(days.iter().map(|day| day.map(i64::from)).collect(), 86_400_000, 1)
            }
            DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Dictionary(..)
            | DataType::Null => Self::Text(Texts::new(array, name)?, name.to_owned()),
            other => {
                return Err(Fault::argument(format!(
                    "column \"{name}\" is of type {other}: times are timestamps, texts such as 2026-01-31T12:00:00Z, or ms \
                     since 1970"
                )));
            }
        })
    }

    /// The time of a row, if it has one.
    ///
    /// # Errors
    /// A text is no time.
    pub fn get(&self, row: usize) -> std::result::Result<Option<EventTime>, String> {
        match self {
            Self::Number(values, times, parts) => {
                let millis = values.get(row).copied().flatten();
                Ok(millis.map(|value| EventTime::utc(value.saturating_mul(*times).div_euclid(*parts))))
            }
            Self::Text(texts, name) => {
                let Some(text) = texts.get(row) else { return Ok(None) };
                let time = EventTime::parse(text).or_else(|| EventTime::parse_date(text));
                time.map(Some).ok_or_else(|| {
                    format!("{name} must be a time such as 2026-01-31T12:00:00.000Z, got \"{text}\"")
                })
            }
        }
    }
}

/// A nested value as JSON. Members without a value are left out, for a column of structures has all members in every row.
fn json_of(array: &dyn Array, row: usize) -> std::result::Result<Json, String> {
    if array.is_null(row) {
        return Ok(Json::Null);
    }
    if let Some(whole) = whole(array, row) {
        return Ok(Json::from(whole));
    }
    match array.data_type() {
        DataType::Null => Ok(Json::Null),
        DataType::Boolean => Ok(Json::Bool(array.as_boolean().value(row))),
        DataType::Float32 => Ok(real(f64::from(array.as_primitive::<Float32Type>().value(row)))),
        DataType::Float64 => Ok(real(array.as_primitive::<Float64Type>().value(row))),
        DataType::Utf8 => Ok(array.as_string::<i32>().value(row).into()),
        DataType::LargeUtf8 => Ok(array.as_string::<i64>().value(row).into()),
        DataType::Utf8View => Ok(array.as_string_view().value(row).into()),
        DataType::List(_) => list(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row)),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            json_of(dictionary.values(), dictionary.normalized_keys()[row])
        }
        DataType::Struct(fields) => {
            let mut object = Object::new();
            for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                let value = json_of(column, row)?;
                if !value.is_null() {
                    object.insert(field.name().as_str(), value);
                }
            }
            Ok(object.into())
        }
        DataType::Map(..) => map(&array.as_map().value(row)),
        DataType::Timestamp(..) | DataType::Date32 => {
            let slice = array.slice(row, 1);
            let time = Times::new(&slice, "properties").ok().and_then(|times| times.get(0).ok().flatten());
            Ok(time.map_or(Json::Null, |time| Json::from(time.to_string())))
        }
        other => Err(format!("properties hold a {other}, which JSON has not")),
    }
}

fn list(values: &ArrayRef) -> std::result::Result<Json, String> {
    (0..values.len()).map(|row| json_of(values, row)).collect::<std::result::Result<_, _>>().map(Json::Array)
}

fn map(entries: &arrow_array::StructArray) -> std::result::Result<Json, String> {
    let names = Texts::new(entries.column(0), "properties")
        .map_err(|_| "properties need texts as names".to_owned())?;
    let mut object = Object::new();
    for row in 0..entries.len() {
        object.insert(names.get(row).unwrap_or_default(), json_of(entries.column(1), row)?);
    }
    Ok(object.into())
}

/// The value of a column of whole numbers.
fn whole(array: &dyn Array, row: usize) -> Option<i64> {
    Some(match array.data_type() {
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => i64::try_from(array.as_primitive::<UInt64Type>().value(row)).unwrap_or(i64::MAX),
        _ => return None,
    })
}

/// Null for what JSON has not.
fn real(value: f64) -> Json {
    json::Number::real(value).map_or(Json::Null, Json::Number)
}
