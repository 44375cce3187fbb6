//! The commands of docs/migrating.md, as they stand, on stores as PredictionIO and Harness leave them.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use events::{Json, json};
use hbase::client::TableName;

use crate::database::{Kind, PASSWORD, Server};
use crate::events_client::{AS_JSON, Answer, exchange};
use crate::hbase_server::HBase;
use crate::index_server;
use crate::old_stores::{self, APP, CHANNEL, History, KEY, OldElasticsearch, SECOND_KEY, member};
use crate::program::{Program, http, own_port, text};
use crate::queries_client::until;

const GUIDE: &str = include_str!("../../../../docs/migrating.md");
/// Below the home of who runs the commands.
const HOME: &str = ".local/share/arblast";
const QUERY: &str = r#"{"user":"maya","num":6}"#;

/// The commands of a road.
fn commands(road: &str) -> &'static str {
    let mark = format!("<!-- run: {road} -->\n```sh\n");
    let (_, block) = GUIDE.split_once(&mark).unwrap_or_else(|| panic!("the guide has no {mark}"));
    block.split_once("```").unwrap().0
}

/// What every road must lead to.
struct Expected {
    history: History,
    engine: String,
    digest: String,
    answer: Json,
}

impl Expected {
    fn get() -> &'static Self {
        static EXPECTED: OnceLock<Expected> = OnceLock::new();
        EXPECTED.get_or_init(|| {
            let program = Program::new();
            program.ok(&["sample", "."]);
            let sample = std::fs::read_to_string(program.path("events.jsonl")).unwrap();
            let history = History::of(&sample);
            let lines: Vec<String> = history.events.iter().map(ToString::to_string).collect();
            program.write("part.jsonl", &lines.join("\n"));
            program.ok(&["app", "new", "shop"]);
            program.ok(&["import", "--app", "shop", "--input", "part.jsonl"]);
            let digest = text(&program.json(&["train", "--now", &history.end()]), "digest").to_owned();
            let engine = std::fs::read_to_string(program.path("engine.json")).unwrap();
            Self { history, engine, digest, answer: program.json(&["query", QUERY]) }
        })
    }
}

/// The commands of a road while their servers run.
struct Road {
    child: Child,
    /// On both streams.
    said: Arc<Mutex<String>>,
    events: u16,
    queries: u16,
    program: Program,
}

