//! Models on a real HDFS, whose name nodes take over for each other, and on a server that speaks S3: `scripts/hdfs` and `scripts/s3`
//! start them, one for all tests of this crate, on free ports. Without Java, Maven and Python the tests fail.
//! `ARBLAST_HDFS=FOLDER` takes an HDFS that `scripts/hdfs up FOLDER ha` left running.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod faults;
mod machine;
mod s3;
mod servers;
mod suite;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use servers::{Hdfs, S3, Servers};

type Test = (&'static str, fn(&Servers));

const OF_S3: &[Test] = &[
    ("s3_conforms", suite::s3_conforms),
    ("s3_is_followed", suite::s3_is_followed),
    ("what_is_wrong_with_s3_is_told", s3::what_is_wrong_is_told),
];

/// In this order: the last ones kill servers.
const OF_HDFS: &[Test] = &[
    ("hdfs_conforms", suite::hdfs_conforms),
    ("hdfs_is_followed", suite::hdfs_is_followed),
    ("left_overs_are_no_models", suite::left_overs_are_no_models),
    ("what_is_wrong_with_hdfs_is_told", suite::what_is_wrong_with_hdfs_is_told),
    ("safe_mode_is_waited_out", faults::safe_mode_is_waited_out),
    ("a_data_node_dies", faults::a_data_node_dies),
    ("no_data_node_is_left", faults::no_data_node_is_left),
    ("the_active_name_node_dies", faults::the_active_name_node_dies),
    ("the_active_name_node_freezes", faults::the_active_name_node_freezes),
    ("all_of_hdfs_dies", faults::all_of_hdfs_dies),
];

/// Where the HDFS is that runs already.
const HDFS: &str = "ARBLAST_HDFS";
const CONFIGURATION: &str = "HADOOP_CONF_DIR";

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--list") {
        OF_S3.iter().chain(OF_HDFS).for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let Some(folder) = std::env::var_os(HDFS).map(PathBuf::from) else {
        let since = Instant::now();
        let hdfs = Hdfs::start();
        println!("an HDFS is ready ({:.1} s)", since.elapsed().as_secs_f64());
        let passed = again(&hdfs);
        if !passed {
            println!("logs of HDFS: {}", hdfs.keep_logs().display());
        }
        return if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    };
    let hdfs = Hdfs::at(&folder);
    match std::env::var_os(CONFIGURATION) {
        Some(named) if Path::new(&named) == hdfs.configuration() => test(&Servers { hdfs, s3: S3::start() }),
        _ if again(&hdfs) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Runs this program again with what Hadoop's clients are told by the environment. Did it pass?
fn again(hdfs: &Hdfs) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(std::env::args().skip(1));
    command.env(HDFS, hdfs.folder()).env(CONFIGURATION, hdfs.configuration()).env("HADOOP_USER_NAME", "shop");
    command.status().unwrap().success()
}

fn test(servers: &Servers) -> ExitCode {
    // Those of a run before.
    servers.hdfs.script("shell", &["-rm", "-r", "-f", "-skipTrash", "/*"]);
    let failed = std::thread::scope(|scope| {
        let of_s3 = scope.spawn(|| failures(servers, OF_S3));
        [failures(servers, OF_HDFS), of_s3.join().unwrap()].concat()
    });
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {}", failed.join(", "));
    ExitCode::FAILURE
}

/// Names of the tests that failed.
fn failures(servers: &Servers, tests: &[Test]) -> Vec<&'static str> {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| name.contains(wanted));
    let mut failed = Vec::new();
    for (name, test) in tests.iter().filter(|(name, _)| is_wanted(name)) {
        let since = Instant::now();
        let passed = catch_unwind(AssertUnwindSafe(|| test(servers))).is_ok();
        let seconds = since.elapsed().as_secs_f64();
        println!("test {name} ... {} ({seconds:.1} s)", if passed { "ok" } else { "FAILED" });
        failed.extend((!passed).then_some(*name));
    }
    failed
}
