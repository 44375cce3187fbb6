//! Links between documents.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::Tree;

/// Document → files and folders of the project that it links to.
pub(crate) type Documents = BTreeMap<String, BTreeSet<String>>;

pub(crate) fn of_documents(tree: &Tree) -> Documents {
    tree.files(".md").map(|(path, text)| (path.to_owned(), links(path, text))).collect()
}

/// Targets of `[text](target)` outside code, as paths from the root; links into the net and within the document are left out.
fn links(path: &str, text: &str) -> BTreeSet<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let prose: String = text.split("```").step_by(2).flat_map(|part| part.split('`').step_by(2)).collect();
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let targets = targets.filter(|target| !target.contains(':') && !target.starts_with('#'));
    targets.map(|target| resolve(folder, target.split('#').next().unwrap_or(target))).collect()
}

fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            _ => parts.push(part),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join("/")
}

pub(crate) fn check_targets(documents: &Documents, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let links = documents.iter().flat_map(|(path, links)| links.iter().map(move |link| (path, link)));
    let broken = links.filter(|(_, link)| !exists(link));
    broken.map(|(path, link)| format!("{path} links to {link}, which does not exist")).collect()
}

/// Every document under `docs/` is linked, itself or its folder, from another document.
pub(crate) fn check_reached(documents: &Documents) -> Vec<String> {
    let reached = |document: &str| {
        let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
        documents
            .iter()
            .any(|(path, links)| path != document && (links.contains(document) || links.contains(folder)))
    };
    let lost = documents.keys().filter(|path| path.starts_with("docs/") && !reached(path));
    lost.map(|path| format!("{path} is linked from no document")).collect()
}

#[cfg(test)]
mod tests {
    use super::{BTreeSet, Documents, check_reached, check_targets, links};

    fn documents(list: &[(&str, &str)]) -> Documents {
        list.iter().map(|(path, text)| ((*path).to_owned(), links(path, text))).collect()
    }

    #[test]
    fn finds_links_and_only_those() {
        let text =
            "[a](b.md#x) [net](https://x.y) [here](#z) `[c](d.md)` \n```\n[e](f.md)\n```\n![g](../h.svg)";
        assert_eq!(links("docs/i.md", text), BTreeSet::from(["docs/b.md", "h.svg"].map(str::to_owned)));
    }

    #[test]
    fn sees_a_broken_link() {
        let documents = documents(&[("README.md", "[a](docs/a.md) [b](docs/b.md)")]);
        assert_eq!(
            check_targets(&documents, |path| path == "docs/a.md"),
            ["README.md links to docs/b.md, which does not exist"]
        );
    }

    #[test]
    fn sees_a_document_that_nothing_links_to() {
        let documents = documents(&[
            ("README.md", "[a](docs/a.md) [decisions](docs/decisions/)"),
            ("docs/a.md", ""),
            ("docs/b.md", "[myself](b.md)"),
            ("docs/decisions/1.md", ""),
        ]);
        assert_eq!(check_reached(&documents), ["docs/b.md is linked from no document"]);
    }
}
