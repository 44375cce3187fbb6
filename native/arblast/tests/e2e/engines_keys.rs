//! Who may do what with the events of an engine: access keys, the key of the server, this machine.

use events::Json;

use crate::engines_rest::{engine, event};
use crate::events_auth::basic;
use crate::program::{Program, number, text};
use crate::queries_client::{Answer, Client, send, until};
use crate::server::{Server, trained};

/// A shop with the engine `ur` beside it, and keys of the app of that.
fn with_keys(options: &[&str]) -> (Program, Server) {
    let program = trained();
    program.ok(&["app", "new", "ur", "--access-key", "all"]);
    program.ok(&["app", "new", "other", "--access-key", "foreign"]);
    for scope in ["read", "write", "delete"] {
        program.ok(&["accesskey", "new", "ur", "--key", scope, "--scope", scope]);
    }
    program.ok(&["accesskey", "new", "ur", "--key", "ended", "--expires", "0s"]);
    program.ok(&["accesskey", "new", "ur", "buy", "--key", "few"]);
    let server = Server::start(&program, options);
    let with = if options.contains(&"--server-key") { "?accessKey=s" } else { "" };
    assert_eq!(send(server.port, "POST", &format!("/engines{with}"), &engine(3)).status, 201);
    (program, server)
}

fn message(answer: &Answer) -> String {
    text(&answer.json(), "message").to_owned()
}

#[test]
fn a_key_does_what_it_has_the_right_to_and_nothing_else() {
    for options in [&["--server-key", "s"][..], &[]] {
        let (_program, server) = with_keys(options);
        let buy = event("buy", "a", "i", 1);
        let forget = r#"{"event":"$delete","entityType":"user","entityId":"nobody","eventTime":"2026-01-02T03:04:05Z"}"#;
        let id = text(&send(server.port, "POST", "/engines/ur/events?accessKey=all", &buy).json(), "eventId")
            .to_owned();
        let one = format!("/engines/ur/events/{id}");
        let needs = [
            ("POST", "/engines/ur/events", buy.as_str(), "write"),
            ("PUT", "/engines/ur/events", &buy, "write"),
            ("GET", &one, "", "read"),
            ("GET", "/engines/ur/entities/a", "", "read"),
            ("DELETE", "/engines/ur/entities/nobody", "", "delete"),
        ];
        for (method, path, body, right) in needs {
            let ask = |key: &str| send(server.port, method, &format!("{path}?accessKey={key}"), body);
            for key in ["read", "write", "delete", "all"] {
                let answer = ask(key);
                if [right, "all"].contains(&key) {
                    assert!([200, 201].contains(&answer.status), "{key} {method} {path}: {answer:?}");
                } else {
                    let expected = format!("This accessKey may not {right}: its scope is {key}.");
                    assert_eq!((answer.status, message(&answer)), (403, expected), "{key} {method} {path}");
                }
            }
            let ended = ask("ended");
            assert_eq!(
                (ended.status, message(&ended).contains("expired")),
                (401, true),
                "{method} {path}: {ended:?}"
            );
            assert_eq!(ask("foreign").status, 401, "{method} {path}");
        }
        for (key, status) in [("write", 403), ("delete", 403), ("all", 201)] {
            let answer = send(server.port, "POST", &format!("/engines/ur/events?accessKey={key}"), forget);
            assert_eq!(answer.status, status, "{key}: {answer:?}");
        }
    }
}

#[test]
fn a_key_comes_as_with_the_event_server_and_before_any_engine_is_named() {
    let (_program, server) = with_keys(&["--server-key", "s"]);
    let buy = event("buy", "a", "i", 1);
    let post = |path: &str, header: &str| {
        let line = if header.is_empty() { String::new() } else { format!("Authorization: {header}\r\n") };
        Client::new(server.port).send("POST", path, &line, buy.as_bytes()).status
    };
    let bare = basic("write:");
    for header in [bare.as_str(), "Bearer write", "bearer s"] {
        assert_eq!(post("/engines/ur/events", header), 201, "{header}");
    }
    let wrong = basic("none:");
    for header in [wrong.as_str(), "Bearer none", "Basic !", ""] {
        assert_eq!(post("/engines/ur/events", header), 401, "{header}");
        assert_eq!(post("/engines/none/events", header), 401, "{header}");
    }
    assert_eq!(post("/engines/none/events", "Bearer write"), 401, "not even who has a key learns of engines");
    assert_eq!(post("/engines/none/events", "Bearer s"), 404);
    for (method, path) in [
        ("GET", "/engines/none/events/x"),
        ("GET", "/engines/none/entities/x"),
        ("DELETE", "/engines/none/entities/x"),
    ] {
        assert_eq!(send(server.port, method, path, "").status, 401, "{method} {path}");
    }
}

#[test]
fn a_key_with_a_list_replaces_only_what_it_may_write() {
    let (_program, server) = with_keys(&[]);
    let with_id = |name: &str, entity: &str, id: &str| {
        format!(
            r#"{{"event":"{name}","entityType":"{entity}","entityId":"e","targetEntityId":TARGET,"eventId":"{id}","eventTime":"2026-01-02T03:04:05Z"}}"#
        )
        .replace("TARGET", if entity == "user" { "\"i\"" } else { "null" })
    };
    let post = |key: &str, event: &str| {
        send(server.port, "POST", &format!("/engines/ur/events?accessKey={key}"), event)
    };
    assert_eq!(post("all", &with_id("$set", "item", "one")).status, 201);
    let refused = post("few", &with_id("buy", "user", "one"));
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(message(&refused).contains("a stored $set event"), "{refused:?}");
    for _ in 0..2 {
        assert_eq!(
            post("few", &with_id("buy", "user", "two")).status,
            201,
            "what it wrote it may write again"
        );
    }
    assert_eq!(post("all", &with_id("buy", "user", "one")).status, 201, "without a list all is replaced");
}

