//! Holds `docs/configuration.md` to the table. `ARBLAST_BLESS=1 cargo test -p arblast docs` writes its tables anew.

use std::fmt::Write;

use super::table::{Kind, SECTIONS};
use super::{Effective, PioEnv, Sources};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
const OPEN: &str = "<!-- settings -->\n";
const CLOSE: &str = "<!-- end -->";

fn rendered() -> String {
    let mut text = String::new();
    for section in SECTIONS {
        write!(text, "\n### {}\n\n| Member | Type | Default | Meaning |\n|---|---|---|---|\n", section.title)
            .unwrap();
        for member in section.members {
            let default =
                if member.default == "null" { "–".to_owned() } else { format!("`{}`", member.default) };
            let alias = member.alias.map_or_else(String::new, |alias| format!(" Also `${alias}`."));
            let kind = match member.kind {
                Kind::Whole(min, max) => format!("{min} to {max}"),
                Kind::Ip => "IP address".to_owned(),
                Kind::Path => "path".to_owned(),
                Kind::Text | Kind::Secret => "string".to_owned(),
                Kind::Flag => "boolean".to_owned(),
                other => other.to_string().replace("an array", "array"),
            };
            writeln!(text, "| `{}` | {kind} | {default} | {}{alias} |", member.name, member.meaning).unwrap();
        }
    }
    text.push('\n');
    text
}

#[test]
fn the_example_is_valid() {
    let text = std::fs::read_to_string(PATH).unwrap();
    let example = text.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("arblast.json");
    std::fs::write(&path, example).unwrap();
    let sources = Sources {
        file: (path, Some("--config")),
        env: &|_| None,
        names: Vec::new(),
        pio_env: PioEnv::default(),
        options: Vec::new(),
    };
    let settings = Effective::of(&sources).unwrap().settings().unwrap();
    assert_eq!(settings.limits.connections_max, 2000);
}

#[test]
fn the_reference_in_docs_is_the_table() {
    let found = std::fs::read_to_string(PATH).unwrap();
    let start = found.find(OPEN).unwrap() + OPEN.len();
    let end = start + found[start..].find(CLOSE).unwrap();
    let right = format!("{}{}{}", &found[..start], rendered(), &found[end..]);
    if std::env::var_os("ARBLAST_BLESS").is_some() {
        std::fs::write(PATH, right).unwrap();
        return;
    }
    assert!(found == right, "{PATH} is out of date: set ARBLAST_BLESS=1 and run the test again");
}
