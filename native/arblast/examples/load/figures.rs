//! What is measured.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use events::json::{Number, Object};

/// Counts and latencies of some requests.
#[derive(Debug, Default)]
pub struct Figures {
    /// Microseconds of each answered request.
    pub latencies: Vec<u32>,
    /// Events or answers that count as success.
    pub good: u64,
    /// Everything else by what happened: a status, or the kind of an error.
    pub bad: BTreeMap<String, u64>,
    /// 429 and 503 that did not say when to come again.
    pub without_retry_after: u64,
}

impl Figures {
    pub fn answered(&mut self, since: Instant) {
        self.latencies.push(u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX));
    }

    pub fn fail(&mut self, what: impl Into<String>) {
        *self.bad.entry(what.into()).or_default() += 1;
    }

    pub fn merge(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.good += other.good;
        self.without_retry_after += other.without_retry_after;
        for (what, count) in other.bad {
            *self.bad.entry(what).or_default() += count;
        }
    }

    /// `429: 12, timeout: 1`
    pub fn errors(&self) -> String {
        let list: Vec<String> = self.bad.iter().map(|(what, count)| format!("{what}: {count}")).collect();
        if list.is_empty() { "none".to_owned() } else { list.join(", ") }
    }

    /// Rates over `wall`, latencies, errors. `unit` is what [`good`](Self::good) counts, e.g. `events`.
    pub fn describe(mut self, unit: &str, wall: Duration, row: Object) -> Object {
        self.latencies.sort_unstable();
        let at = |permille| percentile(&self.latencies, permille);
        let per_second = |count: u64| rounded(count as f64 / wall.as_secs_f64().max(1e-9), 0);
        row.with("seconds", rounded(wall.as_secs_f64(), 2))
            .with("requests", self.latencies.len())
            .with("requests_per_s", per_second(self.latencies.len() as u64))
            .with(unit, self.good)
            .with(format!("{unit}_per_s"), per_second(self.good))
            .with("p50_us", at(500))
            .with("p99_us", at(990))
            .with("max_us", at(1000))
            .with("errors", self.errors())
    }
}

/// Of sorted latencies; 0 if there are none.
pub fn percentile(sorted: &[u32], permille: usize) -> u32 {
    sorted.get(sorted.len().saturating_sub(1) * permille / 1000).copied().unwrap_or_default()
}

/// With so many decimals; whole numbers without.
pub fn rounded(value: f64, decimals: i32) -> Number {
    let scale = 10f64.powi(decimals);
    let rounded = (value * scale).round() / scale;
    #[expect(clippy::cast_possible_truncation, reason = "a count")]
    let whole = || Number::from(rounded as i64);
    if decimals == 0 { whole() } else { Number::real(rounded).unwrap_or_else(whole) }
}

/// Processor time and memory of a process, from /proc.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    pub cpu_seconds: f64,
    /// Its own memory.
    pub anonymous_bytes: u64,
    /// Pages of files, such as the event store and the model: the system may take them back.
    pub mapped_bytes: u64,
    /// Of both together, since it started.
    pub peak_bytes: u64,
}

impl Usage {
    /// To the memory of `other` where that is more.
    pub fn raise(&mut self, other: Self) {
        self.anonymous_bytes = self.anonymous_bytes.max(other.anonymous_bytes);
        self.mapped_bytes = self.mapped_bytes.max(other.mapped_bytes);
    }

    /// Of process `id`, `self` for this one; `None` if there is no such process.
    pub fn of(id: &str) -> Option<Self> {
        /// `USER_HZ`, the same on every Linux of today.
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name before may hold spaces; utime and stime are fields 14 and 15.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let bytes = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
        };
        Some(Self {
            cpu_seconds: (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND,
            anonymous_bytes: bytes("RssAnon:")?,
            // Where files are in memory the system counts their pages as shared.
            mapped_bytes: bytes("RssFile:")? + bytes("RssShmem:")?,
            peak_bytes: bytes("VmHWM:")?,
        })
    }
}

/// Processor time of this process and of the server from here on.
pub struct Meter {
    server: Option<String>,
    own_before: Usage,
    server_before: Option<Usage>,
    start: Instant,
}

impl Meter {
    pub fn start(server_pid: Option<u32>) -> Self {
        let server = server_pid.map(|id| id.to_string());
        let server_before = server.as_deref().and_then(Usage::of);
        let own_before = Usage::of("self").unwrap_or_default();
        Self { server, own_before, server_before, start: Instant::now() }
    }

    pub fn wall(&self) -> Duration {
        self.start.elapsed()
    }

    /// Adds what was used to a row.
    pub fn describe(&self, row: Object) -> Object {
        let own = Usage::of("self").unwrap_or_default();
        let row = row.with("client_cpu_s", rounded(own.cpu_seconds - self.own_before.cpu_seconds, 2));
        let Some((before, id)) = self.server_before.zip(self.server.as_deref()) else { return row };
        match Usage::of(id) {
            Some(now) => row
                .with("server_cpu_s", rounded(now.cpu_seconds - before.cpu_seconds, 2))
                .with("server_anonymous_before_mb", megabytes(before.anonymous_bytes))
                .with("server_anonymous_mb", megabytes(now.anonymous_bytes))
                .with("server_mapped_mb", megabytes(now.mapped_bytes))
                .with("server_peak_mb", megabytes(now.peak_bytes)),
            None => row.with("server", "gone"),
        }
    }
}

pub fn megabytes(bytes: u64) -> Number {
    rounded(bytes as f64 / f64::from(1 << 20), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_errors_are_told() {
        let mut figures = Figures { latencies: (1..=1000).rev().collect(), good: 990, ..Figures::default() };
        let mut more = Figures::default();
        more.fail("429");
        more.fail("429");
        more.fail("timeout");
        figures.merge(more);
        let row = figures.describe("events", Duration::from_secs(2), Object::new());
        assert_eq!(
            row.to_string(),
            r#"{"seconds":2.0,"requests":1000,"requests_per_s":500,"events":990,"events_per_s":495,"p50_us":500,"p99_us":990,"max_us":1000,"errors":"429: 2, timeout: 1"}"#
        );
    }

    #[test]
    fn a_process_uses_something() {
        let usage = Usage::of("self").unwrap();
        let resident_bytes = usage.anonymous_bytes + usage.mapped_bytes;
        assert!(usage.anonymous_bytes > 0 && usage.mapped_bytes > 0);
        assert!(resident_bytes > 1 << 20 && usage.peak_bytes >= resident_bytes / 2);
        assert!(Usage::of("0").is_none());
    }
}
