//! What is wrong with a store is one line that names the setting and says what would be right, with the exit code of its kind and
//! without password or key, whichever command needs the store. Servers are real; only those too old are played, since
//! none of them can be had here.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use hbase::client::TableName;

use crate::database::{Kind, PASSWORD, Server};
use crate::hbase_server::HBase;
use crate::index_server;
use crate::old_stores::hbase_client;
use crate::program::Program;

/// Stands wherever a secret may be wrong.
const WRONG: &str = "hunter2";
const STATUS: &[&str] = &["status"];
const LIST: &[&str] = &["app", "list"];
const TRAIN: &[&str] = &["train"];
const DEPLOY: &[&str] = &["deploy", "--ip", "127.0.0.1", "--port", "0"];
const ALL: [&[&str]; 4] = [STATUS, LIST, TRAIN, DEPLOY];

/// A wrong setting, the exit code, and words of the line.
struct Case {
    setting: &'static str,
    value: String,
    code: i32,
    words: &'static [&'static str],
}

fn case(setting: &'static str, value: impl Into<String>, code: i32, words: &'static [&'static str]) -> Case {
    Case { setting, value: value.into(), code, words }
}

/// A program in the directory of an engine.
fn program(env: &[(&str, &str)]) -> Program {
    let program = Program::with_env(env);
    program.ok(&["sample", "."]);
    program
}

/// Checks the line of each command.
fn refuse(program: &Program, commands: &[&[&str]], case: &Case) {
    for command in commands {
        let Case { setting, value, code, words } = case;
        let outcome = program.run(command);
        let told = format!("{setting}={value}, {command:?}: {outcome:?}");
        assert_eq!(outcome.code, Some(*code), "{told}");
        assert_eq!(outcome.stderr.trim_end().lines().count(), 1, "{told}");
        let line = outcome.stderr.strip_prefix("error: ").unwrap_or_else(|| panic!("{told}"));
        for word in words.iter().chain([setting]) {
            assert!(line.contains(word), "{word}: {told}");
        }
        without_secrets(program, &format!("{}{}", outcome.stdout, outcome.stderr));
    }
}

/// Neither what was said nor what was written down.
fn without_secrets(program: &Program, said: &str) {
    let secrets = [WRONG, PASSWORD, "pio%3Asecret", index_server::PASSWORD, "geheim%2F1"];
    let mut texts = vec![said.to_owned()];
    let mut folders = vec![program.home()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("arblast.json") {
                texts.push(String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned());
            }
        }
    }
    for text in texts {
        assert!(!secrets.iter().any(|secret| text.contains(secret)), "{text}");
    }
}

/// By the environment, by an option, by the file: all say it alike.
fn refused_everywhere(commands: &[&[&str]], case: &Case) {
    let set = format!("{}={}", case.setting, case.value);
    let by_option: Vec<Vec<&str>> =
        commands.iter().map(|command| [command, &["--set", set.as_str()][..]].concat()).collect();
    let by_option: Vec<&[&str]> = by_option.iter().map(Vec::as_slice).collect();
    let program = program(&[]);
    refuse(&program, &by_option, case);
    let file = events::json::Object::new().with(case.setting, case.value.as_str());
    std::fs::create_dir_all(program.home()).unwrap();
    program.write("home/arblast.json", &file.to_string());
    refuse(&program, commands, case);
}

/// Answers every request with the same.
fn player(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let play = move |mut stream: TcpStream| {
        let mut asked = vec![0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut asked) {
            if stream.write_all(&answer(&asked[..length])).is_err() {
                break;
            }
        }
    };
    std::thread::spawn(move || listener.incoming().flatten().for_each(play));
    port
}

