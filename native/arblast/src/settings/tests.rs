use super::*;

struct Case<'a> {
    file: Option<&'a str>,
    env: &'a [(&'a str, &'a str)],
    pio_env: &'a str,
    options: &'a [(&'a str, &'a str)],
}

const NOTHING: Case<'_> = Case { file: None, env: &[], pio_env: "", options: &[] };

fn effective(case: &Case<'_>) -> Result<Effective> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    if let Some(text) = case.file {
        std::fs::write(&path, text).unwrap();
    }
    let env = |name: &str| case.env.iter().find(|(key, _)| *key == name).map(|(_, v)| (*v).to_owned());
    let variables = pio_env::parse(case.pio_env, &env).unwrap();
    Effective::of(&Sources {
        file: (path, None),
        env: &env,
        names: case.env.iter().map(|(name, _)| (*name).to_owned()).collect(),
        pio_env: PioEnv { path: Some("/p/pio-env.sh".into()), variables },
        options: case
            .options
            .iter()
            .map(|(name, v)| ((*name).to_owned(), (*v).to_owned(), "--set"))
            .collect(),
    })
}

fn refused(case: &Case<'_>) -> String {
    effective(case).and_then(|effective| effective.settings()).unwrap_err().to_string()
}

fn source(effective: &Effective, name: &str) -> String {
    effective.values().iter().find(|value| value.name() == name).unwrap().source().to_string()
}

#[test]
fn every_member_is_used_and_valid() {
    let effective = effective(&NOTHING).unwrap();
    effective.settings().unwrap();
    let uses = [include_str!("typed.rs"), include_str!("mod.rs")];
    for value in effective.values() {
        let is_used = uses.iter().any(|text| text.contains(&format!("\"{}\"", value.name())));
        assert!(is_used, "{} has no effect", value.name());
        let json = value.value.clone();
        assert_eq!(value::from_json(value.member, &json, Path::new("")), Ok(json), "{}", value.name());
    }
}

#[test]
fn the_nearest_source_wins() {
    let mut case = Case { pio_env: "ARBLAST_CONNECTIONS_MAX=3\nPORT=80", ..NOTHING };
    let seen = |case: &Case<'_>| {
        let effective = effective(case).unwrap();
        (effective.settings().unwrap().limits.connections_max, source(&effective, "connectionsMax"))
    };
    assert_eq!(seen(&NOTHING), (1000, "default".to_owned()));
    case.file = Some(r#"{"connectionsMax": 2, "queryServerPort": 1}"#);
    assert_eq!(seen(&case).0, 3);
    assert_eq!(seen(&case).1, "$ARBLAST_CONNECTIONS_MAX of /p/pio-env.sh");
    assert_eq!(effective(&case).unwrap().settings().unwrap().query_server.port(), 80);
    case.env = &[("ARBLAST_CONNECTIONS_MAX", "4")];
    assert_eq!(seen(&case), (4, "$ARBLAST_CONNECTIONS_MAX".to_owned()));
    case.options = &[("connectionsMax", "5")];
    assert_eq!(seen(&case), (5, "--set".to_owned()));
    case.env = &[("ARBLAST_QUERY_SERVER_PORT", "81"), ("PORT", "82")];
    let settings = effective(&case).unwrap().settings().unwrap();
    assert_eq!((settings.query_server.port(), settings.event_server.port()), (81, 82));
}

