//! What no client of good will sends. Each attack tells how the server refused it, and whether it still answers others.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use events::json::Object;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::net::TcpStream;

use crate::closed::named;
use crate::connection::Connection;
use crate::figures::{Meter, rounded};

const MIB: usize = 1 << 20;
/// A request that has no answer after this long counts as not refused.
const PATIENCE: Duration = Duration::from_secs(30);

/// Attacks on one path.
pub struct Hostile {
    pub address: SocketAddr,
    /// Where bodies are posted, with the key.
    pub path: String,
    /// What is asked to see whether the server still answers.
    pub health: String,
    /// Of the slow attacks.
    pub connections: usize,
    /// How long slow attacks go on.
    pub time: Duration,
    /// Size of the largest bodies.
    pub body_mib: usize,
    pub server_pid: Option<u32>,
    /// Name of the server in each row.
    pub on: Option<String>,
    /// Only the attacks whose name holds this.
    pub only: Option<String>,
}

impl Hostile {
    /// Runs all attacks, one after the other, and prints a line for each.
    pub async fn run(&self) {
        self.slow("slow headers", &self.head(""), b"X-Slow: x\r\n").await;
        let head = self.head("Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n");
        self.slow("slow body", &head, b" ").await;
        self.slow("nothing sent", "", b"").await;
        self.huge_headers().await;
        self.huge_bodies().await;
        self.bombs().await;
        self.deep().await;
        self.not_http().await;
    }

    fn head(&self, rest: &str) -> String {
        format!("POST {} HTTP/1.1\r\nHost: {}\r\n{rest}", self.path, self.address)
    }

    fn wanted(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }

