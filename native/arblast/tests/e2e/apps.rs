//! Apps, channels, access keys, and commands that need nothing else.

use crate::program::{Program, at, number, text};

#[test]
fn app_new_prints_what_scripts_look_for() {
    let program = Program::new();
    let out = program.ok(&["app", "new", "my shop", "--access-key", "secret", "--description", "d"]);
    let expected = "\
[INFO] [App$] Initialized Event Store for this app ID: 1.
[INFO] [Pio$] Created a new app:
[INFO] [Pio$]       Name: my shop
[INFO] [Pio$]         ID: 1
[INFO] [Pio$] Access Key: secret
";
    assert_eq!(out, expected);
    let show = program.ok(&["app", "show", "my shop"]);
    let expected = "\
[INFO] [Pio$]     App Name: my shop
[INFO] [Pio$]       App ID: 1
[INFO] [Pio$]  Description: d
[INFO] [Pio$]   Access Key: secret | (all)
";
    assert_eq!(show, expected);
}

#[test]
fn app_list_has_a_line_per_key() {
    let program = Program::new();
    program.ok(&["app", "new", "a", "--access-key", "k1"]);
    program.ok(&["app", "new", "b", "--access-key", "k2", "--id", "7"]);
    program.ok(&["accesskey", "new", "b", "view", "buy", "--key", "k3"]);
    let out = program.ok(&["app", "list"]);
    let lines: Vec<&str> = out.lines().map(|line| line.strip_prefix("[INFO] [Pio$] ").unwrap()).collect();
    assert_eq!(lines[0], format!("{:>20} |   ID | {:>64} | Allowed Event(s)", "Name", "Access Key"));
    assert_eq!(lines[1], format!("{:>20} |    1 | {:>64} | (all)", "a", "k1"));
    assert_eq!(lines[2], format!("{:>20} |    7 | {:>64} | (all)", "b", "k2"));
    assert_eq!(lines[3], format!("{:>20} |    7 | {:>64} | buy,view", "b", "k3"));
    assert_eq!(lines[4..], ["Finished listing 2 app(s)."]);
    let json = program.json(&["app", "list"]);
    assert_eq!(text(&json, "1.name"), "b");
    assert_eq!(text(&json, "1.accessKeys.1.events.0"), "view");
    // The explicit id advanced the sequence.
    assert_eq!(number(&program.json(&["app", "new", "c"]), "id"), 8);
}

