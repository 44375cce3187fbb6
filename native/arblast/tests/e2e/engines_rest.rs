//! Engines, their events, queries and trains through HTTP, as clients of Harness use them.

use std::fs::{File, OpenOptions};

use events::Json;

use crate::program::{Program, at, text};
use crate::queries_client::{Answer, Client, send, until};
use crate::server::Server;

/// An engine of Harness; its data are its own.
const UR: &str = r#"{"engineId":"ur","engineFactory":"com.actionml.engines.ur.UREngine",
  "algorithm":{"indicators":[{"name":"buy","aliases":["purchase"]},{"name":"view"}],"num":NUM}}"#;

pub fn engine(num: u32) -> String {
    UR.replace("NUM", &num.to_string())
}

fn trained() -> Program {
    let program = Program::new();
    program.sample_shop();
    program.ok(&["train"]);
    program
}

pub fn event(name: &str, user: &str, item: &str, seconds: u32) -> String {
    format!(
        r#"{{"event":"{name}","entityType":"user","entityId":"{user}","targetEntityId":"{item}","eventTime":"2026-01-02T03:{:02}:{:02}+01:00"}}"#,
        seconds / 60,
        seconds % 60
    )
}

/// Sends what 24 users of two groups buy.
fn fill(client: &mut Client) {
    for user in 0..24_u32 {
        for item in (0..5).filter(|item| (user / 2 + item) % 3 > 0) {
            let name = if item == 0 { "purchase" } else { "buy" };
            let event = event(name, &format!("u{user}"), &format!("g{}-{item}", user % 2), user * 5 + item);
            let answer = client.send("POST", "/engines/ur/events", "", event.as_bytes());
            assert_eq!(answer.status, 201, "{answer:?}");
        }
    }
}

fn train(port: u16) -> Answer {
    let begun = send(port, "POST", "/engines/ur/jobs", "");
    assert_eq!(begun.status, 202, "{begun:?}");
    let path = begun.header("location").unwrap().to_owned();
    until("the train ends", || {
        let job = send(port, "GET", &path, "");
        (text(&job.json(), "status") != "executing").then_some(job)
    })
}

