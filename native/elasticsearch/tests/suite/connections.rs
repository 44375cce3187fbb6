//! Several hosts, slow ones, dead ones, strangers, and who we say we are.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use elasticsearch::{Cluster, Indexes, Options};
use events::{Error, Kind};

use crate::answers::Silent;
use crate::publishing::{model, top};
use crate::server;

const PASSWORD: &str = "geheim";

fn cluster(hosts: &str) -> Cluster {
    let options = Options {
        search: Duration::from_millis(700),
        write: Duration::from_millis(700),
        ..Options::new(hosts)
    };
    Cluster::new(&options).unwrap()
}

/// Answers every request with the same, and remembers what was asked.
fn stranger(answer: &'static str) -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(String::new()));
    let remembered = Arc::clone(&asked);
    let serve = move |mut stream: TcpStream| {
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).unwrap_or(0);
        remembered.lock().unwrap().push_str(&String::from_utf8_lossy(&request[..length]));
        let _ = stream.write_all(answer.as_bytes());
    };
    std::thread::spawn(move || listener.incoming().flatten().for_each(serve));
    (port, asked)
}

/// Takes connections and says nothing.
fn silent() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let held: Vec<TcpStream> = listener.incoming().flatten().collect();
        drop(held);
    });
    port
}

fn is_one_clear_line(error: &Error) {
    let text = format!("{error} {error:?}");
    assert!(!error.to_string().contains('\n') && !text.contains(PASSWORD), "{text}");
}

#[test]
fn a_host_that_answers_is_found() {
    let real = server::shared_port();
    server::indexes("failover").publish(&model(2), &Silent).unwrap();
    let (dead, slow) = (server::free_port(), silent());
    let hosts = format!("http://127.0.0.1:{dead},127.0.0.1:{slow},127.0.0.1:{real}");
    let limit = Duration::from_secs(4);
    let options = Options { write: limit, search: limit, ..Options::new(hosts) };
    let indexes =
        Indexes::named(Arc::new(Cluster::new(&options).unwrap()), server::indexes("failover").alias());
    let index = indexes.current().unwrap().unwrap();
    let began = Instant::now();
    assert_eq!(top(&index), ["item 1", "item 0"]);
    assert!(began.elapsed() < limit, "hosts that do not answer are asked last");
}

#[test]
fn nobody_answers() {
    let dead = server::free_port();
    let error = cluster(&format!("http://user:{PASSWORD}@127.0.0.1:{dead}")).version().unwrap_err();
    is_one_clear_line(&error);
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("nothing listens there"), "{error}");

    let began = Instant::now();
    let error = cluster(&format!("http://user:{PASSWORD}@127.0.0.1:{}", silent())).version().unwrap_err();
    is_one_clear_line(&error);
    assert!(error.to_string().contains("no answer within 0.7 s"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(2));

    let error = cluster(&format!("http://user:{PASSWORD}@no-such-host.invalid")).version().unwrap_err();
    is_one_clear_line(&error);
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[test]
fn strangers_and_old_servers_are_told() {
    let old = concat!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 35\r\n\r\n",
        r#"{"version":{"number":"7.17.29"}}   "#
    );
    let old_opensearch = concat!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 64\r\n\r\n",
        r#"{"version":{"distribution":"opensearch","number":"1.3.0"}}      "#
    );
    let html = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\n<html>";
    let gateway = "HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 6\r\n\r\n<html>";
    let empty = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n{\"vers";
    let refused = "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    for (answer, kind, words) in [
        (old, Kind::Version, "Elasticsearch 7.17.29 is too old"),
        (old_opensearch, Kind::Version, "OpenSearch 1.3.0 is too old"),
        (html, Kind::Unavailable, "is this Elasticsearch?"),
        (gateway, Kind::Unavailable, "502"),
        (empty, Kind::Version, "no Elasticsearch and no OpenSearch"),
        (cut, Kind::Unavailable, "cannot ask the cluster for its version"),
        (refused, Kind::Denied, "user and password, or the API key"),
        ("SSH-2.0-OpenSSH\r\n", Kind::Unavailable, "cannot ask the cluster for its version"),
    ] {
        let (port, _) = stranger(answer);
        let cluster = Arc::new(cluster(&format!("http://user:{PASSWORD}@127.0.0.1:{port}")));
        let error = cluster.version().unwrap_err();
        is_one_clear_line(&error);
        assert!(error.to_string().contains(words), "{error}, expected {words}");
        assert_eq!(error.kind(), kind, "{error}");
        let indexes = Indexes::of(cluster, "a", "b");
        for error in [indexes.check().unwrap_err(), indexes.publish(&model(1), &Silent).unwrap_err()] {
            is_one_clear_line(&error);
            assert_eq!(error.kind(), kind, "{error}");
        }
    }
}

#[test]
fn we_say_who_we_are_and_tell_nobody_else() {
    let empty = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    let asked_with = |options: &dyn Fn(u16) -> Options| {
        let (port, asked) = stranger(empty);
        let options = options(port);
        let cluster = Cluster::new(&options).unwrap();
        assert!(cluster.version().is_err());
        assert!(!format!("{options:?} {cluster:?}").contains(PASSWORD));
        let asked = asked.lock().unwrap().to_lowercase();
        asked.lines().find_map(|line| line.strip_prefix("authorization: ").map(str::to_owned))
    };
    let url = |port: u16| format!("http://user:{PASSWORD}@127.0.0.1:{port}");
    assert_eq!(asked_with(&|port| Options::new(format!("http://127.0.0.1:{port}"))), None);
    assert_eq!(asked_with(&|port| Options::new(url(port))).unwrap(), "basic dxnlcjpnzwhlaw0=");
    let key = |port, key: &str| Options { api_key: Some(key.to_owned()), ..Options::new(url(port)) };
    assert_eq!(asked_with(&|port| key(port, "id:key")).unwrap(), "apikey awq6a2v5");
    assert_eq!(asked_with(&|port| key(port, "YWJj")).unwrap(), "apikey ywjj");
    for wrong in ["", "with blank", "ä\n"] {
        let error = Cluster::new(&key(1, wrong)).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
    }
}

#[test]
fn a_file_of_authorities_must_be_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let open = || {
        let options = Options { ca_file: Some(path.clone()), ..Options::new("https://localhost") };
        Cluster::new(&options).unwrap_err()
    };
    assert!(open().to_string().contains("cannot read the CA file"));
    std::fs::write(&path, "no certificate").unwrap();
    assert!(open().to_string().contains("no certificate in PEM form"), "{}", open());
    assert_eq!(open().kind(), Kind::Invalid);
}
