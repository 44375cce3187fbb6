//! Segment's tracking calls. PredictionIO read their members in `snake_case`; Segment sends `camelCase`. Both are read,
//! and events are written in `snake_case`, as they always were.

use events::json::Object;

use super::{cannot_convert, invalid, member, optional_text, shown, text_member};
use crate::failure::Result;

const USER_ID: [&str; 2] = ["user_id", "userId"];
const ANONYMOUS_ID: [&str; 2] = ["anonymous_id", "anonymousId"];
const SENT_AT: [&str; 2] = ["sent_at", "sentAt"];
const PREVIOUS_ID: [&str; 2] = ["previous_id", "previousId"];
const GROUP_ID: [&str; 2] = ["group_id", "groupId"];

/// The event of one call: its `type` as the name, the user as the entity, no target.
pub fn event(payload: &Object) -> Result<Object> {
    if member(payload, &["version"]).is_none() {
        return Err(invalid("Failed to get segment.io API version."));
    }
    let common = Common::read(payload).map_err(|reason| {
        invalid(format!("Cannot extract Common field from {}. {reason}", shown(payload)))
    })?;
    let Some(call) = Call::of_type(&common.kind) else {
        return Err(invalid(format!("Cannot convert unknown type {} to event JSON.", common.kind)));
    };
    let properties = call.properties(payload).map_err(|reason| cannot_convert(payload, reason))?;
    let Some(id) = common.user_id.or(common.anonymous_id) else {
        return Err(invalid("there was no `userId` or `anonymousId` in the common fields."));
    };
    Ok(Object::new()
        .with("event", common.kind)
        .with("entityType", "user")
        .with("entityId", id)
        .with("eventTime", common.timestamp)
        .with("properties", properties))
}

/// What every call has.
struct Common {
    kind: String,
    user_id: Option<String>,
    anonymous_id: Option<String>,
    timestamp: String,
}

impl Common {
    fn read(payload: &Object) -> std::result::Result<Self, String> {
        let kind = text_member(payload, &["type"])?;
        text_member(payload, &SENT_AT)?;
        let timestamp = text_member(payload, &["timestamp"])?;
        let user_id = optional_text(payload, &USER_ID)?;
        let anonymous_id = optional_text(payload, &ANONYMOUS_ID)?;
        Ok(Self { kind, user_id, anonymous_id, timestamp })
    }
}

/// Which members a type of call moves to the properties, beside `context`.
struct Call {
    user_required: bool,
    /// Spellings of the one that must be there.
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

impl Call {
    fn of_type(kind: &str) -> Option<Self> {
        let call = |user_required, required, optional| Some(Self { user_required, required, optional });
        match kind {
            "identify" => call(true, &[], &["traits"]),
            "track" => call(false, &["event"], &["properties"]),
            "alias" => call(true, &PREVIOUS_ID, &[]),
            "page" | "screen" => call(false, &[], &["name", "properties"]),
            "group" => call(false, &GROUP_ID, &["traits"]),
            _ => None,
        }
    }

    /// Values go verbatim, whatever they hold; PredictionIO kept of a context only what it knew.
    fn properties(&self, payload: &Object) -> std::result::Result<Object, String> {
        if self.user_required {
            text_member(payload, &USER_ID)?;
        }
        let mut properties = Object::new();
        for name in ["context"].iter().chain(self.optional) {
            if let Some(value) = member(payload, &[name]) {
                properties.insert(*name, value.clone());
            }
        }
        if let Some(name) = self.required.first() {
            properties.insert(*name, text_member(payload, self.required)?);
        }
        Ok(properties)
    }
}
