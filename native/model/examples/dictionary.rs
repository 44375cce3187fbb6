//! Memory and time of a dictionary of 5 million ids. Prints one JSON line per figure; bytes of the process as the system
//! counts them, its own code included.
//!
//! `cargo run --release -p model --example dictionary [ids]`

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss, reason = "a benchmark")]

use std::fmt::Write;
use std::time::Instant;

use model::DictionaryBuilder;

fn main() {
    let ids: u64 = std::env::args().nth(1).map_or(5_000_000, |word| word.parse().unwrap());
    let before = process_bytes("VmRSS:");
    let start = Instant::now();
    let mut builder = DictionaryBuilder::new();
    let mut id = String::new();
    for number in 0..ids {
        id.clear();
        // Scattered over the numbers below 2^40, as account numbers are.
        write!(id, "user-{}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24).unwrap();
        builder.intern(&id).unwrap();
    }
    let interned = start.elapsed().as_secs_f64();
    let (dictionary, order) = builder.finish();
    let finished = start.elapsed().as_secs_f64();
    let peak = process_bytes("VmHWM:") - before;
    assert_eq!(order.len() as u64, ids);
    let text = dictionary.bytes().len() as u64;
    let held = text + dictionary.offsets().len() as u64;
    let limit = text as f64 * 1.3 + 16.0 * ids as f64;
    println!(
        "{{\"bench\":\"dictionary\",\"ids\":{ids},\"text_bytes\":{text},\"model_bytes\":{held},\"model_share_of_limit\":{:.3},\
         \"building_peak_bytes\":{peak},\"building_share_of_limit\":{:.3},\"intern_s\":{interned:.3},\"finish_s\":{:.3}}}",
        held as f64 / limit,
        peak as f64 / (2.0 * limit),
        finished - interned
    );
}

/// A line of `/proc/self/status`; 0 where there is none.
fn process_bytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0) * 1024
}
