//! Against Apache Mahout 14.1: see `tests/data/README.md`.

use std::collections::BTreeMap;

use cco::{CrossOccurrence, Interactions, Params};

use crate::quiet;

const PURCHASE: &str = include_str!("../data/purchase.csv");
const VIEW: &str = include_str!("../data/view.csv");
const MAHOUT: &str = include_str!("../data/correlators.jsonl");

type Ids<'a> = BTreeMap<&'a str, u32>;

fn ids<'a>(strings: impl Iterator<Item = &'a str>) -> Ids<'a> {
    let mut ids: Ids<'a> = strings.map(|string| (string, 0)).collect();
    for (number, id) in ids.values_mut().enumerate() {
        *id = u32::try_from(number).unwrap();
    }
    ids
}

fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().map(|line| line.split_once(',').unwrap())
}

fn read<'a>(text: &'a str, users: &Ids<'_>) -> (Interactions, Vec<&'a str>) {
    let known = || lines(text).filter(|(user, _)| users.contains_key(user));
    let things = ids(known().map(|(_, thing)| thing));
    let pairs: Vec<_> = known().map(|(user, thing)| (users[user], things[thing])).collect();
    let size = |ids: &Ids<'_>| u32::try_from(ids.len()).unwrap();
    let matrix = Interactions::from_pairs(size(users), size(&things), pairs.iter().copied()).unwrap();
    (matrix, things.into_keys().collect())
}

/// `{"item": "i0", "indicator": "view", "correlators": [["i51", 14.7], …]}`
fn mahout(line: &str) -> (&str, &str, Vec<(&str, f64)>) {
    let mut quoted = line.split('"');
    let (item, indicator) = (quoted.nth(3).unwrap(), quoted.nth(3).unwrap());
    let mut found = Vec::new();
    let mut rest = quoted.skip(3);
    while let Some(thing) = rest.next() {
        let number = rest.next().unwrap().trim_start_matches(',').split(']').next().unwrap();
        found.push((thing, number.trim().parse().unwrap()));
    }
    (item, indicator, found)
}

#[test]
fn equals_mahout() {
    let users = ids(lines(PURCHASE).map(|(user, _)| user));
    let ((purchase, items), (view, viewed)) = (read(PURCHASE, &users), read(VIEW, &users));
    let all = |other| CrossOccurrence::new(&purchase, other, Params::default()).unwrap().all(2, &quiet);
    let (bought, seen) = (all(None), all(Some(&view)));
    let mut compared = 0;
    for (item, indicator, expected) in MAHOUT.lines().map(mahout) {
        let (correlators, names) = if indicator == "view" { (&seen, &viewed) } else { (&bought, &items) };
        let row = items.binary_search(&item).unwrap();
        let found: Vec<_> = correlators.row(row).map(|(thing, llr)| (names[thing as usize], llr)).collect();
        assert_eq!(found.len(), expected.len(), "{item} {indicator}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found.1 / expected.1 - 1.0).abs() < 1e-9,
                "{item} {indicator}: {found:?}, not {expected:?}"
            );
        }
        // Which of those that tie at the last place are kept is Mahout's iteration order.
        let last = if found.len() == 50 { found[49].1 * (1.0 + 1e-9) } else { 0.0 };
        let above = |row: &[(&'static str, f64)]| {
            let mut names: Vec<_> =
                row.iter().filter(|(_, llr)| *llr > last).map(|(name, _)| *name).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(above(&found), above(&expected), "{item} {indicator}");
        compared += found.len();
    }
    assert_eq!(compared, bought.len() + seen.len(), "a row is missing");
    assert!(compared > 10_000);
}
