//! `/webhooks/…` of a running server: what becomes of payloads, and what is refused.

use crate::events_batch::gzip;
use crate::events_client::{AS_JSON, Answer, EventServer, Header, buy, shop};
use crate::program::{Program, text};
use crate::queries_client::until;

const AS_FORM: Header<'_> = ("Content-Type", "application/x-www-form-urlencoded");
const SHOP: &str = "/webhooks/shop.json?accessKey=key";
const ALL: &str = "/events.json?accessKey=key&limit=-1";

/// Makes an event per element of `items`, and the example of PredictionIO that reads forms.
const MAPPING: &str = r#"{"connectors": {
    "shop.json": {
        "rules": [{"when": {"path": "$.items", "exists": true}, "each": "$.items", "event": "@.kind", "entityType": "user",
            "entityId": "$.user", "targetEntityType": "item", "targetEntityId": "@.id"}],
        "otherwise": "ignore"
    },
    "exampleForm.form": {"otherwise": "exampleForm"}
}}"#;

fn started(program: &Program, options: &[&str]) -> EventServer {
    let file = format!("webhooksFile={}", program.write("webhooks.json", MAPPING).display());
    EventServer::start(program, &[&["--set", &file], options].concat())
}

fn form(server: &EventServer, path: &str, body: &str) -> Answer {
    server.request("POST", path, &[AS_FORM], body.as_bytes())
}

