//! The suites that every store must pass.

use std::cell::RefCell;

use sql::Sql;

use crate::server::{Kind, Server};

/// Databases of a server, of which the last is opened again.
struct Databases {
    server: &'static Server,
    last: RefCell<String>,
}

impl Databases {
    fn of(kind: Kind) -> Self {
        Self { server: Server::shared(kind), last: RefCell::default() }
    }

    fn fresh(&self) -> Sql {
        *self.last.borrow_mut() = self.server.url(&self.server.database());
        self.open()
    }

    fn open(&self) -> Sql {
        Sql::open(&self.last.borrow()).unwrap()
    }
}

fn event_store(kind: Kind) {
    let databases = Databases::of(kind);
    events::conformance::event_store(|| databases.fresh(), |store| (drop(store), databases.open()).1);
}

fn registry(kind: Kind) {
    let databases = Databases::of(kind);
    events::conformance::registry(|| databases.fresh(), |store| (drop(store), databases.open()).1);
}

#[test]
fn postgresql_keeps_events() {
    event_store(Kind::PostgreSql);
}

#[test]
fn postgresql_keeps_the_registry() {
    registry(Kind::PostgreSql);
}

#[test]
fn mariadb_keeps_events() {
    event_store(Kind::MariaDb);
}

#[test]
fn mariadb_keeps_the_registry() {
    registry(Kind::MariaDb);
}

fn files(kind: Kind) {
    let scratch = tempfile::tempdir().unwrap();
    stores::conformance::objects(&Databases::of(kind).fresh(), scratch.path());
}

#[test]
fn postgresql_keeps_files_of_models() {
    files(Kind::PostgreSql);
}

#[test]
fn mariadb_keeps_files_of_models() {
    files(Kind::MariaDb);
}