#[test]
fn app_refusals() {
    let program = Program::new();
    program.ok(&["app", "new", "a", "--access-key", "k"]);
    let refused = |args: &[&str]| program.refused(1, args);
    assert_eq!(refused(&["app", "new", "a"]), "App a already exists. Aborting.");
    assert_eq!(
        refused(&["app", "new", "b", "--id", "1"]),
        "App ID 1 already exists and maps to the app 'a'. Aborting."
    );
    assert_eq!(refused(&["app", "new", "b", "--access-key", "k"]), "Access key k already exists. Aborting.");
    assert_eq!(refused(&["app", "show", "b"]), "App b does not exist. Aborting.");
    assert_eq!(refused(&["app", "delete", "b", "-f"]), "App b does not exist. Aborting.");
    assert_eq!(refused(&["app", "data-delete", "a", "--channel", "x", "-f"]), "Channel x doesn't exist.");
    assert!(refused(&["app", "new", ""]).contains("must not be empty"));
    assert!(refused(&["app", "new", "b", "--access-key", &"x".repeat(65)]).contains("64"));
    assert_eq!(program.json(&["app", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn channels() {
    let program = Program::new();
    program.ok(&["app", "new", "a"]);
    let out = program.ok(&["app", "channel-new", "a", "mobile"]);
    assert!(out.contains("Initialized Event Store for the channel: mobile."), "{out}");
    let show = program.ok(&["app", "show", "a"]);
    assert!(show.contains("    Channels:     Channel Name | Channel ID"), "{show}");
    assert!(show.contains(&format!("{:>16} | {:>10}", "mobile", 1)), "{show}");
    assert_eq!(
        program.refused(1, &["app", "channel-new", "a", "mobile"]),
        "Channel mobile already exists. Unable to create new channel."
    );
    assert_eq!(
        program.refused(1, &["app", "channel-new", "a", "my channel"]),
        "The channel name my channel is invalid. Only alphanumeric and - characters are allowed and max length is 16."
    );
    program.ok(&["app", "channel-delete", "a", "mobile", "-f"]);
    assert_eq!(
        program.refused(1, &["app", "channel-delete", "a", "mobile", "-f"]),
        "Channel mobile doesn't exist."
    );
}

#[test]
fn deletions_ask_first() {
    let program = Program::new();
    program.ok(&["app", "new", "a"]);
    let asked = program.run_with_input(&["app", "delete", "a"], "yes\n");
    assert_eq!(asked.code, Some(0));
    assert!(asked.stdout.contains("Enter 'YES' to proceed: "), "{asked:?}");
    assert!(asked.stdout.ends_with("Aborted.\n"), "{asked:?}");
    program.ok(&["app", "show", "a"]);
    let asked = program.run_with_input(&["app", "delete", "a"], "YES\n");
    assert!(asked.code == Some(0) && asked.stdout.ends_with("Done.\n"), "{asked:?}");
    program.refused(1, &["app", "show", "a"]);
}

#[test]
fn deleted_data_is_gone_and_the_app_goes_on() {
    let program = Program::new();
    program.ok(&["app", "new", "a"]);
    program.ok(&["app", "channel-new", "a", "m"]);
    let line = r#"{"event":"view","entityType":"user","entityId":"u","targetEntityType":"item","targetEntityId":"i"}"#;
    program.write("one.jsonl", line);
    let import = ["import", "--app", "a", "--input", "one.jsonl"];
    let count = |channel: &[&str]| {
        let args = [&["export", "--app", "a", "--output", "-"], channel].concat();
        program.ok(&args).lines().count()
    };
    let channel = ["--channel", "m"];
    program.ok(&import);
    program.ok(&[&import[..], &channel].concat());
    program.ok(&["app", "data-delete", "a", "-f"]);
    assert_eq!((count(&[]), count(&channel)), (0, 1));
    program.ok(&import);
    program.ok(&["app", "data-delete", "a", "-f", "--channel", "m"]);
    assert_eq!((count(&[]), count(&channel)), (1, 0));
    program.ok(&["app", "data-delete", "a", "-f", "--all"]);
    assert_eq!((count(&[]), count(&channel)), (0, 0));
}

#[test]
fn access_keys() {
    let program = Program::new();
    program.ok(&["app", "new", "a", "--access-key", "k1"]);
    let json = program.json(&["accesskey", "new", "a", "view"]);
    let key = text(&json, "accessKey").to_owned();
    assert_eq!(key.len(), 64);
    let out = program.ok(&["accesskey", "list", "a"]);
    assert!(
        out.starts_with(&format!("[INFO] [Pio$] {:>64} | App ID | Allowed Event(s)\n", "Access Key(s)")),
        "{out}"
    );
    assert!(out.contains(&format!("{key} |      1 | view\n")), "{out}");
    assert!(out.ends_with("Finished listing 2 access key(s).\n"), "{out}");
    let out = program.ok(&["accesskey", "new", "a", "--key", "mine"]);
    assert_eq!(out, "[INFO] [AccessKey$] Created new access key: mine\n");
    program.refused(1, &["accesskey", "new", "a", "--key", "mine"]);
    program.refused(1, &["accesskey", "new", "b"]);
    program.refused(1, &["accesskey", "list", "b"]);
    program.ok(&["accesskey", "delete", "mine"]);
    program.refused(1, &["accesskey", "delete", "mine"]);
    assert_eq!(program.json(&["accesskey", "list"]).as_array().unwrap().len(), 2);
}

#[test]
fn status_ends_as_scripts_expect() {
    let program = Program::new();
    let out = program.ok(&["status"]);
    assert!(out.ends_with("Your system is all ready to go.\n"), "{out}");
    assert_eq!(text(&program.json(&["status"]), "status"), "ready");
    // The probe leaves nothing behind.
    assert_eq!(program.json(&["app", "list"]).as_array().unwrap().len(), 0);
}

#[test]
fn a_home_that_cannot_be_is_told() {
    let program = Program::new();
    program.write("file", "");
    let error = program.refused(75, &["status", "--home", "file/home"]);
    assert!(error.contains("file/home"), "{error}");
}

#[test]
fn version_help_and_wrong_arguments() {
    let program = Program::new();
    assert!(program.ok(&["version"]).starts_with("arblast 0."));
    assert!(at(&program.json(&["version"]), "build").as_str().is_some());
    let help = program.ok(&["help"]);
    let commands = [
        "app",
        "accesskey",
        "import",
        "export",
        "eventserver",
        "sample",
        "status",
        "build",
        "check",
        "train",
        "deploy",
        "undeploy",
        "query",
        "batchpredict",
        "models",
        "rollback",
        "doctor",
        "eval",
        "itemsimilarity",
        "version",
    ];
    for command in commands {
        assert!(help.contains(&format!("  {command} ")), "{command}: {help}");
        let own = program.ok(&[command, "--help"]);
        assert!(own.contains("Example") || command == "version", "{command}: {own}");
    }
    for wrong in [&["nonsense"][..], &[], &["app"], &["import"], &["train", "--nonsense"]] {
        let outcome = program.run(wrong);
        assert_eq!(outcome.code, Some(1), "{wrong:?}");
        assert!(outcome.stderr.contains("help"), "{wrong:?}: {outcome:?}");
    }
}

#[test]
fn what_is_not_needed_is_refused_by_name() {
    let program = Program::new();
    let refused = [
        (&["eval", "org.example.Evaluation", "--batch", "x"][..], "Scala"),
        (&["template", "get", "a/b", "dir"], "arblast sample"),
        (&["run", "org.example.Main"], "itemsimilarity"),
        (&["upgrade", "0.8.2"], "No longer supported"),
        (&["unregister"], "arblast models"),
    ];
    for (args, replacement) in refused {
        let error = program.refused(1, args);
        assert!(error.contains(replacement), "{args:?}: {error}");
    }
}

#[test]
fn what_needs_the_other_program_says_so_without_it() {
    let program = Program::new();
    let alone = program.path("arblast");
    std::fs::copy(env!("CARGO_BIN_EXE_arblast"), &alone).unwrap();
    let output = std::process::Command::new(&alone).args(["flight", "serve"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("arblast-flight must stand in the same directory"), "{error}");
}

#[test]
fn the_program_also_answers_as_pio() {
    let program = Program::new();
    let pio = program.path("pio");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_arblast"), &pio).unwrap();
    let output = std::process::Command::new(pio)
        .args(["status", "--verbose", "--spark-home", "/opt/spark", "--", "--master", "spark://h:7077"])
        .env("ARBLAST_HOME", program.home())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}");
    assert!(stdout.contains("--spark-home") && stdout.contains("--master spark://h:7077"), "{stdout}");
    assert!(stdout.ends_with("Your system is all ready to go.\n"), "{stdout}");
}
