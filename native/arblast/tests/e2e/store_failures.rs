//! The store cannot be written, or not be read: clients, operator and `/ready` are told, nothing acknowledged is lost, and
//! work goes on when the cause has gone. A limit of the size of files stands for a full disk: it needs no rights, and
//! it can be lifted beneath a running process.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use events::{Json, json};

use crate::events_client::{Answer, EventServer, buy, shop};
use crate::program::{Outcome, Program, number, text};
use crate::queries_client::until;
use crate::server::{Server, trained};

const EVENTS: &str = "/events.json?accessKey=key";

/// What the store has room for without growing is less than this.
const ROOM: u64 = 64 << 10;

fn data_file(program: &Program) -> PathBuf {
    program.home().join("store/data.mdb")
}

fn data_bytes(program: &Program) -> u64 {
    std::fs::metadata(data_file(program)).unwrap().len()
}

/// `prlimit` of util-linux; only the soft limit, so that it can be lifted again.
fn prlimit(args: &[&str]) {
    let status = Command::new("prlimit").args(args).status();
    assert!(status.unwrap_or_else(no_prlimit).success(), "prlimit {args:?}");
}

fn no_prlimit<T>(error: std::io::Error) -> T {
    panic!("prlimit: {error}; it is in util-linux")
}

/// From now on the disk is full for a process.
fn fill_disk(program: &Program, pid: u32) {
    prlimit(&["--pid", &pid.to_string(), &format!("--fsize={}:", data_bytes(program) + ROOM)]);
}

fn free_disk(pid: u32) {
    prlimit(&["--pid", &pid.to_string(), "--fsize=unlimited:"]);
}

/// Runs a command whose files may have so many bytes.
fn run_within(program: &Program, bytes: u64, args: &[&str]) -> Outcome {
    let own = program.command(args);
    let mut command = Command::new("prlimit");
    command.arg(format!("--fsize={bytes}:")).arg(own.get_program()).args(own.get_args());
    command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(own.get_current_dir().unwrap()).stdin(Stdio::null());
    let output = command.output().unwrap_or_else(no_prlimit);
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// An event with an id and some weight.
fn event(id: &str, bytes: usize) -> String {
    let padding = "x".repeat(bytes);
    format!(
        r#"{{"eventId":"{id}","event":"buy","entityType":"user","entityId":"u","properties":{{"p":"{padding}"}}}}"#
    )
}

/// Sends events until one is refused; gives the ids of the others, and the refusal.
fn until_refused(server: &EventServer) -> (Vec<String>, Answer) {
    let mut stored = Vec::new();
    for n in 0..100 {
        let id = format!("e{n}");
        let answer = server.post(EVENTS, &event(&id, 100_000));
        if answer.status != 201 {
            return (stored, answer);
        }
        stored.push(id);
    }
    panic!("there is still room");
}

/// The message tells what is wrong and what to do, and not where.
fn assert_full(program: &Program, answer: &Answer) {
    let (status, message) = answer.refusal();
    assert_eq!(status, 503, "{answer:?}");
    assert!(answer.head.contains("retry-after:"), "{answer:?}");
    assert!(message.contains("disk is full") && message.contains("free space"), "{message}");
    assert!(message.contains("send it again later"), "{message}");
    assert!(!message.contains(program.home().to_str().unwrap()), "{message}");
}

fn assert_stored(server: &EventServer, ids: &[String]) {
    for id in ids {
        assert_eq!(server.get(&format!("/events/{id}.json?accessKey=key")).status, 200, "{id} is lost");
    }
}

#[test]
fn a_full_disk_refuses_events_loses_none_and_is_told_once() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    server.stored(EVENTS, &buy("u", "i"));
    fill_disk(&program, server.child.id());
    let (mut stored, refused) = until_refused(&server);
    assert_full(&program, &refused);
    let large = event("", 100_000).replace(r#""eventId":"","#, "");
    let batch = server.post("/batch/events.json?accessKey=key", &format!("[{large},{large}]"));
    assert_full(&program, &batch);
    let stream = server.post("/events.ndjson?accessKey=key", &format!("{large}\n{large}\n"));
    assert_full(&program, &stream);
    assert_eq!(number(&stream.json(), "stored"), 0);

    let (status, message) = server.get("/ready").refusal();
    assert!(status == 503 && message.contains("disk is full"), "{status} {message}");
    assert_eq!(server.get("/health").status, 200);
    assert_stored(&server, &stored);
    assert_eq!(server.found(&format!("{EVENTS}&limit=-1")), stored.len() + 1);

    free_disk(server.child.id());
    until("the server is ready again", || (server.get("/ready").status == 200).then_some(()));
    stored.push(server.stored(EVENTS, &event("after", 100_000)));
    let told = server.told("takes events again");
    assert_eq!(told.matches("events are refused until").count(), 1, "{told}");
    assert_eq!(told.matches(" ERROR ").count(), 1, "{told}");
    assert!(told.contains("no space left for") || told.contains("disk is full"), "{told}");
    assert!(!told.contains("accessKey") && !told.contains("panicked"), "{told}");
    drop(server);
    assert_stored(&EventServer::start(&program, &[]), &stored);
}

#[test]
fn deletions_at_a_full_disk_are_refused_or_done() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    fill_disk(&program, server.child.id());
    let (stored, _) = until_refused(&server);
    let key = "accessKey=key";
    for id in &stored {
        let path = format!("/events/{id}.json?{key}");
        let answer = server.delete(&path);
        let expected = match answer.status {
            200 => 404,
            _ => {
                assert_full(&program, &answer);
                200
            }
        };
        assert_eq!(server.get(&path).status, expected, "{answer:?}");
    }
    free_disk(server.child.id());
    assert_eq!(server.delete(&format!("/entities/user/u.json?{key}")).status, 200);
    assert_eq!(server.found(EVENTS), 0);
}

