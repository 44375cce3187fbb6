//! The twelve rules of an event and its limits, with the texts that clients know.

use std::borrow::Cow;

use crate::json::Object;
use crate::{Error, Event, Kind, Result};

/// Longest name, type or id, in bytes.
pub const MAX_NAME_BYTES: usize = 4 << 10;

/// Largest event, in bytes of its JSON text or of the text in its properties.
pub const MAX_EVENT_BYTES: usize = 8 << 20;

impl Event {
    /// Checks the rules and limits of an event; `Kind::Invalid` names the first that is broken.
    pub fn validate(&self) -> Result<()> {
        Subject {
            event: &self.event,
            entity_type: &self.entity.kind,
            entity_id: &self.entity.id,
            target_type: self.target.as_ref().map(|target| target.kind.as_str()),
            target_id: self.target.as_ref().map(|target| target.id.as_str()),
            properties: &self.properties,
            pr_id: self.pr_id.as_deref(),
            event_id: self.event_id.as_deref(),
        }
        .check()
    }
}

/// What the twelve rules look at. Unlike an [`Event`] it can have half a target.
pub(crate) struct Subject<'a> {
    pub event: &'a str,
    pub entity_type: &'a str,
    pub entity_id: &'a str,
    pub target_type: Option<&'a str>,
    pub target_id: Option<&'a str>,
    pub properties: &'a Object,
    pub pr_id: Option<&'a str>,
    pub event_id: Option<&'a str>,
}

impl Subject<'_> {
    /// The first broken rule decides, then the limits.
    pub(crate) fn check(&self) -> Result<()> {
        self.check_presence().map_err(invalid)?;
        self.check_reserved_names().map_err(invalid)?;
        self.check_limits()
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

    fn check_limits(&self) -> Result<()> {
        let names = [
            ("event", Some(self.event)),
            ("entityType", Some(self.entity_type)),
            ("entityId", Some(self.entity_id)),
            ("targetEntityType", self.target_type),
            ("targetEntityId", self.target_id),
            ("prId", self.pr_id),
            ("eventId", self.event_id),
        ];
        for (field, name) in names {
            let length = name.map_or(0, str::len);
            if length > MAX_NAME_BYTES {
                let text = format!("{field} must not be longer than {MAX_NAME_BYTES} bytes, got {length}.");
                return Err(invalid(text));
            }
        }
        if self.properties.text_bytes() > MAX_EVENT_BYTES { Err(too_large()) } else { Ok(()) }
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
pub(crate) fn invalid(text: impl Into<String>) -> Error {
    let mut text = text.into();
    if let Some((end, _)) = text.char_indices().nth(2 * MAX_NAME_BYTES) {
        text.truncate(end);
        text.push('…');
    }
    Error::new(Kind::Invalid, text)
}

pub(crate) fn too_large() -> Error {
    invalid(format!("An event must not be larger than {MAX_EVENT_BYTES} bytes."))
}
