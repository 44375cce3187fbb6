use super::*;
use crate::{Kind, MAX_NAME_BYTES, json};

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

const NOW: EventTime = EventTime::utc(1_400_000_000_123);

/// The error text for `text`, by both roads.
fn refusal(text: &str) -> String {
    let parsed = Event::parse(text.as_bytes(), NOW);
    if let Ok(json) = json::parse(text.as_bytes()) {
        let from_json = Event::from_json(&json, NOW);
        assert_eq!(format!("{parsed:?}"), format!("{from_json:?}"), "both roads agree on {text}");
    }
    let error = parsed.expect_err(text);
    assert_eq!(error.kind(), Kind::Invalid);
    error.to_string()
}

fn accept(text: &str) -> Event {
    let event = Event::parse(text.as_bytes(), NOW).unwrap();
    let json = json::parse(text.as_bytes()).unwrap();
    assert_eq!(Event::from_json(&json, NOW).unwrap(), event, "both roads agree on {text}");
    event.validate().unwrap();
    event
}

fn shown(text: &str) -> String {
    let mut out = String::new();
    accept(text).write_json(&mut out);
    out
}

#[test]
fn shows_all_fields_in_the_documented_order() {
    let text = r#"{"prId":"p","creationTime":"2001-01-01T00:00:00Z","tags":["t"],"more":[1],"properties":{"b":1e10,"a":[{"x":1,"x":2}],"b":2},
        "eventTime":"2014-09-09T16:17:42.9-08:00","targetEntityId":"i","targetEntityType":"item","entityId":"u","entityType":"user","event":"buy","eventId":"e"}"#;
    assert_eq!(
        shown(text),
        r#"{"eventId":"e","event":"buy","entityType":"user","entityId":"u","targetEntityType":"item","targetEntityId":"i","properties":{"b":2,"a":[{"x":2}]},"eventTime":"2014-09-09T16:17:42.900-08:00","prId":"p","creationTime":"2014-05-13T16:53:20.123Z"}"#
    );
}

