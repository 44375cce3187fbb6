//! What `docs/webhooks.md` shows, as it shows it.

use std::path::Path;

use events::{Json, json};

use crate::program::Program;

/// A block of code: what stands after its fence's language, and its text.
fn blocks(text: &str) -> Vec<(String, String)> {
    let parts = text.split("```").skip(1).step_by(2);
    let blocks = parts.filter_map(|part| part.split_once('\n'));
    blocks.map(|(head, body)| (head.to_owned(), body.to_owned())).collect()
}

/// The line without the time of its creation.
fn without_creation_time(line: &str) -> String {
    let Json::Object(event) = json::parse(line.as_bytes()).unwrap() else { panic!("{line}") };
    let kept = event.into_iter().filter(|(name, _)| name != "creationTime");
    Json::Object(kept.collect()).to_string()
}

#[test]
fn the_examples_of_the_documentation_are_true() {
    let program = Program::new();
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/webhooks.md");
    let (mut connector, mut shown) = (String::new(), 0);
    for (head, body) in blocks(&std::fs::read_to_string(document).unwrap()) {
        match head.split_once(' ') {
            Some(("json", "mapping")) => drop(program.write("webhooks.json", &body)),
            Some(("json", "events")) => {
                let check = ["webhook", "check", "webhooks.json", "--payload", "payload", "--name"];
                let made = program.ok(&[&check[..], &[&connector]].concat());
                let made: Vec<String> = made.lines().map(without_creation_time).collect();
                assert_eq!(made, body.lines().collect::<Vec<_>>());
                shown += 1;
            }
            Some(("json", payload)) => {
                connector = payload.strip_prefix("payload ").unwrap().to_owned();
                program.write("payload", &body);
            }
            _ => assert_eq!(head, "sh"),
        }
    }
    assert_eq!(shown, 4);
}

#[test]
fn checks_of_webhooks_say_what_is_wrong() {
    let program = Program::new();
    assert_eq!(program.ok(&["webhook", "check"]), "/webhooks/segmentio.json\n/webhooks/mailchimp.form\n");
    program.write("webhooks.json", r#"{"connectors": {"shop.json": {"rules": [{}]}}}"#);
    let error = program.refused(1, &["webhook", "check", "webhooks.json"]);
    assert_eq!(error, "webhooks.json: connectors[\"shop.json\"].rules[0]: \"event\" is missing");
    assert!(
        program
            .refused(1, &["webhook", "check", "none.json"])
            .starts_with("cannot read none.json, which the argument MAPPING names")
    );
    program.write("payload", "type=cleaned");
    let check =
        |name: &str| program.refused(1, &["webhook", "check", "--payload", "payload", "--name", name]);
    assert_eq!(check("mailchimp.form"), "key not found: data[list_id]");
    assert_eq!(check("shop.json"), "webhooks connection for shop is not supported.");
    assert!(check("mailchimp").starts_with("--name must be NAME.json or NAME.form"));
    let reserved = r#"{"connectors": {"a.json": {"rules": [{"event": "$buy", "entityType": "user", "entityId": "u"}]}}}"#;
    program.write("webhooks.json", reserved);
    program.write("payload", "{}");
    let error = program
        .refused(1, &["webhook", "check", "webhooks.json", "--payload", "payload", "--name", "a.json"]);
    assert!(error.starts_with("$buy is not a supported reserved event name. The event is {"), "{error}");
}
