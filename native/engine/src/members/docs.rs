//! Holds the reference in `docs/` to the tables: its tables of members are generated, its examples are executed.
//! `ARBLAST_BLESS=1 cargo test -p engine docs` writes the generated parts anew.

use std::fmt::Write;
use std::path::PathBuf;

use super::{Kind, Table, quoted};

/// A file of the reference.
pub(crate) struct Reference {
    path: PathBuf,
    text: String,
}

impl Reference {
    /// Reads `docs/<name>`.
    pub fn open(name: &str) -> Self {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")).join(name);
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, text }
    }

    /// Each table stands in the text once, between its two marks, as generated from the data; and no other.
    pub fn require_tables(&self, tables: &[&Table]) {
        let mut text = self.text.clone();
        for table in tables {
            let (open, close) = (format!("<!-- members of {} -->\n", table.title), "<!-- end -->");
            let start = text.find(&open).unwrap_or_else(|| panic!("{}: no mark {open}", self.path.display()));
            let length = text[start..].find(close).unwrap_or_else(|| panic!("{open} has no {close}"));
            text.replace_range(start..start + length, &format!("{open}{}", render(table)));
        }
        assert_eq!(text.matches("<!-- members of ").count(), tables.len(), "a table for each kind of object");
        if std::env::var_os("ARBLAST_BLESS").is_some() {
            std::fs::write(&self.path, &text).unwrap();
            return;
        }
        let differs = text.lines().zip(self.text.lines()).find(|(right, found)| right != found);
        assert!(
            text == self.text,
            "{} is out of date: set ARBLAST_BLESS=1 and run the test again. First difference: {differs:?}",
            self.path.display()
        );
    }

    /// The texts of the examples in fences that open with "```json".
    pub fn examples(&self) -> Vec<&str> {
        let fences = self.text.split("\n```json\n").skip(1);
        fences.map(|rest| rest.split("\n```").next().unwrap_or_default()).collect()
    }
}

fn render(table: &Table) -> String {
    let mut text = "| Member | Type | Default | Meaning |\n|---|---|---|---|\n".to_owned();
    for member in table.members {
        let names: Vec<String> =
            std::iter::once(&member.name).chain(member.aliases).map(|name| format!("`{name}`")).collect();
        let meaning = member.meaning.replace('|', "\\|");
        let cells = [names.join(" or "), type_of(&member.kind), member.default.to_owned(), meaning];
        writeln!(text, "| {} |", cells.join(" | ")).unwrap();
    }
    text.replace("|  |", "| |").replace("|  |", "| |")
}

fn type_of(kind: &Kind) -> String {
    match kind {
        Kind::Text => "string".to_owned(),
        Kind::Choice(choices) => quoted(choices),
        Kind::Flag => "boolean".to_owned(),
        Kind::Date => "date".to_owned(),
        Kind::Bound => "number or date".to_owned(),
        Kind::Duration => "duration".to_owned(),
        Kind::Object(table) => link(table),
        Kind::ObjectOrFalse(table) => format!("{} or false", link(table)),
        Kind::Objects(table) => format!("array of {}", link(table)),
        other => {
            let words = other.to_string();
            words.strip_prefix("a ").or(words.strip_prefix("an ")).unwrap_or(&words).to_owned()
        }
    }
}

/// To the heading with the title of the table; anchors are made as on GitHub.
fn link(table: &Table) -> String {
    let is_kept = |c: &char| c.is_alphanumeric() || *c == '-';
    let anchor: String = table.title.replace(' ', "-").to_lowercase().chars().filter(is_kept).collect();
    format!("[object](#{anchor})")
}