#[test]
fn an_erasure_leaves_a_line_and_declared_names_hold() {
    let (program, mut server) = with_keys(&[]);
    let port = server.port;
    let errors = crate::events_client::collected(server.child.stderr.take().unwrap());
    let buy = event("buy", "a", "i", 1);
    let forget =
        r#"{"event":"$delete","entityType":"user","entityId":"a","eventTime":"2026-01-02T03:04:05Z"}"#;
    let post = |event: &str| send(port, "POST", "/engines/ur/events", event);
    assert_eq!(post(&buy).status, 201);
    assert_eq!(send(port, "DELETE", "/engines/ur/entities/a", "").status, 200);
    assert_eq!(post(&buy).status, 201);
    assert_eq!(post(forget).status, 201);
    let line =
        "audit: deleted 1 events of entity \"user\" \"a\": app 2 \"ur\", channel default, client 127.0.0.1";
    until("both erasures are told", || (errors.lock().unwrap().matches(line).count() == 2).then_some(()));

    program.ok(&["app", "events", "ur", "--declare", "buy", "--unknown", "reject"]);
    let view = event("view", "a", "i", 1);
    let refused = post(&view);
    assert_eq!((refused.status, message(&refused).contains("declared: buy.")), (400, true), "{refused:?}");
    assert_eq!(post(&buy).status, 201);
    program.ok(&["app", "events", "ur", "--unknown", "warn"]);
    assert_eq!((post(&view).status, post(&view).status), (201, 201));
    until("it is told", || {
        errors.lock().unwrap().contains("\"view\", whose name is not declared").then_some(())
    });
    assert_eq!(errors.lock().unwrap().matches("is not declared").count(), 1);
}

#[test]
fn what_is_json_by_tolerance_only_is_told_or_refused() {
    let lenient = event("buy", "a", "i", 1).replace('}', ",}");
    let post = |server: &Server| send(server.port, "POST", "/engines/ur/events", &lenient);
    let (_program, mut server) = with_keys(&[]);
    let errors = crate::events_client::collected(server.child.stderr.take().unwrap());
    assert_eq!((post(&server).status, post(&server).status), (201, 201));
    let told = "client 127.0.0.1 sends malformed JSON";
    until("it is told", || errors.lock().unwrap().contains(told).then_some(()));
    let (_program, strict) = with_keys(&["--set", "lenientJson=false"]);
    let refused = post(&strict);
    assert_eq!(
        (refused.status, message(&refused).contains("comma before the end")),
        (400, true),
        "{refused:?}"
    );
    assert_eq!(send(strict.port, "POST", "/engines/ur/events", &event("buy", "a", "i", 1)).status, 201);
}

#[test]
fn the_size_of_an_event_has_the_limit_that_is_set() {
    let (_program, server) = with_keys(&["--set", "eventBytesMax=400", "--set", "queryBytesMax=30"]);
    let post = |event: &str| send(server.port, "POST", "/engines/ur/events", event).status;
    assert_eq!(post(&event("buy", "a", "i", 1)), 201);
    assert_eq!(post(&event("buy", "a", &"i".repeat(400), 1)), 413);
    let batch = format!(r#"[{{}}, {{"user": "{}"}}, {{"num" : 1}}]"#, "u".repeat(30));
    let answers = send(server.port, "POST", "/batch/queries.json", &batch).json();
    assert_eq!(number(&answers, "1.status"), 413, "{answers}");
    assert!(text(&answers, "1.message").contains("more than 30 bytes"), "{answers}");
    for fitting in ["0", "2"] {
        assert!(crate::program::at(&answers, fitting).get("itemScores").is_some(), "{answers}");
    }
}

#[test]
fn only_this_machine_controls_and_heads_change_nothing() {
    let (_program, server) = with_keys(&[]);
    let ask = |method: &str, path: &str, headers: &str| {
        Client::new(server.port).send(method, path, headers, b"").status
    };
    let refused = [
        "Host: evil.example:8000\r\nOrigin: http://evil.example:8000\r\n",
        "Host: evil.example\r\n",
        "Host: localhost\r\nHost: evil.example\r\n",
        "Via: 1.1 proxy\r\n",
        "X-Forwarded-Proto: https\r\n",
        "X-Real-IP: 127.0.0.1\r\n",
        "Forwarded: for=127.0.0.1\r\n",
    ];
    for headers in refused {
        for (method, path) in [("GET", "/engines"), ("POST", "/reload"), ("DELETE", "/engines/ur/entities/a")]
        {
            let status = ask(method, path, headers);
            assert!([400, 401].contains(&status), "{method} {path} {headers}: {status}");
        }
    }
    for headers in ["", "Host: 127.0.0.1:1\r\n", "Host: [::1]\r\n"] {
        assert_eq!(ask("POST", "/reload", headers), 200, "{headers}");
    }
    for path in ["/stop", "/reload"] {
        assert_eq!(ask("HEAD", path, ""), 405, "{path}");
    }
    assert_eq!(ask("GET", "/health", ""), 200, "it still runs");
    let shown = send(server.port, "GET", "/engines", "").json();
    assert_eq!(shown.as_array().map(<[Json]>::len), Some(2));
}