#[test]
fn errors_name_the_member_and_what_would_be_right() {
    let of_file = |text| refused(&Case { file: Some(text), ..NOTHING });
    for (text, words) in [
        ("[]", "must be an object"),
        ("{", "arblast.json"),
        (r#"{"conectionsMax": 1}"#, "conectionsMax is not a setting; did you mean connectionsMax?"),
        (r#"{"x": 1}"#, "x is not a setting; `arblast config` lists all"),
        (r#"{"connectionsMax": 0}"#, "connectionsMax must be a whole number from 1 to 1000000, not 0"),
        (r#"{"connectionsMax": "7"}"#, "not \"7\""),
        (
            r#"{"logLevel": "loud"}"#,
            "must be \"error\", \"warn\", \"info\", \"debug\" or \"trace\", not \"loud\"",
        ),
        (r#"{"queryServerIp": "localhost"}"#, "must be an IP address"),
        (r#"{"tlsKeyFile": "a.pem"}"#, "tlsKeyFile needs tlsCertificateFile"),
        (r#"{"corsOrigins": ["https://a/"]}"#, "\"https://a/\" is no origin"),
        (r#"{"eventsUrl": ["hbase://h"]}"#, "eventsUrl must be a string that is not empty, not an array"),
        (r#"{"indexUrl": ""}"#, "indexUrl must be a string that is not empty, not an empty one"),
        (
            r#"{"metricsKey": 12345}"#,
            "metricsKey must be a string that is not empty, not a number (put it in quotes)",
        ),
    ] {
        assert!(of_file(text).contains(words), "{text}: {}", of_file(text));
    }
    let error = refused(&Case { env: &[("ARBLAST_ACCESS_LOG", "maybe"), ("PORT", "x")], ..NOTHING });
    assert!(error.contains("$ARBLAST_ACCESS_LOG must be true or false"), "{error}");
    assert!(error.contains("$PORT must be a whole number from 0 to 65535"), "{error}");
    let error = refused(&Case { options: &[("port", "1")], ..NOTHING });
    assert!(error.starts_with("--set: port is not a setting"), "{error}");
}

#[test]
fn unknown_variables_are_told() {
    let case = Case { env: &[("ARBLAST_LOG_LEVL", "info"), ("ARBLAST_HOME", "/x")], ..NOTHING };
    let warnings = effective(&case).unwrap().warnings;
    assert_eq!(warnings, ["$ARBLAST_LOG_LEVL is no setting and is ignored; did you mean ARBLAST_LOG_LEVEL?"]);
}

#[test]
fn another_storage_must_be_given_up_expressly() {
    let pio_env = "PIO_STORAGE_REPOSITORIES_EVENTDATA_SOURCE=HBASE\nPIO_STORAGE_SOURCES_HBASE_TYPE=hbase\n";
    let case = Case { pio_env, ..NOTHING };
    assert!(effective(&case).unwrap().elsewhere().unwrap().contains("hbase-site.xml"));
    let given_up = effective(&Case { env: &[("ARBLAST_STORAGE", "embedded")], ..case }).unwrap();
    assert_eq!(given_up.elsewhere(), None);
    assert_eq!(given_up.warnings.len(), 1);
    // Apps at home, events where they were.
    let pio_env = "PIO_STORAGE_REPOSITORIES_METADATA_SOURCE=ES\nPIO_STORAGE_SOURCES_ES_TYPE=elasticsearch\n\
                   PIO_STORAGE_REPOSITORIES_EVENTDATA_SOURCE=HB\nPIO_STORAGE_SOURCES_HB_TYPE=hbase\n\
                   PIO_STORAGE_SOURCES_HB_HOSTS=zk\nPIO_STORAGE_SOURCES_ELASTICSEARCH_HOSTS=old";
    let case = Case { pio_env, ..NOTHING };
    assert!(
        effective(&case).unwrap().elsewhere().unwrap().contains("METADATA is in ES of type elasticsearch")
    );
    let env = &[("ARBLAST_REGISTRY_URL", "embedded"), ("ARBLAST_INDEX_URL", "embedded")];
    let half = effective(&Case { env, ..case }).unwrap();
    assert_eq!(half.elsewhere(), None);
    let places = half.places().unwrap();
    assert!(places.registry.is_none() && places.index.url.is_none());
    assert_eq!(places.events.as_deref(), Some("hbase://zk:2181/hbase?namespace=pio_event"));
}

#[test]
fn paths_of_the_file_start_at_the_file_and_secrets_are_not_shown() {
    let file = r#"{"tlsCertificateFile": "a.pem", "tlsKeyFile": "/k.pem", "metricsKey": "hunter2"}"#;
    let effective = effective(&Case { file: Some(file), ..NOTHING }).unwrap();
    let settings = effective.settings().unwrap();
    let tls = settings.tls.unwrap();
    assert!(tls.certificate.is_absolute() && tls.certificate.ends_with("a.pem"));
    assert_eq!(tls.key, Path::new("/k.pem"));
    assert_eq!(settings.metrics_key.as_deref(), Some("hunter2"));
    let shown: Vec<String> = effective.values().iter().map(|value| value.shown().to_string()).collect();
    assert!(!shown.concat().contains("hunter2"));
}
