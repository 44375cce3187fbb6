//! Settings: file, environment, options, and `pio-env.sh`.

use crate::operation::{Deployed, trained};
use crate::program::{Outcome, Program, at, text};

use events::{Json, json};

/// Runs with these variables besides.
fn run(program: &Program, args: &[&str], env: &[(&str, &str)]) -> Outcome {
    let output = program.command(args).envs(env.iter().copied()).output().unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn config(program: &Program, args: &[&str], env: &[(&str, &str)]) -> Json {
    let outcome = run(program, &[&["config", "--json"], args].concat(), env);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    json::parse(outcome.stdout.as_bytes()).unwrap()
}

#[test]
fn a_file_that_is_not_there_is_told_with_what_named_it() {
    let program = Program::new();
    program.sample_shop();
    program.ok(&["train"]);
    program.write("queries.txt", "{}");
    let absent = "nothere.json";
    let set = format!("webhooksFile={absent}");
    let nowhere = "no/such/directory";
    let cases: [(&[&str], &str, &str); 11] = [
        (&["config", "--config", absent], absent, "--config"),
        (&["eventserver", "--port", "0", "--set", &set], absent, "webhooksFile"),
        (&["webhook", "check", absent], absent, "MAPPING"),
        (&["webhook", "check", "--name", "segmentio.json", "--payload", absent], absent, "--payload"),
        (&["train", "--variant", absent], absent, "--variant"),
        (&["check", absent], absent, "FILE"),
        (&["import", "--app", "shop", "--input", absent], absent, "--input"),
        (&["batchpredict", "--input", absent, "--output", "-"], absent, "--input"),
        (&["batchpredict", "--input", "queries.txt", "--output", nowhere], nowhere, "--output"),
        (&["itemsimilarity", "--indicator", "buy=nothere.json", "--output", "o"], absent, "--indicator"),
        (&["undeploy", "--certificate", absent], absent, "--certificate"),
    ];
    for (arguments, file, by) in cases {
        let error = program.refused(1, arguments);
        assert!(error.contains(file) && error.contains(by), "{arguments:?}: {error}");
    }
    let mut command = program.command(&["config"]);
    let outcome = command.env("ARBLAST_CONFIG", absent).output().unwrap();
    let error = String::from_utf8(outcome.stderr).unwrap();
    assert!(error.starts_with("error: cannot read nothere.json, which $ARBLAST_CONFIG names: "), "{error}");
}

#[test]
fn options_are_stronger_than_the_environment_and_that_than_the_file() {
    let program = Program::new();
    std::fs::create_dir(program.home()).unwrap();
    let seen = |args: &[&str], env: &[(&str, &str)]| {
        let config = config(&program, args, env);
        (at(&config, "queriesMax.value").as_i64().unwrap(), text(&config, "queriesMax.from").to_owned())
    };
    let variable = [("ARBLAST_QUERIES_MAX", "3")];
    assert_eq!(seen(&[], &[]), (1024, "default".to_owned()));
    let file = program.write("home/arblast.json", r#"{"queriesMax": 2}"#);
    assert_eq!(seen(&[], &[]), (2, file.display().to_string()));
    assert_eq!(seen(&[], &variable), (3, "$ARBLAST_QUERIES_MAX".to_owned()));
    assert_eq!(seen(&["--set", "queriesMax=4"], &variable), (4, "--set".to_owned()));
    let other = program.write("other.json", r#"{"queriesMax": 5}"#);
    assert_eq!(seen(&["--config", "other.json"], &[]).0, 5);
    assert_eq!(seen(&[], &[("ARBLAST_CONFIG", other.to_str().unwrap())]).0, 5);
    assert!(program.refused(1, &["config", "--config", "none.json"]).contains("none.json"));
    assert!(program.refused(1, &["config", "--set", "queriesMax"]).contains("NAME=VALUE"));
    program.write("home/arblast.json", r#"{"querysMax": 2}"#);
    let error = program.refused(1, &["config"]);
    assert!(error.ends_with("arblast.json: querysMax is not a setting; did you mean queriesMax?"), "{error}");
}

#[test]
fn secrets_are_not_shown() {
    let program = Program::new();
    for args in [&["config"][..], &["config", "--json"]] {
        let outcome = run(&program, args, &[("ARBLAST_METRICS_KEY", "hunter2")]);
        assert!(outcome.stdout.contains("***"), "{outcome:?}");
        assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:?}");
    }
    let outcome = run(&program, &["config"], &[("ARBLAST_TLS_KEY_FILE", "/k.pem")]);
    assert!(outcome.stderr.contains("tlsKeyFile needs tlsCertificateFile"), "{outcome:?}");
}

#[test]
fn the_deployed_server_obeys_its_settings() {
    let program = trained();
    program.write(
        "home/arblast.json",
        r#"{"queryServerPort": 0, "queryServerIp": "127.0.0.2", "corsOrigins": ["*"]}"#,
    );
    let server = Deployed::start(&program, &[], &[("ARBLAST_QUERY_BYTES_MAX", "30")]);
    // --ip of the helper is stronger than the file.
    assert!(server.url.starts_with("http://127.0.0.1:"), "{}", server.url);
    let long = crate::program::http(server.port, "POST", "/queries.json", &" ".repeat(31)).unwrap();
    assert!(long.0 >= 400 && long.1.contains("30 bytes"), "{long:?}");
    assert_eq!(crate::program::http(server.port, "POST", "/queries.json", &" ".repeat(30)).unwrap().0, 200);
}

#[test]
fn pio_env_is_read_and_never_executed() {
    let program = Program::new();
    let conf = program.path("pio/conf");
    std::fs::create_dir_all(&conf).unwrap();
    let pio_home = program.path("pio");
    let env = [("PIO_HOME", pio_home.to_str().unwrap()), ("ARBLAST_HOME", "")];
    program.write(
        "pio/conf/pio-env.sh",
        "#!/usr/bin/env bash\n# as shipped\nSPARK_HOME=$PIO_HOME/vendors/spark\nPIO_FS_BASEDIR=$PIO_HOME/store\n\
         export ARBLAST_QUERIES_MAX=\"7\" # ours\n",
    );
    let config = config(&program, &[], &env);
    assert_eq!(at(&config, "queriesMax.value").as_i64(), Some(7));
    assert!(text(&config, "queriesMax.from").ends_with("conf/pio-env.sh"));
    let outcome = run(&program, &["app", "new", "shop"], &env);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(pio_home.join("store/arblast/store").is_dir(), "data is below PIO_FS_BASEDIR");
    for line in
        ["touch executed", "A=$(touch executed)", "A=`touch executed`", "A=1; touch executed", "A=${B:-x}"]
    {
        program.write("pio/conf/pio-env.sh", &format!("OK=1\n\n{line}\n"));
        let outcome = run(&program, &["config"], &env);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains("pio-env.sh line 3: "), "{outcome:?}");
    }
    assert!(!program.path("executed").exists());
}

#[test]
fn a_server_does_not_start_where_its_data_is_said_to_be_elsewhere() {
    let program = trained();
    let env = [
        ("PIO_STORAGE_REPOSITORIES_EVENTDATA_SOURCE", "ORA"),
        ("PIO_STORAGE_SOURCES_ORA_TYPE", "jdbc"),
        ("PIO_STORAGE_SOURCES_ORA_URL", "jdbc:oracle://pio:hunter2@db/pio"),
        ("PIO_STORAGE_SOURCES_ORA_PASSWORD", "hunter2"),
    ];
    let outcome = run(&program, &["deploy", "--port", "0"], &env);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.stderr.contains("EVENTDATA is in ORA of type jdbc at jdbc:oracle://db/pio"),
        "{outcome:?}"
    );
    assert!(outcome.stderr.contains("ARBLAST_STORAGE=embedded"), "{outcome:?}");
    assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:?}");
    let decided = [&env[..], &[("ARBLAST_STORAGE", "embedded")]].concat();
    Deployed::start(&program, &[], &decided);
}
