//! Arbitrary input does no harm, and what was read survives being written.

use events::json::{self, Json, Number, Object};
use events::{Event, EventTime};
use proptest::prelude::*;

/// Text that is JSON more often than not: tokens in any order.
fn tokens() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just(" "),
        Just("\n"),
        Just("\"a\""),
        Just("\"\\u00fc\\n\""),
        Just("\"\\ud83e\\udd80\""),
        Just("\"\\ud83e\""),
        Just("\"ü\""),
        Just("\""),
        Just("\\"),
        Just("0"),
        Just("-1"),
        Just("+1"),
        Just("007"),
        Just("1.5"),
        Just("1e5"),
        Just("1e999"),
        Just("-0.0"),
        Just("12345678901234567890"),
        Just("true"),
        Just("false"),
        Just("null"),
        Just("nul"),
        Just("\t"),
        Just("\u{1}"),
        Just("{\"a\":"),
        Just("\"event\":\"buy\","),
        Just("\"entityType\":\"user\""),
        Just("\"entityId\":1"),
    ];
    proptest::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat().into_bytes())
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![tokens(), proptest::collection::vec(any::<u8>(), 0..64), mutated()]
}

/// Valid JSON with some bytes replaced.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let damage = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (value(), damage).prop_map(|(json, damage)| {
        let mut text = json.to_string().into_bytes();
        for (at, byte) in damage {
            let at = at.index(text.len());
            text[at] = byte;
        }
        text
    })
}

fn value() -> impl Strategy<Value = Json> {
    let real = any::<f64>().prop_filter_map("finite", Number::real).prop_map(Json::from);
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        real,
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let object = proptest::collection::vec((any::<String>(), inner.clone()), 0..6);
        prop_oneof![
            proptest::collection::vec(inner, 0..6).prop_map(Json::Array),
            object.prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Object> {
    let members = proptest::collection::vec(("[a-zü]{0,3}", value()), 0..6);
    members.prop_map(|members| {
        let mut object: Object = members.into_iter().collect();
        object.keep_last();
        object
    })
}

fn time() -> impl Strategy<Value = EventTime> {
    (any::<i64>(), -86_399..=86_399).prop_map(|(millis, offset_seconds)| EventTime { millis, offset_seconds })
}

fn event() -> impl Strategy<Value = Event> {
    let name = || "[^$p]\\PC{0,9}";
    let entity = move || (name(), "\\PC{1,9}").prop_map(|(kind, id)| events::Entity { kind, id });
    let ids = (proptest::option::of("\\PC{1,9}"), proptest::option::of("\\PC{0,9}"));
    (name(), entity(), proptest::option::of(entity()), object(), time(), ids).prop_map(
        |(event, entity, target, properties, event_time, (event_id, pr_id))| Event {
            event_id,
            event,
            entity,
            target,
            properties: properties.into_iter().filter(|(key, _)| !key.starts_with("pio_")).collect(),
            event_time,
            pr_id,
            tags: Vec::new(),
            creation_time: NOW,
        },
    )
}

const NOW: EventTime = EventTime::utc(1_700_000_000_000);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// What needs no leniency is exactly what an independent strict reader accepts.
    #[test]
    fn strict_where_it_says_so(text in bytes()) {
        let strict = serde_json::from_slice::<serde_json::Value>(&text);
        match json::parse_observed(&text) {
            Ok((_, None)) => prop_assert!(strict.is_ok(), "{:?} {:?}", String::from_utf8_lossy(&text), strict),
            Ok((_, Some(deviation))) => prop_assert!(strict.is_err(), "{:?} {}", String::from_utf8_lossy(&text), deviation),
            Err(error) => prop_assert!(strict.is_err(), "{:?} {}", String::from_utf8_lossy(&text), error),
        }
    }

    /// What was read is written strictly and reads as the same.
    #[test]
    fn written_json_is_strict_and_equal(text in bytes()) {
        if let Ok(json) = json::parse(&text) {
            prop_assert_eq!(json::parse_observed(json.to_string().as_bytes()), Ok((json, None)));
        }
    }

    #[test]
    fn values_survive(json in value()) {
        let text = json.to_string();
        prop_assert_eq!(json::parse_observed(text.as_bytes()), Ok((json, None)));
        let strict = serde_json::from_str::<serde_json::Value>(&text);
        prop_assert!(strict.is_ok(), "{} {:?}", text, strict);
    }

    /// Both roads to an event agree, and an accepted event is valid.
    #[test]
    fn roads_to_an_event_agree(text in bytes()) {
        let parsed = Event::parse(&text, NOW);
        match json::parse(&text) {
            Ok(json) => {
                let other = Event::from_json(&json, NOW);
                prop_assert_eq!(format!("{:?}", parsed), format!("{:?}", other));
            }
            Err(error) => prop_assert_eq!(parsed.as_ref().unwrap_err().to_string(), error.to_string()),
        }
        if let Ok(event) = parsed {
            prop_assert!(event.validate().is_ok());
        }
    }

    /// An exported event imports as the same event, and as the same text.
    #[test]
    fn events_survive(event in event()) {
        prop_assume!(event.validate().is_ok());
        let mut text = String::new();
        event.write_json(&mut text);
        let again = Event::parse(text.as_bytes(), NOW).unwrap();
        prop_assert_eq!(&again, &event);
        let lent = event.texts();
        prop_assert_eq!(event.lend(&lent).to_event().unwrap().properties, again.properties);
        prop_assert_eq!(json::parse_observed(text.as_bytes()).unwrap().1, None);
    }
}
