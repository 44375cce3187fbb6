//! From JSON to a valid event: field rules, then the twelve rules of an event, with the texts that clients know.

use std::borrow::Cow;

use crate::json::{Fault, Json, JsonError, Object, Parser};
use crate::{Entity, Error, Event, EventTime, Kind, Result};

/// Longest name, type or id, in bytes.
pub const MAX_NAME_BYTES: usize = 4 << 10;

/// Largest event, in bytes of its JSON text or of the text in its properties.
pub const MAX_EVENT_BYTES: usize = 8 << 20;

/// The fields that an event is read from; `creationTime`, `tags` and unknown members are ignored.
const FIELDS: [&str; 9] = [
    "event",
    "entityType",
    "entityId",
    "targetEntityType",
    "targetEntityId",
    "properties",
    "eventTime",
    "prId",
    "eventId",
];

impl Event {
    /// Reads and validates one event from its JSON text, as leniently as [`json::parse`](crate::json::parse).
    /// `now` becomes the creation time, and the event time if there is none. Errors are `Kind::Invalid`, with the text
    /// that clients see. Faster than [`from_json`](Self::from_json), for imports.
    pub fn parse(text: &[u8], now: EventTime) -> Result<Self> {
        Self::parse_observed(text, now).map(|(event, _)| event)
    }

    /// [`parse`](Self::parse), and the first place where the text is not strict JSON.
    pub fn parse_observed(text: &[u8], now: EventTime) -> Result<(Self, Option<JsonError>)> {
        if text.len() > MAX_EVENT_BYTES {
            return Err(too_large());
        }
        let draft =
            Parser::new(text).and_then(|mut parser| Ok((parser.document(Draft::read)?, parser.leniency())));
        match draft.map_err(|fault| invalid(fault.to_string()))? {
            (Ok(draft), leniency) => Ok((draft.finish(now)?, leniency)),
            (Err(other), _) => Err(not_an_object(&other)),
        }
    }

    /// Reads an array of at most `events_max` events, each as [`parse`](Self::parse) does: its elements, in order, and
    /// the first place where the text is not strict JSON. `Kind::Invalid` if the text is no such array.
    pub fn parse_batch(text: &[u8], now: EventTime, events_max: usize) -> Result<ParsedBatch> {
        let batch = Parser::new(text).and_then(|mut parser| {
            Ok((parser.document(|parser| read_batch(parser, now, events_max))?, parser.leniency()))
        });
        match batch.map_err(|fault| invalid(fault.to_string()))? {
            (Ok(events), leniency) => Ok((events, leniency)),
            (Err(error), _) => Err(error),
        }
    }

    /// Reads and validates one event from a JSON object; see [`parse`](Self::parse).
    pub fn from_json(json: &Json, now: EventTime) -> Result<Self> {
        let object = json.as_object().ok_or_else(|| not_an_object(json))?;
        let mut draft = Draft::default();
        for (name, value) in object.iter() {
            if let Some(slot) = draft.slot(name) {
                *slot = Some(value.clone());
            }
        }
        draft.finish(now)
    }

    /// Checks the rules and limits of an event; `Kind::Invalid` names the first that is broken.
    pub fn validate(&self) -> Result<()> {
        Subject {
            event: &self.event,
            entity_type: &self.entity.kind,
            entity_id: &self.entity.id,
            target_type: self.target.as_ref().map(|target| target.kind.as_str()),
            target_id: self.target.as_ref().map(|target| target.id.as_str()),
            properties: &self.properties,
        }
        .check()
        .map_err(invalid)?;
        self.check_limits()
    }

    fn check_limits(&self) -> Result<()> {
        let target = self.target.as_ref();
        let names = [
            ("event", Some(&self.event)),
            ("entityType", Some(&self.entity.kind)),
            ("entityId", Some(&self.entity.id)),
            ("targetEntityType", target.map(|target| &target.kind)),
            ("targetEntityId", target.map(|target| &target.id)),
            ("prId", self.pr_id.as_ref()),
            ("eventId", self.event_id.as_ref()),
        ];
        for (field, name) in names {
            let length = name.map_or(0, String::len);
            if length > MAX_NAME_BYTES {
                let text = format!("{field} must not be longer than {MAX_NAME_BYTES} bytes, got {length}.");
                return Err(invalid(text));
            }
        }
        if self.properties.text_bytes() > MAX_EVENT_BYTES { Err(too_large()) } else { Ok(()) }
    }
}

