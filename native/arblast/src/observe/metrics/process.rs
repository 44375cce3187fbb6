//! What the system says of the process. Where `/proc` is missing, so are these.

use std::time::Instant;

use super::Metrics;
use crate::clock;
use crate::identity::{BUILD, VERSION};

pub(super) fn register(metrics: &Metrics) {
    let labels = [("version", VERSION), ("build", BUILD)];
    metrics.gauge("arblast_build_info", "1; the labels say which program this is.", &labels, || 1.0);
    let started = Instant::now();
    metrics.gauge("arblast_uptime_seconds", "Since the start of the server.", &[], move || {
        started.elapsed().as_secs_f64()
    });
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    let started = clock::now_ms() as f64 / 1e3;
    metrics.gauge("process_start_time_seconds", "Since 1970.", &[], move || started);
    if resident_bytes().is_some() {
        metrics.gauge(
            "process_resident_memory_bytes",
            "Resident memory, mapped files included.",
            &[],
            || resident_bytes().unwrap_or(f64::NAN),
        );
        metrics
            .gauge("process_open_fds", "Open files and sockets.", &[], || open_files().unwrap_or(f64::NAN));
    }
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

#[expect(clippy::cast_precision_loss, reason = "a small number")]
fn open_files() -> Option<f64> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count() as f64)
}