impl Road {
    /// Runs the commands of a road in the directory of the engine, on the day on which the old installation was left.
    fn take(road: &str, program: Program, env: &[(&str, &str)]) -> Self {
        let expected = Expected::get();
        if !program.path("engine.json").exists() {
            program.write("engine.json", &expected.engine);
        }
        let (events, queries) = (own_port(), own_port());
        let mut command = shell(&program, commands(road));
        command.env("ARBLAST_EVENT_SERVER_IP", "127.0.0.1").env("ARBLAST_QUERY_SERVER_IP", "127.0.0.1");
        command.env("ARBLAST_EVENT_SERVER_PORT", events.to_string());
        command.env("ARBLAST_QUERY_SERVER_PORT", queries.to_string());
        command.env("KEY", KEY).env("SECOND_KEY", SECOND_KEY).envs(env.iter().copied());
        let (mut told, teller) = std::io::pipe().unwrap();
        let child = command.stdout(teller.try_clone().unwrap()).stderr(teller).spawn().unwrap();
        // It holds the writing end.
        drop(command);
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = told.read(&mut piece) {
                heard.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..length]));
            }
        });
        let mut road = Self { child, said, events, queries, program };
        until("both servers are ready", || {
            if let Some(status) = road.child.try_wait().unwrap() {
                panic!("{status}: {}", road.said());
            }
            let is_ready =
                |port| exchange(port, "GET", "/ready", &[], b"").is_some_and(|answer| answer.status == 200);
            (is_ready(events) && is_ready(queries)).then_some(())
        });
        road
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    fn event(&self, method: &str, path: &str, body: &str) -> Answer {
        exchange(self.events, method, path, &[AS_JSON], body.as_bytes()).unwrap()
    }

    /// The model is the one of all roads, and so are the answers.
    fn leads_to_the_model(&self) {
        let expected = Expected::get();
        let said = self.said();
        assert!(said.contains(&format!("digest {}.", expected.digest)), "{said}");
        assert!(said.contains("All is well."), "{said}");
        for secret in [PASSWORD, "pio%3Asecret"] {
            assert!(!said.contains(secret), "{said}");
        }
        let answer = exchange(self.queries, "POST", "/queries.json", &[], QUERY.as_bytes()).unwrap();
        assert_eq!((answer.status, answer.json()), (200, expected.answer.clone()));
    }

    /// Clients go on with the keys, ids and channels that they have. `id`: of the first event. Gives the id of a new one.
    fn serves_old_clients(&self, id: &str) -> String {
        let expected = Expected::get();
        let found = self.event("GET", &format!("/events/{id}.json?accessKey={KEY}"), "").json();
        let first = &expected.history.events[0];
        for name in ["event", "entityType", "entityId", "properties", "eventTime"] {
            assert_eq!(found.get(name), first.get(name), "{name}");
        }
        let body = |event: &str| {
            format!(
                r#"{{"event":"{event}","entityType":"user","entityId":"ü","targetEntityType":"item","targetEntityId":"i","properties":{{"n":1}},"eventTime":"2026-01-31T12:00:00.5+09:00"}}"#
            )
        };
        let post = |key: &str, event: &str| {
            self.event("POST", &format!("/events.json?accessKey={key}"), &body(event))
        };
        assert_eq!(post(SECOND_KEY, "search").status, 403);
        assert_eq!(post(SECOND_KEY, "view").status, 201);
        assert_eq!(post("none", "view").status, 401);
        let mobile = format!("/events.json?accessKey={KEY}&channel=mobile&limit=-1");
        let found = self.event("GET", &mobile, "").json();
        assert_eq!(found.as_array().unwrap().len(), expected.history.mobile.len());
        let posted = post(KEY, "purchase");
        assert_eq!(posted.status, 201);
        member(&posted.json(), "eventId").unwrap().to_owned()
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-s", "KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

/// A shell whose `arblast` is this one; it trains at the end of the history.
fn shell(program: &Program, script: &str) -> Command {
    let arblast = program.command(&[]).get_program().to_str().unwrap().to_owned();
    let folder = program.path("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let end = Expected::get().history.end();
    let wrapper =
        format!("#!/bin/sh\n[ \"$1\" = train ] && set -- \"$@\" --now {end}\nexec {arblast} \"$@\"\n");
    let path = program.write("bin/arblast", &wrapper);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, mode).unwrap();
    let mut command = Command::new("bash");
    command.args(["-euc", script]).current_dir(program.path("."));
    command.env_remove("XDG_DATA_HOME").env_remove("ARBLAST_BUILD").env_remove("ARBLAST_TARGET");
    command.env("HOME", program.path(".")).env("ARBLAST_HISTORY_MS_MAX", "60000").stdin(Stdio::null());
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", folder.display())).process_group(0);
    command
}

#[test]
fn predictionio_on_postgresql() {
    let (expected, server) = (Expected::get(), Server::shared(Kind::PostgreSql));
    let database = old_stores::postgresql(server, &expected.history);
    let sources = ["PGSQL", "PGSQL", "PGSQL"];
    let storage = old_stores::repositories(sources, ["pio_meta", "pio_event", "pio_model"])
        + &format!(
            "PIO_STORAGE_SOURCES_PGSQL_TYPE=jdbc\nPIO_STORAGE_SOURCES_PGSQL_URL=jdbc:postgresql://127.0.0.1:{}/{database}\n\
             PIO_STORAGE_SOURCES_PGSQL_USERNAME=pio\nPIO_STORAGE_SOURCES_PGSQL_PASSWORD={PASSWORD}",
            server.port
        );
    let program = Program::new();
    let home = program.path("PredictionIO");
    old_stores::pio_env(&home, &storage, 1);
    let road = Road::take("sql", program, &[("PIO_HOME", home.to_str().unwrap())]);
    let said = road.said();
    assert!(said.contains(KEY) && said.contains("purchase,view"), "{said}");
    road.leads_to_the_model();
    assert!(road.program.path(".pio_store/arblast/copies").is_dir(), "the home is where the guide says");

    let id = road.serves_old_clients(&History::id(0));
    // PredictionIO, beside or again, finds what came meanwhile; and what it stores is found.
    let columns = "event, entityId, targetEntityId, properties, eventTime, eventTimeZone";
    let row = server.sql(&database, &format!("select {columns} from pio_event_{APP} where id = '{id}'"));
    assert_eq!(row, [r#"purchase|ü|i|{"n":1}|2026-01-31 12:00:00.5|+09:00"#]);
    let theirs = "'theirs', 'view', 'user', 'u', 'item', 'i', '{}', '2026-01-31 12:00:00', 'UTC', null, null";
    let statement = format!("insert into pio_event_{APP} values ({theirs}, '2026-01-31 12:00:00', 'UTC')");
    server.sql(&database, &statement);
    let found = road.event("GET", &format!("/events/theirs.json?accessKey={KEY}"), "").json();
    assert_eq!(member(&found, "eventTime"), Some("2026-01-31T03:00:00.000Z"));
}

#[test]
fn predictionio_on_hbase() {
    let (expected, server) = (Expected::get(), HBase::shared());
    let namespace = server.namespace();
    old_stores::hbase(server, &namespace, &expected.history);
    let sources = ["ELASTICSEARCH", "HBASE", "LOCALFS"];
    let storage = old_stores::repositories(sources, [&old_stores::elasticsearch(), &namespace, "pio_model"])
        + &format!(
            "PIO_STORAGE_SOURCES_ELASTICSEARCH_USERNAME={}\nPIO_STORAGE_SOURCES_ELASTICSEARCH_PASSWORD={}\nHBASE_CONF_DIR={}\nPIO_STORAGE_SOURCES_HBASE_TYPE=hbase\nPIO_STORAGE_SOURCES_HBASE_HOME=$PIO_HOME/vendors/hbase\n\
             PIO_STORAGE_SOURCES_LOCALFS_TYPE=localfs\nPIO_STORAGE_SOURCES_LOCALFS_PATH=$PIO_FS_BASEDIR/models",
            index_server::USER,
            index_server::PASSWORD,
            server.configuration().display()
        );
    let program = Program::new();
    let home = program.path("PredictionIO");
    old_stores::pio_env(&home, &storage, index_server::port());
    let road = Road::take("hbase", program, &[("PIO_HOME", home.to_str().unwrap())]);
    let said = road.said();
    assert!(said.contains("Created 1 of 1 apps, 2 of 2 access keys, 1 of 1 channels"), "{said}");
    assert!(said.contains("purchase,view") && !said.contains(index_server::PASSWORD), "{said}");
    road.leads_to_the_model();

    let first = old_stores::row_key(0, &expected.history.events[0]);
    let id = road.serves_old_clients(&old_stores::id_of_key(&first));
    let (client, table) =
        (old_stores::hbase_client(server), TableName::new(&*namespace, format!("events_{APP}")));
    let mut stored = Vec::new();
    let scan = hbase::client::Scan::default();
    client
        .scan(&table, &scan, &mut |row| {
            let is_new = old_stores::id_of_key(row.key()) == id;
            stored.extend(is_new.then(|| row.clone()));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    let column = |name: &str| stored[0].value(b"e", name.as_bytes()).map(String::from_utf8_lossy);
    let columns = ["e", "ety", "eid", "teid", "p", "etz"].map(column);
    let expected = ["purchase", "user", "ü", "i", r#"{"n":1}"#, "+09:00"].map(|text| Some(text.into()));
    assert_eq!(columns, expected);

    let theirs =
        r#"{"event":"view","entityType":"user","entityId":"u","eventTime":"2026-01-31T03:00:00.000Z"}"#;
    let theirs = json::parse(theirs.as_bytes()).unwrap();
    client.mutate(&table, &[old_stores::row(1, &theirs)]).unwrap();
    let id = old_stores::id_of_key(&old_stores::row_key(1, &theirs));
    let found = road.event("GET", &format!("/events/{id}.json?accessKey={KEY}"), "").json();
    assert_eq!(member(&found, "eventTime"), Some("2026-01-31T03:00:00.000Z"));
    assert!(client.table_exists(&TableName::new(&*namespace, format!("events_{APP}_{CHANNEL}"))).unwrap());
}

/// Brought over from servers of both times, beside others, and again.
#[test]
fn apps_of_elasticsearch() {
    let (name, url, old) = (old_stores::elasticsearch(), index_server::url(), OldElasticsearch::start());
    let old = format!("http://127.0.0.1:{}", old.port);
    for import in [&["app", "import", &url, "--name", &name][..], &["app", "import", &old]] {
        let program = Program::new();
        let told = |number: i64| {
            let told = program.json(import);
            for (kind, all) in [("apps", 1), ("accessKeys", 2), ("channels", 1)] {
                assert_eq!(told.get(kind).and_then(Json::as_i64), Some(all * number), "{told}");
            }
        };
        program.ok(&["app", "new", "another", "--id", "3"]);
        told(1);
        told(0);
        let shown = program.ok(&["app", "show", "shop"]);
        for part in ["our shop", "ID: 7", KEY, SECOND_KEY, "purchase,view", "mobile"] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
    }
}

#[test]
fn apps_that_cannot_be_brought_over() {
    let (name, url) = (old_stores::elasticsearch(), index_server::url());
    let import = ["app", "import", url.as_str(), "--name", name.as_str()];
    let refused = |code, setup: &[&str], args: &[&str], why: &str| {
        let program = Program::new();
        if !setup.is_empty() {
            program.ok(setup);
        }
        let refused = program.refused(code, args);
        assert!(refused.contains(why) && !refused.contains(index_server::PASSWORD), "{refused}");
        let apps = program.json(&["app", "list"]);
        assert!(apps.as_array().unwrap().len() <= 1, "nothing is created: {apps}");
    };
    refused(1, &["app", "new", "other", "--id", "7"], &import, "App ID 7 already exists");
    refused(1, &["app", "new", "shop"], &import, "App shop already exists");
    refused(1, &["app", "new", "other", "--access-key", KEY], &import, "for another app");
    refused(1, &[], &["app", "import", &url, "--name", "none"], "no index none_apps");
    refused(1, &[], &["app", "import", &url, "--name", "a/b"], "no name of a repository");
    refused(1, &[], &["app", "import"], "which Elasticsearch?");
    refused(75, &[], &["app", "import", "http://127.0.0.1:1"], "127.0.0.1:1");
    let wrong = url.replace(index_server::USER, "stranger");
    refused(1, &[], &["app", "import", &wrong], "stranger");
}

#[test]
fn an_export_of_predictionio() {
    let expected = Expected::get();
    let program = Program::new();
    let (events, mobile) = (&expected.history.events, &expected.history.mobile);
    old_stores::export(&program.path("export"), events, 0);
    old_stores::export(&program.path("export-mobile"), mobile, events.len());
    let road = Road::take("export", program, &[]);
    road.leads_to_the_model();
    road.serves_old_clients(&History::id(0));

    let back = shell(&road.program, commands("back")).output().unwrap();
    assert!(back.status.success(), "{back:?}");
    let lines = |folder: &str| {
        let files = std::fs::read_dir(road.program.path(folder)).unwrap();
        let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        texts.map(|text| text.lines().count()).sum::<usize>()
    };
    assert_eq!((lines("back"), lines("back-mobile")), (events.len() + 2, mobile.len()));
}

#[test]
fn a_mirror_of_harness() {
    let program = Program::new();
    old_stores::mirror(&program.path("mirror/shop"), &Expected::get().history);
    program.write("engine.json", &old_stores::harness_engine(&Expected::get().engine));
    let road = Road::take("mirror", program, &[]);
    let said = road.said();
    assert!(said.contains("2 lines are no events and were skipped"), "{said}");
    road.leads_to_the_model();
    let client = |path: &str, body: &str| {
        let (status, answer) = http(road.queries, "POST", &format!("/engines/shop/{path}"), body).unwrap();
        (status, json::parse(answer.as_bytes()).unwrap())
    };
    let event = r#"{"event":"view","entityType":"user","entityId":"u","targetEntityId":"i","eventTime":"2026-01-31T12:00:00Z"}"#;
    assert_eq!(client("events", event).0, 201);
    let (status, answer) = client("queries", QUERY);
    let results = answer.get("result").unwrap().as_array().unwrap();
    assert!(status == 200 && results.len() == 6, "{answer}");
    let forgotten = road.program.ok(&["--home", HOME, "export", "--app", "shop", "--output", "-"]);
    assert!(!forgotten.contains("stranger"), "somebody asked to be forgotten");

    let import = ["--home", HOME, "import", "--app", "shop", "--input", "mirror", "--harness"];
    let container = road.program.refused(1, &import);
    assert!(container.contains("mirror/shop"), "{container}");
}