    async fn huge_headers(&self) {
        let long = format!("X-Long: {}\r\n\r\n", "x".repeat(16 * MIB));
        self.send("a header of 16 MiB", &[self.head(&long).as_bytes()]).await;
        let many: String = (0..100_000).map(|number| format!("X-{number}: x\r\n")).collect();
        self.send("100 000 headers", &[self.head(&many).as_bytes(), b"\r\n"]).await;
        let target = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(16 * MIB));
        self.send("a path of 16 MiB", &[target.as_bytes()]).await;
    }

    async fn huge_bodies(&self) {
        let block = vec![b' '; MIB];
        let length = self.body_mib * MIB;
        let head = self.head(&format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"));
        let mut parts = vec![head.as_bytes()];
        parts.extend(std::iter::repeat_n(block.as_slice(), self.body_mib));
        self.send(&format!("a body of {} MiB", self.body_mib), &parts).await;
        let mut chunk = format!("{MIB:x}\r\n").into_bytes();
        chunk.extend(&block);
        chunk.extend(b"\r\n");
        let head = self.head("Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut parts = vec![head.as_bytes()];
        parts.extend(std::iter::repeat_n(chunk.as_slice(), self.body_mib));
        parts.push(b"0\r\n\r\n");
        self.send(&format!("a body of {} MiB in chunks", self.body_mib), &parts).await;
    }

    /// Bodies that are small until they are unpacked: a thousandth, so that half the size stays below a limit of 1 MiB.
    async fn bombs(&self) {
        let bytes = self.body_mib / 2 * MIB;
        let event = br#"{"event":"view","entityType":"user","entityId":""#;
        let string = packed(event, b"x", bytes);
        self.send_packed("a zip bomb of one string", &string).await;
        let brackets = packed(b"", b"[", bytes);
        self.send_packed("a zip bomb of brackets", &brackets).await;
        let lines = packed(b"", b"\n", bytes);
        self.send_packed("a zip bomb of empty lines", &lines).await;
    }

    async fn send_packed(&self, name: &str, body: &[u8]) {
        let length = body.len();
        let head = self.head(&format!(
            "Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n"
        ));
        self.send(name, &[head.as_bytes(), body]).await;
    }

    async fn deep(&self) {
        let levels = 100_000;
        let (open, close) = (r#"{"a":"#.repeat(levels), "}".repeat(levels));
        let nested = format!(
            r#"{{"event":"view","entityType":"user","entityId":"u","user":"u","properties":{open}1{close}}}"#
        );
        self.send_json("JSON of 100 000 objects within each other", &nested).await;
        self.send_json("JSON of 500 000 open arrays", &"[".repeat(5 * levels)).await;
        let members: String = (0..levels).map(|number| format!("\"{number}\":{number},")).collect();
        let wide = format!(
            r#"{{"event":"view","entityType":"user","entityId":"u","user":"u","properties":{{{members}"x":1}}}}"#
        );
        self.send_json("JSON of 100 000 members", &wide).await;
    }

    async fn send_json(&self, name: &str, body: &str) {
        let length = body.len();
        let head = self.head(&format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"));
        self.send(name, &[head.as_bytes(), body.as_bytes()]).await;
    }

    async fn not_http(&self) {
        let noise: Vec<u8> =
            (0..4096u32).map(|number| (number.wrapping_mul(0x9E37_79B1) >> 24) as u8).collect();
        self.send("noise", &[&noise]).await;
        let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
        self.send("TLS on a port without", &[hello, &noise[..512]]).await;
        let lengths = ["-1", "1e3", "99999999999999999999999", "5\r\nContent-Length: 6"];
        for length in lengths {
            let text = self.head(&format!("Content-Length: {length}\r\n\r\nhello"));
            self.send(&format!("Content-Length: {}", length.replace("\r\n", ", ")), &[text.as_bytes()]).await;
        }
        let both = self.head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
        self.send("length and chunks at once", &[both.as_bytes()]).await;
        let chunk = self.head("Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx");
        self.send("a chunk of 2⁶⁴ bytes", &[chunk.as_bytes()]).await;
    }

    /// One request on a connection of its own.
    async fn send(&self, name: &str, parts: &[&[u8]]) {
        if !self.wanted(name) {
            return;
        }
        let meter = Meter::start(self.server_pid);
        let outcome = match Connection::open(self.address).await {
            Ok(mut connection) => {
                let exchange = connection.exchange_parts(parts.iter().copied());
                let result = tokio::time::timeout(PATIENCE, exchange).await;
                let what = match result {
                    Ok(Ok(answer)) => answer.status.to_string(),
                    Ok(Err(error)) => named(&error),
                    Err(_) => format!("no answer in {} s", PATIENCE.as_secs()),
                };
                format!("{what} after {:.1} MiB", connection.sent_bytes() as f64 / MIB as f64)
            }
            Err(error) => format!("cannot connect: {error}"),
        };
        self.report(name, outcome, &meter).await;
    }

    /// Many connections that send `head`, and then `drop` twice a second.
    async fn slow(&self, name: &str, head: &str, drop: &'static [u8]) {
        if !self.wanted(name) {
            return;
        }
        let meter = Meter::start(self.server_pid);
        let until = Instant::now() + self.time;
        let workers: Vec<_> = (0..self.connections)
            .map(|_| tokio::spawn(trickle(self.address, head.as_bytes().to_vec(), drop, until)))
            .collect();
        // While they go on: is there room for others?
        tokio::time::sleep(self.time / 2).await;
        let during = self.health().await;
        let (mut closed, mut first, mut last) = (0, Duration::MAX, Duration::ZERO);
        for worker in workers {
            if let Some(after) = worker.await.unwrap() {
                closed += 1;
                (first, last) = (first.min(after), last.max(after));
            }
        }
        let outcome = if closed == 0 {
            format!("none of {} closed within {} s", self.connections, self.time.as_secs())
        } else {
            let (first, last) = (first.as_secs_f64(), last.as_secs_f64());
            format!("{closed} of {} closed after {first:.1} to {last:.1} s", self.connections)
        };
        self.report(name, format!("{outcome}; meanwhile {during}"), &meter).await;
    }

    async fn report(&self, name: &str, outcome: String, meter: &Meter) {
        let row = Object::new()
            .with("bench", "load hostile")
            .with("name", name)
            .with("on", self.on.as_deref().unwrap_or_default())
            .with("seconds", rounded(meter.wall().as_secs_f64(), 2))
            .with("outcome", outcome)
            .with("then", self.health().await);
        println!("{}", meter.describe(row));
    }

    /// `answers 200 in 3 ms`, or why not.
    async fn health(&self) -> String {
        let start = Instant::now();
        let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", self.health, self.address);
        let exchange = async {
            let mut connection = Connection::open(self.address).await?;
            connection.exchange(request.as_bytes()).await
        };
        match tokio::time::timeout(Duration::from_secs(10), exchange).await {
            Ok(Ok(answer)) => format!("answers {} in {} ms", answer.status, start.elapsed().as_millis()),
            Ok(Err(error)) => format!("does not answer: {}", named(&error)),
            Err(_) => "does not answer: timeout".to_owned(),
        }
    }
}

/// Sends slowly; gives the time after which the server closed the connection, if it did.
async fn trickle(address: SocketAddr, head: Vec<u8>, drop: &[u8], until: Instant) -> Option<Duration> {
    let start = Instant::now();
    let Ok(stream) = TcpStream::connect(address).await else { return Some(start.elapsed()) };
    let mut rest = head.as_slice();
    while Instant::now() < until {
        if !rest.is_empty() || !drop.is_empty() {
            if rest.is_empty() {
                rest = drop;
            }
            match stream.try_write(&rest[..rest.len().min(64)]) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Some(start.elapsed()),
            }
        }
        let mut answer = [0; 4096];
        let deadline = (Instant::now() + Duration::from_millis(500)).min(until);
        if let Ok(Ok(())) = tokio::time::timeout_at(deadline.into(), stream.readable()).await {
            match stream.try_read(&mut answer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // An answer is a refusal too; the end of the connection follows it.
                _ => return Some(start.elapsed()),
            }
        }
    }
    None
}

/// `prefix` and then `pattern` up to `length` bytes, as gzip.
fn packed(prefix: &[u8], pattern: &[u8], length: usize) -> Vec<u8> {
    let block: Vec<u8> = pattern.iter().copied().cycle().take(MIB).collect();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(prefix).unwrap();
    for _ in 0..length / MIB {
        encoder.write_all(&block).unwrap();
    }
    encoder.finish().unwrap()
}
