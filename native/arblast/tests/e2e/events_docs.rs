//! What docs/event-api.md tells people to type works.

use std::process::Command;

use crate::events_client::{EventServer, buy};
use crate::program::Program;

/// The blocks of commands, one after the other.
fn commands(text: &str) -> String {
    let blocks = text.split("```sh\n").skip(1);
    blocks.filter_map(|block| block.split("```").next()).collect()
}

#[test]
fn the_commands_of_the_reference_work() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/event-api.md");
    let text = std::fs::read_to_string(path).unwrap();
    let program = Program::new();
    let server = EventServer::start(&program, &[]);
    let nameless = buy("u3", "i1").replace("buy", "");
    program.write("events.jsonl", &format!("{}\n{nameless}\n{}\n", buy("u2", "i1"), buy("u4", "i1")));
    let script = format!(
        "set -e\n\
         arblast() {{ [ \"$1\" = eventserver ] || '{}' \"$@\"; }}\n\
         curl() {{ command curl -sS --fail-with-body \"$@\"; echo; }}\n\
         {}",
        env!("CARGO_BIN_EXE_arblast"),
        commands(&text).replace("localhost:7070", &format!("127.0.0.1:{}", server.port))
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(program.path("."))
        .env("ARBLAST_HOME", program.home())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    let summary = text.lines().find(|line| line.starts_with("{\"lines\"")).unwrap();
    assert_eq!(stdout.matches(summary).count(), 2, "{stdout}");
    assert_eq!(server.found("/events.json?accessKey=KEY&limit=-1"), 4, "of five, that of u1 was erased");
}
