//! What ARCHITECTURE.md promises: the table of imports and the files where `unsafe` is allowed.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::Imports;

/// The two parts of ARCHITECTURE.md that are checked, each between `<!-- name -->` and `<!-- /name -->`.
pub(crate) struct Architecture {
    /// Crate → crates that it may import; `None` = every crate.
    may_import: BTreeMap<String, Option<BTreeSet<String>>>,
    unsafe_files: BTreeSet<String>,
}

impl Architecture {
    /// Reads `dependencies`, a table whose first columns are the crate and what it may import (names in backquotes, `–` for
    /// none, `everything`), and `unsafe`, a list with the file in backquotes first.
    pub(crate) fn parse(text: &str) -> Self {
        let mut may_import = BTreeMap::new();
        for line in between(text, "dependencies").lines().filter(|line| line.starts_with("| `")) {
            let mut cells = line.trim_matches('|').split('|');
            let crates = quoted(cells.next().unwrap_or_default());
            let imports = cells.next().unwrap_or_default();
            let allowed = (imports.trim() != "everything").then(|| quoted(imports).into_iter().collect());
            may_import.extend(crates.into_iter().map(|name| (name, allowed.clone())));
        }
        let listed = between(text, "unsafe").lines().filter(|line| line.starts_with("- `"));
        let unsafe_files = listed.filter_map(|line| quoted(line).into_iter().next()).collect();
        Self { may_import, unsafe_files }
    }

    pub(crate) fn check_imports(&self, imports: &Imports) -> Vec<String> {
        let mut complaints = Vec::new();
        for (importer, imported) in imports {
            if let Some(Some(allowed)) = self.may_import.get(importer) {
                let refused = imported.difference(allowed);
                complaints.extend(
                    refused.map(|name| format!("{importer} imports {name}: ARCHITECTURE.md forbids it")),
                );
            }
        }
        complaints
    }

    /// Every crate has a line in the table, and every line a crate.
    pub(crate) fn check_complete(&self, crates: &[String]) -> Vec<String> {
        let missing = crates.iter().filter(|name| !self.may_import.contains_key(*name));
        let missing = missing.map(|name| format!("{name} has no line in the table of ARCHITECTURE.md"));
        let stale = self.may_import.keys().filter(|name| !crates.contains(name));
        missing
            .chain(stale.map(|name| format!("{name} of the table in ARCHITECTURE.md is no crate")))
            .collect()
    }

    /// `files` are those that use the word; both ways, so that the list stays short.
    pub(crate) fn check_unsafe(&self, files: &[&str]) -> Vec<String> {
        let unlisted = files.iter().filter(|path| !self.unsafe_files.contains(**path));
        let unlisted =
            unlisted.map(|path| format!("{path} has unsafe code: not in the list of ARCHITECTURE.md"));
        let stale = self.unsafe_files.iter().filter(|path| !files.contains(&path.as_str()));
        unlisted.chain(stale.map(|path| format!("{path} is listed for unsafe code and has none"))).collect()
    }
}

fn between<'t>(text: &'t str, name: &str) -> &'t str {
    let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let part = text.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end));
    part.unwrap_or_else(|| panic!("ARCHITECTURE.md lacks {begin} … {end}")).0
}

/// What stands between backquotes.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::{Architecture, Imports};

    const TEXT: &str = "\n<!-- dependencies -->\n| crate | may import | never knows |\n|---|---|---|\n\
        | `cco` | – | time |\n| `model` | `cco` | events |\n| `tests` | everything | – |\n<!-- /dependencies -->\n\
        <!-- unsafe -->\n- `a.rs`: maps `files`\n<!-- /unsafe -->\n";

    fn imports(list: &[(&str, &[&str])]) -> Imports {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        list.iter().map(|(importer, imported)| ((*importer).to_owned(), owned(imported))).collect()
    }

    #[test]
    fn sees_a_forbidden_import() {
        let architecture = Architecture::parse(TEXT);
        let good = imports(&[("cco", &[]), ("model", &["cco"]), ("tests", &["cco", "model"])]);
        assert_eq!(architecture.check_imports(&good), Vec::<String>::new());
        let bad = architecture.check_imports(&imports(&[("cco", &["model"]), ("model", &["cco"])]));
        assert_eq!(bad, ["cco imports model: ARCHITECTURE.md forbids it"]);
    }

    #[test]
    fn sees_a_crate_without_a_line_and_a_line_without_a_crate() {
        let complaints =
            Architecture::parse(TEXT).check_complete(&["cco", "engine", "tests"].map(str::to_owned));
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert!(complaints[0].starts_with("engine ") && complaints[1].starts_with("model "));
    }

    #[test]
    fn sees_unsafe_in_a_new_place() {
        let architecture = Architecture::parse(TEXT);
        assert_eq!(architecture.check_unsafe(&["a.rs"]), Vec::<String>::new());
        let complaints = architecture.check_unsafe(&["b.rs"]);
        assert!(complaints[0].starts_with("b.rs ") && complaints[1].starts_with("a.rs "), "{complaints:?}");
    }

    #[test]
    #[should_panic(expected = "lacks <!-- dependencies -->")]
    fn sees_a_missing_table() {
        Architecture::parse("nothing");
    }
}