#[test]
fn urls_that_are_none() {
    for setting in ["registryUrl", "eventsUrl"] {
        let secret = |text: &str| text.replace("SECRET", WRONG);
        for case in [
            case(
                setting,
                secret("mongodb://u:SECRET@h/d"),
                1,
                &["mongodb:// are not known", "postgresql://"],
            ),
            case(setting, secret("SECRET"), 1, &["no URL of a store", "postgresql://"]),
            case(
                setting,
                secret("postgresql://u:SECRET@h"),
                1,
                &["database is missing", "postgresql://user:"],
            ),
            case(setting, secret("postgresql://u:SECRET@h:x/d"), 1, &["no port number", "%40"]),
            case(setting, secret("mysql:/u:SECRET@h/d"), 1, &["there must be //"]),
            case(setting, secret("postgresql://u:SECRET@h/d?sslmode=x"), 1, &["sslmode must be"]),
            case(setting, secret("mysql://u:SECRET@h/d?colour=SECRET"), 1, &["colour is no parameter"]),
        ] {
            refused_everywhere(&ALL, &case);
        }
    }
    let hbase = |text: &str| text.replace("SECRET", WRONG);
    for case in [
        case("eventsUrl", hbase("hbase://u:SECRET@zk"), 1, &["no user and password", "hbase://zk1:2181"]),
        case("eventsUrl", hbase("hbase://zk:x"), 1, &["no host of ZooKeeper", "hbase://zk1:2181"]),
        case("eventsUrl", hbase("hbase://zk?colour=red"), 1, &["colour=red", "namespace"]),
        case("registryUrl", hbase("hbase://zk"), 1, &["hbase:// are not known", "postgresql://"]),
        case("modelsUrl", hbase("ftp://k:SECRET@b"), 1, &["ftp:// are not known", "a path, hdfs://"]),
        case(
            "modelsUrl",
            hbase("s3://k:SECRET@b"),
            1,
            &["keys do not belong into the URL", "AWS_ACCESS_KEY_ID"],
        ),
        case(
            "modelsUrl",
            hbase("hdfs:///models"),
            1,
            &["the name of the file system is missing", "hdfs://NAME/path"],
        ),
        case("indexUrl", hbase("ftp://u:SECRET@h"), 1, &["the scheme \"ftp\"", "http(s)://"]),
        case("indexUrl", hbase("SECRET"), 1, &["has no scheme", "http(s)://"]),
        case("indexUrl", hbase("http://u:SECRET@h:x"), 1, &["a port that is no number", "http(s)://"]),
    ] {
        refused_everywhere(&ALL, &case);
    }
    let file = program(&[]);
    file.write("a file", "");
    refused_everywhere(&ALL, &case("modelsUrl", file.path("a file").to_str().unwrap(), 1, &["a file"]));
}

