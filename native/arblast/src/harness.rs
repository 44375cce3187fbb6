//! Events as clients of Harness send them.

use events::json::{self, JsonError, Object};
use events::{Json, Kind};

/// The members of an event, and where its JSON is such by tolerance only: targets are items.
///
/// # Errors
/// It is no JSON object, or `eventTime` is missing or lacks its offset.
pub fn event(text: &[u8]) -> events::Result<(Object, Option<JsonError>)> {
    let wrong = |why: String| events::Error::new(Kind::Invalid, why);
    let (json, leniency) =
        json::parse_observed(text).map_err(|error| wrong(format!("the event is not JSON: {error}")))?;
    let Json::Object(mut object) = json else {
        return Err(wrong(format!("an event is an object, got {}", json.excerpt())));
    };
    let time = object.get("eventTime").and_then(Json::as_str);
    let has_offset = |time: &str| {
        time.ends_with(['Z', 'z']) || time.get(10..).is_some_and(|clock| clock.contains(['+', '-']))
    };
    if !time.is_some_and(has_offset) {
        return Err(wrong(
            "eventTime is required, as a time with an offset, e.g. 2026-01-31T12:00:00Z".to_owned(),
        ));
    }
    if object.get("targetEntityId").is_some_and(|id| !id.is_null()) {
        object.insert("targetEntityType", "item");
    }
    Ok((object, leniency))
}
