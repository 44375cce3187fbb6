//! How fast pairs of ids are interned where no border is crossed: the yardstick of `bench/spark/jni`, with ids as there.
//!
//! `cargo run --release -p engine --example pairs`

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss, reason = "a benchmark")]

use std::sync::Arc;

use engine::{EngineConfig, Leniency, Portion};

const ROWS: usize = 1 << 19;
const BATCH: usize = 8192;
const PASSES: usize = 15;
const ENGINE: &str = r#"{"id":"bench","engineFactory":"com.actionml.RecommendationEngine","datasource":{"params":{"appName":"bench"}},
    "algorithms":[{"name":"ur","params":{"appName":"bench","indexName":"bench","eventNames":["buy","view"]}}]}"#;

fn main() {
    let (config, _) = EngineConfig::parse(ENGINE.as_bytes(), Leniency::Strict, &|_| None).unwrap();
    let config = Arc::new(config);
    let (users, items) = (ids('u', 140_000.0, 1), ids('i', 27_000.0, 2));
    let pass = || {
        let mut portion = Portion::new(Arc::clone(&config), 1_700_000_000_000);
        let start = nanos();
        for (users, items) in users.chunks(BATCH).zip(items.chunks(BATCH)) {
            let pair = |row: usize| (users[row].as_str(), items[row].as_str());
            portion.push_pairs(0, (0..users.len()).map(pair)).unwrap();
        }
        assert_eq!(portion.events(), ROWS as u64);
        (nanos() - start) as f64 / ROWS as f64
    };
    let mut passes: Vec<f64> = (0..PASSES).map(|_| pass()).collect();
    passes.sort_by(f64::total_cmp);
    println!(
        r#"{{"bench":"jni","jar":"Rust","figure":"pairs without a border","median":{:.2},"least":{:.2}}}"#,
        passes[PASSES / 2],
        passes[0]
    );
}

/// What the processor has spent on this thread.
fn nanos() -> u64 {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    spent.split_whitespace().next().unwrap().parse().unwrap()
}

/// Some are far more active than others.
fn ids(first: char, distinct: f64, seed: u64) -> Vec<String> {
    let mut state = seed;
    let id = |_| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let share = (state >> 11) as f64 / (1_u64 << 53) as f64;
        format!("{first}{}", (share * share * distinct).floor())
    };
    (0..ROWS).map(id).collect()
}
