//! More than the server can do: the rate that it sustains is measured, then a multiple of it is written to it without
//! asking how it is doing. And: how soon is it well afterwards, and is what it acknowledged there?

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::json::Object;
use tokio::task::JoinHandle;

use crate::client::{Client, Outcome, Schedule};
use crate::closed::{Plan, Request};
use crate::connection::Connection;
use crate::figures::{Figures, Usage, megabytes, percentile, rounded};
use crate::workload::Workload;

/// How long one request after the other shows what latency is normal.
const CALM_TIME: Duration = Duration::from_secs(3);
const CALM_PAUSE: Duration = Duration::from_millis(10);
/// Connections of the closed loop that shows which rate is sustained.
const SUSTAINED_CONNECTIONS: u64 = 64;
/// Time for the server to be well again.
const RECOVERY_MAX: Duration = Duration::from_secs(30);
/// So many answers in a row of at most twice the calm p99 are normal again.
const NORMAL_IN_A_ROW: usize = 8;
/// Connections that were there before the load, and whose clients wait for each answer.
const PATIENT_CONNECTIONS: u64 = 8;
/// How often memory is looked at.
const MEMORY_EVERY: Duration = Duration::from_millis(50);
/// Requests at the same time while ids are looked up.
const LOOKUPS: usize = 16;
/// Streams of requests that no client has.
const PROBE_STREAM: u64 = 1 << 40;
const CHOICE_STREAM: u64 = 1 << 41;
/// So much later the load begins.
const HEAD_START: Duration = Duration::from_millis(500);

/// A multiple of the rate that is sustained.
pub struct Overload {
    pub times: f64,
    /// So long is the sustained rate measured.
    pub sustained_time: Duration,
    pub clients: u64,
    pub time: Duration,
    /// So many of the acknowledged events are looked up afterwards, at random.
    pub verify: usize,
    pub server_pid: Option<u32>,
}

impl Overload {
    /// Runs it. The plan's timeout is how long a client waits.
    pub async fn run(&self, plan: &Arc<Plan>) -> Object {
        let calm = calm(plan).await;
        let before = Instant::now();
        let sustained = plan.run(SUSTAINED_CONNECTIONS, self.sustained_time).await;
        let sustained_rate = sustained.good as f64 / before.elapsed().as_secs_f64();
        let peaks = Peaks::watch(self.server_pid);
        let patient = Arc::clone(plan);
        let time = HEAD_START + self.time;
        let patient = tokio::spawn(async move { patient.run(PATIENT_CONNECTIONS, time).await });
        tokio::time::sleep(HEAD_START).await;
        let start = Instant::now();
        let rate = (sustained_rate * self.times).max(1.0);
        let schedule = Schedule { start, end: start + self.time, clients: self.clients, rate };
        let clients: Vec<_> = (0..self.clients)
            .map(|number| tokio::spawn(Client::new(Arc::clone(plan), schedule, number).run()))
            .collect();
        tokio::time::sleep_until(schedule.end.into()).await;
        let recovery = recovery(plan, 2 * percentile(&calm, 990)).await;
        let mut outcome = Outcome::default();
        for client in clients {
            outcome.merge(client.await.unwrap());
        }
        let ids = std::mem::take(&mut outcome.ids);
        let row = self.describe(&calm, &sustained, sustained_rate, outcome);
        let row = described(&patient.await.unwrap(), row);
        let row = recovery.describe(peaks.end(row));
        let ids = chosen(ids, self.verify, plan.seed);
        let missing = missing(plan, ids.clone()).await;
        row.with("looked_up", ids.len()).with("missing", missing.len())
    }