#[test]
fn an_engine_lives_from_its_creation_to_its_end() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let port = server.port;
    let created = send(port, "POST", "/engines", &engine(3));
    assert_eq!((created.status, text(&created.json(), "engineId")), (201, "ur"), "{created:?}");
    assert_eq!(created.header("location"), Some("/engines/ur"));
    // One of PredictionIO's reads an app that is there already.
    let file = std::fs::read_to_string(program.path("engine.json")).unwrap();
    let foreign = file
        .replace("\"id\": \"shop\"", "\"id\": \"no-app\"")
        .replace("\"appName\": \"shop\"", "\"appName\": \"nowhere\"");
    let refused = send(port, "POST", "/engines", &foreign);
    assert_eq!(refused.status, 400, "{refused:?}");
    let message = refused.json();
    assert!(text(&message, "message").contains("appName names app nowhere"), "{message}");
    assert!(text(&message, "message").contains("`arblast app new nowhere`"), "{message}");
    assert_eq!(send(port, "GET", "/engines/no-app", "").status, 404);
    assert_eq!(send(port, "POST", "/engines", &engine(3)).status, 409);
    assert_eq!(send(port, "POST", "/engines", &engine(3).replace("\"ur\"", "\"shop\"")).status, 409);
    let list = send(port, "GET", "/engines", "").json();
    let shown: Vec<_> =
        list.as_array().unwrap().iter().map(|one| (text(one, "engineId"), text(one, "status"))).collect();
    assert_eq!(shown, [("shop", "ready"), ("ur", "untrained")]);
    let untrained = send(port, "POST", "/engines/ur/queries", "{}");
    assert_eq!((untrained.status, untrained.header("retry-after")), (503, Some("1")), "{untrained:?}");
    assert!(text(&untrained.json(), "message").contains("POST /engines/ur/jobs"), "{untrained:?}");
    let failed = train(port).json();
    assert_eq!(text(&failed, "status"), "failed");
    assert!(text(&failed, "reason").contains("no primary events"), "{failed}");
    let log = |job: &Json| send(port, "GET", &format!("/engines/ur/jobs/{}/log", text(job, "jobId")), "");
    let told = log(&failed);
    assert_eq!((told.status, told.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert!(told.body.contains("no model: ") && told.body.contains("no primary events"), "{told:?}");

    let mut client = Client::new(port);
    fill(&mut client);
    let done = train(port).json();
    assert_eq!((text(&done, "status"), at(&done, "generation").as_i64()), ("successful", Some(1)), "{done}");
    let told = log(&done).body;
    for words in ["train of engine ur of app ur", " begins", " took ", "generation 1 is published"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert_eq!(send(port, "GET", "/engines/ur/jobs/none/log", "").status, 404);
    assert_eq!(send(port, "GET", "/engines/ur/jobs/..%2F..%2FTRAIN/log", "").status, 404);
    let query = r#"{"user":"u0","indicatorNames":["buy"],"rules":[]}"#;
    let answer = client.send("POST", "/engines/ur/queries", "", query.as_bytes());
    assert_eq!((answer.status, answer.header("x-arblast-generation")), (200, Some("1")), "{answer:?}");
    let json = answer.json();
    let result = at(&json, "result").as_array().unwrap();
    assert!(!result.is_empty() && result.len() <= 3, "{json}");
    assert!(text(&json, "result.0.item").starts_with("g0-"), "{json}");
    let about = send(port, "GET", "/engines/ur", "").json();
    assert_eq!((text(&about, "status"), text(&about, "lastJob.status")), ("ready", "successful"));
    assert_eq!(text(&about, "config.engineId"), "ur");

    // Another file, also for a server that starts later.
    assert_eq!(send(port, "PUT", "/engines/ur", &engine(1)).status, 200);
    let count = |port| {
        at(&send(port, "POST", "/engines/ur/queries", "{}").json(), "result").as_array().unwrap().len()
    };
    assert_eq!(count(port), 1);
    assert_eq!(count(Server::start(&program, &[]).port), 1);
    assert_eq!(send(port, "PUT", "/engines/ur", &engine(1).replace("\"ur\"", "\"x\"")).status, 400);
    assert_eq!(send(port, "PUT", "/engines/none", &engine(1).replace("\"ur\"", "\"none\"")).status, 404);
    assert_eq!(send(port, "PUT", "/engines/shop", "{}").status, 409);
    assert_eq!(send(port, "DELETE", "/engines/ur", "").status, 200);
    assert_eq!(send(port, "DELETE", "/engines/ur", "").status, 404);
    assert_eq!(send(port, "POST", "/engines/ur/queries", "{}").status, 404);
}

#[test]
fn events_of_an_engine_are_stored_refused_or_said_not_to_be_stored() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let port = server.port;
    assert_eq!(send(port, "POST", "/engines", &engine(3)).status, 201);
    let time = r#""eventTime":"2026-01-02T03:04:05Z""#;
    let special = |name: &str, kind: &str, rest: &str| {
        format!(r#"{{"event":"{name}","entityType":"{kind}","entityId":"x",{time}{rest}}}"#)
    };
    let cases = [
        (event("buy", "a", "i1", 1), 201, "processed"),
        (event("purchase", "a", "i2", 2), 201, "processed"),
        (
            special("$set", "item", r#","properties":{"categories":["c"],"price":2.5,"new":true}"#),
            201,
            "processed",
        ),
        (special("$unset", "item", r#","properties":{"price":null}"#), 201, "processed"),
        (special("$delete", "item", ""), 201, "processed"),
        (special("$delete", "user", ""), 201, "deleted"),
        (special("$set", "user", r#","properties":{"age":7}"#), 501, "not supported"),
        (special("$unset", "user", r#","properties":{"age":7}"#), 200, "Not stored"),
        (special("$unset", "item", ""), 200, "Not stored: $unset"),
        (special("$foo", "item", ""), 200, "Not stored: this reserved name"),
        (
            special("$set", "item", r#","properties":{"pio_x":1,"a":2}"#),
            200,
            "Not stored: names of properties",
        ),
        (event("buy", "a", "i1", 3).replace("\"user\"", "\"visitor\""), 200, "only with the entityType user"),
        (event("wink", "a", "i1", 3), 200, "Not stored"),
        (special("buy", "user", ""), 200, "Not stored"),
        (event("buy", "a", "i1", 4).replace("+01:00", ""), 400, "eventTime"),
        (
            r#"{"event":"buy","entityType":"user","entityId":"a","targetEntityId":"i"}"#.to_owned(),
            400,
            "eventTime",
        ),
        (event("", "a", "i1", 4), 400, "event"),
        ("[]".to_owned(), 400, "object"),
        ("{".to_owned(), 400, "JSON"),
    ];
    let mut client = Client::new(port);
    for (method, (body, status, word)) in ["POST", "PUT"].iter().cycle().zip(&cases) {
        let answer = client.send(method, "/engines/ur/events", "", body.as_bytes());
        assert_eq!(answer.status, *status, "{body}: {answer:?}");
        assert!(answer.body.contains(word), "{body}: {answer:?}");
    }
    assert_eq!(send(port, "POST", "/engines/none/events", &cases[0].0).status, 404);

    let of_user =
        |parameters: &str| send(port, "GET", &format!("/engines/ur/entities/a{parameters}"), "").json();
    let targets = |json: &Json| -> Vec<String> {
        json.as_array().unwrap().iter().map(|event| text(event, "targetEntityId").to_owned()).collect()
    };
    let all = of_user("");
    assert_eq!(targets(&all), ["i2", "i1"], "newest first: {all}");
    assert_eq!(text(&all, "0.targetEntityType"), "item");
    assert_eq!(targets(&of_user("?num=1")), ["i2"]);
    assert_eq!(targets(&of_user("?num=1&from=1")), ["i1"]);
    assert_eq!(send(port, "GET", "/engines/ur/entities/a?num=x", "").status, 400);
    assert_eq!(send(port, "GET", "/engines/ur/entities/a?num=99999", "").status, 400);
    let id = text(&all, "0.eventId");
    assert_eq!(send(port, "GET", &format!("/engines/ur/events/{id}"), "").json(), *at(&all, "0"));
    assert_eq!(send(port, "GET", "/engines/ur/events/none", "").status, 404);
    let deleted = send(port, "DELETE", "/engines/ur/entities/a", "");
    assert_eq!((deleted.status, deleted.body.as_str()), (200, r#"{"comment":"All data deleted"}"#));
    assert_eq!(of_user(""), Json::Array(Vec::new()));
}

#[test]
fn every_body_is_mirrored_valid_or_not() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let port = server.port;
    let mirror = program.path("mirror");
    let with = |kind: &str| {
        let members =
            format!(r#""mirrorType":"{kind}","mirrorContainer":"{}","algorithm""#, mirror.display());
        engine(3).replace("\"algorithm\"", &members)
    };
    let refused = send(port, "POST", "/engines", &with("hdfs"));
    assert!(refused.status == 400 && refused.body.contains("localfs"), "{refused:?}");
    assert_eq!(send(port, "POST", "/engines", &with("localfs")).status, 201);
    let bodies = [event("buy", "a", "i1", 1), event("wink", "a", "i2", 2), "{\n nonsense".to_owned()];
    let statuses = bodies.each_ref().map(|body| send(port, "POST", "/engines/ur/events", body).status);
    assert_eq!(statuses, [201, 200, 400]);
    assert_eq!(
        send(port, "POST", "/engines/shop/events", &event("purchase", "a", "i", 3)).status,
        201,
        "no mirror"
    );
    // The test may run over midnight: then there are two files.
    let mut files: Vec<_> =
        std::fs::read_dir(mirror.join("ur")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let text: String = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert_eq!(text.lines().collect::<Vec<_>>(), [&bodies[0], &bodies[1], "{  nonsense"]);
    let name = files[0].file_name().unwrap().to_str().unwrap();
    let is_day = name.len() == 13 && name.ends_with(".json") && name.matches('-').count() == 2;
    assert!(is_day, "{name}");
    // A mirror that cannot be written does not cost the event.
    std::fs::remove_dir_all(&mirror).unwrap();
    std::fs::write(&mirror, "").unwrap();
    assert_eq!(send(port, "POST", "/engines/ur/events", &bodies[0]).status, 201);
}

#[test]
fn a_key_of_the_app_may_write_its_events_from_anywhere() {
    let program = trained();
    program.ok(&["app", "new", "other", "--access-key", "foreign"]);
    let server = Server::start(&program, &["--server-key", "s"]);
    let port = server.port;
    assert_eq!(send(port, "POST", "/engines?accessKey=s", &engine(3)).status, 201);
    program.ok(&["accesskey", "new", "ur", "buy", "--key", "own"]);
    let post = |name: &str, key: &str| {
        send(port, "POST", &format!("/engines/ur/events?accessKey={key}"), &event(name, "a", "i", 1)).status
    };
    assert_eq!(post("buy", "own"), 201);
    assert_eq!(post("view", "own"), 403);
    assert_eq!(post("buy", "foreign"), 401);
    assert_eq!(post("buy", "s"), 201);
    assert_eq!(send(port, "POST", "/engines/ur/events", &event("buy", "a", "i", 1)).status, 401);
    assert_eq!(send(port, "GET", "/engines/ur/jobs?accessKey=own", "").status, 401);
}

#[test]
fn events_of_an_engine_are_stored_together_and_refused_if_too_many_wait() {
    let program = trained();
    let server = Server::start(&program, &["--set", "queuedEventsMax=2"]);
    let port = server.port;
    assert_eq!(send(port, "POST", "/engines", &engine(3)).status, 201);
    let mut stored = 0;
    let mut round = 0;
    until("the queue is full once", || {
        round += 1;
        let answers: Vec<Answer> = std::thread::scope(|scope| {
            let one = |c: u32| {
                let mut client = Client::new(port);
                let event = |n: u32| event("buy", &format!("u{round}-{c}"), &format!("i{n}"), n);
                let post = |n| client.send("POST", "/engines/ur/events", "", event(n).as_bytes());
                (0..20).map(post).collect::<Vec<_>>()
            };
            let clients: Vec<_> = (0..16).map(|c| scope.spawn(move || one(c))).collect();
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        });
        for answer in &answers {
            assert!([201, 429].contains(&answer.status), "{answer:?}");
            assert_eq!(answer.status == 429, answer.header("retry-after") == Some("1"), "{answer:?}");
        }
        stored += answers.iter().filter(|answer| answer.status == 201).count();
        answers.iter().any(|answer| answer.status == 429).then_some(())
    });
    let metrics = send(port, "GET", "/metrics", "").body;
    let counted = |name: &str| -> usize {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{metrics}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!(counted("arblast_events_stored_total "), stored);
    assert!(counted("arblast_events_commits_total ") <= stored, "{metrics}");
    assert!(counted("arblast_ingest_refused_total ") > 0, "{metrics}");
    assert_eq!(program.targets("ur").len(), stored, "what was acknowledged is there, and nothing else");
}

/// The lock that a publication takes: whoever holds it keeps a train from its end.
fn hold_publications(program: &Program) -> File {
    let models = program.home().join("models");
    let found = std::fs::read_dir(models).unwrap().map(|entry| entry.unwrap().path().join("LOCK"));
    let path = found.into_iter().find(|path| path.exists()).unwrap();
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.lock().unwrap();
    file
}

#[test]
fn one_train_at_a_time_and_a_killed_one_has_failed() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let (port, jobs) = (server.port, "/engines/shop/jobs");
    let held = hold_publications(&program);
    let mut child = program.start(&["train", "--batch", "doomed"]);
    let path = until("the train of another process is seen at its last stage", || {
        let all = send(port, "GET", jobs, "").json();
        let newest = &all.as_array().unwrap()[0];
        (newest.get("stage").and_then(Json::as_str) == Some("publish"))
            .then(|| format!("{jobs}/{}", text(newest, "jobId")))
    });
    assert_eq!(send(port, "POST", jobs, "").status, 409);
    assert!(program.refused(75, &["train"]).contains("another train"), "by the command, too");
    assert_eq!(text(&send(port, "GET", &path, "").json(), "status"), "executing");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(held);
    let dead = send(port, "GET", &path, "").json();
    assert_eq!((text(&dead, "status"), text(&dead, "batch")), ("failed", "doomed"), "{dead}");
    assert!(text(&dead, "reason").contains("process ended"), "{dead}");
    program.ok(&["train"]);
    let newest = send(port, "GET", jobs, "").json();
    assert_eq!(text(&newest, "0.status"), "successful");
}
