//! Against a real HBase, which `scripts/hbase` starts: one for all tests of this crate, on free ports, ended at the end. Without
//! Java and Maven the tests fail. `ARBLAST_HBASE=FOLDER` takes one that `scripts/hbase up FOLDER` left running.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod beside;
mod cluster;
mod faults;
mod suite;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use cluster::Cluster;

type Test = (&'static str, fn(&Cluster));

/// In this order: the last ones kill servers.
const TESTS: &[Test] = &[
    ("reads_what_predictionio_wrote", beside::reads_what_predictionio_wrote),
    ("writes_what_predictionio_reads", beside::writes_what_predictionio_reads),
    ("what_is_missing_is_named", faults::what_is_missing_is_named),
    ("rows_larger_than_an_answer", faults::rows_larger_than_an_answer),
    ("rivals_leave_one_event", faults::rivals_leave_one_event),
    ("conforms_as_event_store", suite::conforms_as_event_store),
    ("regions_split_and_move", faults::regions_split_and_move),
    ("servers_die", faults::servers_die),
    ("zookeeper_is_gone", faults::zookeeper_is_gone),
];

fn main() -> ExitCode {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if std::env::args().any(|argument| argument == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let cluster = Cluster::start();
    let mut failed = Vec::new();
    for (name, test) in TESTS {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| name.contains(wanted.as_str())) {
            continue;
        }
        let since = Instant::now();
        let passed = catch_unwind(AssertUnwindSafe(|| test(&cluster))).is_ok();
        println!(
            "test {name} ... {} ({:.1} s)",
            if passed { "ok" } else { "FAILED" },
            since.elapsed().as_secs_f64()
        );
        failed.extend((!passed).then_some(*name));
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {}; logs of the servers: {}", failed.join(", "), cluster.keep_logs().display());
    ExitCode::FAILURE
}
