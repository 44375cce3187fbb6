//! How servers begin, replace each other and end.

use std::process::Command;

use events::{Json, json};

use crate::operation::{Deployed, ServiceManager, wait_for};
use crate::program::{Program, http, number, own_port, text};
use crate::queries_client::{send, until};
use crate::serve::{Both, shop};
use crate::server::{Server, trained};

const ENGINE: &str = r#"{"engineId":"kept","engineFactory":"com.actionml.engines.ur.UREngine",
    "algorithm":{"indicators":[{"name":"buy"}]}}"#;

fn terminate(id: u32) {
    assert!(Command::new("kill").args(["-s", "TERM", &id.to_string()]).status().unwrap().success());
}

#[test]
fn systemd_is_told_when_all_that_serve_does_is_ready() {
    let one = own_port().to_string();
    for (options, train) in [
        (vec!["--port", &one], true),
        (vec!["--event-port", "0", "--query-port", "0"], true),
        (vec!["--event-port", "0", "--query-port", "0"], false),
    ] {
        let program = shop();
        if train {
            program.ok(&["train"]);
        }
        let manager = ServiceManager::of(&program);
        let mut command = program.command(&[&["serve", "--ip", "127.0.0.1"], &options[..]].concat());
        let mut both = Both::of(command.env("NOTIFY_SOCKET", &manager.socket).spawn().unwrap());
        assert_eq!(manager.told(), "READY=1", "{options:?}");
        let port = both.port("Event API is live at");
        assert_eq!(http(port, "GET", "/health", "").unwrap().0, 200);
        terminate(both.child.id());
        assert_eq!(manager.told(), "STOPPING=1", "{options:?}");
        assert_eq!(both.ended(), Some(0));
    }
}

