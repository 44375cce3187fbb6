//! Mapping files: what they make, and how wrong ones are refused.

use events::json;
use proptest::prelude::*;

use super::*;

fn mapping(connector: &str) -> Mapping {
    let file = format!(r#"{{"connectors": {{"x.json": {connector}}}}}"#);
    parse(file.as_bytes()).unwrap().pop().unwrap().2
}

fn rule(rule: &str) -> Mapping {
    mapping(&format!(r#"{{"rules": [{rule}]}}"#))
}

/// The events as JSON texts.
fn events(mapping: &Mapping, payload: &str) -> std::result::Result<Vec<String>, String> {
    let payload = json::parse(payload.as_bytes()).unwrap();
    let events = mapping.events(&payload).map_err(|failure| failure.to_string())?;
    Ok(events.iter().map(ToString::to_string).collect())
}

fn refused(file: &str) -> String {
    parse(file.as_bytes()).unwrap_err().to_string()
}

const PLAIN: &str = r#""event":"view","entityType":"user","entityId":"$.user""#;

#[test]
fn one_rule_makes_one_event() {
    let all = rule(
        r#"{"event":"$.what","entityType":"user","entityId":["$.user.id","$.guest"],"targetEntityType":"item",
            "targetEntityId":"$.items[0]","eventId":{"join":["shop","$.id"]},
            "eventTime":{"from":"$.at","format":"seconds"},
            "properties":{"price":"$.price","shop":"a","n":1,"deep":{"value":{"x":[null]}},"first":["$.no",true],"no":"$.no"}}"#,
    );
    assert_eq!(
        events(&all, r#"{"what":"buy","guest":7,"items":["i1"],"id":99,"at":1445444940,"price":{"eur":1.5}}"#),
        Ok(vec![
            concat!(
                r#"{"event":"buy","entityType":"user","entityId":"7","targetEntityType":"item","targetEntityId":"i1","#,
                r#""eventId":"shop-99","eventTime":"2015-10-21T16:29:00.000Z","#,
                r#""properties":{"price":{"eur":1.5},"shop":"a","n":1,"deep":{"x":[null]},"first":true}}"#
            )
            .to_owned()
        ])
    );
}

#[test]
fn each_makes_one_event_per_chosen_element() {
    let lines = rule(
        r#"{"each":"$.lines","when":[{"path":"$.paid","equals":true},{"path":"@.gift","exists":false}],
            "event":"buy","entityType":"user","entityId":"$.user","targetEntityType":"item","targetEntityId":"@.sku",
            "properties":"@.more"}"#,
    );
    let payload =
        r#"{"paid":true,"user":"u","lines":[{"sku":1,"more":{"n":2}},{"sku":2,"gift":0},{"sku":3}]}"#;
    let event = |sku: u32, more: &str| {
        format!(
            r#"{{"event":"buy","entityType":"user","entityId":"u","targetEntityType":"item","targetEntityId":"{sku}","properties":{more}}}"#
        )
    };
    assert_eq!(events(&lines, payload), Ok(vec![event(1, r#"{"n":2}"#), event(3, "{}")]));
    assert_eq!(events(&lines, r#"{"paid":true,"user":"u","lines":[]}"#), Ok(vec![]));
    let none = Err("No rule of this webhook is for this payload.".to_owned());
    assert_eq!(events(&lines, r#"{"paid":false,"user":"u","lines":[]}"#), none);
    let wrong = [
        (r#"{"paid":true}"#, "rules[0]: each: $.lines is missing"),
        (r#"{"paid":true,"lines":{}}"#, "rules[0]: each: $.lines must be an array, got {}"),
        (
            r#"{"paid":true,"user":"u","lines":[{"sku":1},{}]}"#,
            "rules[0]: element 1 of $.lines: targetEntityId: @.sku is missing",
        ),
        (
            r#"{"paid":true,"user":"u","lines":[{"sku":1,"more":[]}]}"#,
            "rules[0]: element 0 of $.lines: properties: @.more must be an object, got []",
        ),
    ];
    for (payload, message) in wrong {
        assert_eq!(events(&lines, payload), Err(message.to_owned()), "{payload}");
    }
}

#[test]
fn all_rules_that_apply_make_their_events_in_order() {
    let two = mapping(&format!(
        r#"{{"rules": [{{"when":{{"path":"$.t","in":["a",1]}},{PLAIN}}},
            {{"when":{{"path":"$.t","equals":"a"}},"event":"second","entityType":"user","entityId":"$.user"}}]}}"#
    ));
    let names = |payload: &str| {
        let payload = json::parse(payload.as_bytes()).unwrap();
        let name = |event: Object| event.get("event").unwrap().as_str().unwrap().to_owned();
        two.events(&payload).map(|events| events.into_iter().map(name).collect::<Vec<_>>()).ok()
    };
    assert_eq!(names(r#"{"t":"a","user":"u"}"#).unwrap(), ["view", "second"]);
    assert_eq!(names(r#"{"t":1,"user":"u"}"#).unwrap(), ["view"]);
    assert_eq!(names(r#"{"t":"1","user":"u"}"#), None);
}

#[test]
fn what_no_rule_is_for_goes_where_otherwise_says() {
    let with = |otherwise: &str| {
        mapping(&format!(
            r#"{{"rules":[{{"when":{{"path":"$.t","exists":true}},{PLAIN}}}],"otherwise":"{otherwise}"}}"#
        ))
    };
    assert_eq!(events(&with("ignore"), "{}"), Ok(vec![]));
    assert!(events(&with("refuse"), "{}").unwrap_err().starts_with("No rule"));
    let version = "Failed to get segment.io API version.".to_owned();
    assert_eq!(events(&with("segmentio"), "{}"), Err(version));
    assert_eq!(events(&with("ignore"), r#"{"t":1,"user":"u"}"#).unwrap().len(), 1);
}

#[test]
fn values_of_a_wrong_kind_are_named() {
    let plain = rule(&format!(r#"{{{PLAIN},"eventTime":"$.at"}}"#));
    let cases = [
        ("{}", "rules[0]: entityId: $.user is missing"),
        (r#"{"user":null}"#, "rules[0]: entityId: $.user is missing"),
        (r#"{"user":true}"#, "rules[0]: entityId: $.user must be a string or a number, got true"),
        (r#"{"user":"u"}"#, "rules[0]: eventTime: $.at is missing"),
        (
            r#"{"user":"u","at":"today"}"#,
            "rules[0]: eventTime: $.at must be a time in the format \"iso\", got \"today\"",
        ),
    ];
    for (payload, message) in cases {
        assert_eq!(events(&plain, payload), Err(message.to_owned()), "{payload}");
    }
    let joined = rule(
        r#"{"event":"view","entityType":"user","entityId":["$.a",{"join":["$.b",{"value":"x"},"$.c"]}]}"#,
    );
    let missing = "rules[0]: entityId: first of $.a, join of $.b, \"x\", $.c is missing";
    assert_eq!(events(&joined, r#"{"b":1}"#), Err(missing.to_owned()));
}

#[test]
fn a_payload_cannot_grow() {
    let copies = rule(&format!(r#"{{"each":"$.n",{PLAIN},"properties":{{"all":"$"}}}}"#));
    let elements = |count: usize| vec!["0"; count].join(",");
    let large =
        |bytes: usize| format!(r#"{{"user":"u","x":"{}","n":[{}]}}"#, "x".repeat(bytes), elements(500));
    assert_eq!(events(&copies, &large(1000)).unwrap().len(), 500);
    let message = events(&copies, &large(100_000)).unwrap_err();
    assert!(message.contains("must not hold more than"), "{message}");
    let many = rule(&format!(r#"{{"each":"$.n",{PLAIN}}}"#));
    let payload = |count| format!(r#"{{"user":"u","n":[{}]}}"#, elements(count));
    assert_eq!(events(&many, &payload(1000)).unwrap().len(), 1000);
    assert!(events(&many, &payload(1001)).unwrap_err().contains("more than 1000 events"));
}

#[test]
fn a_wrong_file_says_where_it_is_wrong() {
    let cases = [
        ("", "not JSON: "),
        (r#"{"connectors": {},}"#, "not JSON: "),
        ("[]", "the file: must be an object, got []"),
        ("{}", "the file: \"connectors\" is missing"),
        (r#"{"connectors": {}, "more": 1}"#, "the file: \"more\" is not known; there are connectors"),
        (r#"{"connectors": []}"#, "connectors: must be an object, got []"),
        (r#"{"connectors": {"a.json": {}, "a.json": {}}}"#, "connectors: \"a.json\" is there twice"),
        (
            r#"{"connectors": {"shop": {}}}"#,
            "connectors[\"shop\"]: a connector is called NAME.json or NAME.form",
        ),
        (r#"{"connectors": {"a/b.json": {}}}"#, "a connector is called NAME.json or NAME.form"),
        (r#"{"connectors": {".json": {}}}"#, "a connector is called NAME.json or NAME.form"),
        (r#"{"connectors": {"a.json": {}}}"#, "connectors[\"a.json\"]: \"rules\" is missing"),
        (r#"{"connectors": {"a.json": {"rules": []}}}"#, "connectors[\"a.json\"].rules: must not be empty"),
        (
            r#"{"connectors": {"a.json": {"otherwise": "mailchimp"}}}"#,
            "connectors[\"a.json\"].otherwise: must be \"refuse\", \"ignore\" or a built-in connector for .json, got \"mailchimp\"",
        ),
    ];
    for (file, message) in cases {
        let got = refused(file);
        assert!(got.contains(message), "{file}: {got}");
    }
}

#[test]
fn a_wrong_rule_says_where_it_is_wrong() {
    let cases = [
        ("{}", ": \"event\" is missing"),
        (r#"{"event":"a","entityType":"b"}"#, ": \"entityId\" is missing"),
        (r#"{PLAIN,"user":1}"#, ": \"user\" is not known; there are when, each, event, "),
        (r#"{PLAIN,"targetEntityId":"$.a"}"#, ": targetEntityType and targetEntityId stand together"),
        (r#"{PLAIN,"eventId":"@.id"}"#, ".eventId: @ is the element of each, and this rule has no each"),
        (r#"{PLAIN,"eventId":{"join":["$.a",["@"]]}}"#, ".eventId: @ is the element of each"),
        (r#"{PLAIN,"each":"@.x"}"#, ": each: its path begins with $"),
        (r#"{PLAIN,"each":"x"}"#, ".each: \"x\" is not a path: it begins with $"),
        (r#"{PLAIN,"eventId":"$..a"}"#, ".eventId: \"$..a\" is not a path: a name that is empty"),
        (r#"{PLAIN,"eventId":null}"#, ".eventId: must be a path, a constant, "),
        (r#"{PLAIN,"eventId":[]}"#, ".eventId: must not be empty"),
        (r#"{PLAIN,"eventId":{"joi":[]}}"#, ".eventId: \"joi\" is not known; there are value, join"),
        (r#"{PLAIN,"eventId":{"join":["a"],"value":1}}"#, ".eventId: has exactly one of value and join"),
        (
            r#"{PLAIN,"eventTime":{"from":"$.a","format":"rfc"}}"#,
            ".eventTime.format: \"rfc\" is not a format",
        ),
        (r#"{PLAIN,"eventTime":{"format":"iso"}}"#, ".eventTime: \"from\" is missing"),
        (r#"{PLAIN,"properties":"a"}"#, ".properties: \"a\" is not a path"),
        (r#"{PLAIN,"properties":{"a":["$.b",null]}}"#, ".properties[\"a\"][1]: must be a path"),
        (r#"{PLAIN,"when":[]}"#, ".when: must not be empty"),
        (r#"{PLAIN,"when":{"path":"$.a"}}"#, ".when: has exactly one of equals, in and exists"),
        (r#"{PLAIN,"when":[{"path":"$.a","equals":1,"in":[1]}]}"#, ".when[0]: has exactly one of"),
        (r#"{PLAIN,"when":{"path":"$.a","equals":{}}}"#, ".when.equals: must be a string, a number, true or"),
        (r#"{PLAIN,"when":{"path":"$.a","exists":1}}"#, ".when.exists: must be true or false, got 1"),
        (r#"{PLAIN,"when":{"path":"@.a","exists":true}}"#, ".when.path: @ is the element of each"),
    ];
    for (rule, message) in cases {
        let rule = rule.replace("PLAIN", PLAIN);
        let got = refused(
            &format!(r#"{{"connectors": {{"x.json": {{"rules": [{{}}, {rule}]}}}}}}"#).replace("{}, ", ""),
        );
        let expected = format!("connectors[\"x.json\"].rules[0]{message}");
        assert!(got.starts_with(&expected), "{rule}\n got {got}\nwant {expected}");
    }
}

/// JSON of a few names and values, nested.
fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(|real| json::Number::real(real).map_or(Json::Null, Json::Number)),
        "[a-c$@. ]{0,4}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            proptest::collection::vec(("[abn]", inner), 0..4)
                .prop_map(|list| Json::Object(list.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_payload_panics(payload in value()) {
        let all = mapping(
            r#"{"rules":[{"each":"$.a","when":[{"path":"@.b","exists":true}],"event":"@.a","entityType":"$.b",
                "entityId":{"join":["@","$.n"]},"eventTime":{"from":"@.b","format":"seconds"},"properties":{"x":"$","y":["@.a[0]","$.n"]}},
                {"event":"$.a","entityType":"a","entityId":"$.b","eventTime":{"from":"$.n","format":"milliseconds"},"properties":"$.a"}]}"#,
        );
        if let Err(failure) = all.events(&payload) {
            prop_assert_eq!(failure.kind(), events::Kind::Invalid);
        }
    }

    #[test]
    fn no_file_panics(rule in value(), more in value()) {
        let connector = Object::new().with("rules", Json::Array(vec![rule])).with("otherwise", more.clone());
        let file = Object::new().with("connectors", Object::new().with("x.json", connector));
        prop_assert!(parse(file.to_string().as_bytes()).is_err());
        let _ = parse(more.to_string().as_bytes());
    }
}
