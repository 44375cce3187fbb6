//! The worked model: who correlates with whom in the Universal Recommender's hand-made data.

use std::path::{Path, PathBuf};

use engine::{EngineConfig, Leniency, TrainOptions};
use events::{Event, EventStore, EventTime, MemoryStore};
use model::Model;

use super::shop::{SCOPE, Silent, bytes};

/// Item, then its correlators by purchase, view and category-pref, by name (their LLR ties).
const WORKED: [(&str, [&[&str]; 3]); 6] = [
    ("Iphone 4", [&["Ipad-retina", "Iphone 6"], &["Soap", "Tablets"], &["tablets"]]),
    ("Iphone 6", [&["Ipad-retina", "Iphone 4"], &["Soap"], &["tablets"]]),
    ("Ipad-retina", [&["Iphone 4", "Iphone 6"], &["Soap"], &["tablets"]]),
    ("Nexus", [&[], &["Tablets"], &["tablets"]]),
    ("Galaxy", [&[], &[], &[]]),
    ("Iphone 5", [&[], &[], &[]]),
];

#[test]
fn the_hand_made_data_gives_the_worked_model() {
    let Some(folder) = hand_made() else {
        // Not a print macro: the test runner would swallow it.
        use std::io::Write as _;
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: ../shared/data/ur-handmade is not beside this checkout");
        return;
    };
    let model = trained(&folder);
    assert_eq!(model.counts().users, 3, "users with three purchases, repeats counted");
    for (item, expected) in WORKED {
        let row = model.find(item).unwrap();
        for (indicator, expected) in ["purchase", "view", "category-pref"].iter().zip(expected) {
            let mut found: Vec<(&str, f64)> = model.correlators(indicator, row).collect();
            assert!(found.is_sorted_by(|a, b| (b.1, a.0) <= (a.1, b.0)), "{item} {indicator}: {found:?}");
            found.sort_by_key(|(thing, _)| *thing);
            let found: Vec<&str> = found.into_iter().map(|(thing, _)| thing).collect();
            assert_eq!(found, expected, "{item} {indicator}");
        }
    }
}

fn hand_made() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/ur-handmade");
    folder.is_dir().then_some(folder)
}

fn trained(folder: &Path) -> Model {
    let text = std::fs::read(folder.join("engine.json")).unwrap();
    let (config, _) = EngineConfig::parse(&text, Leniency::Strict, &|_| None).unwrap();
    let now = EventTime::utc(1_768_478_400_000); // 2026-01-15T12:00Z, the newest of the events
    let lines = std::fs::read_to_string(folder.join("events.jsonl")).unwrap();
    let events: Vec<Event> = lines.lines().map(|line| Event::parse(line.as_bytes(), now).unwrap()).collect();
    let store = MemoryStore::new();
    store.init(SCOPE).unwrap();
    store.append(SCOPE, &events).unwrap();
    let options = TrainOptions { threads: 2, now_ms: now.millis };
    let trained = engine::train(&config, &store, SCOPE, None, options, &Silent).unwrap();
    Model::from_bytes(bytes(&trained)).unwrap()
}
