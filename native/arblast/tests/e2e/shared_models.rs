//! Machines that share apps, events and models: one trains, another serves. Servers are started by `scripts/database` and `scripts/s3`.

use std::time::Instant;

use crate::database::{Kind, PASSWORD, Server as Database};
use crate::program::{Program, at, number, text};
use crate::queries_client::until;
use crate::server::Server;
use crate::shared_servers::S3;

const QUESTION: &str = r#"{"user": "maya", "num": 4}"#;

/// A database, and variables that lead to it and to models at `models`.
fn places(models: impl Fn(&str) -> Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    let server = Database::shared(Kind::PostgreSql);
    let url = server.url(&server.database());
    let models = models(&url);
    [vec![("ARBLAST_REGISTRY_URL", url.clone()), ("ARBLAST_EVENTS_URL", url)], models].concat()
}

fn on_s3(s3: &S3) -> Vec<(&'static str, String)> {
    vec![
        ("ARBLAST_MODELS_URL", "s3://shop/models".to_owned()),
        ("AWS_ENDPOINT", s3.endpoint.clone()),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", s3.key.clone()),
        ("AWS_SECRET_ACCESS_KEY", s3.secret.clone()),
    ]
}

/// A machine with an empty home.
fn machine(variables: &[(&'static str, String)]) -> Program {
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Program::with_env(&variables)
}

/// Two machines, of which the first has the sample shop and trained once.
fn two_machines(variables: &[(&'static str, String)]) -> (Program, Program) {
    let (trains, serves) = (machine(variables), machine(variables));
    trains.sample_shop();
    std::fs::copy(trains.path("engine.json"), serves.path("engine.json")).unwrap();
    let line = serves.refused(1, &["query", QUESTION]);
    assert!(line.contains("no model yet"), "{line}");
    trains.ok(&["train"]);
    (trains, serves)
}

fn serves(server: &Server, generation: i64) {
    let since = Instant::now();
    until("the generation serves", || (server.generation() == generation).then_some(()));
    // A second until it looks, but the machine may be busy, and the client of S3 pauses after an outage.
    assert!(since.elapsed().as_secs() < 20, "generation {generation} serves after {:?}", since.elapsed());
}

fn generations(program: &Program) -> Vec<(i64, bool)> {
    let models = program.json(&["models"]);
    let one = |model: &events::Json| (number(model, "generation"), at(model, "current").as_bool().unwrap());
    models.as_array().unwrap().iter().map(one).collect()
}

/// What one machine trains another serves, and may take back.
fn follow(trains: &Program, serves_them: &Program) -> Server {
    let server = Server::start(serves_them, &[]);
    assert_eq!(server.request("POST", "/queries.json", QUESTION), (200, trains.json(&["query", QUESTION])));
    trains.ok(&["train"]);
    serves(&server, 2);
    assert_eq!(generations(serves_them), [(1, false), (2, true)]);
    serves_them.ok(&["rollback"]);
    serves(&server, 1);
    assert_eq!(generations(trains), [(1, true), (2, false)]);
    assert!(!serves_them.home().join("models").exists() && !serves_them.home().join("store").exists());
    server
}

#[test]
fn models_in_s3_are_shared_and_survive_its_outage() {
    let s3 = S3::start();
    let variables = places(|_| on_s3(&s3));
    let (trains, other) = two_machines(&variables);
    let server = follow(&trains, &other);
    let status = other.ok(&["status"]);
    assert!(status.contains("s3://shop/models") && status.contains("all ready to go"), "{status}");
    assert!(!status.contains(&s3.secret) && !status.contains("pio:"), "{status}");

    s3.order("stop");
    let warned = || {
        let since = Instant::now();
        let (_, report) = server.request("GET", "/status.json", "");
        assert!(since.elapsed().as_secs() < 8, "the page waits for S3");
        at(&report, "model").get("warning").map(|warning| warning.as_str().unwrap().to_owned())
    };
    let warning = until("it is told", warned);
    assert!(warning.contains("s3://shop/models/") && !warning.contains(&s3.secret), "{warning}");
    assert_eq!(server.request("POST", "/queries.json", QUESTION).0, 200);
    // A server that starts now has its copy; a machine that was never there has none.
    let again = Server::start(&other, &[]);
    assert_eq!(again.generation(), 1);
    assert_eq!(again.request("POST", "/queries.json", QUESTION).0, 200);
    s3.order("start");
    trains.ok(&["train"]);
    serves(&server, 3);
    serves(&again, 3);
    of_predictionio(&s3, &trains, &variables[0].1);
}

/// The variables of PredictionIO lead to the same models.
fn of_predictionio(s3: &S3, trains: &Program, url: &str) {
    let database = url.rsplit('/').next().unwrap();
    let port = url.rsplit(':').next().unwrap().split('/').next().unwrap();
    let jdbc = format!("jdbc:postgresql://127.0.0.1:{port}/{database}");
    let program = Program::with_env(&[
        ("PIO_STORAGE_REPOSITORIES_METADATA_SOURCE", "PGSQL"),
        ("PIO_STORAGE_REPOSITORIES_METADATA_NAME", "pio_meta"),
        ("PIO_STORAGE_REPOSITORIES_EVENTDATA_SOURCE", "PGSQL"),
        ("PIO_STORAGE_REPOSITORIES_EVENTDATA_NAME", "pio_event"),
        ("PIO_STORAGE_REPOSITORIES_MODELDATA_SOURCE", "S3"),
        ("PIO_STORAGE_SOURCES_PGSQL_TYPE", "jdbc"),
        ("PIO_STORAGE_SOURCES_PGSQL_URL", &jdbc),
        ("PIO_STORAGE_SOURCES_PGSQL_USERNAME", "pio"),
        ("PIO_STORAGE_SOURCES_PGSQL_PASSWORD", PASSWORD),
        ("PIO_STORAGE_SOURCES_S3_TYPE", "s3"),
        ("PIO_STORAGE_SOURCES_S3_BUCKET_NAME", "shop"),
        ("PIO_STORAGE_SOURCES_S3_BASE_PATH", "/models"),
        ("PIO_STORAGE_SOURCES_S3_REGION", "us-east-1"),
        ("PIO_STORAGE_SOURCES_S3_ENDPOINT", &s3.endpoint),
        ("AWS_ACCESS_KEY_ID", &s3.key),
        ("AWS_SECRET_ACCESS_KEY", &s3.secret),
    ]);
    std::fs::copy(trains.path("engine.json"), program.path("engine.json")).unwrap();
    assert_eq!(generations(&program), generations(trains));
    let config = program.json(&["config"]);
    assert_eq!(text(&config, "modelsUrl.from"), "$PIO_STORAGE_REPOSITORIES_MODELDATA_SOURCE");
    assert_eq!(program.json(&["query", QUESTION]), trains.json(&["query", QUESTION]));
}

#[test]
fn models_in_a_database_are_shared() {
    let (trains, other) = two_machines(&places(|url| vec![("ARBLAST_MODELS_URL", url.to_owned())]));
    let server = follow(&trains, &other);
    // Trains of both get numbers of one row, and each is the newest in its turn.
    std::fs::copy(trains.path("engine.json"), other.path("engine.json")).unwrap();
    other.ok(&["train"]);
    serves(&server, 3);
    let runs = server.request("GET", "/status.json", "").1;
    assert_eq!(number(&runs, "history.runsTotal"), 3);
}
