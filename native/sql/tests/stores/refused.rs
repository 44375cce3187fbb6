//! One line that says what and how to fix, and never the password.

use events::{EventStore, Kind as ErrorKind, Registry};
use sql::Sql;

use crate::server::{Kind, PASSWORD, Server};
use crate::sight::{SCOPE, event};

fn refused(url: &str, kind: ErrorKind, words: &str) {
    let error = Sql::open(url).err().unwrap_or_else(|| panic!("{words}"));
    let text = format!("{error}");
    assert_eq!(error.kind(), kind, "{text}");
    assert!(text.contains(words) && text.lines().count() == 1, "{text}");
    let debug = format!("{error:?}");
    for secret in [PASSWORD, "pio%3Asecret", "hunter2"] {
        assert!(!text.contains(secret) && !debug.contains(secret), "{debug}");
    }
}

fn all(kind: Kind) {
    let server = Server::shared(kind);
    let (right, port) = (server.url("pio"), format!(":{}", server.port));
    refused(&right.replace("pio%3Asecret", "hunter2"), ErrorKind::Denied, "refuses the user pio");
    refused(
        &right.replace(":pio%3Asecret", ""),
        ErrorKind::Denied,
        if kind == Kind::PostgreSql { "asks for a password" } else { "refuses the user pio" },
    );
    refused(&right.replace("pio:pio", "nobody:pio"), ErrorKind::Denied, "refuses the user nobody");
    refused(&server.url("nowhere"), ErrorKind::NotFound, "there is no database nowhere");
    refused(&right.replace(&port, ":1"), ErrorKind::Unavailable, "is the server running");
    refused(&right.replace("127.0.0.1", "no.such.host.invalid"), ErrorKind::Unavailable, "cannot reach");
    refused(&format!("{right}?sslmode=require"), ErrorKind::Invalid, "TLS");
    Sql::open(&format!("{right}?sslmode=prefer")).unwrap();
    Sql::open(&format!("{right}?sslmode=disable")).unwrap();

    let store = Sql::open(&server.url(&server.database())).unwrap();
    let error = store.append(SCOPE, &[event(None, "u", 0)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), "there is no event store for app 1: create the app first");
    store.check_writable().unwrap();
}

#[test]
fn postgresql() {
    all(Kind::PostgreSql);
}

#[test]
fn mariadb() {
    all(Kind::MariaDb);
}

/// A table that is dropped behind our back is like one that never was.
#[test]
fn a_table_may_go_away() {
    for kind in [Kind::PostgreSql, Kind::MariaDb] {
        let server = Server::shared(kind);
        let database = server.database();
        let store = Sql::open(&server.url(&database)).unwrap();
        store.init(SCOPE).unwrap();
        store.append(SCOPE, &[event(Some("a"), "u", 0)]).unwrap();
        server.sql(&database, "drop table pio_event_1");
        assert_eq!(store.get(SCOPE, "a").unwrap(), None);
        assert_eq!(store.append(SCOPE, &[event(None, "u", 0)]).unwrap_err().kind(), ErrorKind::NotFound);
        store.init(SCOPE).unwrap();
        store.append(SCOPE, &[event(Some("b"), "u", 1_600_000_000_000)]).unwrap();
        assert_eq!(crate::sight::scanned(&store).last().unwrap(), "b");
    }
}

/// Who may only read is told which right is missing.
#[test]
fn missing_rights_are_told() {
    let server = Server::shared(Kind::PostgreSql);
    let database = server.database();
    let store = Sql::open(&server.url(&database)).unwrap();
    store.init(SCOPE).unwrap();
    store.apps().unwrap();
    server.sql(
        &database,
        "create user reader password 'hunter2'; grant select on all tables in schema public to reader",
    );
    let reader = Sql::open(&server.url(&database).replace("pio:pio%3Asecret", "reader:hunter2")).unwrap();
    let error = reader.append(SCOPE, &[event(None, "u", 1_600_000_000_000)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.to_string().contains("does not let the user reader do that"), "{error}");
}

/// TLS with a certificate of nobody's, and with one that is known.
#[test]
fn tls_is_as_strict_as_it_is_told_to_be() {
    for kind in [Kind::PostgreSql, Kind::MariaDb] {
        let server = Server::start(kind, &["tls"]);
        let url = server.url("pio");
        let root = format!("sslrootcert={}/authority.pem", server.folder);
        Sql::open(&format!("{url}?sslmode=require")).unwrap();
        Sql::open(&format!("{url}?sslmode=verify-ca&{root}")).unwrap();
        let named = url.replace("127.0.0.1", "localhost");
        Sql::open(&format!("{named}?sslmode=verify-full&{root}")).unwrap();
        refused(&format!("{url}?sslmode=verify-full&{root}"), ErrorKind::Invalid, "TLS");
        refused(&format!("{url}?sslmode=verify-ca"), ErrorKind::Invalid, "TLS");
        refused(
            &format!("{url}?sslmode=verify-full&sslrootcert=/nowhere.pem"),
            ErrorKind::Invalid,
            "/nowhere.pem",
        );
    }
}
