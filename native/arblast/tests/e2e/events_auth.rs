//! Keys: how they come, what they allow, how long.

use crate::events_client::{AS_JSON, EventServer, Header, buy, shop};
use crate::program::{number, text};
use crate::queries_client::until;

const EVENT: &str = r#"{"event":"buy","entityType":"user","entityId":"u"}"#;

pub fn basic(user: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encoded = user.as_bytes().chunks(3).flat_map(|chunk| {
        let bits = (0..3).fold(0, |bits, i| bits << 8 | usize::from(chunk.get(i).copied().unwrap_or(0)));
        let digits = [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]));
        (0..4).map(move |i| if i <= chunk.len() { digits[i] } else { '=' })
    });
    format!("Basic {}", encoded.collect::<String>())
}

#[test]
fn a_key_comes_as_parameter_basic_or_bearer_and_the_channel_with_each() {
    let program = shop();
    program.ok(&["app", "channel-new", "shop", "web"]);
    let server = EventServer::start(&program, &[]);
    let with_password = basic("key:anything:more");
    let bare = basic(" key\n");
    let ways: [(&str, &str); 6] = [
        ("accessKey=key&", ""),
        ("accessKey=k%65y&", "Basic nonsense"),
        ("", &with_password),
        ("", &bare),
        ("", "Bearer key"),
        ("", "bearer  key"),
    ];
    for (index, (parameter, header)) in ways.into_iter().enumerate() {
        let headers: &[Header<'_>] =
            if header.is_empty() { &[AS_JSON] } else { &[AS_JSON, ("Authorization", header)] };
        for channel in ["", "channel=web&"] {
            let path = format!("/events.json?{parameter}{channel}");
            let answer = server.request("POST", &path, headers, EVENT.as_bytes());
            assert_eq!(answer.status, 201, "{header} {path}: {answer:?}");
            let found = server.request("GET", &path, headers, b"").json().as_array().unwrap().len();
            assert_eq!(found, index + 1, "{header} {path}: events of one channel are in no other");
        }
    }
}

#[test]
fn what_is_no_key_is_refused() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let (unknown, colon) = (basic("other:"), basic(":"));
    let not_utf8 = "Basic //79";
    let wrong: [(&str, &str, &str); 15] = [
        ("", "", "Missing accessKey."),
        ("?x=accessKey", "", "Missing accessKey."),
        ("?accessKey=", "", "Invalid accessKey."),
        ("?accessKey=other", "", "Invalid accessKey."),
        ("?accessKey=other", "Bearer key", "Invalid accessKey."),
        ("?accessKey=%zz", "", "Invalid accessKey."),
        ("", "Digest key", "Invalid accessKey."),
        ("", "key", "Invalid accessKey."),
        ("", "Basic !!!", "Invalid accessKey."),
        ("", not_utf8, "Invalid accessKey."),
        ("", &unknown, "Invalid accessKey."),
        ("", &colon, "Invalid accessKey."),
        ("", "Bearer other", "Invalid accessKey."),
        ("?accessKey=key&channel=none", "", "Invalid channel 'none'."),
        ("?channel=none", "Bearer key", "Invalid channel 'none'."),
    ];
    let paths = [
        ("POST", "/events.json"),
        ("GET", "/events.json"),
        ("GET", "/events/x.json"),
        ("DELETE", "/events/x.json"),
        ("POST", "/batch/events.json"),
        ("POST", "/events.ndjson"),
        ("GET", "/stats.json"),
        ("GET", "/plugins/inputblocker/x"),
        ("GET", "/entities/user/u.json"),
        ("DELETE", "/entities/user/u.json"),
        ("GET", "/entities/user/u/events.json"),
        ("POST", "/webhooks/segmentio.json"),
        ("GET", "/webhooks/segmentio.json"),
        ("POST", "/webhooks/mailchimp.form"),
    ];
    for (method, path) in paths {
        for (query, header, message) in wrong {
            let headers: &[Header<'_>] =
                if header.is_empty() { &[AS_JSON] } else { &[AS_JSON, ("Authorization", header)] };
            let answer = server.request(method, &format!("{path}{query}"), headers, b"[]");
            assert_eq!(answer.refusal(), (401, message.to_owned()), "{method} {path}{query} {header}");
            assert!(!answer.head.contains("www-authenticate"), "{answer:?}");
        }
    }
}

#[test]
fn an_allow_list_restricts_what_is_written() {
    let program = shop();
    program.ok(&["accesskey", "new", "shop", "view", "like", "--key", "few"]);
    let server = EventServer::start(&program, &[]);
    let post = "/events.json?accessKey=few";
    assert_eq!(server.post(post, EVENT).refusal(), (403, "buy events are not allowed".to_owned()));
    // a broken rule comes before the list
    assert_eq!(server.post(post, r#"{"event":"buy","entityType":"","entityId":"u"}"#).status, 400);
    let id = server.stored(post, &EVENT.replace("buy", "view"));
    assert_eq!(server.get(&format!("/events/{id}.json?accessKey=few")).status, 200);
    server.stored("/events.json?accessKey=key", EVENT);
    assert_eq!(server.found("/events.json?accessKey=few"), 2, "reads ignore the list");
    // nor does it replace what it may not write
    let with_id =
        |name: &str, id: &str| EVENT.replace("buy", name).replace('}', &format!(",\"eventId\":\"{id}\"}}"));
    server.stored("/events.json?accessKey=key", &with_id("buy", "one"));
    let refused = "eventId \"one\" is that of a stored buy event, and those are not allowed";
    assert_eq!(server.post(post, &with_id("view", "one")).refusal(), (403, refused.to_owned()));
    let batch = format!("[{},{},{}]", with_id("view", "one"), with_id("like", "two"), with_id("view", "two"));
    let statuses = server.post("/batch/events.json?accessKey=few", &batch).json();
    let status = |place: &str| number(&statuses, &format!("{place}.status"));
    assert_eq!((status("0"), status("1"), status("2")), (403, 201, 201), "{statuses}");
    let lines = format!("{}\n{}\n", with_id("view", "one"), with_id("like", "two"));
    let summary = server.request("POST", "/events.ndjson?accessKey=few", &[], lines.as_bytes()).json();
    assert_eq!((number(&summary, "stored"), number(&summary, "errors.0.status")), (1, 403), "{summary}");
    assert_eq!(text(&server.get("/events/one.json?accessKey=few").json(), "event"), "buy");
}

#[test]
fn rights_are_kept_apart() {
    let program = shop();
    for scope in ["read", "write", "delete"] {
        program.ok(&["accesskey", "new", "shop", "--key", scope, "--scope", scope]);
    }
    program.ok(&["accesskey", "new", "shop", "--key", "both", "--scope", "read,write"]);
    let server = EventServer::start(&program, &["--stats"]);
    let id = server.stored("/events.json?accessKey=key", EVENT);
    let one = format!("/events/{id}.json");
    let needs = [
        ("POST", "/events.json", "write"),
        ("POST", "/batch/events.json", "write"),
        ("POST", "/events.ndjson", "write"),
        ("POST", "/webhooks/segmentio.json", "write"),
        ("POST", "/webhooks/mailchimp.form", "write"),
        ("GET", "/events.json", "read"),
        ("GET", &one, "read"),
        ("GET", "/stats.json", "read"),
        ("GET", "/entities/user/u/events.json", "read"),
        ("DELETE", "/events/none.json", "delete"),
        ("DELETE", "/entities/user/nobody.json", "delete"),
    ];
    for (method, path, right) in needs {
        for key in ["read", "write", "delete", "both"] {
            let answer =
                server.request(method, &format!("{path}?accessKey={key}"), &[AS_JSON], EVENT.as_bytes());
            let scope = if key == "both" { "read, write" } else { key };
            if scope.contains(right) {
                assert!(![401, 403].contains(&answer.status), "{key} {method} {path}: {answer:?}");
            } else {
                let message = format!("This accessKey may not {right}: its scope is {scope}.");
                assert_eq!(answer.refusal(), (403, message), "{key} {method} {path}");
            }
        }
    }
    let listed = program.json(&["accesskey", "list", "shop"]);
    let scopes: Vec<String> =
        listed.as_array().unwrap().iter().map(|key| key.get("scopes").unwrap().to_string()).collect();
    assert_eq!(
        scopes,
        [
            r#"["read","write"]"#,
            r#"["delete"]"#,
            r#"["read","write","delete"]"#,
            r#"["read"]"#,
            r#"["write"]"#
        ]
    );
}

#[test]
fn keys_expire_rotate_and_vanish() {
    let program = shop();
    program.ok(&["accesskey", "new", "shop", "view", "--key", "short", "--expires", "1s"]);
    let server = EventServer::start(&program, &[]);
    let find = |key: &str| server.get(&format!("/events.json?accessKey={key}"));
    let wait_for = |key: &str, message: &str| {
        let refused = || (find(key).refusal() == (401, message.to_owned())).then_some(());
        until(&format!("{key} is refused"), refused);
    };
    wait_for("short", "Invalid accessKey. It has expired.");
    program.ok(&["accesskey", "new", "shop", "view", "--key", "old", "--scope", "read"]);
    let new = program.json(&["accesskey", "rotate", "old", "--overlap", "1h", "--expires", "30d"]);
    let key = text(&new, "accessKey").to_owned();
    assert_eq!((text(&new, "events.0"), text(&new, "scopes.0")), ("view", "read"));
    for key in ["old", &key] {
        assert_eq!(find(key).status, 404, "there are no events, but the key is good");
    }
    let told = program.ok(&["accesskey", "rotate", "short", "--overlap", "9h", "--key", "short2"]);
    assert!(told.contains("Access key short expired at "), "{told}");
    program.ok(&["accesskey", "rotate", &key, "--overlap", "0s", "--key", "newest"]);
    wait_for(&key, "Invalid accessKey. It has expired.");
    assert_eq!(find("newest").status, 404);
    program.ok(&["accesskey", "delete", "newest"]);
    wait_for("newest", "Invalid accessKey.");
    let refused = [
        (&["accesskey", "rotate", "none"][..], "does not exist"),
        (&["accesskey", "rotate", "old", "--key", "key"], "exists already"),
        (&["accesskey", "new", "shop", "--expires", "soon"], "soon"),
        (&["accesskey", "new", "shop", "--key", "a:b"], "no colon"),
        (&["accesskey", "new", "shop", "--key", " a"], "no blank at its ends"),
        (&["app", "new", "more", "--access-key", "a:b"], "no colon"),
    ];
    for (args, word) in refused {
        let outcome = program.run(args);
        assert!(outcome.code == Some(1) && outcome.stderr.contains(word), "{args:?}: {outcome:?}");
    }
    let listed = program.json(&["accesskey", "list"]);
    let old = listed.as_array().unwrap().iter().find(|key| text(key, "accessKey") == "old").unwrap();
    assert!(text(old, "expires").ends_with('Z'));
    // for keys without scope and expiry the list is what it always was
    let out = program.ok(&["accesskey", "list"]);
    assert!(out.contains(&format!("[INFO] [Pio$] {:>64} |      1 | (all)\n", "key")), "{out}");
}

#[test]
fn declared_events_warn_or_reject() {
    let program = shop();
    let declare =
        |unknown| program.ok(&["app", "events", "shop", "--declare", "view,buy", "--unknown", unknown]);
    declare("reject");
    let server = EventServer::start(&program, &[]);
    let post = "/events.json?accessKey=key";
    let message = "The event bye is not declared for this app; declared: buy, view.";
    assert_eq!(server.post(post, &EVENT.replace("buy", "bye")).refusal(), (400, message.to_owned()));
    server.stored(post, EVENT);
    server.stored(post, &EVENT.replace("buy", "$set"));
    let batch = format!("[{},{EVENT}]", EVENT.replace("buy", "bye"));
    let statuses = server.post("/batch/events.json?accessKey=key", &batch).json();
    assert_eq!((number(&statuses, "0.status"), number(&statuses, "1.status")), (400, 201));
    assert_eq!(text(&statuses, "0.message"), message);
    for command in ["events", "show"] {
        let shown = program.json(&["app", command, "shop"]);
        assert_eq!((text(&shown, "declared.1"), text(&shown, "unknown")), ("view", "reject"), "{command}");
    }
    assert!(program.ok(&["app", "show", "shop"]).contains("    Declared: buy,view | unknown: reject\n"));
    program.ok(&["app", "events", "shop", "--unknown", "warn"]);
    let shown = program.json(&["app", "events", "shop"]);
    assert_eq!((text(&shown, "declared.1"), text(&shown, "unknown")), ("view", "warn"), "the names stay");
    let undeclared = || (server.post(post, &EVENT.replace("buy", "bye")).status == 201).then_some(());
    until("what is not declared is stored", undeclared);
    server.stored(post, &EVENT.replace("buy", "bye"));
    let told = server.told("is not declared");
    assert_eq!(told.matches("is not declared").count(), 1, "{told}");
    program.ok(&["app", "events", "shop", "--any"]);
    assert!(program.json(&["app", "events", "shop"]).get("declared").unwrap().is_null());
    let refused = program.run(&["app", "events", "shop", "--declare", ""]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        program.refused(1, &["app", "events", "shop", "--unknown", "reject"]).contains("--declare NAMES")
    );
}

#[test]
fn keys_are_not_logged() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    server.stored("/events.json?accessKey=key", &buy("u", "i").replace('}', ",}"));
    server.delete("/entities/user/u.json?accessKey=key");
    server.get("/events.json?accessKey=secret-but-wrong");
    let told = server.told(" audit: ");
    assert!(
        told.contains(
            "deleted 1 events of entity \"user\" \"u\": app 1 \"shop\", channel default, client 127.0.0.1"
        ),
        "{told}"
    );
    assert!(!told.contains("key") && !told.contains("secret"), "{told}");
}

#[test]
fn what_is_deleted_while_the_server_runs_is_soon_unknown() {
    let program = shop();
    program.ok(&["app", "channel-new", "shop", "web"]);
    let server = EventServer::start(&program, &[]);
    let web = "/events.json?accessKey=key&channel=web";
    server.stored(web, EVENT);
    let refused = |path: &str, message: &str| {
        let refusal =
            || (server.post(path, EVENT).refusal_or_none() == Some((401, message.to_owned()))).then_some(());
        until(message, refusal);
    };
    program.ok(&["app", "channel-delete", "shop", "web", "-f"]);
    refused(web, "Invalid channel 'web'.");
    server.stored("/events.json?accessKey=key", EVENT);
    program.ok(&["app", "delete", "shop", "-f"]);
    refused("/events.json?accessKey=key", "Invalid accessKey.");
}

#[test]
fn pages_of_configured_origins_may_send_events() {
    let program = shop();
    let server = EventServer::start(&program, &["--set", "corsOrigins=https://a.example"]);
    let path = "/events.json?accessKey=key";
    let ask = |method: &str, path: &str, origin: &str, body: &str| {
        let headers = [AS_JSON, ("Origin", origin), ("Access-Control-Request-Method", "POST")];
        server.request(method, path, &headers, body.as_bytes())
    };
    let allowed = "access-control-allow-origin: https://a.example";
    for (method, path, status) in
        [("OPTIONS", path, 204), ("POST", path, 201), ("POST", "/events.json?accessKey=wrong", 401)]
    {
        let answer = ask(method, path, "https://a.example", EVENT);
        assert!(answer.status == status && answer.head.contains(allowed), "{method} {path}: {answer:?}");
        assert!(
            !ask(method, path, "https://b.example", EVENT).head.contains("allow-origin"),
            "{method} {path}"
        );
    }
}