#[test]
fn queries_go_on_and_train_and_import_end_with_75() {
    let program = trained();
    let server = Server::start(&program, &[]);
    let query = r#"{"user": "maya", "num": 6}"#;
    let before = server.request("POST", "/queries.json", query);
    fill_disk(&program, server.child.id());
    // less than any page of the store that holds data
    let train = run_within(&program, 4096, &["train"]);
    assert_eq!(train.code, Some(75), "{train:?}");
    assert!(train.stderr.contains("free some") || train.stderr.contains("disk is full"), "{train:?}");
    assert_eq!(program.json(&["models"]).as_array().unwrap().len(), 1);
    assert_eq!(server.request("POST", "/queries.json", query), before);

    let lines: String = (0..100_000).map(|n| event(&format!("new{n}"), 100) + "\n").collect();
    program.write("new.jsonl", &lines);
    let import = ["import", "--app", "shop", "--input", "new.jsonl"];
    let refused = run_within(&program, data_bytes(&program) + ROOM, &import);
    assert_eq!(refused.code, Some(75), "{refused:?}");
    assert!(
        refused.stderr.contains("no space left") || refused.stderr.contains("disk is full"),
        "{refused:?}"
    );
    assert_eq!(server.request("POST", "/queries.json", query), before);

    // the same again, with space
    program.ok(&import);
    let exported = program.ok(&["export", "--app", "shop", "--output", "-"]);
    let ids: Vec<&str> = exported
        .lines()
        .filter_map(|line| line.strip_prefix("{\"eventId\":\"new")?.split('"').next())
        .collect();
    let distinct: std::collections::BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!((ids.len(), distinct.len()), (100_000, 100_000), "each line is stored once");
    program.ok(&["train"]);
    until("the new model serves", || {
        (number(&server.request("GET", "/health", "").1, "generation") == 2).then_some(())
    });
}

#[test]
fn a_store_that_is_moved_away_beneath_a_server_takes_nothing_until_it_is_back() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let first = server.stored(EVENTS, &buy("u", "i"));
    let (store, away) = (program.home().join("store"), program.path("away"));
    std::fs::rename(&store, &away).unwrap();
    let (status, message) = server.post(EVENTS, &buy("u", "j")).refusal();
    assert!(status == 503 && message.contains("takes no events"), "{status} {message}");
    assert_eq!(server.get("/ready").status, 503);
    assert_eq!(server.get("/health").status, 200);
    assert_stored(&server, std::slice::from_ref(&first));
    assert!(server.told(" ERROR ").contains("was moved or removed beneath this process"));
    std::fs::rename(&away, &store).unwrap();
    until("the server is ready again", || (server.get("/ready").status == 200).then_some(()));
    let second = server.stored(EVENTS, &buy("u", "j"));
    drop(server);
    assert_stored(&EventServer::start(&program, &[]), &[first, second]);
}

#[test]
fn a_directory_that_becomes_read_only_does_not_stop_what_is_open() {
    use std::os::unix::fs::PermissionsExt;
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let store = program.home().join("store");
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o555)).unwrap();
    server.stored(EVENTS, &buy("u", "i"));
    assert_eq!(server.get("/ready").status, 200);
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_damaged_store_is_refused_at_the_start_and_left_as_it_is() {
    let program = trained();
    let whole = std::fs::read(data_file(&program)).unwrap();
    let no_store = b"something else ".repeat(1000);
    for bytes in [&no_store[..], &whole[..3 * 4096]] {
        std::fs::write(data_file(&program), bytes).unwrap();
        let error = program.refused(65, &["eventserver", "--ip", "127.0.0.1", "--port", "0"]);
        assert!(error.contains("damaged") && error.contains("restore it from a backup"), "{error}");
        program.refused(65, &["deploy", "--ip", "127.0.0.1", "--port", "0"]);
        program.refused(65, &["train"]);
    }
    std::fs::write(data_file(&program), &whole).unwrap();
    let answer = program.json(&["query", r#"{"user": "maya"}"#]);
    assert!(!text(&answer, "itemScores.0.item").is_empty(), "{answer}");
}

#[test]
fn a_train_that_a_server_runs_at_a_full_disk_fails_and_is_told() {
    let program = trained();
    let server = Server::start(&program, &[]);
    prlimit(&["--pid", &server.child.id().to_string(), "--fsize=4096:"]);
    let (status, answer) = server.request("POST", "/engines/shop/jobs", "");
    assert!(status == 503, "{status} {answer}");
    assert_eq!(server.request("POST", "/queries.json", "{}").0, 200);
    free_disk(server.child.id());
    let (status, job) = server.request("POST", "/engines/shop/jobs", "");
    assert_eq!(status, 202, "{job}");
    let path = format!("/engines/shop/jobs/{}", text(&job, "jobId"));
    until("the train succeeds", || {
        let (_, job) = server.request("GET", &path, "");
        let ended = text(&job, "status") != "executing";
        ended.then(|| assert_eq!(job.get("status").and_then(Json::as_str), Some("successful"), "{job}"))
    });
    let models = json::parse(program.ok(&["models", "--json"]).as_bytes()).unwrap();
    assert_eq!(models.as_array().unwrap().len(), 2);
}
