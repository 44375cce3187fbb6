//! From JSON to a valid event. What needs no change stays where it is in the text.

use std::borrow::Cow;

use crate::json::{Fault, Json, JsonError, Object, Parser};
use crate::validate::{MAX_EVENT_BYTES, Subject, invalid, too_large};
use crate::{Entity, Event, EventRef, EventTime, Result};

/// An event that borrows from what it was read from: for whoever looks at it and lets it go, as it need not be copied like an [`Event`].
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedEvent<'a> {
    /// See [`Event::event_id`].
    pub event_id: Option<Cow<'a, str>>,
    /// Event name.
    pub event: Cow<'a, str>,
    /// Type and id of the entity.
    pub entity: (Cow<'a, str>, Cow<'a, str>),
    /// Type and id of the target.
    pub target: Option<(Cow<'a, str>, Cow<'a, str>)>,
    /// Each name once.
    pub properties: Object,
    /// When it happened.
    pub event_time: EventTime,
    /// Prediction result.
    pub pr_id: Option<Cow<'a, str>>,
    /// When it was accepted.
    pub creation_time: EventTime,
}

impl<'a> ParsedEvent<'a> {
    /// Reads and validates one event, as [`Event::parse`] does.
    pub fn parse(text: &'a [u8], now: EventTime) -> Result<Self> {
        Self::read(text, now, &mut None)
    }

    fn read(text: &'a [u8], now: EventTime, leniency: &mut Option<JsonError>) -> Result<Self> {
        if text.len() > MAX_EVENT_BYTES {
            return Err(too_large());
        }
        let mut draft = Draft::default();
        let mut read = || {
            let mut parser = Parser::new(text)?;
            let other = parser.document(|parser| draft.read(parser))?;
            *leniency = parser.leniency();
            Ok(other)
        };
        match read().map_err(|fault: Fault| invalid(fault.to_string()))? {
            None => draft.finish(now),
            Some(other) => Err(not_an_object(&other)),
        }
    }

    /// As [`Event::validate`].
    pub fn validate(&self) -> Result<()> {
        Subject {
            event: &self.event,
            entity_type: &self.entity.0,
            entity_id: &self.entity.1,
            target_type: self.target.as_ref().map(|(kind, _)| &**kind),
            target_id: self.target.as_ref().map(|(_, id)| &**id),
            properties: &self.properties,
            pr_id: self.pr_id.as_deref(),
            event_id: self.event_id.as_deref(),
        }
        .check()
    }

    /// Shows it as a store would; without an id of its own it has `""`.
    pub fn lend<T>(&self, visit: impl FnOnce(&EventRef<'_>) -> T) -> T {
        let properties: Cow<'_, str> =
            if self.properties.is_empty() { "{}".into() } else { self.properties.to_string().into() };
        visit(&EventRef {
            event_id: self.event_id.as_deref().unwrap_or_default(),
            event: &self.event,
            entity_type: &self.entity.0,
            entity_id: &self.entity.1,
            target: self.target.as_ref().map(|(kind, id)| (&**kind, &**id)),
            properties: &properties,
            event_time: self.event_time,
            pr_id: self.pr_id.as_deref(),
            tags: "",
            creation_time: self.creation_time,
        })
    }

    /// An event of its own.
    pub fn into_event(self) -> Event {
        let entity = |(kind, id): (Cow<'_, str>, Cow<'_, str>)| Entity {
            kind: kind.into_owned(),
            id: id.into_owned(),
        };
        Event {
            event_id: self.event_id.map(Cow::into_owned),
            event: self.event.into_owned(),
            entity: entity(self.entity),
            target: self.target.map(entity),
            properties: self.properties,
            event_time: self.event_time,
            pr_id: self.pr_id.map(Cow::into_owned),
            tags: Vec::new(),
            creation_time: self.creation_time,
        }
    }
}

impl Event {
    /// Reads and validates one event from its JSON text, as leniently as [`json::parse`](crate::json::parse).
    /// `now` becomes the creation time, and the event time if there is none; `creationTime`, `tags` and unknown members are
    /// ignored, of equal members the last one wins. Errors are `Kind::Invalid`, with the text that clients see.
    pub fn parse(text: &[u8], now: EventTime) -> Result<Self> {
        ParsedEvent::parse(text, now).map(ParsedEvent::into_event)
    }

    /// [`parse`](Self::parse), and the first place where the text is not strict JSON.
    pub fn parse_observed(text: &[u8], now: EventTime) -> Result<(Self, Option<JsonError>)> {
        let mut leniency = None;
        ParsedEvent::read(text, now, &mut leniency).map(|event| (event.into_event(), leniency))
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
                *slot = Some(match value {
                    Json::String(text) => Value::Text(text),
                    other => Value::Other(other.clone()),
                });
            }
        }
        draft.finish(now).map(ParsedEvent::into_event)
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
        let mut draft = Draft::default();
        let other = draft.read(parser)?;
        let bytes = parser.at() - start;
        // beyond the limit only the syntax counts
        if count <= events_max {
            let event = match other {
                None => draft.finish(now).map(ParsedEvent::into_event),
                Some(other) => Err(not_an_object(&other)),
            };
            events.push(BatchElement { bytes, event });
        }
    }
    if count > events_max {
        let text = format!("Batch request must have less than or equal to {events_max} events");
        return Ok(Err(invalid(text)));
    }
    Ok(Ok(events))
}

