//! More than the server takes at a time: it says 429 and when to try again, and goes on.

use std::io::Write;
use std::net::TcpStream;

use crate::events_client::{AS_JSON, Answer, EventServer, buy, shop};
use crate::queries_client::until;

const POST: &str = "/events.json?accessKey=key";

fn is_told_to_wait(answer: &Answer, word: &str) -> bool {
    answer.status == 429 && answer.head.contains("retry-after: 1") && answer.message().contains(word)
}

#[test]
fn reads_are_limited() {
    let program = shop();
    let server = EventServer::start(&program, &["--set", "readsMax=1", "--set", "bodyIdleSecondsMax=600"]);
    // more than sockets take, so that the reading goes on until the client reads
    let large = format!(
        r#"{{"event":"x","entityType":"user","entityId":"u","properties":{{"a":"{}"}}}}"#,
        "x".repeat(1_000_000)
    );
    for _ in 0..64 {
        server.stored(POST, &large);
    }
    let open = || {
        let mut slow = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        slow.write_all(b"GET /events.json?accessKey=key&limit=-1 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        slow
    };
    let mut slow = vec![open()];
    let reads = [
        "/events.json?accessKey=key&limit=1",
        "/events/x.json?accessKey=key",
        "/entities/user/u.json?accessKey=key",
    ];
    for path in reads {
        until(path, || {
            let answer = server.get(path);
            // while this one read, the slow one may have been refused in its stead
            slow.push(open());
            is_told_to_wait(&answer, "too many reads").then_some(())
        });
    }
    server.stored(POST, &buy("u", "i"));
    drop(slow);
    until("reads are answered again", || (server.get(reads[0]).status == 200).then_some(()));
}

#[test]
fn bodies_in_memory_are_limited() {
    let program = shop();
    let server = EventServer::start(
        &program,
        &[
            "--set",
            "bufferedBytesMax=1048576",
            "--set",
            "bodyIdleSecondsMax=600",
            "--set",
            "requestSecondsMax=600",
        ],
    );
    let head = format!("POST {POST} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    let open = || {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        // it may be refused itself
        let _ = stream.write_all(&[head.as_bytes(), &[b' '; 900_000]].concat());
        stream
    };
    let mut slow = vec![open()];
    let body = format!("[{}{}]", buy("u", "i"), " ".repeat(200_000));
    for path in [POST, "/batch/events.json?accessKey=key", "/webhooks/segmentio.json?accessKey=key"] {
        until(path, || {
            let answer = server.request("POST", path, &[AS_JSON], body.as_bytes());
            // while this one took memory, the slow one may have been refused in its stead
            slow.push(open());
            is_told_to_wait(&answer, "memory full").then_some(())
        });
    }
    server.stored(POST, &buy("u", "i"));
    drop(slow);
    until("long bodies are taken again", || {
        (server.post("/batch/events.json?accessKey=key", &body).status == 200).then_some(())
    });
}