    fn describe(&self, calm: &[u32], sustained: &Figures, rate: f64, mut outcome: Outcome) -> Object {
        outcome.accepted.sort_unstable();
        outcome.refused.sort_unstable();
        let seconds = self.time.as_secs_f64();
        let offered_rate = outcome.written as f64 / seconds;
        let mut latencies = sustained.latencies.clone();
        latencies.sort_unstable();
        Object::new()
            .with("calm_p50_us", percentile(calm, 500))
            .with("calm_p99_us", percentile(calm, 990))
            .with("sustained_per_s", rounded(rate, 0))
            .with("sustained_p99_us", percentile(&latencies, 990))
            .with("sustained_errors", sustained.errors())
            .with("clients", self.clients)
            .with("seconds", rounded(seconds, 0))
            .with("offered", outcome.written)
            .with("offered_per_s", rounded(offered_rate, 0))
            .with("offered_times", rounded(offered_rate / rate.max(1e-9), 2))
            .with("not_written", listed(&outcome.not_written))
            .with("answers", listed(&outcome.answers))
            .with("unanswered", listed(&outcome.unanswered))
            .with("refused_connections", outcome.refused_connections)
            .with("without_retry_after", outcome.without_retry_after)
            .with("accepted_per_s", rounded(outcome.accepted.len() as f64 / seconds, 0))
            .with("accepted_p50_us", percentile(&outcome.accepted, 500))
            .with("accepted_p99_us", percentile(&outcome.accepted, 990))
            .with("accepted_max_us", percentile(&outcome.accepted, 1000))
            .with("degraded", outcome.degraded)
            .with("refused_p99_us", percentile(&outcome.refused, 990))
    }
}

/// What clients saw who wait for their answers.
fn described(patient: &Figures, row: Object) -> Object {
    let mut latencies = patient.latencies.clone();
    latencies.sort_unstable();
    row.with("patient_accepted", patient.good)
        .with("patient_errors", patient.errors())
        .with("patient_p50_us", percentile(&latencies, 500))
        .with("patient_p99_us", percentile(&latencies, 990))
}

/// `429: 12, 503: 1`
fn listed<K: Display>(counts: &BTreeMap<K, u64>) -> String {
    let list: Vec<String> = counts.iter().map(|(what, count)| format!("{what}: {count}")).collect();
    if list.is_empty() { "none".to_owned() } else { list.join(", ") }
}

/// One request after the other, with pauses, on connections of their own while there is none.
struct Probe<'a> {
    plan: &'a Plan,
    connection: Option<Connection>,
    workload: Workload,
    request: Request,
}

impl<'a> Probe<'a> {
    fn new(plan: &'a Plan, stream: u64) -> Self {
        let workload = Workload::new(plan.seed, stream, plan.users, plan.items);
        Self { plan, connection: None, workload, request: Request::default() }
    }

    /// Microseconds of an accepted request.
    async fn ask(&mut self) -> Option<u32> {
        self.plan.build(&mut self.request, &mut self.workload);
        let start = Instant::now();
        let answer = self.plan.send(&mut self.connection, &self.request.text).await;
        if answer.is_err() {
            self.connection = None;
        }
        let is_accepted = answer.is_ok_and(|answer| (200..300).contains(&answer.status));
        is_accepted.then(|| u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX))
    }
}

/// Sorted latencies of a server with nothing else to do.
async fn calm(plan: &Plan) -> Vec<u32> {
    let (mut probe, mut latencies, start) = (Probe::new(plan, PROBE_STREAM), Vec::new(), Instant::now());
    while start.elapsed() < CALM_TIME {
        latencies.extend(probe.ask().await);
        tokio::time::sleep(CALM_PAUSE).await;
    }
    latencies.sort_unstable();
    latencies
}

/// Time from the end of the load until a request was sent that was accepted, and that was the first of many with a
/// normal latency.
struct Recovery {
    accepted: Option<Duration>,
    normal: Option<Duration>,
}

impl Recovery {
    fn describe(&self, row: Object) -> Object {
        let told = |time: Option<Duration>| match time {
            Some(time) => time.as_millis().to_string(),
            None => format!("not within {} s", RECOVERY_MAX.as_secs()),
        };
        row.with("accepts_after_ms", told(self.accepted)).with("normal_after_ms", told(self.normal))
    }
}