/// One element of a batch.
#[derive(Debug)]
pub struct BatchElement {
    /// Length of its text.
    pub bytes: usize,
    /// What it is.
    pub event: Result<Event>,
}

/// The elements, and where the text is not strict JSON.
pub type ParsedBatch = (Vec<BatchElement>, Option<JsonError>);

fn read_batch(
    parser: &mut Parser<'_>,
    now: EventTime,
    events_max: usize,
) -> std::result::Result<Result<Vec<BatchElement>>, Fault> {
    if !parser.open_array()? {
        let other = parser.value()?;
        return Ok(Err(invalid(format!("A batch must be a JSON array of events, got {}.", other.excerpt()))));
    }
    let (mut events, mut count) = (Vec::new(), 0);
    while parser.item(count == 0)? {
        count += 1;
        let start = parser.at();
        let draft = Draft::read(parser)?;
        let bytes = parser.at() - start;
        // beyond the limit only the syntax counts
        if count <= events_max {
            let event = draft.map_err(|other| not_an_object(&other)).and_then(|draft| draft.finish(now));
            events.push(BatchElement { bytes, event });
        }
    }
    if count > events_max {
        let text = format!("Batch request must have less than or equal to {events_max} events");
        return Ok(Err(invalid(text)));
    }
    Ok(Ok(events))
}

/// What the twelve rules look at. Unlike an [`Event`] it can have half a target.
struct Subject<'a> {
    event: &'a str,
    entity_type: &'a str,
    entity_id: &'a str,
    target_type: Option<&'a str>,
    target_id: Option<&'a str>,
    properties: &'a Object,
}

impl Subject<'_> {
    /// The first broken rule decides.
    fn check(&self) -> std::result::Result<(), Cow<'static, str>> {
        self.check_presence()?;
        self.check_reserved_names()
    }

    fn check_presence(&self) -> std::result::Result<(), &'static str> {
        let rule = |holds: bool, text: &'static str| if holds { Ok(()) } else { Err(text) };
        let (target_type, target_id) = (self.target_type, self.target_id);
        let unsets_nothing = self.event == "$unset" && self.properties.is_empty();
        rule(!self.event.is_empty(), "event must not be empty.")?;
        rule(!self.entity_type.is_empty(), "entityType must not be empty string.")?;
        rule(!self.entity_id.is_empty(), "entityId must not be empty string.")?;
        rule(target_type != Some(""), "targetEntityType must not be empty string")?;
        rule(target_id != Some(""), "targetEntityId must not be empty string.")?;
        rule(
            target_type.is_some() == target_id.is_some(),
            "targetEntityType and targetEntityId must be specified together.",
        )?;
        rule(!unsets_nothing, "properties cannot be empty for $unset event")
    }

    fn check_reserved_names(&self) -> std::result::Result<(), Cow<'static, str>> {
        let event = self.event;
        if is_reserved(event) {
            if !matches!(event, "$set" | "$unset" | "$delete") {
                return Err(format!("{event} is not a supported reserved event name.").into());
            }
            if self.target_type.is_some() {
                return Err(format!("Reserved event {event} cannot have targetEntity").into());
            }
        }
        if is_reserved_type(self.entity_type) {
            return Err(reserved("entityType", self.entity_type));
        }
        if let Some(kind) = self.target_type.filter(|kind| is_reserved_type(kind)) {
            return Err(reserved("targetEntityType", kind));
        }
        match self.properties.iter().find(|(key, _)| is_reserved(key)) {
            Some((key, _)) => Err(reserved("property", key)),
            None => Ok(()),
        }
    }
}

/// Does this name of an event or property need permission?
fn is_reserved(name: &str) -> bool {
    name.starts_with('$') || name.starts_with("pio_")
}

fn is_reserved_type(name: &str) -> bool {
    is_reserved(name) && name != "pio_pr"
}

fn reserved(what: &str, name: &str) -> Cow<'static, str> {
    format!("The {what} {name} is not allowed. 'pio_' is a reserved name prefix.").into()
}

/// The texts quote their input, which may be megabytes; a message need not be.
fn invalid(text: impl Into<String>) -> Error {
    let mut text = text.into();
    if let Some((end, _)) = text.char_indices().nth(2 * MAX_NAME_BYTES) {
        text.truncate(end);
        text.push('…');
    }
    Error::new(Kind::Invalid, text)
}

