//! An open loop: requests come at a rate that does not ask how the server is doing. And: is what was acknowledged there?

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use events::json::Object;

use crate::closed::{Plan, event_ids, named};
use crate::figures::{Figures, Meter};
use crate::workload::Workload;

/// A request that would start this late is not sent: the client has no free connection.
const LATE_MAX: Duration = Duration::from_secs(1);
/// Time for the server to take events again.
const RECOVERY_MAX: Duration = Duration::from_secs(30);
/// Requests at the same time while ids are looked up.
const LOOKUPS: usize = 16;

/// Requests at a fixed rate.
pub struct Overload {
    pub rate: u64,
    pub connections: u64,
    pub time: Duration,
    /// So many of the acknowledged events are looked up afterwards.
    pub verify: usize,
}

/// What all connections share.
struct Arrivals {
    start: Instant,
    next: AtomicU64,
    count: u64,
    rate: u64,
    acknowledged: Mutex<Vec<String>>,
}

impl Arrivals {
    /// The time of the next request; `None` after the last.
    fn take(&self) -> Option<Instant> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let after = Duration::from_secs_f64(number as f64 / self.rate as f64);
        (number < self.count).then(|| self.start + after)
    }
}

impl Overload {
    /// Runs it; latencies count from when a request was due. Then waits until an event is accepted again, and looks up
    /// acknowledged ones.
    pub async fn run(&self, plan: &Arc<Plan>, meter: &Meter) -> Object {
        let count = (self.rate as f64 * self.time.as_secs_f64()) as u64;
        let arrivals = Arc::new(Arrivals {
            start: Instant::now(),
            next: AtomicU64::new(0),
            count,
            rate: self.rate.max(1),
            acknowledged: Mutex::default(),
        });
        let workers: Vec<_> = (0..self.connections)
            .map(|number| tokio::spawn(work(Arc::clone(plan), Arc::clone(&arrivals), number)))
            .collect();
        let mut figures = Figures::default();
        for worker in workers {
            figures.merge(worker.await.unwrap());
        }
        let wall = arrivals.start.elapsed();
        let without_retry_after = figures.without_retry_after;
        let row = Object::new().with("rate_per_s", self.rate).with("connections", self.connections);
        let row = meter.describe(figures.describe("events", wall, row));
        let recovery = match recovery(plan).await {
            Some(time) => format!("{} ms", time.as_millis()),
            None => format!("none within {} s", RECOVERY_MAX.as_secs()),
        };
        let acknowledged = std::mem::take(&mut *arrivals.acknowledged.lock().unwrap());
        let step = acknowledged.len().div_ceil(self.verify.max(1)).max(1);
        let sample: Vec<String> = acknowledged.into_iter().step_by(step).collect();
        let missing = missing(plan, sample.clone()).await;
        row.with("without_retry_after", without_retry_after)
            .with("accepts_again", recovery)
            .with("looked_up", sample.len())
            .with("missing", missing.len())
    }
}

async fn work(plan: Arc<Plan>, arrivals: Arc<Arrivals>, number: u64) -> Figures {
    let mut figures = Figures::default();
    let mut workload = Workload::new(plan.seed, number, plan.users, plan.items);
    let (mut connection, mut request) = (None, Vec::new());
    while let Some(due) = arrivals.take() {
        tokio::time::sleep_until(due.into()).await;
        if due.elapsed() > LATE_MAX {
            figures.fail("not sent: all connections busy");
            continue;
        }
        plan.build_single(&mut request, &mut workload);
        match plan.send(&mut connection, &request).await {
            Ok(answer) => {
                figures.answered(due);
                match answer.status {
                    200..300 => {
                        figures.good += 1;
                        let ids = event_ids(&String::from_utf8_lossy(&answer.body));
                        plan.acknowledge(&ids);
                        arrivals.acknowledged.lock().unwrap().extend(ids);
                    }
                    status => {
                        figures.fail(status.to_string());
                        figures.without_retry_after +=
                            u64::from(matches!(status, 429 | 503) && !answer.retry_after);
                    }
                }
            }
            Err(error) => {
                connection = None;
                figures.fail(named(&error));
            }
        }
    }
    figures
}

/// Time until an event is accepted.
async fn recovery(plan: &Plan) -> Option<Duration> {
    let start = Instant::now();
    let mut workload = Workload::new(plan.seed, u64::MAX, plan.users, plan.items);
    let (mut connection, mut request) = (None, Vec::new());
    while start.elapsed() < RECOVERY_MAX {
        plan.build_single(&mut request, &mut workload);
        match plan.send(&mut connection, &request).await {
            Ok(answer) if answer.status == 201 => return Some(start.elapsed()),
            Ok(_) => {}
            Err(_) => connection = None,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    None
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