/// A payload of `shop.json` with an item of each kind.
fn order(kinds: &[&str]) -> String {
    let items: Vec<String> = kinds.iter().map(|kind| format!(r#"{{"kind":"{kind}","id":"i"}}"#)).collect();
    format!(r#"{{"user":"u","items":[{}]}}"#, items.join(","))
}

#[test]
fn every_call_of_mailchimp_and_segment_becomes_its_event() {
    let program = shop();
    let server = started(&program, &[]);
    let fields = "fired_at=2009-03-26+21:35:57&data[id]=p&data[new_id]=n&data[list_id]=L&data[email]=e\
        &data[email_type]=html&data[merges][EMAIL]=e&data[merges][FNAME]=f&data[merges][LNAME]=l&data[ip_opt]=1\
        &data[ip_signup]=2&data[action]=a&data[reason]=r&data[campaign_id]=c&data[new_email]=x&data[old_email]=y\
        &data[subject]=s&data[status]=t";
    let calls = [
        ("subscribe", "user", "p", true),
        ("unsubscribe", "user", "p", true),
        ("profile", "user", "p", true),
        ("upemail", "user", "n", true),
        ("cleaned", "list", "L", false),
        ("campaign", "campaign", "p", true),
    ];
    let stored = |answer: Answer, what: &str| {
        assert_eq!(answer.status, 201, "{what}: {answer:?}");
        let id = text(&answer.json(), "eventId").to_owned();
        server.get(&format!("/events/{id}.json?accessKey=key")).json()
    };
    for (kind, entity_type, entity_id, has_list) in calls {
        let path = "/webhooks/mailchimp.form?accessKey=key";
        let event = stored(form(&server, path, &format!("type={kind}&{fields}")), kind);
        let names = (text(&event, "event"), text(&event, "entityType"), text(&event, "entityId"));
        assert_eq!(names, (kind, entity_type, entity_id));
        assert_eq!(text(&event, "eventTime"), "2009-03-26T21:35:57.000Z");
        assert_eq!(event.get("targetEntityId").is_some(), has_list, "{kind}: {event}");
    }
    for kind in ["identify", "track", "alias", "page", "screen", "group"] {
        let call = format!(
            r#"{{"version":2,"type":"{kind}","userId":"u1","sentAt":"2026-01-09T17:04:53Z","event":"Song Played",
            "timestamp":"2026-01-09T17:04:52Z","previousId":"u0","groupId":"g"}}"#
        );
        let event = stored(server.post("/webhooks/segmentio.json?accessKey=key", &call), kind);
        assert_eq!((text(&event, "event"), text(&event, "entityId")), (kind, "u1"));
    }
    let action =
        "type=userAction&userId=u&event=do_it&timestamp=2015-01-02T00:30:12.984Z&anotherProperty1=100";
    let event = stored(form(&server, "/webhooks/exampleForm.form?accessKey=key", action), "exampleForm");
    assert_eq!((text(&event, "event"), text(&event, "entityId")), ("do_it", "u"));
    assert_eq!(server.found(ALL), 13);
}

#[test]
fn a_mapping_makes_no_event_one_or_several() {
    let program = shop();
    program.ok(&["app", "channel-new", "shop", "web"]);
    let server = started(&program, &[]);
    assert_eq!(server.get(SHOP).refusal(), (200, "Ok".to_owned()));
    let none = server.post(SHOP, r#"{"user":"u"}"#);
    assert_eq!(none.refusal(), (200, "the mapping makes no event of this".to_owned()));
    assert_eq!(server.found(ALL), 0);
    let one = server.post(SHOP, &order(&["buy"]));
    assert!(one.status == 201 && one.json().get("eventId").is_some(), "{one:?}");
    let several = server.post(SHOP, &order(&["buy", "view"])).json();
    assert_eq!(several.get("eventIds").unwrap().as_array().unwrap().len(), 2, "{several}");
    let packed = gzip(order(&["buy"]).as_bytes());
    let answer = server.request("POST", SHOP, &[AS_JSON, ("Content-Encoding", "gzip")], &packed);
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(server.found(ALL), 4);
    assert_eq!(server.post(&format!("{SHOP}&channel=web"), &order(&["buy"])).status, 201);
    assert_eq!((server.found(ALL), server.found(&format!("{ALL}&channel=web"))), (4, 1));
}

#[test]
fn a_payload_that_is_wrong_stores_nothing() {
    let program = shop();
    program.ok(&["accesskey", "new", "shop", "buy", "--key", "few"]);
    let server = started(&program, &["--set", "eventBytesMax=1000"]);
    let (some, long) = (order(&["buy", "view"]), " ".repeat(2000));
    let nameless = order(&["buy", ""]);
    let two = [order(&["buy"]), order(&["buy"])].concat();
    let mailchimp = "/webhooks/mailchimp.form?accessKey=key";
    let segment = "/webhooks/segmentio.json?accessKey=key";
    let cases: [(&str, &str, &str, u16, &str); 13] = [
        (
            mailchimp,
            AS_FORM.1,
            "type=cleaned&fired_at=2009-03-26+21:35:57",
            400,
            "key not found: data[list_id]",
        ),
        (mailchimp, AS_FORM.1, "type=new", 400, "Cannot convert unknown MailChimp data type new"),
        (mailchimp, AS_FORM.1, "", 400, "the body is empty"),
        (mailchimp, AS_JSON.1, "{}", 415, "application/x-www-form-urlencoded"),
        (
            segment,
            AS_JSON.1,
            r#"{"version":2,"type":"page","userId":"u"}"#,
            400,
            "Cannot extract Common field",
        ),
        (segment, AS_FORM.1, "type=page", 415, "application/json"),
        (SHOP, AS_JSON.1, "[", 400, "The payload is not JSON"),
        (SHOP, AS_JSON.1, &two, 400, "expected one object, a second begins here"),
        (SHOP, AS_JSON.1, &long, 413, "1000 bytes"),
        // all or none
        (SHOP, AS_JSON.1, &nameless, 400, "event must not be empty."),
        ("/webhooks/shop.json?accessKey=few", AS_JSON.1, &some, 403, "view events are not allowed"),
        (
            "/webhooks/none.json?accessKey=key",
            AS_JSON.1,
            "{}",
            404,
            "webhooks connection for none is not supported.",
        ),
        ("/webhooks/shop.xml?accessKey=key", AS_JSON.1, "{}", 404, "Not Found"),
    ];
    for (path, media, body, status, word) in cases {
        let refusal = server.request("POST", path, &[("Content-Type", media)], body.as_bytes()).refusal();
        assert!(refusal.0 == status && refusal.1.contains(word), "{path} {body}: {refusal:?}");
    }
    assert_eq!(server.found(ALL), 0);
}

#[test]
fn declared_names_hold_for_webhooks_and_streams() {
    let program = shop();
    let declare = |unknown| program.ok(&["app", "events", "shop", "--declare", "buy", "--unknown", unknown]);
    declare("reject");
    let server = started(&program, &[]);
    let message = "The event bye is not declared for this app; declared: buy.";
    let bye = order(&["buy", "bye"]);
    assert_eq!(server.post(SHOP, &bye).refusal(), (400, message.to_owned()));
    let lines = format!("{}\n{}\n", buy("u", "i"), buy("u", "i").replace("buy", "bye"));
    let stream = || server.request("POST", "/events.ndjson?accessKey=key", &[], lines.as_bytes());
    let summary = stream().json();
    assert_eq!((text(&summary, "errors.0.message"), server.found(ALL)), (message, 1));
    declare("warn");
    until("what is not declared is stored", || (server.post(SHOP, &bye).status == 201).then_some(()));
    assert_eq!(crate::program::number(&stream().json(), "stored"), 2);
    let told = server.told("is not declared");
    assert_eq!(told.matches("is not declared").count(), 1, "{told}");
}

#[test]
fn lenient_json_is_taken_with_a_warning_or_refused() {
    let lenient = order(&["buy"]).replace('}', ",}");
    let program = shop();
    let server = started(&program, &[]);
    for _ in 0..2 {
        assert_eq!(server.post(SHOP, &lenient).status, 201);
    }
    // lines of requests come after what was told during them
    let told = server.told_times("route=/webhooks/{file}", 2);
    assert_eq!(told.matches("client 127.0.0.1 sends malformed JSON").count(), 1, "{told}");
    drop(server);
    let strict = started(&program, &["--set", "lenientJson=false"]);
    let event = buy("u", "i").replace('}', ",}");
    for (path, body) in [
        (SHOP, &lenient),
        ("/events.json?accessKey=key", &event),
        ("/batch/events.json?accessKey=key", &format!("[{event}]")),
    ] {
        let refusal = strict.post(path, body).refusal();
        assert!(refusal.0 == 400 && refusal.1.contains("comma before the end"), "{path}: {refusal:?}");
    }
    let summary = strict.request("POST", "/events.ndjson?accessKey=key", &[], event.as_bytes()).json();
    assert!(text(&summary, "errors.0.message").contains("comma before the end"), "{summary}");
    strict.stored("/events.json?accessKey=key", &buy("u", "i"));
    assert_eq!(strict.found(ALL), 3);
}
