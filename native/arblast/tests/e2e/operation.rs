//! The query server as an operator runs it: signals, logs, metrics, restarts.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use events::{Json, json};

use crate::program::{Program, http, text};
use crate::queries_client::PATIENCE;

/// What systemd is to a server: a socket that hears how it stands.
pub struct ServiceManager {
    pub socket: PathBuf,
    heard: UnixDatagram,
}

impl ServiceManager {
    pub fn of(program: &Program) -> Self {
        let socket = program.path("notify");
        let heard = UnixDatagram::bind(&socket).unwrap();
        heard.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, heard }
    }

    /// The next thing that a server says.
    pub fn told(&self) -> String {
        let mut state = [0; 64];
        let length = self.heard.recv(&mut state).unwrap();
        String::from_utf8_lossy(&state[..length]).into_owned()
    }
}

/// A running `arblast deploy` whose standard error goes to a file.
pub struct Deployed {
    child: Child,
    pub url: String,
    pub port: u16,
    log: PathBuf,
}

impl Deployed {
    /// On a free port, unless the options say another.
    pub fn start(program: &Program, options: &[&str], env: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let log = program.path(&format!("log-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let anywhere: &[&str] = if options.contains(&"--port") { &[] } else { &["--port", "0"] };
        let args = [&["deploy", "--ip", "127.0.0.1"], anywhere, options].concat();
        let mut command = program.command(&args);
        command.stderr(File::create(&log).unwrap()).envs(env.iter().copied());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let Some(line) = lines.into_iter().find(|line| line.contains("Engine API is live at")) else {
            panic!("{:?}: {}", child.wait(), std::fs::read_to_string(log).unwrap())
        };
        let url = line.trim_end_matches('.').rsplit(' ').next().unwrap().to_owned();
        let port = url.rsplit(':').next().unwrap().parse().unwrap();
        Self { child, url, port, log }
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// What was logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits for a log line with these words.
    pub fn logs(&self, words: &[&str]) -> String {
        wait_for(|| {
            let log = self.log();
            log.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
        })
        .unwrap_or_else(|| panic!("{words:?} in\n{}", self.log()))
    }

    /// Waits for the end.
    pub fn ended(&mut self) -> Option<i32> {
        wait_for(|| self.child.try_wait().unwrap()).and_then(|status| status.code())
    }
}

impl Drop for Deployed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(found) = look() {
            return Some(found);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

pub fn trained() -> Program {
    let program = Program::new();
    program.sample_shop();
    program.ok(&["train"]);
    program
}

fn exchange(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(request.replace('\n', "\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn keys_are_in_no_log_line() {
    let program = trained();
    let key = "hunter2hunter2";
    let env = [("ARBLAST_LOG_LEVEL", "trace"), ("ARBLAST_METRICS_KEY", key)];
    for format in ["text", "json"] {
        let server = Deployed::start(&program, &["--set", &format!("logFormat={format}")], &env);
        for request in [
            format!(
                "POST /queries.json?accessKey={key} HTTP/1.1\nhost: x\ncontent-length: 2\nconnection: close\n\n{{}}"
            ),
            format!("GET /{key} HTTP/1.1\nhost: x\nconnection: close\n\n"),
            format!("GET /metrics HTTP/1.1\nhost: x\nauthorization: Bearer {key}\nconnection: close\n\n"),
            format!(
                "GET / HTTP/1.1\nhost: x\nauthorization: Basic {key}\nx-request-id: last\nconnection: close\n\n"
            ),
            format!("{key} {key} {key}\n\n"),
        ] {
            exchange(server.port, &request);
        }
        server.logs(&["access", "/metrics", "200"]);
        let line = server.logs(&["access", "last"]);
        match format {
            "text" => {
                assert!(line.contains("server=queries method=GET route=/ status=200 micros="), "{line}")
            }
            _ => {
                let line = json::parse(line.as_bytes()).unwrap();
                assert_eq!(
                    [text(&line, "level"), text(&line, "route"), text(&line, "request")],
                    ["info", "/", "last"]
                );
                assert_eq!(line.get("status").and_then(Json::as_i64), Some(200));
            }
        }
        assert!(!server.log().contains("hunter"), "{}", server.log());
    }
}

#[test]
fn the_access_log_can_be_left_out() {
    let program = trained();
    let mut server = Deployed::start(&program, &["--set", "accessLog=false"], &[]);
    http(server.port, "POST", "/queries.json", "{}").unwrap();
    server.signal("TERM");
    assert_eq!(server.ended(), Some(0));
    assert!(server.log().contains("stopping") && !server.log().contains("access"), "{}", server.log());
}

#[test]
fn sigterm_finishes_requests_in_work_and_sighup_does_not_end_a_server() {
    let program = trained();
    let mut server = Deployed::start(&program, &[], &[]);
    server.signal("HUP");
    server.logs(&["SIGHUP"]);
    let mut working = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    working.write_all(b"POST /queries.json HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{").unwrap();
    let in_work = r#"arblast_http_requests_in_flight{server="queries"} 2"#;
    wait_for(|| http(server.port, "GET", "/metrics", "").filter(|(_, body)| body.contains(in_work))).unwrap();
    server.signal("TERM");
    server.logs(&["stopping"]);
    wait_for(|| TcpStream::connect(("127.0.0.1", server.port)).err()).unwrap();
    working.write_all(b"}").unwrap();
    let mut answer = String::new();
    working.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("itemScores"), "{answer}");
    assert_eq!(server.ended(), Some(0));
}

/// Standard error of a server that has ended: each line must be an object with a level.
fn objects(text: &str) -> Vec<Json> {
    let object = |line: &str| json::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{error}: {line}"));
    let objects: Vec<Json> = text.lines().map(object).collect();
    objects.iter().for_each(|line| assert!(!text_of(line, "level").is_empty(), "{line}"));
    objects
}

fn text_of<'a>(line: &'a Json, member: &str) -> &'a str {
    line.get(member).and_then(Json::as_str).unwrap_or_default()
}

#[test]
fn a_log_of_json_holds_nothing_else() {
    let program = trained();
    program.ok(&["accesskey", "new", "shop", "--key", "key"]);
    let mut command =
        program.command(&["serve", "--ip", "127.0.0.1", "--event-port", "0", "--query-port", "0"]);
    command.args(["--set", "logFormat=json", "--set", "logLevel=warn"]);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut port = |words: &str| -> u16 {
        let line = lines.find(|line| line.contains(words)).unwrap();
        line.trim_end_matches('.').rsplit(':').next().unwrap().parse().unwrap()
    };
    let (events, queries) = (port("Event API"), port("Engine API"));
    let send = |port, method, path, body| http(port, method, path, body).unwrap();
    let lenient = r#"{"event":"x","entityType":"user","entityId":"u",}"#;
    let engine = r#"{"engineId":"ur","engineFactory":"com.actionml.engines.ur.UREngine","algorithm":{"indicators":[{"name":"buy"}]}}"#;
    assert_eq!(send(events, "POST", "/events.json?accessKey=key", lenient).0, 201);
    assert_eq!(send(events, "DELETE", "/entities/user/u.json?accessKey=key", "").0, 200);
    assert_eq!(send(queries, "POST", "/queries.json", r#"{"nonsense": 1}"#).0, 200);
    assert_eq!(send(queries, "POST", "/engines", engine).0, 201);
    assert_eq!(send(queries, "POST", "/engines/ur/jobs", "").0, 202);
    wait_for(|| send(queries, "GET", "/engines/ur/jobs", "").1.contains("\"failed\"").then_some(())).unwrap();
    assert_eq!(send(queries, "POST", "/stop", "").0, 200);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    let lines = objects(&told);
    for (target, words) in [
        ("arblast::http::events::notes", "malformed JSON"),
        ("audit", "deleted 1 events"),
        ("arblast::query", "no member \"nonsense\""),
        ("arblast::jobs::background", "the train of engine ur failed"),
    ] {
        let found =
            |line: &Json| text_of(line, "target") == target && text_of(line, "message").contains(words);
        assert!(lines.iter().any(found), "{target}: {words} in {told}");
    }
    // The last error of a server, too; commands keep their form.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended =
        program.run(&["eventserver", "--ip", "127.0.0.1", "--port", &port, "--set", "logFormat=json"]);
    let last = objects(&ended.stderr).pop().unwrap();
    assert!(text_of(&last, "message").contains("cannot listen on") && ended.code == Some(75), "{last}");
    let asked = program.run(&["query", r#"{"nonsense": 1}"#]);
    assert!(asked.stderr.starts_with("[WARN] [Query$] queries have no member \"nonsense\""), "{asked:?}");
}

#[test]
fn metrics_are_what_prometheus_reads() {
    let program = trained();
    let server = Deployed::start(&program, &[], &[]);
    http(server.port, "POST", "/queries.json", r#"{"user": "maya"}"#).unwrap();
    http(server.port, "POST", "/queries.json", "nonsense").unwrap();
    let (status, body) = http(server.port, "GET", "/metrics", "").unwrap();
    assert_eq!(status, 200);
    let mut typed = Vec::new();
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            typed.push(rest.split(' ').next().unwrap().to_owned());
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
            let name = name.split('{').next().unwrap();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let is_typed =
                [Some(name), family].into_iter().flatten().any(|name| typed.iter().any(|t| t == name));
            assert!(is_typed, "{line} before its # TYPE");
        }
    }
    for status in [200, 400] {
        let sample = format!(
            r#"arblast_http_requests_total{{server="queries",route="/queries.json",method="POST",status="{status}"}} 1"#
        );
        assert!(body.lines().any(|line| line == sample), "{sample} in\n{body}");
    }
}

#[test]
fn systemd_is_told() {
    let program = trained();
    let manager = ServiceManager::of(&program);
    let mut server = Deployed::start(&program, &[], &[("NOTIFY_SOCKET", manager.socket.to_str().unwrap())]);
    assert_eq!(manager.told(), "READY=1");
    server.signal("TERM");
    assert_eq!(manager.told(), "STOPPING=1");
    assert_eq!(server.ended(), Some(0));
}

#[test]
fn a_server_is_replaced_by_another_on_the_same_port() {
    let program = trained();
    let mut old = Deployed::start(&program, &["--set", "reusePort=true"], &[]);
    let port = old.port.to_string();
    let again = ["--port", port.as_str(), "--set", "reusePort=true"];
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let (mut answered, mut failed) = (0, 0);
                    // some of them also if the machine gave this thread no time so far
                    while !over.load(Ordering::Relaxed) || answered + failed < 10 {
                        match http(old.port, "POST", "/queries.json", "{}") {
                            Some((200, _)) => answered += 1,
                            _ => failed += 1,
                        }
                    }
                    (answered, failed)
                })
            })
            .collect();
        let fresh = Deployed::start(&program, &again, &[]);
        old.signal("TERM");
        old.logs(&["stopping"]);
        wait_for(|| {
            http(fresh.port, "GET", "/metrics", "").filter(|(_, body)| body.contains("/queries.json"))
        })
        .unwrap();
        over.store(true, Ordering::Relaxed);
        for client in clients {
            let (answered, failed) = client.join().unwrap();
            // The system may give the old server a connection in its last moment.
            assert!(answered > 0 && failed <= 2, "{answered} answered, {failed} failed");
        }
    });
    assert_eq!(old.ended(), Some(0));
}