async fn recovery(plan: &Plan, normal_us: u32) -> Recovery {
    let (mut probe, start) = (Probe::new(plan, PROBE_STREAM + 1), Instant::now());
    let (mut accepted, mut normal, mut in_a_row) = (None, None, 0);
    while start.elapsed() < RECOVERY_MAX && in_a_row < NORMAL_IN_A_ROW {
        let asked = start.elapsed();
        let latency = probe.ask().await;
        if latency.is_some() {
            accepted.get_or_insert(start.elapsed());
        }
        if latency.is_some_and(|latency| latency <= normal_us) {
            normal.get_or_insert(asked);
            in_a_row += 1;
        } else {
            (normal, in_a_row) = (None, 0);
        }
        tokio::time::sleep(CALM_PAUSE).await;
    }
    Recovery { accepted, normal: normal.filter(|_| in_a_row == NORMAL_IN_A_ROW) }
}

/// The most memory that the server had at the same time, looked at often.
struct Peaks {
    server: Option<String>,
    before: Option<Usage>,
    watching: JoinHandle<()>,
    most: Arc<std::sync::Mutex<Usage>>,
}

impl Peaks {
    fn watch(server_pid: Option<u32>) -> Self {
        let server = server_pid.map(|id| id.to_string());
        let most = Arc::new(std::sync::Mutex::new(Usage::default()));
        let (id, shared) = (server.clone(), Arc::clone(&most));
        let watching = tokio::spawn(async move {
            while let Some(now) = id.as_deref().and_then(Usage::of) {
                shared.lock().unwrap().raise(now);
                tokio::time::sleep(MEMORY_EVERY).await;
            }
        });
        Self { before: server.as_deref().and_then(Usage::of), server, watching, most }
    }

    fn end(self, row: Object) -> Object {
        self.watching.abort();
        let Some((before, id)) = self.before.zip(self.server) else { return row };
        let Some(now) = Usage::of(&id) else { return row.with("server", "gone") };
        let most = *self.most.lock().unwrap();
        row.with("server_cpu_s", rounded(now.cpu_seconds - before.cpu_seconds, 2))
            .with("server_anonymous_before_mb", megabytes(before.anonymous_bytes))
            .with("server_anonymous_peak_mb", megabytes(most.anonymous_bytes))
            .with("server_anonymous_mb", megabytes(now.anonymous_bytes))
            .with("server_mapped_before_mb", megabytes(before.mapped_bytes))
            .with("server_mapped_peak_mb", megabytes(most.mapped_bytes))
    }
}

/// `count` of `ids` at random.
fn chosen(mut ids: Vec<String>, count: usize, seed: u64) -> Vec<String> {
    let mut numbers = Workload::new(seed, CHOICE_STREAM, 1, 1);
    let count = count.min(ids.len());
    for at in 0..count {
        let other = at + numbers.below((ids.len() - at) as u64) as usize;
        ids.swap(at, other);
    }
    ids.truncate(count);
    ids
}

/// Those of `ids` that the server does not know.
pub async fn missing(plan: &Arc<Plan>, ids: Vec<String>) -> Vec<String> {
    let share = ids.len().div_ceil(LOOKUPS).max(1);
    let workers: Vec<_> = ids
        .chunks(share)
        .map(|ids| {
            let (plan, ids) = (Arc::clone(plan), ids.to_vec());
            tokio::spawn(async move { missing_one_by_one(&plan, ids).await })
        })
        .collect();
    let mut missing = Vec::new();
    for worker in workers {
        missing.extend(worker.await.unwrap());
    }
    missing
}

async fn missing_one_by_one(plan: &Plan, ids: Vec<String>) -> Vec<String> {
    const TRIES: u32 = 100;
    let mut connection = None;
    let mut missing = Vec::new();
    for id in ids {
        let path = plan.path(&format!("/events/{}.json", escaped(&id)));
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", plan.address);
        let mut status = 0;
        for _ in 0..TRIES {
            match plan.send(&mut connection, request.as_bytes()).await {
                Ok(answer) => status = answer.status,
                Err(_) => connection = None,
            }
            if matches!(status, 200 | 404) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // What cannot be read is as good as lost.
        if status != 200 {
            missing.push(id);
        }
    }
    missing
}

fn escaped(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    id.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
