//! The file job alone: `itemsimilarity PRIMARY=FILE [NAME=FILE …] OUTPUT [THREADS]`, with the time of each stage.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for measuring")]

use std::sync::Mutex;
use std::time::Instant;

use engine::itemsimilarity::{Options, Stage, run};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let indicators = words
        .iter()
        .filter_map(|word| word.split_once('='))
        .map(|(name, file)| (name.into(), file.into()))
        .collect();
    let mut rest = words.iter().filter(|word| !word.contains('='));
    let output = rest.next().unwrap().into();
    let threads = rest.next().map_or(2, |word| word.parse().unwrap());
    let options =
        Options { indicators, output, max_correlators: 50, max_prefs: 500, min_llr: None, seed: 1, threads };
    let start = Instant::now();
    let ends: Mutex<Vec<(Stage, f64)>> = Mutex::default();
    let summary = run(&options, &|stage, done, total| {
        if done == total {
            ends.lock().unwrap().push((stage, start.elapsed().as_secs_f64()));
        }
    });
    match summary {
        Ok(summary) => {
            println!("{summary:?}\n{:?} total {:.3}", ends.lock().unwrap(), start.elapsed().as_secs_f64())
        }
        Err(error) => {
            println!("{error}");
            std::process::exit(1);
        }
    }
}