fn not_an_object(json: &Json) -> crate::Error {
    invalid(format!("An event must be a JSON object, got {}.", json.excerpt()))
}

/// The value of a member.
enum Value<'a> {
    Text(&'a str),
    Other(Json),
}

/// The raw values of the fields that an event is read from; the last of equal members wins.
#[derive(Default)]
struct Draft<'a> {
    event: Option<Value<'a>>,
    entity_type: Option<Value<'a>>,
    entity_id: Option<Value<'a>>,
    target_type: Option<Value<'a>>,
    target_id: Option<Value<'a>>,
    properties: Option<Value<'a>>,
    event_time: Option<Value<'a>>,
    pr_id: Option<Value<'a>>,
    event_id: Option<Value<'a>>,
}

impl<'a> Draft<'a> {
    /// Takes the object at the parser; gives whatever else stands there.
    fn read(&mut self, parser: &mut Parser<'a>) -> std::result::Result<Option<Json>, Fault> {
        if !parser.open_object()? {
            return parser.value().map(Some);
        }
        let mut is_first = true;
        while let Some(name) = parser.member(is_first)? {
            is_first = false;
            let slot = self.slot(&name);
            let value = match parser.plain_text() {
                Some(text) => Value::Text(text),
                None => Value::Other(parser.value()?),
            };
            if let Some(slot) = slot {
                *slot = Some(value);
            }
        }
        Ok(None)
    }

    fn slot(&mut self, name: &str) -> Option<&mut Option<Value<'a>>> {
        Some(match name {
            "event" => &mut self.event,
            "entityType" => &mut self.entity_type,
            "entityId" => &mut self.entity_id,
            "targetEntityType" => &mut self.target_type,
            "targetEntityId" => &mut self.target_id,
            "properties" => &mut self.properties,
            "eventTime" => &mut self.event_time,
            "prId" => &mut self.pr_id,
            "eventId" => &mut self.event_id,
            _ => return None,
        })
    }

    /// The first bad field decides, in this order, then the rules.
    fn finish(self, now: EventTime) -> Result<ParsedEvent<'a>> {
        let event = required("event", self.event)?;
        let entity = (required("entityType", self.entity_type)?, required("entityId", self.entity_id)?);
        let target_type = optional("targetEntityType", self.target_type)?;
        let target_id = optional("targetEntityId", self.target_id)?;
        let properties = properties(self.properties)?;
        let event_time = event_time(self.event_time)?.unwrap_or(now);
        let pr_id = optional("prId", self.pr_id)?;
        let event_id = optional("eventId", self.event_id)?.filter(|id| !id.is_empty());
        Subject {
            event: &event,
            entity_type: &entity.0,
            entity_id: &entity.1,
            target_type: target_type.as_deref(),
            target_id: target_id.as_deref(),
            properties: &properties,
            pr_id: pr_id.as_deref(),
            event_id: event_id.as_deref(),
        }
        .check()?;
        let target = target_type.zip(target_id);
        Ok(ParsedEvent { event_id, event, entity, target, properties, event_time, pr_id, creation_time: now })
    }
}

#[inline]
fn required<'a>(name: &str, value: Option<Value<'a>>) -> Result<Cow<'a, str>> {
    match value {
        Some(Value::Text(text)) => Ok(text.into()),
        Some(Value::Other(Json::Null)) => Err(invalid(format!("The required field {name} cannot be null."))),
        Some(Value::Other(other)) => text_of(name, other),
        None => Err(invalid(format!("The field {name} is required."))),
    }
}

#[inline]
fn optional<'a>(name: &str, value: Option<Value<'a>>) -> Result<Option<Cow<'a, str>>> {
    match value {
        Some(Value::Text(text)) => Ok(Some(text.into())),
        None | Some(Value::Other(Json::Null)) => Ok(None),
        Some(Value::Other(other)) => text_of(name, other).map(Some),
    }
}

/// A string, or a number as its text.
#[cold]
fn text_of(name: &str, value: Json) -> Result<Cow<'static, str>> {
    match value {
        Json::String(text) => Ok(text.into()),
        Json::Number(number) => Ok(number.to_string().into()),
        other => Err(invalid(format!("The field {name} must be a string, got {}.", other.excerpt()))),
    }
}

fn properties(value: Option<Value<'_>>) -> Result<Object> {
    let other = match value {
        None | Some(Value::Other(Json::Null)) => return Ok(Object::new()),
        Some(Value::Other(Json::Object(mut object))) => {
            object.keep_last();
            return Ok(object);
        }
        Some(Value::Other(other)) => other,
        Some(Value::Text(text)) => Json::from(text),
    };
    Err(invalid(format!("The field properties must be an object, got {}.", other.excerpt())))
}

fn event_time(value: Option<Value<'_>>) -> Result<Option<EventTime>> {
    let right = "an ISO 8601 time with a zone, or whole milliseconds since 1970";
    let read = |text: &str| {
        // the text that clients know
        EventTime::parse(text).ok_or_else(|| format!("Fail to extract eventTime {text}"))
    };
    match value {
        None | Some(Value::Other(Json::Null)) => return Ok(None),
        Some(Value::Text(text)) => read(text),
        Some(Value::Other(Json::String(text))) => read(&text),
        Some(Value::Other(other)) => other
            .as_i64()
            .map(EventTime::utc)
            .ok_or_else(|| format!("The field eventTime must be {right}, got {}.", other.excerpt())),
    }
    .map(Some)
    .map_err(invalid)
}

#[cfg(test)]
mod tests;
