//! Connectors from payload to valid event.

use events::{Event, EventTime};
use proptest::prelude::*;

use super::*;

fn examples() -> Connectors {
    let file = r#"{"connectors": {"exampleJson.json": {"otherwise": "exampleJson"},
        "exampleForm.form": {"otherwise": "exampleForm"}}}"#;
    Connectors::builtin().with(file.as_bytes()).unwrap()
}

/// The one event of a payload, as its JSON text; or the message of the failure, whose kind must be `Invalid`.
fn event(path: &str, body: &str) -> std::result::Result<String, String> {
    let (name, form) = path.rsplit_once('.').unwrap();
    let connectors = examples();
    let connector = connectors.get(name, Form::of_ending(form).unwrap()).unwrap();
    let events = connector.events(body.as_bytes()).map_err(|failure| {
        assert_eq!(failure.kind(), Kind::Invalid);
        failure.to_string()
    })?;
    assert_eq!(events.len(), 1);
    Event::from_json(&Json::Object(events[0].clone()), EventTime::utc(0))
        .map_err(|error| error.to_string())?;
    Ok(events[0].to_string())
}

/// Payloads, one a line, each followed by the event or the message.
fn check(path: &str, cases: &[(&str, &str)]) {
    for (body, expected) in cases {
        let (Ok(got) | Err(got)) = event(path, body);
        assert_eq!(got, *expected, "{body}");
    }
}

#[test]
fn connectors_are_found_by_name_and_form() {
    let builtin = Connectors::builtin();
    assert!(builtin.find("segmentio", Form::Json).is_some());
    assert!(builtin.find("mailchimp", Form::Urlencoded).is_some());
    assert!(builtin.find("segmentio", Form::Urlencoded).is_none());
    for (name, form) in [("exampleJson", Form::Json), ("mailchimp", Form::Json), ("x", Form::Json)] {
        let failure = builtin.get(name, form).unwrap_err();
        assert_eq!(failure.kind(), Kind::NotFound);
        assert_eq!(failure.to_string(), format!("webhooks connection for {name} is not supported."));
    }
    assert_eq!(builtin.iter().count(), 2);
    assert_eq!(examples().iter().count(), 4);
}

