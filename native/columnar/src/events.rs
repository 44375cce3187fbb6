//! Events as record batches, both ways.

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, StringArray, StringBuilder, TimestampMillisecondBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit, TimestampMillisecondType};
use arrow::error::ArrowError;
use events::{EventRef, EventTime, json};

use crate::{Error, Result, schema};

/// Collects events that a store lends into a record batch with some of the columns of [`schema::events`].
pub struct EventRows {
    schema: SchemaRef,
    columns: Vec<(usize, Cells)>,
    rows: usize,
    bytes: usize,
}

enum Cells {
    Text(StringBuilder),
    Moment(TimestampMillisecondBuilder),
}

impl Cells {
    fn new(kind: &DataType) -> Self {
        match kind {
            DataType::Timestamp(..) => Self::Moment(TimestampMillisecondBuilder::new().with_timezone("UTC")),
            _ => Self::Text(StringBuilder::new()),
        }
    }

    /// Gives the bytes of the text.
    fn text(&mut self, value: Option<&str>) -> usize {
        if let Self::Text(cells) = self {
            cells.append_option(value);
        }
        value.map_or(0, str::len)
    }

    fn moment(&mut self, value: EventTime) -> usize {
        if let Self::Moment(cells) = self {
            cells.append_value(value.millis);
        }
        size_of::<i64>()
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(cells) => std::sync::Arc::new(cells.finish()),
            Self::Moment(cells) => std::sync::Arc::new(cells.finish()),
        }
    }
}

impl EventRows {
    /// With the columns at these places of [`schema::events`], in this order.
    ///
    /// # Errors
    /// There is no such column.
    pub fn new(columns: &[usize]) -> std::result::Result<Self, ArrowError> {
        let schema = std::sync::Arc::new(schema::events().project(columns)?);
        let cells = schema.fields().iter().map(|field| Cells::new(field.data_type()));
        let columns = columns.iter().copied().zip(cells).collect();
        Ok(Self { schema, columns, rows: 0, bytes: 0 })
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Bytes of their cells.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// No row yet?
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds an event.
    pub fn push(&mut self, event: &EventRef<'_>) {
        self.rows += 1;
        for (place, cells) in &mut self.columns {
            self.bytes += match *place {
                0 => cells.text(Some(event.event_id)),
                1 => cells.text(Some(event.event)),
                2 => cells.text(Some(event.entity_type)),
                3 => cells.text(Some(event.entity_id)),
                4 => cells.text(event.target.map(|(kind, _)| kind)),
                5 => cells.text(event.target.map(|(_, id)| id)),
                6 => cells.text(Some(event.properties)),
                7 => cells.moment(event.event_time),
                8 => cells.text(event.pr_id),
                _ => cells.moment(event.creation_time),
            };
        }
    }

    /// What was added since the last call.
    ///
    /// # Errors
    /// More text than a column holds.
    pub fn finish(&mut self) -> std::result::Result<RecordBatch, ArrowError> {
        let columns = self.columns.iter_mut().map(|(_, cells)| cells.finish()).collect();
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(self.rows));
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new_with_options(std::sync::Arc::clone(&self.schema), columns, &options)
    }
}

/// Columns that events may come with: the name here, and the member of an event's JSON, which is another name of the column.
const MEMBERS: [(&str, &str); 9] = [
    ("event_id", "eventId"),
    ("event", "event"),
    ("entity_type", "entityType"),
    ("entity_id", "entityId"),
    ("target_entity_type", "targetEntityType"),
    ("target_entity_id", "targetEntityId"),
    ("properties", "properties"),
    ("event_time", "eventTime"),
    ("pr_id", "prId"),
];

/// What every store sets by itself; taken and passed over, so that what was exported can be put again.
const PASSED_OVER: [&str; 4] = ["creation_time", "creationTime", "app", "channel"];

/// The events of a record batch as the JSON that the event API takes, a row each; who parses it validates them.
///
/// Columns are named as in [`schema::events`] or as the members of an event. Text, dictionaries of text and whole numbers do
/// as text; `properties` is the text of an object; `event_time` is text as of the event API or a timestamp. A null is an absent member.
///
/// # Errors
/// A column is of no event, or of a type that cannot be its member.
pub fn event_texts(batch: &RecordBatch, mut each: impl FnMut(usize, &str)) -> Result<()> {
    let columns = columns(batch)?;
    let mut text = String::new();
    for row in 0..batch.num_rows() {
        text.clear();
        text.push('{');
        for (member, values) in columns.iter().filter(|(_, values)| values.is_valid(row)) {
            if text.len() > 1 {
                text.push(',');
            }
            json::write_string(member, &mut text);
            text.push(':');
            match *member {
                "properties" => text.push_str(values.value(row)),
                _ => json::write_string(values.value(row), &mut text),
            }
        }
        text.push('}');
        each(row, &text);
    }
    Ok(())
}

fn columns(batch: &RecordBatch) -> Result<Vec<(&'static str, StringArray)>> {
    let mut columns = Vec::new();
    for (field, values) in batch.schema().fields().iter().zip(batch.columns()) {
        let name = field.name().as_str();
        if PASSED_OVER.contains(&name) {
            continue;
        }
        let (_, member) = MEMBERS
            .iter()
            .find(|(column, member)| name == *column || name == *member)
            .ok_or_else(|| Error::Column(format!("{name} is no column of events; they are {}", known())))?;
        columns.push((*member, texts(name, values, *member == "eventTime")?));
    }
    Ok(columns)
}

fn known() -> String {
    MEMBERS.map(|(column, _)| column).join(", ")
}

/// A column as text.
pub(crate) fn texts(name: &str, values: &ArrayRef, is_time: bool) -> Result<StringArray> {
    let wrong = |kind: &DataType| {
        let right = if is_time { "text or a timestamp" } else { "text" };
        Error::Column(format!("column {name} must be {right}, it is {kind}"))
    };
    match values.data_type() {
        DataType::Timestamp(..) if is_time => {
            let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
            let moments = cast(values, &utc)?;
            let moments = moments.as_primitive::<TimestampMillisecondType>();
            Ok(moments.iter().map(|moment| moment.map(|ms| EventTime::utc(ms).to_string())).collect())
        }
        kind if is_text(kind) || (!is_time && kind.is_integer()) => {
            Ok(cast(values, &DataType::Utf8)?.as_string::<i32>().clone())
        }
        DataType::Null => Ok(StringArray::new_null(values.len())),
        kind => Err(wrong(kind)),
    }
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}
