//! MailChimp's webhooks, which are forms: members are fields called `data[NAME]` and `data[merges][NAME]`.

use events::json::Object;
use events::{EventTime, Json};

use super::{invalid, mapping, member};
use crate::failure::Result;

/// Where the parts of an event stand in `data`; properties are pairs of their name and their place.
struct Call {
    entity_type: &'static str,
    entity_id: &'static str,
    has_list: bool,
    properties: &'static [(&'static str, &'static str)],
    has_merges: bool,
}

impl Call {
    fn of_type(kind: &str) -> Option<Self> {
        let of_user = |entity_id, properties, has_merges| {
            Some(Self { entity_type: "user", entity_id, has_list: true, properties, has_merges })
        };
        match kind {
            "subscribe" => of_user("id", &SUBSCRIBE, true),
            "unsubscribe" => of_user("id", &UNSUBSCRIBE, true),
            "profile" => of_user("id", &PROFILE, true),
            "upemail" => of_user("new_id", &UPEMAIL, false),
            "cleaned" => Some(Self {
                entity_type: "list",
                entity_id: "list_id",
                has_list: false,
                properties: &CLEANED,
                has_merges: false,
            }),
            "campaign" => Some(Self {
                entity_type: "campaign",
                entity_id: "id",
                has_list: true,
                properties: &CAMPAIGN,
                has_merges: false,
            }),
            _ => None,
        }
    }
}

const SUBSCRIBE: [(&str, &str); 4] =
    [("email", "email"), ("email_type", "email_type"), ("ip_opt", "ip_opt"), ("ip_signup", "ip_signup")];
const UNSUBSCRIBE: [(&str, &str); 6] = [
    ("action", "action"),
    ("reason", "reason"),
    ("email", "email"),
    ("email_type", "email_type"),
    ("ip_opt", "ip_opt"),
    ("campaign_id", "campaign_id"),
];
const PROFILE: [(&str, &str); 3] = [("email", "email"), ("email_type", "email_type"), ("ip_opt", "ip_opt")];
const UPEMAIL: [(&str, &str); 2] = [("new_email", "new_email"), ("old_email", "old_email")];
const CLEANED: [(&str, &str); 3] = [("campaignId", "campaign_id"), ("reason", "reason"), ("email", "email")];
const CAMPAIGN: [(&str, &str); 3] = [("subject", "subject"), ("status", "status"), ("reason", "reason")];
const MERGES: [&str; 3] = ["EMAIL", "FNAME", "LNAME"];

/// The event of one call; `fields` are those of the form.
pub fn event(fields: &Object) -> Result<Object> {
    let Some(kind) = fields.get("type").and_then(Json::as_str) else {
        return Err(invalid("The field 'type' is required for MailChimp data."));
    };
    let Some(call) = Call::of_type(kind) else {
        return Err(invalid(format!("Cannot convert unknown MailChimp data type {kind} to event JSON")));
    };
    let mut event = Object::new()
        .with("event", kind)
        .with("entityType", call.entity_type)
        .with("entityId", data(fields, call.entity_id)?)
        .with("eventTime", fired_at(fields)?);
    if call.has_list {
        event.insert("targetEntityType", "list");
        event.insert("targetEntityId", data(fields, "list_id")?);
    }
    let mut properties = Object::new();
    for (name, place) in call.properties {
        properties.insert(*name, data(fields, place)?);
    }
    if call.has_merges {
        properties.insert("merges", merges(fields)?);
    }
    Ok(event.with("properties", properties))
}

fn required<'a>(fields: &'a Object, name: &str) -> Result<&'a str> {
    fields.get(name).and_then(Json::as_str).ok_or_else(|| invalid(format!("key not found: {name}")))
}

fn data<'a>(fields: &'a Object, name: &str) -> Result<&'a str> {
    required(fields, &format!("data[{name}]"))
}

fn merges(fields: &Object) -> Result<Object> {
    let mut merges = Object::new();
    for name in MERGES {
        merges.insert(name, required(fields, &format!("data[merges][{name}]"))?);
    }
    if let Some(interests) = member(fields, &["data[merges][INTERESTS]"]) {
        merges.insert("INTERESTS", interests.clone());
    }
    Ok(merges)
}

fn fired_at(fields: &Object) -> Result<String> {
    let text = required(fields, "fired_at")?;
    let time = mapping::date_and_time(text).map(|millis| EventTime::utc(millis).to_string());
    time.ok_or_else(|| invalid(format!("fired_at must be like 2015-10-21 16:29:00 (UTC), got \"{text}\".")))
}