#[test]
fn fills_in_what_is_absent() {
    let expected = r#"{"event":"buy","entityType":"user","entityId":"u","properties":{},"eventTime":"2014-05-13T16:53:20.123Z","creationTime":"2014-05-13T16:53:20.123Z"}"#;
    assert_eq!(shown(r#"{"event":"buy","entityType":"user","entityId":"u"}"#), expected);
    let nulls = r#"{"event":"buy","entityType":"user","entityId":"u","eventId":null,"targetEntityType":null,
        "targetEntityId":null,"properties":null,"eventTime":null,"prId":null,"tags":null}"#;
    assert_eq!(shown(nulls), expected);
    assert_eq!(accept(r#"{"event":"buy","entityType":"user","entityId":"u","eventId":""}"#).event_id, None);
}

#[test]
fn numbers_become_text_and_leniency_holds() {
    let id =
        |json: &str| accept(&format!(r#"{{"event":"buy","entityType":"user","entityId":{json}}}"#)).entity.id;
    let cases = [
        ("100", "100"),
        ("-5", "-5"),
        ("+5", "5"),
        ("007", "7"),
        ("12345678901234567890", "12345678901234567890"),
        ("1.0", "1.0"),
        ("1e10", "1.0E10"),
    ];
    for (json, text) in cases {
        assert_eq!(id(json), text);
    }
    let all = accept(
        r#"{"event":1 "entityType":2,,"entityId":3,"targetEntityType":4,"targetEntityId":5,"prId":6,"eventId":7,}"#,
    );
    assert_eq!(all.event, "1");
    assert_eq!(all.target, Some(Entity { kind: "4".into(), id: "5".into() }));
    assert_eq!((all.pr_id.as_deref(), all.event_id.as_deref()), (Some("6"), Some("7")));
    let last = accept(r#"{"event":{},"event":"x","entityType":"user","entityId":"u","event":"b"}"#);
    assert_eq!(last.event, "b");
    let two =
        r#"{"event":"x","entityType":"user","entityId":"u"}{"event":"y","entityType":"user","entityId":"u"}"#;
    assert_eq!(refusal(two), "line 1, column 49: expected one object, a second begins here");
    let millis = accept(r#"{"event":"x","entityType":"user","entityId":"u","eventTime":-1}"#);
    assert_eq!(millis.event_time, EventTime::utc(-1));
}

#[test]
fn bad_fields_are_named() {
    let with = |members: &str| {
        refusal(&format!(r#"{{"event":"buy","entityType":"user","entityId":"u",{members}}}"#))
    };
    assert_eq!(refusal("{}"), "The field event is required.");
    assert_eq!(refusal(r#"{"event":"buy"}"#), "The field entityType is required.");
    assert_eq!(refusal(r#"{"event":"buy","entityType":"user"}"#), "The field entityId is required.");
    assert_eq!(refusal(r#"{"event":null}"#), "The required field event cannot be null.");
    assert_eq!(refusal(r#"{"event":true}"#), "The field event must be a string, got true.");
    assert_eq!(with(r#""event":["buy"]"#), "The field event must be a string, got an array of 1.");
    assert_eq!(with(r#""properties":[]"#), "The field properties must be an object, got [].");
    assert_eq!(with(r#""properties":"{}""#), "The field properties must be an object, got \"{}\".");
    assert_eq!(with(r#""eventTime":"yesterday""#), "Fail to extract eventTime yesterday");
    assert_eq!(with(r#""eventTime":"""#), "Fail to extract eventTime ");
    assert_eq!(
        with(r#""eventTime":1.5"#),
        "The field eventTime must be an ISO 8601 time with a zone, or whole milliseconds since 1970, got 1.5."
    );
    assert!(with(r#""eventTime":[1]"#).ends_with("milliseconds since 1970, got an array of 1."));
    assert_eq!(with(r#""prId":{"a":1}"#), "The field prId must be a string, got an object of 1.");
    assert_eq!(with(r#""eventId":false"#), "The field eventId must be a string, got false.");
    assert_eq!(with(r#""targetEntityId":[]"#), "The field targetEntityId must be a string, got [].");
    for other in ["[]", "1", "null", "\"x\""] {
        assert_eq!(refusal(other), format!("An event must be a JSON object, got {other}."));
    }
    assert_eq!(refusal("{"), "line 1, column 2: truncated: `}` is missing");
}

/// The rules in order. Each line breaks its rule and as many later ones as fit, so the order shows.
#[test]
fn the_first_broken_rule_decides() {
    let cases = [
        (["", "", "", "", ""], "{}", "event must not be empty."),
        (["$unset", "", "", "", ""], "{}", "entityType must not be empty string."),
        (["$unset", "pio_x", "", "", ""], "{}", "entityId must not be empty string."),
        (["$unset", "pio_x", "u", "", ""], "{}", "targetEntityType must not be empty string"),
        (["$unset", "pio_x", "u", "", "-"], "{}", "targetEntityType must not be empty string"),
        (["$unset", "pio_x", "u", "-", ""], "{}", "targetEntityId must not be empty string."),
        (["$unset", "pio_x", "u", "pio_y", ""], "{}", "targetEntityId must not be empty string."),
        (
            ["$unset", "pio_x", "u", "pio_y", "-"],
            "{}",
            "targetEntityType and targetEntityId must be specified together.",
        ),
        (
            ["$unset", "pio_x", "u", "-", "i"],
            "{}",
            "targetEntityType and targetEntityId must be specified together.",
        ),
        (["$unset", "pio_x", "u", "pio_y", "i"], "{}", "properties cannot be empty for $unset event"),
        (["$x", "pio_x", "u", "pio_y", "i"], "{\"$p\":1}", "$x is not a supported reserved event name."),
        (["pio_set", "pio_x", "u", "-", "-"], "{}", "pio_set is not a supported reserved event name."),
        (["$set", "pio_x", "u", "pio_y", "i"], "{\"$p\":1}", "Reserved event $set cannot have targetEntity"),
        (
            ["buy", "pio_x", "u", "pio_y", "i"],
            "{\"$p\":1}",
            "The entityType pio_x is not allowed. 'pio_' is a reserved name prefix.",
        ),
        (
            ["buy", "$x", "u", "pio_y", "i"],
            "{}",
            "The entityType $x is not allowed. 'pio_' is a reserved name prefix.",
        ),
        (
            ["buy", "pio_pr", "u", "pio_y", "i"],
            "{\"$p\":1}",
            "The targetEntityType pio_y is not allowed. 'pio_' is a reserved name prefix.",
        ),
        (
            ["buy", "user", "u", "pio_pr", "i"],
            "{\"a\":1,\"pio_p\":1,\"$p\":1}",
            "The property pio_p is not allowed. 'pio_' is a reserved name prefix.",
        ),
        (
            ["$delete", "user", "u", "-", "-"],
            "{\"$p\":1}",
            "The property $p is not allowed. 'pio_' is a reserved name prefix.",
        ),
    ];
    for (values, properties, text) in cases {
        assert_eq!(refusal(&event_json(values, properties)), text, "{values:?}");
    }
}

/// `-` leaves a target field out.
fn event_json(values: [&str; 5], properties: &str) -> String {
    let mut object = Object::new();
    for (name, value) in FIELDS.into_iter().zip(values).filter(|(_, value)| *value != "-") {
        object.insert(name, value);
    }
    object.insert("properties", json::parse(properties.as_bytes()).unwrap());
    object.to_string()
}

#[test]
fn valid_edges_pass() {
    for (values, properties) in [
        (["$set", "user", "u", "-", "-"], "{}"),
        (["$delete", "user", "u", "-", "-"], "{}"),
        (["$unset", "user", "u", "-", "-"], "{\"a\":null}"),
        (["buy", "pio_pr", "u", "pio_pr", "i"], "{\"deep\":{\"$x\":1,\"pio_y\":2}}"),
        (["Pio_x", "pio", "$u", "item", "pio_i"], "{\"\":1}"),
        (["ü🦀 \u{0}", " ", " ", "\n", "\t"], "{}"),
    ] {
        accept(&event_json(values, properties));
    }
}

#[test]
fn limits_are_named() {
    let long = "x".repeat(MAX_NAME_BYTES);
    let longer = format!("{long}x");
    accept(&event_json([&long, &long, &long, &long, &long], "{}"));
    for (i, field) in FIELDS.into_iter().take(5).enumerate() {
        let mut values = [long.as_str(); 5];
        values[i] = &longer;
        let text = format!("{field} must not be longer than 4096 bytes, got 4097.");
        assert_eq!(refusal(&event_json(values, "{}")), text);
    }
    let big = Object::new().with("p", "x".repeat(MAX_EVENT_BYTES));
    let too_large = "An event must not be larger than 8388608 bytes.";
    assert_eq!(refusal(&event_json(["buy", "user", "u", "-", "-"], &big.to_string())), too_large);
    let fits = Object::new().with("p", "x".repeat(MAX_EVENT_BYTES - 200));
    accept(&event_json(["buy", "user", "u", "-", "-"], &fits.to_string()));
    let endless = refusal(&event_json(["buy", &format!("${}", "ü".repeat(1 << 20)), "u", "-", "-"], "{}"));
    assert_eq!(endless.chars().count(), 2 * MAX_NAME_BYTES + 1, "messages stay short");
}

#[test]
fn a_batch_is_as_good_as_its_events_one_by_one() {
    let texts = [
        r#"{"event":"buy","entityType":"user","entityId":1,"eventTime":"2020-01-01T00:00:00Z"}"#,
        r#"{"event":"","entityType":"user","entityId":"u"}"#,
        "7",
        "[]",
        r#"{"event":"$set","entityType":"user","entityId":"u","properties":{"a":[1,{"b":2}]}}"#,
        "{}",
    ];
    let now = EventTime::utc(5);
    let one_by_one: Vec<_> =
        texts.iter().map(|text| Event::parse(text.as_bytes(), now).map_err(|e| e.to_string())).collect();
    let batch = |text: &str, max| Event::parse_batch(text.as_bytes(), now, max);
    let (events, leniency) = batch(&format!("[{}]", texts.join(",")), 6).unwrap();
    let bytes: Vec<_> = events.iter().map(|element| element.bytes).collect();
    assert_eq!(bytes, texts.map(str::len));
    let events: Vec<_> = events.into_iter().map(|element| element.event.map_err(|e| e.to_string())).collect();
    assert_eq!(events, one_by_one);
    assert_eq!(leniency, None);
    assert!(batch(&format!("[{}]", texts.join(" ")), 6).unwrap().1.is_some(), "commas may be missing");
    assert_eq!(batch("[]", 0).unwrap().0.len(), 0);
    let wrong = [
        ("[{},{},{}]", "Batch request must have less than or equal to 2 events"),
        ("{}", "A batch must be a JSON array of events, got {}."),
        ("", "line 1, column 1: the text ends where a value is expected"),
        ("[{},{},{}", "line 1, column 10: truncated: `]` is missing"),
        ("[] []", "line 1, column 4: text after the value"),
    ];
    for (text, expected) in wrong {
        assert_eq!(batch(text, 2).unwrap_err().to_string(), expected, "{text}");
    }
}

#[test]
fn the_lent_form_is_that_of_the_owned_one() {
    let texts = [
        r#"{"event":"buy","entityType":"user","entityId":"ü\u00e9","targetEntityType":"item","targetEntityId":7}"#,
        r#"{"prId":"p","properties":{"b":1e10,"b":2},"eventTime":"2014-09-09T16:17:42.9-08:00","entityId":"u","entityType":"user","event":"$set","eventId":"e"}"#,
    ];
    for text in texts {
        let (parsed, owned) = (ParsedEvent::parse(text.as_bytes(), NOW).unwrap(), accept(text));
        let lent = parsed.lend(|event| format!("{event:?}"));
        assert_eq!(lent, format!("{:?}", owned.lend(&owned.texts())));
        assert_eq!(parsed.into_event(), owned);
    }
}