fn too_large() -> Error {
    invalid(format!("An event must not be larger than {MAX_EVENT_BYTES} bytes."))
}

fn not_an_object(json: &Json) -> Error {
    invalid(format!("An event must be a JSON object, got {}.", json.excerpt()))
}

/// The raw values of [`FIELDS`]; the last of equal members wins.
#[derive(Default)]
struct Draft {
    values: [Option<Json>; FIELDS.len()],
}

impl Draft {
    /// From the object at the parser, else whatever stands there.
    fn read(parser: &mut Parser<'_>) -> std::result::Result<std::result::Result<Self, Json>, Fault> {
        if !parser.open_object()? {
            return parser.value().map(Err);
        }
        let mut draft = Self::default();
        let mut is_first = true;
        while let Some(name) = parser.member(is_first)? {
            is_first = false;
            let value = parser.value()?;
            if let Some(slot) = draft.slot(&name) {
                *slot = Some(value);
            }
        }
        Ok(Ok(draft))
    }

    fn slot(&mut self, name: &str) -> Option<&mut Option<Json>> {
        let index = FIELDS.iter().position(|field| *field == name)?;
        self.values.get_mut(index)
    }

    /// The first bad field decides, in this order, then the rules.
    fn finish(mut self, now: EventTime) -> Result<Event> {
        let event = self.required("event")?;
        let kind = self.required("entityType")?;
        let id = self.required("entityId")?;
        let target_type = self.optional("targetEntityType")?;
        let target_id = self.optional("targetEntityId")?;
        let properties = self.properties()?;
        let event_time = self.event_time()?.unwrap_or(now);
        let pr_id = self.optional("prId")?;
        let event_id = self.optional("eventId")?.filter(|id| !id.is_empty());
        Subject {
            event: &event,
            entity_type: &kind,
            entity_id: &id,
            target_type: target_type.as_deref(),
            target_id: target_id.as_deref(),
            properties: &properties,
        }
        .check()
        .map_err(invalid)?;
        let target = target_type.zip(target_id).map(|(kind, id)| Entity { kind, id });
        let entity = Entity { kind, id };
        let (tags, creation_time) = (Vec::new(), now);
        let event =
            Event { event_id, event, entity, target, properties, event_time, pr_id, tags, creation_time };
        event.check_limits()?;
        Ok(event)
    }

    fn take(&mut self, name: &str) -> Option<Json> {
        self.slot(name).and_then(Option::take)
    }

    fn required(&mut self, name: &str) -> Result<String> {
        match self.take(name) {
            None => Err(invalid(format!("The field {name} is required."))),
            Some(Json::Null) => Err(invalid(format!("The required field {name} cannot be null."))),
            Some(value) => text(name, value),
        }
    }

    fn optional(&mut self, name: &str) -> Result<Option<String>> {
        match self.take(name) {
            None | Some(Json::Null) => Ok(None),
            Some(value) => text(name, value).map(Some),
        }
    }

    fn properties(&mut self) -> Result<Object> {
        match self.take("properties") {
            None | Some(Json::Null) => Ok(Object::new()),
            Some(Json::Object(mut object)) => {
                object.keep_last();
                Ok(object)
            }
            Some(other) => {
                Err(invalid(format!("The field properties must be an object, got {}.", other.excerpt())))
            }
        }
    }

    fn event_time(&mut self) -> Result<Option<EventTime>> {
        let time = match self.take("eventTime") {
            None | Some(Json::Null) => return Ok(None),
            Some(value) => value,
        };
        let right = "an ISO 8601 time with a zone, or whole milliseconds since 1970";
        match &time {
            // the text that clients know
            Json::String(text) => {
                EventTime::parse(text).ok_or_else(|| format!("Fail to extract eventTime {text}"))
            }
            other => other
                .as_i64()
                .map(EventTime::utc)
                .ok_or_else(|| format!("The field eventTime must be {right}, got {}.", other.excerpt())),
        }
        .map(Some)
        .map_err(invalid)
    }
}

/// A string, or a number as its text.
fn text(name: &str, value: Json) -> Result<String> {
    match value {
        Json::String(text) => Ok(text),
        Json::Number(number) => Ok(number.to_string()),
        other => Err(invalid(format!("The field {name} must be a string, got {}.", other.excerpt()))),
    }
}

#[cfg(test)]
mod tests;
