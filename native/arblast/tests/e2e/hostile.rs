//! What no client of good will sends, to both servers: it is refused, others are answered, and memory stays bounded.

use crate::events_batch::gzip;
use crate::events_client::{EventServer, buy, shop};
use crate::program::{Program, at, number};
use crate::queries_client::{Client, PATIENCE, send, until};
use crate::server::{Server, trained};
use std::io::{Read, Write};
use std::net::TcpStream;

const MIB: usize = 1 << 20;
/// Peak of a server's memory through all of this, with the pages of its files.
const MEMORY_MIB_MAX: usize = 256;

/// A server under attack.
struct Target {
    port: u16,
    pid: u32,
    /// Where bodies are posted.
    path: &'static str,
    /// A body that is good, and the status of its answer.
    good: (String, u16),
}

impl Target {
    fn events(server: &EventServer) -> Self {
        let path = "/events.json?accessKey=key";
        Self { port: server.port, pid: server.child.id(), path, good: (buy("u", "i"), 201) }
    }

    fn queries(server: &Server) -> Self {
        let good = (r#"{"user":"maya"}"#.to_owned(), 200);
        Self { port: server.port, pid: server.child.id(), path: "/queries.json", good }
    }

    fn head(&self, headers: &str) -> String {
        format!("POST {} HTTP/1.1\r\nHost: x\r\n{headers}", self.path)
    }

    /// Sends all of `bytes`, or what the server takes, and gives the status of the answer.
    fn status(&self, bytes: &[u8]) -> Option<u16> {
        let mut stream = self.connect();
        let _ = stream.write_all(bytes);
        status(&mut stream)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The server answers others, and has not grown.
    fn is_well(&self, after: &str) {
        // a client that the machine lets wait too long may be cut off itself
        until(&format!("others are answered after {after}"), || {
            let answer = Client::new(self.port).try_send("POST", self.path, "", self.good.0.as_bytes());
            answer.ok().filter(|answer| answer.status == self.good.1)
        });
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        let mib = line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() >> 10;
        assert!(mib < MEMORY_MIB_MAX, "after {after}: {mib} MiB");
    }
}

/// Of the answer, which is read to the end of the connection.
fn status(stream: &mut TcpStream) -> Option<u16> {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
}

/// Runs `attack` against both servers.
fn both(options: &[&str], attack: impl Fn(&Target)) {
    let program = shop();
    let server = EventServer::start(&program, options);
    attack(&Target::events(&server));
    drop(server);
    let program: Program = trained();
    let server = Server::start(&program, options);
    attack(&Target::queries(&server));
}

/// Sends `head`, and then `drop` again and again, until the server closes; gives the status.
fn trickle(target: &Target, head: &str, drop: &[u8]) -> Option<u16> {
    let mut stream = target.connect();
    stream.write_all(head.as_bytes()).unwrap();
    let mut answers = stream.try_clone().unwrap();
    let reader = std::thread::spawn(move || status(&mut answers));
    until(&format!("the server closes: {head}"), || {
        let _ = stream.write_all(drop);
        reader.is_finished().then_some(())
    });
    reader.join().unwrap()
}

/// Each limit is much smaller than what else could end the connection, so the end shows that it counts.
fn assert_cut(target: &Target, name: &str, head: &str, drop: &[u8], statuses: &[u16]) {
    let status = trickle(target, head, drop);
    assert_eq!(status.is_none(), statuses.is_empty(), "{name}: {status:?}");
    assert!(status.is_none_or(|status| statuses.contains(&status)), "{name}: {status:?}");
    target.is_well(name);
}

const UPLOAD: &str = "Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{";

#[test]
fn slow_clients_are_cut_off() {
    let others = ["requestSecondsMax=3600", "headerSecondsMax=1", "bodyIdleSecondsMax=1", "idleSecondsMax=1"];
    let options: Vec<&str> = others.iter().flat_map(|time| ["--set", *time]).collect();
    both(&options, |target| {
        assert_cut(target, "slow headers", &target.head("X-Slow: "), b"x", &[]);
        assert_cut(target, "nothing", "", b"", &[]);
        assert_cut(target, "a body that stops", &target.head(UPLOAD), b"", &[408]);
    });
}

#[test]
fn slow_bodies_are_cut_off() {
    let options = ["--set", "requestSecondsMax=3", "--set", "bodyIdleSecondsMax=3600"];
    both(&options, |target| assert_cut(target, "a slow body", &target.head(UPLOAD), b" ", &[503]));
}

#[test]
fn huge_headers_are_refused() {
    both(&[], |target| {
        let long = target.head(&format!("X-Long: {}\r\n\r\n", "x".repeat(4 * MIB)));
        assert_eq!(target.status(long.as_bytes()), Some(431));
        target.is_well("a long header");
        let many: String = (0..100_000).map(|number| format!("X-{number}: x\r\n")).collect();
        assert_eq!(target.status(target.head(&format!("{many}\r\n")).as_bytes()), Some(431));
        target.is_well("many headers");
        let path = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(4 * MIB));
        let status = target.status(path.as_bytes());
        assert!(matches!(status, Some(414 | 431)), "{status:?}");
        target.is_well("a long path");
    });
}

#[test]
fn huge_bodies_are_refused_at_once() {
    both(&[], |target| {
        let head = target.head("Content-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n");
        // a body that is awaited ends in another status
        assert_eq!(target.status(head.as_bytes()), Some(413), "nothing of the body is awaited");
        target.is_well("a declared body");
        // a client that sends before it reads still comes to read
        let sent = [head.as_bytes(), &vec![b' '; 32 * MIB]].concat();
        assert_eq!(target.status(&sent), Some(413));
        target.is_well("a large body");
        endless(target);
        target.is_well("a body without end");
    });
}

/// A body in chunks that goes on until the server closes the connection.
fn endless(target: &Target) {
    let mut stream = target.connect();
    let head = target.head("Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answers = stream.try_clone().unwrap();
    let reader = std::thread::spawn(move || {
        let mut begin = [0; 12];
        answers.read_exact(&mut begin).unwrap();
        String::from_utf8_lossy(&begin).into_owned()
    });
    let mut chunk = format!("{MIB:x}\r\n").into_bytes();
    chunk.extend(vec![b' '; MIB]);
    chunk.extend(b"\r\n");
    let taken = (0..128).take_while(|_| stream.write_all(&chunk).is_ok()).count();
    assert!(taken < 128, "{taken} MiB are taken");
    assert_eq!(reader.join().unwrap(), "HTTP/1.1 413");
}

#[test]
fn json_without_bottom_is_refused() {
    both(&[], |target| {
        let levels = 50_000;
        let (open, close) = (r#"{"a":"#.repeat(levels), "}".repeat(levels));
        let deep = format!(
            r#"{{"event":"buy","entityType":"user","entityId":"u","user":"u","fields":{open}1{close},"properties":{open}1{close}}}"#
        );
        for body in [&deep, &"[".repeat(10 * levels), &open] {
            let answer = send(target.port, "POST", target.path, body);
            assert_eq!(answer.status, 400, "{:.300}", answer.body);
            target.is_well("deep JSON");
        }
    });
}

#[test]
fn a_body_must_end_in_one_way() {
    both(&[], |target| {
        let (length, chunks) = ("Content-Length: 5\r\n", "transfer-encoding: chunked\r\n");
        for headers in [[length, chunks], [chunks, length]] {
            let head =
                target.head(&format!("{}\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", headers.concat()));
            let mut stream = target.connect();
            stream.write_all(head.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
            assert_eq!(answer.matches("HTTP/1.1").count(), 1, "what follows is not looked at: {answer}");
        }
        let two = target.head("Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello");
        assert_eq!(target.status(two.as_bytes()), Some(400));
        target.is_well("two lengths");
    });
}

#[test]
fn bombs_do_not_go_off() {
    let program = shop();
    let server = EventServer::start(&program, &[]);
    let target = Target::events(&server);
    let packed = "Content-Encoding: gzip\r\nContent-Type: application/json\r\n";
    let bomb = gzip(&vec![b' '; 256 * MIB]);
    let answer = Client::new(server.port).send("POST", target.path, packed, &bomb);
    assert_eq!(answer.status, 413, "{answer:?}");
    target.is_well("a bomb of blanks");
    let events: String = (0..10_000).map(|i| format!("{}\n", buy(&format!("b{i}"), "i"))).collect();
    let before = server.found("/events.json?accessKey=key&limit=-1");
    let mut stream = gzip(events.as_bytes());
    stream.extend(gzip(&vec![b'\n'; 512 * MIB]));
    let answer = Client::new(server.port).send("POST", "/events.ndjson?accessKey=key", packed, &stream);
    let summary = answer.json();
    assert_eq!(answer.status, 413, "{answer:?}");
    assert!(at(&summary, "message").to_string().contains("200 times"), "{answer:?}");
    let stored = usize::try_from(number(&summary, "stored")).unwrap();
    assert!(stored >= 8192, "{answer:?}");
    assert_eq!(server.found("/events.json?accessKey=key&limit=-1"), before + stored, "what was stored stays");
    target.is_well("a bomb of lines");
}
