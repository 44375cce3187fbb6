//! One event at a time: fields, times, rules, and what is no request.

use events::Json;

use crate::events_client::{AS_JSON, EventServer, buy, shop};
use crate::program::{at, text};

const POST: &str = "/events.json?accessKey=key";

#[test]
fn an_event_comes_back_as_it_was_sent() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let sent = r#"{"event":"rate","entityType":"user","entityId":"ü/1","targetEntityType":"item","targetEntityId":"i",
        "properties":{"rating":4.5,"big":123456789012345678901234567890,"nested":{"a":[1,null]}},
        "eventTime":"2014-09-09T16:17:42.937-08:00","prId":"p","creationTime":"ignored","other":1}"#;
    let id = server.stored(POST, sent);
    let answer = server.get(&format!("/events/{id}.json?accessKey=key"));
    assert_eq!(answer.status, 200);
    let start = format!(
        r#"{{"eventId":"{id}","event":"rate","entityType":"user","entityId":"ü/1","targetEntityType":"item","targetEntityId":"i","properties":{{"rating":4.5,"big":123456789012345678901234567890,"nested":{{"a":[1,null]}}}},"eventTime":"2014-09-09T16:17:42.937-08:00","prId":"p","creationTime":""#
    );
    assert!(answer.body.starts_with(&start), "{}", answer.body);
    // an id of the client's may hold anything; it is decoded once
    let own =
        server.stored(POST, r#"{"eventId":"a/b%2F c+ü","event":"x","entityType":"user","entityId":"u"}"#);
    assert_eq!(own, "a/b%2F c+ü");
    let path = "/events/a%2Fb%252F%20c+%C3%BC.json?accessKey=key";
    assert_eq!(text(&server.get(path).json(), "eventId"), own);
    // the same id again replaces the event
    server.stored(POST, r#"{"eventId":"a/b%2F c+ü","event":"y","entityType":"user","entityId":"u"}"#);
    assert_eq!(text(&server.get(path).json(), "event"), "y");
    assert_eq!(server.delete(path).refusal(), (200, "Found".to_owned()));
    assert_eq!(server.delete(path).refusal(), (404, "Not Found".to_owned()));
    assert_eq!(server.get(path).refusal(), (404, "Not Found".to_owned()));
    assert_eq!(server.found("/events.json?accessKey=key"), 1);
}

#[test]
fn fields_are_read_as_clients_send_them() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let entity_ids = [
        ("100", "100"),
        ("-5", "-5"),
        ("+5", "5"),
        ("007", "7"),
        ("12345678901234567890", "12345678901234567890"),
        ("1.0", "1.0"),
        ("1e10", "1.0E10"),
        ("\"007\"", "007"),
    ];
    for (sent, kept) in entity_ids {
        let event =
            format!(r#"{{"event":"x","entityType":"user","entityId":{sent},"prId":null,"properties":null}}"#);
        let id = server.stored(POST, &event);
        let event = server.get(&format!("/events/{id}.json?accessKey=key")).json();
        assert_eq!((text(&event, "entityId"), event.get("prId")), (kept, None), "{sent}");
    }
    let wrong = [
        (r#"{"entityType":"user","entityId":"u"}"#, "The field event is required."),
        (
            r#"{"event":"x","entityType":"user","entityId":null}"#,
            "The required field entityId cannot be null.",
        ),
        (
            r#"{"event":"x","entityType":true,"entityId":"u"}"#,
            "The field entityType must be a string, got true.",
        ),
        (
            r#"{"event":"x","entityType":"user","entityId":[1]}"#,
            "The field entityId must be a string, got an array of 1.",
        ),
        (
            r#"{"event":"x","entityType":"user","entityId":"u","properties":[]}"#,
            "The field properties must be an object, got [].",
        ),
        (
            r#"{"event":"x","entityType":"user","entityId":"u","prId":{}}"#,
            "The field prId must be a string, got {}.",
        ),
        (
            r#"{"event":"x","entityType":"user","entityId":"u","eventTime":"yesterday"}"#,
            "Fail to extract eventTime yesterday",
        ),
    ];
    for (event, message) in wrong {
        assert_eq!(server.post(POST, event).refusal(), (400, message.to_owned()), "{event}");
    }
}

#[test]
fn the_rules_of_an_event_in_their_order() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let rest = r#""entityType":"user","entityId":"u""#;
    let wrong = [
        (r#""event":"","entityType":"","entityId":"""#.to_owned(), "event must not be empty."),
        (r#""event":"x","entityType":"","entityId":"""#.to_owned(), "entityType must not be empty string."),
        (r#""event":"x","entityType":"user","entityId":"""#.to_owned(), "entityId must not be empty string."),
        (format!(r#""event":"x",{rest},"targetEntityType":"""#), "targetEntityType must not be empty string"),
        (
            format!(r#""event":"x",{rest},"targetEntityType":"i","targetEntityId":"""#),
            "targetEntityId must not be empty string.",
        ),
        (
            format!(r#""event":"x",{rest},"targetEntityType":"i""#),
            "targetEntityType and targetEntityId must be specified together.",
        ),
        (
            format!(r#""event":"x",{rest},"targetEntityId":"i""#),
            "targetEntityType and targetEntityId must be specified together.",
        ),
        (format!(r#""event":"$unset",{rest}"#), "properties cannot be empty for $unset event"),
        (format!(r#""event":"$clear",{rest}"#), "$clear is not a supported reserved event name."),
        (format!(r#""event":"pio_x",{rest}"#), "pio_x is not a supported reserved event name."),
        (
            format!(r#""event":"$set",{rest},"targetEntityType":"i","targetEntityId":"1""#),
            "Reserved event $set cannot have targetEntity",
        ),
        (
            r#""event":"x","entityType":"pio_u","entityId":"u""#.to_owned(),
            "The entityType pio_u is not allowed. 'pio_' is a reserved name prefix.",
        ),
        (
            r#""event":"x","entityType":"$u","entityId":"u""#.to_owned(),
            "The entityType $u is not allowed. 'pio_' is a reserved name prefix.",
        ),
        (
            format!(r#""event":"x",{rest},"targetEntityType":"pio_i","targetEntityId":"1""#),
            "The targetEntityType pio_i is not allowed. 'pio_' is a reserved name prefix.",
        ),
        (
            format!(r#""event":"x",{rest},"properties":{{"pio_a":1}}"#),
            "The property pio_a is not allowed. 'pio_' is a reserved name prefix.",
        ),
    ];
    for (members, message) in wrong {
        assert_eq!(
            server.post(POST, &format!("{{{members}}}")).refusal(),
            (400, message.to_owned()),
            "{members}"
        );
    }
    let long = format!(r#"{{"event":"{}","entityType":"user","entityId":"u"}}"#, "x".repeat(5000));
    assert_eq!(
        server.post(POST, &long).refusal(),
        (400, "event must not be longer than 4096 bytes, got 5000.".to_owned())
    );
    let right = [
        format!(r#""event":"$set",{rest}"#),
        format!(r#""event":"$delete",{rest},"properties":{{"a":1}}"#),
        r#""event":"predict","entityType":"pio_pr","entityId":"u""#.to_owned(),
    ];
    for members in right {
        server.stored(POST, &format!("{{{members}}}"));
    }
    assert_eq!(server.found("/events.json?accessKey=key"), 3, "nothing else was stored");
}

#[test]
fn special_events_have_no_target_and_no_property_begins_with_a_dollar() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let refused = |members: &str| {
        let event = format!(r#"{{{members},"entityType":"user","entityId":"u"}}"#);
        server.post(POST, &event).refusal()
    };
    for name in ["$set", "$unset", "$delete"] {
        let members =
            format!(r#""event":"{name}","properties":{{"a":1}},"targetEntityType":"i","targetEntityId":"1""#);
        assert_eq!(refused(&members), (400, format!("Reserved event {name} cannot have targetEntity")));
    }
    let message = "The property $a is not allowed. 'pio_' is a reserved name prefix.".to_owned();
    assert_eq!(refused(r#""event":"x","properties":{"$a":1}"#), (400, message));
}

#[test]
fn times_keep_their_offset() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let times = [
        ("2014-09-09T16:17:42.937-08:00", Some("2014-09-09T16:17:42.937-08:00")),
        ("2014-09-09T16:17:42-08:00", Some("2014-09-09T16:17:42.000-08:00")),
        ("2014-09-09T16:17:42.937+0000", Some("2014-09-09T16:17:42.937Z")),
        ("2014-09-09T16:17:42.9Z", Some("2014-09-09T16:17:42.900Z")),
        ("2014-09-09T16:17:42.937123456Z", Some("2014-09-09T16:17:42.937Z")),
        ("2014-09-09T16:17:42+01", Some("2014-09-09T16:17:42.000+01:00")),
        ("2014-9-9T6:7:2Z", Some("2014-09-09T06:07:02.000Z")),
        ("2014-09-09t16:17:42z", Some("2014-09-09T16:17:42.000Z")),
        ("2014-09-09T16:17:42+01:00:30", Some("2014-09-09T16:17:42.000+01:00:30")),
        ("2014-09-09T16:17:42-00:00", Some("2014-09-09T16:17:42.000Z")),
        ("+2014-09-09T16:17:42Z", Some("2014-09-09T16:17:42.000Z")),
        ("12345-01-01T00:00:00Z", Some("12345-01-01T00:00:00.000Z")),
        ("-1-12-31T23:59:59.999Z", Some("-0001-12-31T23:59:59.999Z")),
        ("2014-09-09T16:17:42+24:00", None),
        ("2014-09-09T16:17:42+01:60", None),
        ("2014-09-09T16:17:42", None),
        ("2014-09-09", None),
        ("2014-09-09T16:17Z", None),
        ("2014-W37-2T16:17:42Z", None),
        ("2014-09-09 16:17:42Z", None),
        ("2014-09-09T16:17:42,937Z", None),
        ("2014-09-09T16:17:42.Z", None),
        ("2014-09-09T16:17:42.1234567890Z", None),
        ("2014-09-09T24:00:00Z", None),
        ("2014-09-09T16:17:60Z", None),
        ("2013-02-29T16:17:42Z", None),
        ("2014-09-09T16:17:42-25:00", None),
    ];
    for (sent, kept) in times {
        let event = format!(r#"{{"event":"x","entityType":"user","entityId":"u","eventTime":"{sent}"}}"#);
        let answer = server.post(POST, &event);
        let Some(kept) = kept else {
            assert_eq!(answer.refusal(), (400, format!("Fail to extract eventTime {sent}")));
            continue;
        };
        let id = text(&answer.json(), "eventId").to_owned();
        let event = server.get(&format!("/events/{id}.json?accessKey=key")).json();
        assert_eq!(text(&event, "eventTime"), kept, "{sent}");
    }
    let no_time = r#"{"event":"x","entityType":"user","entityId":"u","eventTime":[1]}"#;
    let message = "The field eventTime must be an ISO 8601 time with a zone, or whole milliseconds since 1970, got an array of 1.";
    assert_eq!(server.post(POST, no_time).refusal(), (400, message.to_owned()));
    let millis = r#"{"event":"x","entityType":"user","entityId":"u","eventTime":1410279462937}"#;
    let id = server.stored(POST, millis);
    let event = server.get(&format!("/events/{id}.json?accessKey=key")).json();
    assert_eq!(text(&event, "eventTime"), "2014-09-09T16:17:42.937Z");
}

#[test]
fn what_old_clients_send_as_json_is_tolerated_with_one_warning() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    for event in [
        r#"{"event":"x","entityType":"user","entityId":"u",}"#,
        r#"{,"event":"x" "entityType":"user",,"entityId":"v"}"#,
        r#"{"event":"no","event":"x","entityType":"user","entityId":"v" "entityId":"w"}"#,
    ] {
        server.stored(POST, event);
    }
    // lines of requests come after what was told during them
    let told = server.told_times("route=/events.json", 3);
    assert_eq!(told.matches("malformed JSON").count(), 1, "{told}");
    assert!(told.contains("client 127.0.0.1 sends malformed JSON"), "{told}");
    for refused in [
        "{event:\"x\"}",
        "{'event':'x'}",
        r#"{"event":NaN}"#,
        "\u{feff}{}",
        "{} x",
        r#"{"event":"x""#,
        "[",
        "nul",
    ] {
        assert_eq!(server.post(POST, refused).status, 400, "{refused}");
    }
    let deep = format!(
        r#"{{"event":"x","entityType":"user","entityId":"u","properties":{{"a":{}{}}}}}"#,
        "[".repeat(5000),
        "]".repeat(5000)
    );
    assert!(server.post(POST, &deep).message().contains("nested deeper"));
}

#[test]
fn what_is_no_request_gets_json_all_the_same() {
    let program = shop();
    let server =
        EventServer::start(&program, &["--set", "eventBytesMax=1000", "--set", "batchBytesMax=2000"]);
    let event = buy("u", "i");
    let long = format!("{event}{}", " ".repeat(1000));
    let huge = " ".repeat(3 << 20);
    let get = "/events.json?accessKey=key";
    let cases: [(&str, &str, &str, &str, u16, &str); 22] = [
        ("GET", "/nonsense", "", "", 404, "nothing here"),
        ("GET", "/events", "", "", 404, "nothing here"),
        ("GET", "/events/x?accessKey=key", "", "", 404, "Not Found"),
        ("GET", "/events/none.json?accessKey=key", "", "", 404, "Not Found"),
        ("GET", "/events/%zz.json?accessKey=key", "", "", 404, "Not Found"),
        ("PUT", get, "application/json", &event, 405, "method"),
        ("GET", "/batch/events.json?accessKey=key", "", "", 405, "method"),
        ("GET", "/events.ndjson?accessKey=key", "", "", 405, "method"),
        ("POST", "/events/x.json?accessKey=key", "application/json", &event, 405, "method"),
        ("POST", "/", "", "", 405, "method"),
        ("POST", get, "application/x-www-form-urlencoded", &event, 415, "application/json"),
        ("POST", get, "text/plain; charset=utf-8", &event, 415, "application/json"),
        ("POST", "/batch/events.json?accessKey=key", "text/plain", "[]", 415, "application/json"),
        ("POST", "/events.ndjson?accessKey=key", "image/png", "", 415, "ndjson"),
        ("POST", get, "application/json", "", 400, "empty"),
        ("POST", get, "application/json", "[]", 400, "An event must be a JSON object, got []."),
        ("POST", get, "application/json", &long, 413, "1000 bytes"),
        ("POST", get, "application/json", &huge, 413, "1000 bytes"),
        ("POST", "/batch/events.json?accessKey=key", "application/json", &huge, 413, "2000 bytes"),
        ("GET", "/plugins/inputblocker/x/y?accessKey=key", "", "", 404, "Not Found"),
        (
            "GET",
            "/stats.json?accessKey=key",
            "",
            "",
            404,
            "To see stats, launch Event Server with --stats argument.",
        ),
        ("GET", "/entities/user/nobody.json?accessKey=key", "", "", 404, "Not Found"),
    ];
    for (method, path, media, body, status, word) in cases {
        let headers = [("Content-Type", media)];
        let headers = if media.is_empty() { &[][..] } else { &headers };
        let answer = server.request(method, path, headers, body.as_bytes());
        assert_eq!(answer.status, status, "{method} {path} {media}: {answer:?}");
        assert!(answer.message().contains(word), "{method} {path} {media}: {answer:?}");
    }
    for media in ["application/json; charset=utf-8", "Application/JSON"] {
        assert_eq!(server.request("POST", get, &[("Content-Type", media)], event.as_bytes()).status, 201);
    }
    assert_eq!(server.request("POST", get, &[], event.as_bytes()).status, 201, "a missing header passes");
    // a body that ends too early stores nothing
    let short = server.request("POST", get, &[AS_JSON, ("Content-Length", "500")], event.as_bytes());
    assert_eq!(short.status, 400, "{short:?}");
    assert_eq!(server.found(get), 3);
    assert_eq!(server.get("/").json(), Json::from(events::json::Object::new().with("status", "alive")));
    let plugins = server.get("/plugins.json").json();
    assert_eq!(
        (at(&plugins, "plugins.inputblockers"), at(&plugins, "plugins.inputsniffers")),
        (&Json::Object(Default::default()), &Json::Object(Default::default()))
    );
}

#[test]
fn ids_and_nested_properties_come_back_as_they_count() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let event = |id: &str, properties: &str| {
        format!(
            r#"{{"eventId":{id},"event":"x","entityType":"user","entityId":"u","properties":{properties}}}"#
        )
    };
    assert_eq!(server.stored(POST, &event("7", "{}")), "7");
    let made = server.stored(
        POST,
        &event(r#""""#, r#"{"a":{"b":1,"b":[{"c":1,"c":2}]},"a":{"b":1,"b":[{"c":1,"c":2}]}}"#),
    );
    assert!(!made.is_empty());
    let answer = server.get(&format!("/events/{made}.json?accessKey=key"));
    assert!(answer.body.contains(r#""properties":{"a":{"b":[{"c":2}]}}"#), "no member twice: {answer:?}");
}