#[test]
fn before_its_first_model_a_server_says_what_to_do_and_trains() {
    let program = shop();
    let port = own_port().to_string();
    let mut both = Both::start(&program, &["--port", &port]);
    let port = both.port("Event API is live at");
    for path in ["/queries.json", "/batch/queries.json", "/engines/shop/queries"] {
        let body = if path.starts_with("/batch") { "[{}]" } else { "{}" };
        let answer = send(port, "POST", path, body);
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{path}: {answer:?}");
        assert!(text(&answer.json(), "message").contains("arblast train"), "{path}: {answer:?}");
    }
    let status = send(port, "GET", "/status.json", "").json();
    assert!(status.get("model").is_some_and(Json::is_null), "{status}");
    assert_eq!(text(&status, "engine.variant"), "shop");
    let ready = send(port, "GET", "/ready", "");
    assert!(ready.status == 503 && ready.body.contains("engine shop has no model yet"), "{ready:?}");
    assert_eq!(send(port, "GET", "/health", "").status, 200);
    assert_eq!(send(port, "GET", "/metrics", "").status, 200);
    assert_eq!(send(port, "GET", "/", "").status, 200);
    let reload = send(port, "POST", "/reload", "");
    assert!(reload.status == 503 && reload.body.contains("arblast train"), "{reload:?}");
    let job = send(port, "POST", "/engines/shop/jobs/", "");
    assert_eq!(job.status, 202, "{job:?}");
    both.says("Engine API is live at");
    until("it is ready", || (send(port, "GET", "/ready", "").status == 200).then_some(()));
    let answer = send(port, "POST", "/queries.json", r#"{"user":"maya"}"#);
    assert!(answer.status == 200 && answer.body.contains("\"item\""), "{answer:?}");
    assert_eq!(send(port, "POST", "/reload", "").status, 200);
}

#[test]
fn a_server_without_an_engine_file_serves_the_engines_that_are_kept() {
    let program = Program::new();
    let mut both = Both::start(&program, &["--event-port", "0", "--query-port", "0"]);
    both.says("only engines that are kept answer");
    let port = both.port("Query API is live at");
    assert_eq!(send(port, "GET", "/engines/", "").json().to_string(), "[]");
    assert_eq!(send(port, "POST", "/queries.json", "{}").status, 404);
    assert_eq!(send(port, "GET", "/ready", "").status, 200);
    assert_eq!(send(port, "GET", "/status.json", "").status, 200);
    assert_eq!(send(port, "POST", "/engines", ENGINE).status, 201);
    assert_eq!(send(port, "POST", "/engines/kept/configs", ENGINE).status, 200);
    assert_eq!(send(port, "GET", "/engines/kept/", "").status, 200);
    let early = send(port, "POST", "/engines/kept/queries", "{}");
    assert_eq!((early.status, early.header("retry-after")), (503, Some("1")), "{early:?}");
    for (user, item) in (0..60).map(|n| (n % 12, n % 5 + n % 3)) {
        let event = format!(
            r#"{{"event":"buy","entityType":"user","entityId":"u{user}","targetEntityId":"i{item}","eventTime":"2026-01-02T03:04:05Z"}}"#
        );
        let stored = send(port, "POST", "/engines/kept/events", &event);
        assert_eq!(stored.status, 201, "{stored:?}");
    }
    assert_eq!(send(port, "POST", "/engines/kept/jobs", "").status, 202);
    until("queries are answered", || {
        (send(port, "POST", "/engines/kept/queries", "{}").status == 200).then_some(())
    });
    assert_eq!(send(port, "GET", "/system/health", "").status, 200);
    assert_eq!(text(&send(port, "GET", "/system", "").json(), "system"), "arblast");
    let named = program.refused(1, &["serve", "--port", "0", "--variant", "mine.json"]);
    assert!(named.contains("mine.json does not exist"), "{named}");
}

#[test]
fn files_of_the_servers_machine_are_imported_as_a_job() {
    let program = shop();
    let mut both = Both::start(&program, &["--event-port", "0", "--query-port", "0"]);
    let port = both.port("Query API is live at");
    program.write("more.jsonl", &format!("{}\nnonsense\n", crate::serve::EVENT));
    let path = program.path("more.jsonl").display().to_string();
    let begun = send(port, "POST", &format!("/engines/shop/imports?import_path={path}"), "");
    assert_eq!(begun.status, 202, "{begun:?}");
    let location = begun.header("location").unwrap().to_owned();
    let job = until("it ends", || {
        let job = send(port, "GET", &location, "").json();
        (text(&job, "status") != "executing").then_some(job)
    });
    let counts = ["lines", "events", "badLines"].map(|name| number(&job, name));
    assert_eq!((text(&job, "status"), counts), ("successful", [2, 1, 1]), "{job}");
    assert!(text(&job, "firstBadLine").contains("more.jsonl line 2: "), "{job}");
    let jobs = send(port, "GET", "/engines/shop/jobs", "").json();
    assert_eq!(text(&jobs, "0.jobId"), text(&job, "jobId"));
    assert_eq!(send(port, "DELETE", &location, "").status, 409);
    assert_eq!(send(port, "POST", "/engines/none/imports?import_path=/x", "").status, 404);
    for (path, word) in [("", "missing"), ("more.jsonl", "absolute"), ("/nowhere/x", "not there")] {
        let refused = send(port, "POST", &format!("/engines/shop/imports?import_path={path}"), "");
        assert!(refused.status == 400 && refused.body.contains(word), "{path}: {refused:?}");
    }
    assert_eq!(program.targets("shop").iter().filter(|target| *target == "i").count(), 1);
}

#[test]
fn deploy_waits_for_a_model_only_if_told_so() {
    let program = shop();
    let deploy = ["deploy", "--ip", "127.0.0.1", "--port"];
    assert!(
        program.refused(1, &[&deploy[..], &["0"]].concat()).starts_with("No valid engine instance found")
    );
    let port = own_port().to_string();
    let child = program.start(&[&deploy[..], &[&port, "--without-model"]].concat());
    let number = port.parse().unwrap();
    until("it refuses queries", || {
        http(number, "POST", "/queries.json", "{}").filter(|(status, _)| *status == 503)
    });
    program.ok(&["train"]);
    let server = Server::of(child);
    assert_eq!(send(server.port, "POST", "/queries.json", "{}").status, 200);
}

#[test]
fn serve_is_not_stopped_by_accident() {
    let program = trained();
    let port = own_port().to_string();
    let mut both = Both::start(&program, &["--event-port", "0", "--query-port", &port]);
    both.says("Engine API is live at");
    let error = program.refused(75, &["deploy", "--ip", "127.0.0.1", "--port", &port]);
    assert!(error.contains("arblast serve") && error.contains("--serve"), "{error}");
    let undeploy = ["undeploy", "--ip", "127.0.0.1", "--port", &port];
    let error = program.refused(1, &undeploy);
    assert!(error.contains("takes in events, too; --serve"), "{error}");
    program.ok(&[&undeploy[..], &["--serve"]].concat());
    assert_eq!(both.ended(), Some(0));
}

#[test]
fn a_server_of_another_home_stays() {
    let (program, other) = (trained(), trained());
    let port = own_port().to_string();
    let deploy = ["deploy", "--ip", "127.0.0.1", "--port", &port];
    let server = Server::of(program.start(&deploy));
    let error = other.refused(75, &deploy);
    assert!(error.contains("engine shop of app shop of another home"), "{error}");
    assert_eq!(send(server.port, "POST", "/queries.json", "{}").status, 200);
}

#[test]
fn of_servers_that_begin_at_once_one_stays_and_none_fails() {
    let program = trained();
    let port = own_port().to_string();
    let deploy = ["deploy", "--ip", "127.0.0.1", "--port", &port];
    let first = Server::of(program.start(&deploy));
    let mut rest: Vec<_> = (0..3).map(|_| program.start(&deploy)).collect();
    assert_eq!(first.ended(), Some(0));
    let mut ended = Vec::new();
    until("one is left", || {
        let gone = rest.iter_mut().position(|child| child.try_wait().unwrap().is_some());
        if let Some(gone) = gone {
            ended.push(rest.remove(gone).wait_with_output().unwrap());
        }
        (rest.len() == 1).then_some(())
    });
    for ended in ended {
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    }
    let last = Server::of(rest.remove(0));
    assert_eq!(send(last.port, "POST", "/queries.json", "{}").status, 200);
}

#[test]
fn undeploy_reads_the_configuration_and_waits_for_the_server_it_asked() {
    let program = trained();
    let shared = ["--set", "reusePort=true", "--server-key", "s3rver"];
    let one = Server::start(&program, &shared);
    let port = one.port.to_string();
    let other = ["deploy", "--ip", "127.0.0.1", "--port", &port];
    let other = Server::of(program.start(&[&other[..], &shared[..]].concat()));
    program.write("undeploy.json", &format!(r#"{{"queryServerIp":"127.0.0.1","queryServerPort":{port}}}"#));
    let config = program.path("undeploy.json").display().to_string();
    let undeploy = ["undeploy", "--config", config.as_str()];
    let error = program.refused(1, &undeploy);
    assert!(error.contains("--server-key") && !error.contains("s3rver"), "{error}");
    let asked = std::time::Instant::now();
    for _ in 0..2 {
        let mut command = program.command(&undeploy);
        let output = command.env("ARBLAST_SERVER_KEY", "s3rver").output().unwrap();
        assert!(output.status.success(), "{output:?} after {:?}", asked.elapsed());
    }
    assert_eq!((one.ended(), other.ended()), (Some(0), Some(0)));
}

#[test]
fn status_refuses_what_servers_refuse() {
    let program = Program::new();
    let foreign =
        [("PIO_STORAGE_REPOSITORIES_EVENTDATA_SOURCE", "PGSQL"), ("PIO_STORAGE_SOURCES_PGSQL_TYPE", "jdbc")];
    for command in ["status", "eventserver"] {
        let output = program.command(&[command]).envs(foreign).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && error.contains("type jdbc"), "{command}: {output:?}");
    }
    program.ok(&["status"]);
}

#[test]
fn old_options_of_deploy_are_told_to_be_ignored() {
    let program = shop();
    let options = ["-sk", "--json-extractor", "Both", "--batch", "b", "--event-server-url", "http://h"];
    let outcome = program.run(&[&["deploy", "--port", "0"], &options[..]].concat());
    assert_eq!(outcome.code, Some(1), "it has no model: {outcome:?}");
    let told = outcome.stdout;
    for name in ["--spark-kryo", "--json-extractor", "--batch", "--event-server-url"] {
        let ignored = told.lines().any(|line| line.contains(name) && line.contains("ignored"));
        assert!(ignored, "{name} in\n{told}");
    }
    let both = ["deploy", "--feedback", "--event-server-url", "http://h", "--event-server-port", "1"];
    let outcome = program.run(&both);
    let told =
        outcome.stderr.contains("--event-server-url") && outcome.stderr.contains("--event-server-port");
    assert!(outcome.code == Some(1) && told, "{outcome:?}");
}

#[test]
fn feedback_that_waits_is_posted_before_the_server_ends() {
    let program = trained();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let options = ["--feedback", "--accesskey", "k", "--event-server-url", &url];
    let mut server = Deployed::start(&program, &options, &[]);
    let queries = format!("[{}]", vec!["{}"; 100].join(","));
    assert_eq!(send(server.port, "POST", "/batch/queries.json", &queries).status, 200);
    server.signal("TERM");
    wait_for(|| std::net::TcpStream::connect(("127.0.0.1", server.port)).err()).unwrap();
    // Only now does the event server answer.
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in silent.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            std::thread::spawn(move || crate::queries_feedback::answer(stream, &tell));
        }
    });
    assert_eq!(server.ended(), Some(0));
    let posts = told.try_iter().count();
    // Those that were on their way may have lost their patience.
    assert!(posts >= 84, "{posts} of 100");
}

#[test]
fn a_full_queue_of_feedback_is_told_once() {
    let program = trained();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let options = ["--feedback", "--accesskey", "k", "--event-server-url", &url];
    let server = Deployed::start(&program, &options, &[]);
    let queries = format!("[{}]", vec![r#"{"num":1}"#; 100].join(","));
    let log = until("the queue is full", || {
        assert_eq!(send(server.port, "POST", "/batch/queries.json", &queries).status, 200);
        Some(server.log()).filter(|log| log.contains("more are dropped"))
    });
    assert_eq!(log.matches("more are dropped").count(), 1, "{log}");
    let error = json::parse(send(server.port, "POST", "/queries.json", "[]").body.as_bytes()).unwrap();
    assert!(error.get("message").is_some());
}
