//! The program on the stores of others, which `scripts/database` starts.

use crate::database::{Kind, Server};
use crate::handmade;
use crate::hbase_server::HBase;
use crate::index_server;
use crate::program::{Program, at, text};

/// A program whose registry and events are in an empty database of this product.
fn on(kind: Kind) -> (Program, String) {
    let server = Server::shared(kind);
    let url = server.url(&server.database());
    let names = ["ARBLAST_REGISTRY_URL", "ARBLAST_EVENTS_URL", "ARBLAST_MODELS_URL"];
    (Program::with_env(&names.map(|name| (name, url.as_str()))), url)
}

#[test]
fn the_handmade_answers_are_the_same_on_postgresql() {
    handmade::give_the_published_answers(&on(Kind::PostgreSql).0, "{}");
}

#[test]
fn the_handmade_answers_are_the_same_on_mariadb() {
    handmade::give_the_published_answers(&on(Kind::MariaDb).0, "{}");
}

#[test]
fn the_handmade_answers_are_the_same_with_events_in_hbase() {
    let hbase = HBase::shared();
    let url = hbase.url(&hbase.namespace());
    let program = Program::with_env(&[("ARBLAST_EVENTS_URL", &url)]);
    handmade::give_the_published_answers(&program, "{}");
    let status = program.ok(&["status"]);
    assert!(status.contains(&format!("Events are in hbase://127.0.0.1:{}/hbase", hbase.port())), "{status}");
}

#[test]
fn the_handmade_answers_are_the_same_on_every_store_with_elasticsearch() {
    let settings = format!(r#"{{"indexUrl":"{}","indexShards":2}}"#, index_server::url());
    let hbase = HBase::shared();
    let on_hbase = Program::with_env(&[("ARBLAST_EVENTS_URL", &hbase.url(&hbase.namespace()))]);
    // One after the other: they have one name there.
    for program in [on(Kind::PostgreSql).0, on(Kind::MariaDb).0, on_hbase] {
        handmade::give_the_published_answers(&program, &settings);
    }
}

#[test]
fn one_home_more_or_less_makes_no_difference() {
    let (program, url) = on(Kind::PostgreSql);
    program.sample_shop();
    program.ok(&["train"]);
    let question = r#"{"user": "u1", "num": 4}"#;
    let answer = program.ok(&["query", question]);
    assert!(answer.contains("itemScores"), "{answer}");
    // Another machine: its home is empty.
    let other = Program::with_env(&[
        ("ARBLAST_REGISTRY_URL", &url),
        ("ARBLAST_EVENTS_URL", &url),
        ("ARBLAST_MODELS_URL", &url),
    ]);
    std::fs::copy(program.path("engine.json"), other.path("engine.json")).unwrap();
    assert_eq!(other.ok(&["query", question]), answer);
    assert!(!other.home().join("store").exists(), "nothing is kept at home");
    let status = other.ok(&["status"]);
    assert!(
        status.contains("Apps and keys are in postgresql://127.0.0.1:") && status.contains("all ready to go"),
        "{status}"
    );
    assert!(!status.contains("secret"), "{status}");
    let config = other.json(&["config"]);
    assert_eq!(text(&config, "registryUrl.value"), "***");
}

#[test]
fn variables_of_predictionio_lead_to_its_database() {
    let server = Server::shared(Kind::PostgreSql);
    let database = server.database();
    let url = format!("jdbc:postgresql://127.0.0.1:{}/{database}", server.port);
    let program = Program::with_env(&[
        ("PIO_STORAGE_REPOSITORIES_METADATA_SOURCE", "PGSQL"),
        ("PIO_STORAGE_REPOSITORIES_METADATA_NAME", "my_meta"),
        ("PIO_STORAGE_REPOSITORIES_EVENTDATA_SOURCE", "PGSQL"),
        ("PIO_STORAGE_REPOSITORIES_EVENTDATA_NAME", "my_event"),
        ("PIO_STORAGE_REPOSITORIES_MODELDATA_SOURCE", "PGSQL"),
        ("PIO_STORAGE_SOURCES_PGSQL_TYPE", "jdbc"),
        ("PIO_STORAGE_SOURCES_PGSQL_URL", &url),
        ("PIO_STORAGE_SOURCES_PGSQL_USERNAME", "pio"),
        ("PIO_STORAGE_SOURCES_PGSQL_PASSWORD", crate::database::PASSWORD),
    ]);
    program.ok(&["app", "new", "shop"]);
    assert_eq!(server.sql(&database, "select name from my_meta_apps"), ["shop"]);
    assert_eq!(server.sql(&database, "select count(*) from my_event_1"), ["0"]);
    program.ok(&["status"]);
    let config = program.json(&["config"]);
    assert_eq!(text(&config, "eventsUrl.from"), "$PIO_STORAGE_REPOSITORIES_EVENTDATA_SOURCE");
    assert_eq!(at(&config, "storage.value").as_str(), Some("auto"));
}

#[test]
fn the_database_of_a_platform_is_used() {
    let server = Server::shared(Kind::PostgreSql);
    let database = server.database();
    let url = server.url(&database);
    let env = [("DATABASE_URL", url.as_str()), ("PIO_POSTGRES_OPTIONAL_SSL", "true")];
    Program::with_env(&env).ok(&["app", "new", "shop"]);
    assert_eq!(server.sql(&database, "select name from pio_meta_apps"), ["shop"]);
    // This server has no TLS, and without the second variable it must have.
    let line = Program::with_env(&env[..1]).refused(1, &["app", "list"]);
    assert!(line.contains("TLS") && line.contains("sslmode="), "{line}");
    let embedded = Program::with_env(&[env[0], ("ARBLAST_STORAGE", "embedded")]);
    embedded.ok(&["app", "new", "other"]);
    assert!(embedded.home().join("store").is_dir());
}

#[test]
fn a_place_of_models_that_does_not_answer_is_told() {
    let program = Program::with_env(&[("ARBLAST_MODELS_URL", "hdfs://127.0.0.1:1/models")]);
    let line = program.refused(75, &["status"]);
    assert!(line.contains("modelsUrl: cannot list hdfs://127.0.0.1:1/models"), "{line}");
}