#[test]
fn values_of_a_wrong_type() {
    for setting in ["registryUrl", "eventsUrl", "modelsUrl", "indexUrl"] {
        for (value, words) in [
            ("5432", &["must be a string", "not a number"][..]),
            (r#"["hunter2"]"#, &["must be a string", "not an array"]),
            (r#"{"password":"hunter2"}"#, &["must be a string", "not an object"]),
            ("true", &["must be a string", "not true or false"]),
            (r#""""#, &["must be a string", "not an empty one"]),
        ] {
            let program = program(&[]);
            std::fs::create_dir_all(program.home()).unwrap();
            program.write("home/arblast.json", &format!("{{\"{setting}\": {value}}}"));
            refuse(&program, &ALL, &Case { setting, value: value.to_owned(), code: 1, words });
        }
    }
}

#[test]
fn databases_that_cannot_be_used() {
    for kind in [Kind::PostgreSql, Kind::MariaDb] {
        let server = Server::shared(kind);
        let database = server.database();
        let scheme = server.url("x").split(':').next().unwrap().to_owned();
        let url = |user: &str, host: &str, database: &str| format!("{scheme}://{user}@{host}/{database}");
        let here = format!("127.0.0.1:{}", server.port);
        let pio = "pio:pio%3Asecret";
        for (setting, url, code, words) in [
            (
                "registryUrl",
                url("pio:hunter2", &here, &database),
                1,
                &["refuses the user pio", "correct"][..],
            ),
            ("registryUrl", url("nobody:hunter2", &here, &database), 1, &["the user nobody", "correct"]),
            ("registryUrl", url("pio", &here, &database), 1, &["password"]),
            ("registryUrl", url(pio, &here, "nowhere"), 1, &["no database nowhere", "create it"]),
            ("eventsUrl", url(pio, &here, "nowhere"), 1, &["no database nowhere", "create it"]),
            (
                "registryUrl",
                url(pio, "127.0.0.1:1", &database),
                75,
                &["cannot reach", "is the server running"],
            ),
            ("registryUrl", url(pio, "nowhere.invalid", &database), 75, &["cannot reach", "host and port"]),
            (
                "registryUrl",
                format!("{}?sslmode=require", url(pio, &here, &database)),
                1,
                &["TLS", "sslmode="],
            ),
        ] {
            refused_everywhere(&ALL, &Case { setting, value: url, code, words });
        }
        no_rights(server);
        no_table(server);
    }
}

/// Somebody who may connect and nothing else.
fn no_rights(server: &Server) {
    let database = server.database();
    let (user, statements) = match server.kind {
        Kind::PostgreSql => ("guest", vec!["create user guest password 'hunter2'".to_owned()]),
        Kind::MariaDb => (
            "guest",
            vec![
                "create user guest@'%' identified by 'hunter2'".to_owned(),
                format!("grant select on {database}.* to guest@'%'"),
            ],
        ),
    };
    for statement in statements {
        server.sql(&database, &statement);
    }
    let url = server.url(&database).replace("pio:pio%3Asecret", &format!("{user}:hunter2"));
    let program = program(&[("ARBLAST_REGISTRY_URL", &url), ("ARBLAST_EVENTS_URL", &url)]);
    let words = &["does not let the user guest do that", "grant the right"];
    refuse(&program, &[&["app", "new", "shop"], STATUS], &Case { setting: "", value: url, code: 1, words });
}

/// A table that went beneath the app.
fn no_table(server: &Server) {
    let database = server.database();
    let url = server.url(&database);
    let program = program(&[("ARBLAST_REGISTRY_URL", &url), ("ARBLAST_EVENTS_URL", &url)]);
    program.ok(&["app", "new", "shop"]);
    server.sql(&database, "drop table pio_event_1");
    let words = &["no primary events", "has no event of it at all", "event="];
    refuse(&program, &[TRAIN], &Case { setting: "eventsUrl", value: url, code: 1, words });
}

#[test]
fn hbase_that_cannot_be_used() {
    let server = HBase::shared();
    let namespace = server.namespace();
    let zookeeper = format!("127.0.0.1:{}", server.port());
    for (url, words) in [
        ("hbase://127.0.0.1:1/hbase?timeout=2".to_owned(), &["no ZooKeeper answers", "127.0.0.1:1"][..]),
        (format!("hbase://{zookeeper}/elsewhere"), &["has no /elsewhere/meta-region-server", "node"]),
        ("hbase://nowhere.invalid/hbase?timeout=2".to_owned(), &["no ZooKeeper answers", "nowhere.invalid"]),
        (
            format!("hbase://127.0.0.1:{}/hbase?timeout=2", Server::shared(Kind::PostgreSql).port),
            &["no ZooKeeper answers"],
        ),
    ] {
        refused_everywhere(&ALL, &Case { setting: "eventsUrl", value: url, code: 75, words });
    }

    let url = server.url(&namespace);
    let program = program(&[("ARBLAST_EVENTS_URL", &url)]);
    program.ok(&["app", "new", "shop"]);
    let (client, table) = (hbase_client(server), TableName::new(&*namespace, "events_1"));
    client.disable_table(&table).unwrap();
    let words = &["events_1 is disabled", "enable"];
    refuse(&program, &[TRAIN], &Case { setting: "", value: url.clone(), code: 1, words });
    client.delete_table(&table).unwrap();
    let words = &["no primary events", "has no event of it at all", "namespace="];
    refuse(&program, &[TRAIN], &Case { setting: "eventsUrl", value: url, code: 1, words });
}

#[test]
fn search_servers_that_cannot_be_used() {
    let port = index_server::port();
    let trained = program(&[]);
    trained.ok(&["app", "new", "shop"]);
    trained.ok(&["import", "--app", "shop", "--input", "events.jsonl"]);
    trained.ok(&["train"]);
    let commands = [STATUS, TRAIN, DEPLOY, &["query", "{}"]];
    for (url, code, words) in [
        ("http://u:hunter2@127.0.0.1:1".to_owned(), 75, &["nothing listens there"][..]),
        ("http://u:hunter2@nowhere.invalid".to_owned(), 75, &["nowhere.invalid"]),
        (format!("http://keeper:hunter2@127.0.0.1:{port}"), 1, &["user and password", "missing or wrong"]),
        (format!("http://127.0.0.1:{port}"), 1, &["user and password", "missing or wrong"]),
        (format!("https://keeper:hunter2@127.0.0.1:{port}"), 75, &["https://127.0.0.1"]),
    ] {
        trained.write("home/arblast.json", &format!("{{\"indexUrl\": \"{url}\"}}"));
        refuse(&trained, &commands, &Case { setting: "indexUrl", value: url, code, words });
    }
    let key = format!("{{\"indexUrl\": \"http://127.0.0.1:{port}\", \"indexApiKey\": \"id:hunter2\"}}");
    trained.write("home/arblast.json", &key);
    let words = &["the API key", "missing or wrong"];
    refuse(&trained, &commands, &Case { setting: "indexUrl", value: key, code: 1, words });
    let file = format!("{{\"indexUrl\": \"https://127.0.0.1:{port}\", \"indexCaFile\": \"none.pem\"}}");
    trained.write("home/arblast.json", &file);
    let words = &["cannot read the CA file", "none.pem"];
    refuse(&trained, &commands, &Case { setting: "index", value: file, code: 1, words });

    trained.write("home/arblast.json", "{}");
    let url = index_server::url();
    let here = format!("indexUrl={url}");
    for command in
        [&["train", "--set", &here][..], &["status", "--set", &here], &["query", "{}", "--set", &here]]
    {
        let said = trained.ok(command);
        without_secrets(&trained, &said);
    }
    assert!(trained.ok(&["status", "--set", &here]).contains("Search servers: Elasticsearch 8.19.21."));
}

#[test]
fn servers_that_are_too_old() {
    let old = |body: &'static str| {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        player(move |_| answer.clone().into_bytes())
    };
    let trained = program(&[]);
    trained.ok(&["app", "new", "shop"]);
    trained.ok(&["import", "--app", "shop", "--input", "events.jsonl"]);
    for (body, words) in [
        (
            r#"{"version":{"number":"5.6.16"}}"#,
            &["Elasticsearch 5.6.16 is too old", "indexUrl to embedded"][..],
        ),
        (r#"{"version":{"distribution":"opensearch","number":"1.3.0"}}"#, &["OpenSearch 1.3.0 is too old"]),
        (r#"{"hello":"world"}"#, &["no Elasticsearch and no OpenSearch"]),
    ] {
        let url = format!("http://u:hunter2@127.0.0.1:{}", old(body));
        trained.write("home/arblast.json", &format!("{{\"indexUrl\": \"{url}\"}}"));
        refuse(&trained, &[TRAIN, STATUS], &Case { setting: "indexUrl", value: url, code: 78, words });
    }
    let url = format!("postgresql://u:hunter2@127.0.0.1:{}/d?sslmode=disable", player(old_postgresql));
    let words = &["PostgreSQL 9.4", "too old", "9.5 or newer"];
    refused_everywhere(&ALL, &Case { setting: "registryUrl", value: url, code: 78, words });
}

/// As much of PostgreSQL 9.4 as shows which version it is.
fn old_postgresql(asked: &[u8]) -> Vec<u8> {
    let message = |kind: u8, body: &[u8]| {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind], &length[..], body].concat()
    };
    let ready = message(b'Z', b"I");
    if asked[0] != b'Q' {
        return [message(b'R', &[0; 4]), ready].concat();
    }
    if !asked.windows(18).any(|part| part == b"server_version_num") {
        return [message(b'C', b"SELECT 0\0"), ready].concat();
    }
    let column =
        [b"server_version_num\0".as_slice(), &[0; 6], &[0, 0, 0, 25, 255, 255, 255, 255, 255, 255, 0, 0]];
    let described = [&[0, 1], column.concat().as_slice()].concat();
    let row = [&[0, 1, 0, 0, 0, 5][..], b"90426"].concat();
    [message(b'T', &described), message(b'D', &row), message(b'C', b"SHOW\0"), ready].concat()
}