#[test]
fn segment_calls_become_events() {
    let call = |rest: &str| {
        format!(
            r#"{{"version":"1","sent_at":"2014-09-09T16:17:43Z","timestamp":"2014-09-09T16:17:42Z",{rest}}}"#
        )
    };
    let made = |kind: &str, id: &str, properties: &str| {
        format!(
            r#"{{"event":"{kind}","entityType":"user","entityId":"{id}","eventTime":"2014-09-09T16:17:42Z","properties":{properties}}}"#
        )
    };
    let cases = [
        (r#""type":"identify","user_id":"u1","traits":{"a":1}"#, ("identify", "u1", r#"{"traits":{"a":1}}"#)),
        (r#""type":"identify","user_id":"u1""#, ("identify", "u1", "{}")),
        (
            r#""type":"track","user_id":"u1","event":"Bought","properties":{"sku":"s"},"context":{"odd":{"x":[1]}}"#,
            ("track", "u1", r#"{"context":{"odd":{"x":[1]}},"properties":{"sku":"s"},"event":"Bought"}"#),
        ),
        (r#""type":"track","anonymous_id":"a1","event":"Left""#, ("track", "a1", r#"{"event":"Left"}"#)),
        (
            r#""type":"alias","user_id":"u1","anonymous_id":"a1","previous_id":"u0""#,
            ("alias", "u1", r#"{"previous_id":"u0"}"#),
        ),
        (
            r#""type":"page","user_id":7,"name":"Home","properties":{"url":"/"}"#,
            ("page", "7", r#"{"name":"Home","properties":{"url":"/"}}"#),
        ),
        (r#""type":"screen","user_id":null,"anonymous_id":"a1","name":null"#, ("screen", "a1", "{}")),
        (
            r#""type":"group","user_id":"u1","group_id":"g1","traits":{"size":3},"integrations":{}"#,
            ("group", "u1", r#"{"traits":{"size":3},"group_id":"g1"}"#),
        ),
    ];
    for (rest, (kind, id, properties)) in cases {
        assert_eq!(event("segmentio.json", &call(rest)), Ok(made(kind, id, properties)), "{rest}");
        let camel = [
            ("user_id", "userId"),
            ("anonymous_id", "anonymousId"),
            ("sent_at", "sentAt"),
            ("previous_id", "previousId"),
            ("group_id", "groupId"),
        ];
        let camel = camel.iter().fold(call(rest), |text, (snake, camel)| text.replace(snake, camel));
        assert_eq!(event("segmentio.json", &camel), Ok(made(kind, id, properties)), "{camel}");
    }
}

#[test]
fn segment_calls_that_are_wrong_say_why() {
    let base = r#""sent_at":"2014-09-09T16:17:43Z","timestamp":"2014-09-09T16:17:42Z""#;
    let no_user = "there was no `userId` or `anonymousId` in the common fields.";
    let cases = [
        (format!("{{{base}}}"), "Failed to get segment.io API version.".to_owned()),
        (format!(r#"{{"version":null,{base}}}"#), "Failed to get segment.io API version.".to_owned()),
        (
            r#"{"version":1,"type":"track","timestamp":"t"}"#.to_owned(),
            "Cannot extract Common field from {\"version\":1,\"type\":\"track\",\"timestamp\":\"t\"}. \
             The field sent_at is required."
                .to_owned(),
        ),
        (
            r#"{"version":1,"sent_at":"s","timestamp":"t","type":[]}"#.to_owned(),
            "Cannot extract Common field from {\"version\":1,\"sent_at\":\"s\",\"timestamp\":\"t\",\"type\":[]}. \
             The field type must be a string, got []."
                .to_owned(),
        ),
        (format!(r#"{{"version":1,"type":"page",{base}}}"#), no_user.to_owned()),
        (
            format!(r#"{{"version":1,"type":"dance",{base}}}"#),
            "Cannot convert unknown type dance to event JSON.".to_owned(),
        ),
        (
            format!(r#"{{"version":1,"type":"group","user_id":"u",{base}}}"#),
            format!(
                "Cannot convert {{\"version\":1,\"type\":\"group\",\"user_id\":\"u\",{base}}} to event JSON. \
                 The field group_id is required."
            ),
        ),
        (
            r#"{"version":1,"type":"page","user_id":"u","sent_at":"s","timestamp":"today"}"#.to_owned(),
            "Fail to extract eventTime today".to_owned(),
        ),
        ("[]".to_owned(), "The payload must be a JSON object, got [].".to_owned()),
    ];
    for (body, message) in cases {
        assert_eq!(event("segmentio.json", &body), Err(message), "{body}");
    }
    for kind in ["identify", "alias"] {
        let body = format!(r#"{{"version":1,"type":"{kind}","anonymous_id":"a","previous_id":"b",{base}}}"#);
        let message = event("segmentio.json", &body).unwrap_err();
        assert!(message.ends_with("The field user_id is required."), "{message}");
    }
    assert!(event("segmentio.json", "").unwrap_err().starts_with("The payload is not JSON: "));
    let long = format!(r#"{{"version":1,"x":"{}"}}"#, "x".repeat(5000));
    assert!(event("segmentio.json", &long).unwrap_err().len() < 700);
}

const MERGES: &str = "&data[merges][EMAIL]=a%40b.c&data[merges][FNAME]=A&data[merges][LNAME]=B";

/// A complete call of each type, and the middle and the properties of its event.
fn mailchimp_calls() -> [(String, &'static str, &'static str); 6] {
    [
        (
            format!("type=subscribe&data[id]=8&data[list_id]=l&data[email]=a%40b.c&data[email_type]=html{MERGES}\
                &data[merges][INTERESTS]=Group1&data[ip_opt]=1.2.3.4&data[ip_signup]=1.2.3.5"),
            r#""user","entityId":"8""#,
            r#"{"email":"a@b.c","email_type":"html","ip_opt":"1.2.3.4","ip_signup":"1.2.3.5","merges":{"EMAIL":"a@b.c","FNAME":"A","LNAME":"B","INTERESTS":"Group1"}}"#,
        ),
        (
            format!("type=unsubscribe&data[action]=unsub&data[reason]=manual&data[id]=8&data[list_id]=l\
                &data[email]=a%40b.c&data[email_type]=html{MERGES}&data[ip_opt]=1.2.3.4&data[campaign_id]=c"),
            r#""user","entityId":"8""#,
            r#"{"action":"unsub","reason":"manual","email":"a@b.c","email_type":"html","ip_opt":"1.2.3.4","campaign_id":"c","merges":{"EMAIL":"a@b.c","FNAME":"A","LNAME":"B"}}"#,
        ),
        (
            format!("type=profile&data[id]=8&data[list_id]=l&data[email]=a%40b.c&data[email_type]=html{MERGES}&data[ip_opt]=1.2.3.4"),
            r#""user","entityId":"8""#,
            r#"{"email":"a@b.c","email_type":"html","ip_opt":"1.2.3.4","merges":{"EMAIL":"a@b.c","FNAME":"A","LNAME":"B"}}"#,
        ),
        (
            "type=upemail&data[list_id]=l&data[new_id]=9&data[new_email]=n%40b.c&data[old_email]=o%40b.c".to_owned(),
            r#""user","entityId":"9""#,
            r#"{"new_email":"n@b.c","old_email":"o@b.c"}"#,
        ),
        (
            "type=cleaned&data[list_id]=l&data[campaign_id]=c&data[reason]=hard&data[email]=a%40b.c".to_owned(),
            r#""list","entityId":"l""#,
            r#"{"campaignId":"c","reason":"hard","email":"a@b.c"}"#,
        ),
        (
            "type=campaign&data[id]=c&data[subject]=Test+Campaign&data[status]=sent&data[reason]=&data[list_id]=l".to_owned(),
            r#""campaign","entityId":"c""#,
            r#"{"subject":"Test Campaign","status":"sent","reason":""}"#,
        ),
    ]
}

#[test]
fn mailchimp_calls_become_events() {
    for (body, entity, properties) in mailchimp_calls() {
        let body = format!("{body}&fired_at=2009-03-26+21%3A35%3A57");
        let kind = body.split(['=', '&']).nth(1).unwrap();
        let target =
            if kind == "cleaned" { "" } else { r#""targetEntityType":"list","targetEntityId":"l","# };
        let expected = format!(
            r#"{{"event":"{kind}","entityType":{entity},"eventTime":"2009-03-26T21:35:57.000Z",{target}"properties":{properties}}}"#
        );
        assert_eq!(event("mailchimp.form", &body), Ok(expected));
    }
}

#[test]
fn mailchimp_calls_name_the_field_that_is_missing() {
    for (body, _, _) in mailchimp_calls() {
        let body = format!("{body}&fired_at=2009-03-26+21%3A35%3A57");
        let fields: Vec<&str> = body.split('&').collect();
        for left_out in 1..fields.len() {
            let name = fields[left_out].split('=').next().unwrap();
            let rest = fields.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, field)| *field);
            let result = event("mailchimp.form", &rest.collect::<Vec<_>>().join("&"));
            if name.ends_with("[INTERESTS]") {
                assert!(result.is_ok());
            } else {
                assert_eq!(result, Err(format!("key not found: {name}")), "{body}");
            }
        }
    }
    check(
        "mailchimp.form",
        &[
            ("data[id]=8", "The field 'type' is required for MailChimp data."),
            ("", "The field 'type' is required for MailChimp data."),
            ("type=nonsense", "Cannot convert unknown MailChimp data type nonsense to event JSON"),
            (
                "type=cleaned&data[list_id]=l&fired_at=yesterday",
                "fired_at must be like 2015-10-21 16:29:00 (UTC), got \"yesterday\".",
            ),
        ],
    );
}

#[test]
fn the_example_of_json_follows_its_table() {
    let unknown = r#"{"type":"nonsense"}"#;
    check(
        "exampleJson.json",
        &[
            (
                r#"{"type":"userAction","userId":"as34smg4","event":"do_something","context":{"ip":"24.5.68.47","prop1":2.345},"anotherProperty1":100,"anotherProperty2":"optional1","timestamp":"2015-01-02T00:30:12.984Z"}"#,
                r#"{"event":"do_something","entityType":"user","entityId":"as34smg4","eventTime":"2015-01-02T00:30:12.984Z","properties":{"context":{"ip":"24.5.68.47","prop1":2.345},"anotherProperty1":100,"anotherProperty2":"optional1"}}"#,
            ),
            (
                r#"{"type":"userAction","userId":"u","event":"e","anotherProperty1":100,"timestamp":"2015-01-02T00:30:12.984Z"}"#,
                r#"{"event":"e","entityType":"user","entityId":"u","eventTime":"2015-01-02T00:30:12.984Z","properties":{"anotherProperty1":100}}"#,
            ),
            (
                r#"{"type":"userActionItem","userId":"u","event":"e","itemId":"kfjd312bc","context":{"ip":"1.23.4.56"},"anotherPropertyA":4.567,"anotherPropertyB":false,"timestamp":"2015-01-15T04:20:23.567Z"}"#,
                r#"{"event":"e","entityType":"user","entityId":"u","eventTime":"2015-01-15T04:20:23.567Z","targetEntityType":"item","targetEntityId":"kfjd312bc","properties":{"context":{"ip":"1.23.4.56"},"anotherPropertyA":4.567,"anotherPropertyB":false}}"#,
            ),
            (
                r#"{"type":"userActionItem","userId":"u","event":"e","itemId":"i","context":{},"timestamp":"2015-01-15T04:20:23.567Z"}"#,
                r#"{"event":"e","entityType":"user","entityId":"u","eventTime":"2015-01-15T04:20:23.567Z","targetEntityType":"item","targetEntityId":"i","properties":{"context":{}}}"#,
            ),
            (unknown, "Cannot convert unknown type 'nonsense' to Event JSON."),
            ("{}", "Cannot extract Common field from {}. The field type is required."),
        ],
    );
    let item =
        r#"{"type":"userActionItem","userId":"u","event":"e","itemId":"i","context":{},"timestamp":"t"}"#;
    let wrong = [
        (
            r#"{"type":"userAction","userId":"u","event":"e","timestamp":"t"}"#.to_owned(),
            "anotherProperty1 is required.",
        ),
        (
            r#"{"type":"userAction","userId":"u","event":"e","timestamp":"t","anotherProperty1":1.5}"#
                .to_owned(),
            "anotherProperty1 must be an integer, got 1.5.",
        ),
        (item.replace(r#""context":{},"#, ""), "The field context is required."),
        (item.replace(r#""context":{},"#, r#""context":1,"#), "The field context must be an object, got 1."),
        (item.replace(r#""itemId":"i","#, ""), "The field itemId is required."),
        (
            item.replace(r#""timestamp""#, r#""anotherPropertyB":"x","timestamp""#),
            "The field anotherPropertyB must be true or false, got \"x\".",
        ),
    ];
    for (body, reason) in wrong {
        let message = event("exampleJson.json", &body).unwrap_err();
        assert!(message.starts_with("Cannot convert {") && message.contains(reason), "{body}: {message}");
    }
}

#[test]
fn the_example_of_a_form_follows_its_table() {
    check(
        "exampleForm.form",
        &[
            (
                "type=userAction&userId=as34smg4&event=do_something&context%5Bip%5D=24.5.68.47&context[prop1]=2.345\
                 &context[prop2]=value1&anotherProperty1=100&anotherProperty2=optional1&timestamp=2015-01-02T00%3A30%3A12.984Z",
                r#"{"event":"do_something","entityType":"user","entityId":"as34smg4","eventTime":"2015-01-02T00:30:12.984Z","properties":{"context":{"ip":"24.5.68.47","prop1":2.345,"prop2":"value1"},"anotherProperty1":100,"anotherProperty2":"optional1"}}"#,
            ),
            (
                "type=userAction&userId=u&event=e&anotherProperty1=-5&timestamp=2015-01-02T00:30:12.984Z",
                r#"{"event":"e","entityType":"user","entityId":"u","eventTime":"2015-01-02T00:30:12.984Z","properties":{"anotherProperty1":-5}}"#,
            ),
            (
                "type=userActionItem&userId=u&event=e&itemId=i&context[ip]=1.2.3.4&context[prop1]=5&context[prop2]=v\
                 &anotherPropertyA=4.567&anotherPropertyB=false&timestamp=2015-01-15T04:20:23.567Z",
                r#"{"event":"e","entityType":"user","entityId":"u","eventTime":"2015-01-15T04:20:23.567Z","targetEntityType":"item","targetEntityId":"i","properties":{"context":{"ip":"1.2.3.4","prop1":5.0,"prop2":"v"},"anotherPropertyA":4.567,"anotherPropertyB":false}}"#,
            ),
            ("userId=u", "The field 'type' is required."),
            ("type=nonsense", "Cannot convert unknown type nonsense to event JSON"),
            (
                "type=userAction&event=e",
                r#"Cannot convert {"type":"userAction","event":"e"} to event JSON. The field userId is required."#,
            ),
        ],
    );
    let item = "type=userActionItem&userId=u&event=e&itemId=i&context[ip]=1&context[prop1]=5&context[prop2]=v&timestamp=t";
    let wrong = [
        (item.replace("&context[ip]=1", ""), "The field context[ip] is required."),
        (item.replace("prop1]=5", "prop1]=five"), "The field context[prop1] must be a number, got \"five\"."),
        (format!("{item}&anotherPropertyB=perhaps"), "must be true or false, got \"perhaps\"."),
        (format!("{item}&anotherPropertyA=NaN"), "must be a number, got \"NaN\"."),
    ];
    for (body, reason) in wrong {
        let message = event("exampleForm.form", &body).unwrap_err();
        assert!(message.starts_with("Cannot convert {") && message.ends_with(reason), "{body}: {message}");
    }
}

/// The members that connectors look at, with values of every kind.
fn payload() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "version",
        "type",
        "sent_at",
        "timestamp",
        "user_id",
        "userId",
        "anonymousId",
        "event",
        "properties",
        "context",
        "previousId",
        "group_id",
        "traits",
        "itemId",
        "anotherProperty1",
        "anotherPropertyA",
        "anotherPropertyB",
        "name",
    ]);
    let value = prop::sample::select(vec![
        r#""track""#,
        r#""group""#,
        r#""alias""#,
        r#""userAction""#,
        r#""userActionItem""#,
        "1",
        "1.5",
        "true",
        "null",
        "{}",
        r#"{"a":[1]}"#,
        "[]",
        r#""2014-09-09T16:17:42Z""#,
        r#""""#,
        "1e300",
        "99999999999999999999",
    ]);
    proptest::collection::vec((name, value), 0..12).prop_map(|members| {
        let members: Vec<String> =
            members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

fn fields() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec![
        "subscribe",
        "upemail",
        "cleaned",
        "campaign",
        "userAction",
        "userActionItem",
    ]);
    let name = prop::sample::select(vec![
        "data[id]",
        "data[list_id]",
        "data[new_id]",
        "data[email]",
        "fired_at",
        "data[merges][EMAIL]",
        "userId",
        "event",
        "timestamp",
        "itemId",
        "context[prop1]",
        "anotherProperty1",
        "anotherPropertyB",
    ]);
    let value =
        prop::sample::select(vec!["", "1", "true", "2009-03-26 21:35:57", "%", "%ff", "%C3%BC", "1e999"]);
    (kind, proptest::collection::vec((name, value), 0..12)).prop_map(|(kind, fields)| {
        let fields: String = fields.into_iter().map(|(name, value)| format!("&{name}={value}")).collect();
        format!("type={kind}{fields}")
    })
}

proptest! {
    #[test]
    fn no_payload_panics(json in payload(), form in fields(), noise in proptest::collection::vec(any::<u8>(), 0..64)) {
        for connector in examples().iter() {
            for body in [json.as_bytes(), form.as_bytes(), &noise] {
                match connector.events(body) {
                    Ok(events) => prop_assert_eq!(events.len(), 1),
                    Err(failure) => prop_assert_eq!(failure.kind(), Kind::Invalid),
                }
            }
        }
    }
}
