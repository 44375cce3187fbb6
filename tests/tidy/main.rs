//! The rules of the house that neither the compiler nor clippy knows. Each check is a function from text to complaints,
//! tested on a small input that breaks the rule; the tests here run the checks on this tree.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod architecture;
mod links;
mod source;
mod tree;

use std::collections::BTreeMap;

use architecture::Architecture;
use source::Source;
use tree::Tree;

/// Lines of code (blank lines and comments not counted) in a function.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines in a file, all counted.
const FILE_LINES_MAX: usize = 800;
/// Longer functions that are there already, as `file: function`, and their lines. A number may shrink, never grow.
const RATCHET: &[(&str, usize)] = &[];

/// Fails with all complaints at once.
fn assert_tidy(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{} to tidy up:\n  {}\n", complaints.len(), complaints.join("\n  "));
}

fn sources(tree: &Tree) -> impl Iterator<Item = (&str, Source)> {
    tree.files(".rs").map(|(path, text)| (path, Source::new(text)))
}

#[test]
fn crates_import_only_what_the_architecture_allows() {
    let tree = Tree::open();
    let architecture = Architecture::parse(tree.text("ARCHITECTURE.md"));
    assert_tidy(&architecture.check_imports(&tree.imports()));
}

#[test]
fn every_crate_stands_in_the_architecture() {
    let tree = Tree::open();
    let crates: Vec<String> = tree.imports().into_keys().collect();
    assert_tidy(&Architecture::parse(tree.text("ARCHITECTURE.md")).check_complete(&crates));
}

#[test]
fn functions_and_files_are_short() {
    let tree = Tree::open();
    let mut complaints = Vec::new();
    let mut allowed: BTreeMap<String, usize> =
        RATCHET.iter().map(|(name, lines)| ((*name).to_owned(), *lines)).collect();
    for (path, source) in sources(&tree) {
        complaints.extend(source::check_length(path, &source, &mut allowed));
    }
    complaints.extend(allowed.keys().map(|name| format!("{name} is short now; take it out of RATCHET")));
    assert_tidy(&complaints);
}

#[test]
fn unsafe_stays_where_the_architecture_allows_it() {
    let tree = Tree::open();
    let architecture = Architecture::parse(tree.text("ARCHITECTURE.md"));
    let unsafes: Vec<&str> =
        sources(&tree).filter(|(_, source)| source.has_word("unsafe")).map(|(path, _)| path).collect();
    assert_tidy(&architecture.check_unsafe(&unsafes));
}

#[test]
fn nothing_unfinished_and_no_clock_below_the_program() {
    let tree = Tree::open();
    let mut complaints = Vec::new();
    for (path, text) in tree.all() {
        complaints.extend(source::check_marks(path, text));
    }
    for (path, source) in sources(&tree) {
        complaints.extend(source::check_calls(path, &source));
    }
    assert_tidy(&complaints);
}

#[test]
fn links_in_documents_lead_somewhere() {
    let tree = Tree::open();
    let documents = links::of_documents(&tree);
    assert_tidy(&links::check_targets(&documents, |path| tree.exists(path)));
}

#[test]
fn every_document_can_be_reached() {
    let tree = Tree::open();
    assert_tidy(&links::check_reached(&links::of_documents(&tree)));
}
