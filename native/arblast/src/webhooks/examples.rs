//! PredictionIO's two example connectors, with which its clients test. Both know `userAction` and `userActionItem`.

use events::Json;
use events::json::{Number, Object};

use super::{cannot_convert, invalid, member, optional_text, shown, text_member};
use crate::failure::Result;

type Read<T> = std::result::Result<T, String>;

/// From a JSON payload.
pub fn event_of_json(payload: &Object) -> Result<Object> {
    let kind = text_member(payload, &["type"]).map_err(|reason| {
        invalid(format!("Cannot extract Common field from {}. {reason}", shown(payload)))
    })?;
    let event = match kind.as_str() {
        "userAction" => action_of_json(payload),
        "userActionItem" => item_action_of_json(payload),
        _ => return Err(invalid(format!("Cannot convert unknown type '{kind}' to Event JSON."))),
    };
    event.map_err(|reason| cannot_convert(payload, reason))
}

/// From a form.
pub fn event_of_form(fields: &Object) -> Result<Object> {
    let Some(kind) = fields.get("type").and_then(Json::as_str) else {
        return Err(invalid("The field 'type' is required."));
    };
    let event = match kind {
        "userAction" => action_of_form(fields),
        "userActionItem" => item_action_of_form(fields),
        _ => return Err(invalid(format!("Cannot convert unknown type {kind} to event JSON"))),
    };
    event.map_err(|reason| cannot_convert(fields, reason))
}

/// Event, user and time.
fn who_and_when(payload: &Object) -> Read<Object> {
    Ok(Object::new()
        .with("event", text_member(payload, &["event"])?)
        .with("entityType", "user")
        .with("entityId", text_member(payload, &["userId"])?)
        .with("eventTime", text_member(payload, &["timestamp"])?))
}

/// [`who_and_when`], and to what.
fn with_item(payload: &Object) -> Read<Object> {
    Ok(who_and_when(payload)?
        .with("targetEntityType", "item")
        .with("targetEntityId", text_member(payload, &["itemId"])?))
}

fn action_of_json(payload: &Object) -> Read<Object> {
    let event = who_and_when(payload)?;
    let mut properties = Object::new();
    insert(&mut properties, "context", context_of_json(payload)?);
    let whole = |value: &Json| value.as_number().is_some_and(Number::is_integer);
    let number = of_kind(payload, "anotherProperty1", "an integer", whole)?;
    insert(&mut properties, "anotherProperty1", Some(required(number, "anotherProperty1")?));
    insert(&mut properties, "anotherProperty2", optional_text(payload, &["anotherProperty2"])?);
    Ok(event.with("properties", properties))
}

fn item_action_of_json(payload: &Object) -> Read<Object> {
    let event = with_item(payload)?;
    let mut properties = Object::new();
    insert(&mut properties, "context", Some(required(context_of_json(payload)?, "context")?));
    let (real, boolean) = (Json::as_number, Json::as_bool);
    let number = of_kind(payload, "anotherPropertyA", "a number", |value| real(value).is_some())?;
    let truth = of_kind(payload, "anotherPropertyB", "true or false", |value| boolean(value).is_some())?;
    insert(&mut properties, "anotherPropertyA", number);
    insert(&mut properties, "anotherPropertyB", truth);
    Ok(event.with("properties", properties))
}

fn context_of_json(payload: &Object) -> Read<Option<Json>> {
    of_kind(payload, "context", "an object", |value| value.as_object().is_some())
}

/// A member of a certain kind, if it is there.
fn of_kind(payload: &Object, name: &str, kind: &str, is: impl Fn(&Json) -> bool) -> Read<Option<Json>> {
    match member(payload, &[name]) {
        None => Ok(None),
        Some(value) if is(value) => Ok(Some(value.clone())),
        Some(value) => Err(format!("The field {name} must be {kind}, got {}.", value.excerpt())),
    }
}

fn action_of_form(fields: &Object) -> Read<Object> {
    let event = who_and_when(fields)?;
    let mut properties = Object::new();
    let context = context_of_form(fields)?;
    insert(&mut properties, "context", (!context.is_empty()).then_some(context));
    let number = integer(fields, "anotherProperty1")?;
    insert(&mut properties, "anotherProperty1", Some(required(number, "anotherProperty1")?));
    insert(&mut properties, "anotherProperty2", optional_text(fields, &["anotherProperty2"])?);
    Ok(event.with("properties", properties))
}

fn item_action_of_form(fields: &Object) -> Read<Object> {
    let event = with_item(fields)?;
    let context = context_of_form(fields)?;
    for name in ["ip", "prop1", "prop2"] {
        required(context.get(name), &format!("context[{name}]"))?;
    }
    let mut properties = Object::new().with("context", context);
    insert(&mut properties, "anotherPropertyA", real(fields, "anotherPropertyA")?);
    insert(&mut properties, "anotherPropertyB", boolean(fields, "anotherPropertyB")?);
    Ok(event.with("properties", properties))
}

/// What there is of `context[ip]`, `context[prop1]` and `context[prop2]`.
fn context_of_form(fields: &Object) -> Read<Object> {
    let mut context = Object::new();
    insert(&mut context, "ip", optional_text(fields, &["context[ip]"])?);
    insert(&mut context, "prop1", real(fields, "context[prop1]")?);
    insert(&mut context, "prop2", optional_text(fields, &["context[prop2]"])?);
    Ok(context)
}

fn integer(fields: &Object, name: &str) -> Read<Option<i64>> {
    converted(fields, name, "an integer", |text| text.parse().ok())
}

fn real(fields: &Object, name: &str) -> Read<Option<Number>> {
    converted(fields, name, "a number", |text| text.parse().ok().and_then(Number::real))
}

fn boolean(fields: &Object, name: &str) -> Read<Option<bool>> {
    converted(fields, name, "true or false", |text| text.to_ascii_lowercase().parse().ok())
}

/// A field of the form as what its text says, if it is there.
fn converted<T>(
    fields: &Object,
    name: &str,
    kind: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Read<Option<T>> {
    let Some(text) = fields.get(name).and_then(Json::as_str) else { return Ok(None) };
    read(text).map(Some).ok_or_else(|| format!("The field {name} must be {kind}, got \"{text}\"."))
}

fn required<T>(value: Option<T>, name: &str) -> Read<T> {
    value.ok_or_else(|| format!("The field {name} is required."))
}

fn insert(properties: &mut Object, name: &str, value: Option<impl Into<Json>>) {
    if let Some(value) = value {
        properties.insert(name, value);
    }
}
