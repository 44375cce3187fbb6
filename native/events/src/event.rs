//! The event and its borrowed form.

use crate::json::{self, Json, Object};
use crate::{Error, EventTime, Kind, Result};

/// A type and an id, e.g. `user` / `u1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entity {
    /// Kind of entity, e.g. `user` or `item`.
    pub kind: String,
    /// Id within its kind.
    pub id: String,
}

/// Something that an entity did, optionally to a target entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Unique in its scope. `None` = the store assigns one. The same id again replaces the event (idempotent upsert).
    pub event_id: Option<String>,
    /// Name: an indicator such as `purchase`, or `$set`, `$unset`, `$delete`.
    pub event: String,
    /// Who did it.
    pub entity: Entity,
    /// What it was done to.
    pub target: Option<Entity>,
    /// Free-form; stored and returned verbatim, in this order.
    pub properties: Object,
    /// When it happened, with the offset it was given in.
    pub event_time: EventTime,
    /// Prediction result that this event reacts to.
    pub pr_id: Option<String>,
    /// Stored for old data; no interface shows them.
    pub tags: Vec<String>,
    /// When it was accepted.
    pub creation_time: EventTime,
}

/// An [`Event`] as a store lends it while visiting: no allocation, valid during the visit only.
#[derive(Debug, Clone, Copy)]
pub struct EventRef<'a> {
    /// See [`Event::event_id`]; always assigned here.
    pub event_id: &'a str,
    /// Event name.
    pub event: &'a str,
    /// Type of the entity.
    pub entity_type: &'a str,
    /// Id of the entity.
    pub entity_id: &'a str,
    /// Type and id of the target.
    pub target: Option<(&'a str, &'a str)>,
    /// JSON text of the properties object; `{}` if there are none.
    pub properties: &'a str,
    /// When it happened.
    pub event_time: EventTime,
    /// Prediction result.
    pub pr_id: Option<&'a str>,
    /// Tags, comma-joined; empty if none.
    pub tags: &'a str,
    /// When it was accepted.
    pub creation_time: EventTime,
}

/// The members of an [`Event`] that an [`EventRef`] shows as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventTexts {
    /// JSON text of the properties.
    pub properties: String,
    /// Tags, comma-joined.
    pub tags: String,
}

impl Event {
    /// The members that [`lend`](Self::lend) needs as text.
    pub fn texts(&self) -> EventTexts {
        EventTexts { properties: self.properties.to_string(), tags: self.tags.join(",") }
    }

    /// The borrowed form; without an id of its own the event shows `""`.
    pub fn lend<'a>(&'a self, texts: &'a EventTexts) -> EventRef<'a> {
        EventRef {
            event_id: self.event_id.as_deref().unwrap_or_default(),
            event: &self.event,
            entity_type: &self.entity.kind,
            entity_id: &self.entity.id,
            target: self.target.as_ref().map(|target| (target.kind.as_str(), target.id.as_str())),
            properties: &texts.properties,
            event_time: self.event_time,
            pr_id: self.pr_id.as_deref(),
            tags: &texts.tags,
            creation_time: self.creation_time,
        }
    }

    /// Appends the JSON object that the event API shows; `eventId` only if there is one.
    pub fn write_json(&self, out: &mut String) {
        self.lend(&self.texts()).write_json(out);
    }
}

impl EventRef<'_> {
    /// An owned copy. `Kind::Corrupt` if the properties are no JSON object.
    pub fn to_event(&self) -> Result<Event> {
        let entity = |kind: &str, id: &str| Entity { kind: kind.to_owned(), id: id.to_owned() };
        Ok(Event {
            event_id: Some(self.event_id.to_owned()),
            event: self.event.to_owned(),
            entity: entity(self.entity_type, self.entity_id),
            target: self.target.map(|(kind, id)| entity(kind, id)),
            properties: self.parse_properties()?,
            event_time: self.event_time,
            pr_id: self.pr_id.map(str::to_owned),
            tags: self.tags.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
            creation_time: self.creation_time,
        })
    }

    /// The properties as an object. `Kind::Corrupt` if they are none.
    pub fn parse_properties(&self) -> Result<Object> {
        let corrupt = |reason: &str| {
            Error::new(Kind::Corrupt, format!("event {}: stored properties: {reason}", self.event_id))
        };
        match json::parse(self.properties.as_bytes()) {
            Ok(Json::Object(object)) => Ok(object),
            Ok(_) => Err(corrupt("not a JSON object")),
            Err(error) => Err(corrupt(&error.to_string())),
        }
    }

    /// Appends the JSON object that the event API and exports show; the properties pass through as they are.
    pub fn write_json(&self, out: &mut String) {
        out.push('{');
        if !self.event_id.is_empty() {
            write_text_member("eventId", self.event_id, out);
        }
        write_text_member("event", self.event, out);
        write_text_member("entityType", self.entity_type, out);
        write_text_member("entityId", self.entity_id, out);
        if let Some((kind, id)) = self.target {
            write_text_member("targetEntityType", kind, out);
            write_text_member("targetEntityId", id, out);
        }
        out.push_str("\"properties\":");
        out.push_str(self.properties);
        out.push_str(",\"eventTime\":\"");
        json::push(out, self.event_time);
        out.push_str("\",");
        if let Some(id) = self.pr_id {
            write_text_member("prId", id, out);
        }
        out.push_str("\"creationTime\":\"");
        json::push(out, self.creation_time);
        out.push_str("\"}");
    }
}

/// `"name":"text",`
fn write_text_member(name: &str, text: &str, out: &mut String) {
    out.push('"');
    out.push_str(name);
    out.push_str("\":");
    json::write_string(text, out);
    out.push(',');
}
