//! The interactions that tasks of this process count with: read once, shared, and freed soon after the last task.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arblast::failure::{Failure, Result};
use engine::Counting;
use events::Kind;
use tokio::sync::OnceCell;

/// A wave of tasks follows the one before it within this time.
const LINGER: Duration = Duration::from_secs(30);

/// How often is looked whether there is room.
const LOOK: Duration = Duration::from_millis(100);

/// Memory of a process per interaction: as it came, and arranged for counting.
pub const BYTES_PER_CELL: u64 = 16;

/// Interactions by the URL that they came from.
#[derive(Debug)]
pub struct Shared {
    bytes_max: u64,
    held: Mutex<HashMap<String, Held>>,
}

#[derive(Debug)]
struct Held {
    counting: Arc<OnceCell<Counting>>,
    bytes: u64,
    users: usize,
    left: Instant,
}

/// Counts with them as long as it lives.
pub struct Lent {
    shared: Arc<Shared>,
    key: String,
    counting: Arc<OnceCell<Counting>>,
}

impl Shared {
    /// At most so much at once.
    pub fn new(bytes_max: u64) -> Self {
        Self { bytes_max, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The interactions under this key: by `read`, unless they are there, or another task reads them already. They take `bytes` of memory.
    ///
    /// # Errors
    /// [`too_large`] if they never fit; whatever `read` reports.
    pub async fn lend(
        self: &Arc<Self>,
        key: &str,
        bytes: u64,
        read: impl Future<Output = Result<Counting>>,
    ) -> Result<Lent> {
        let lent = loop {
            match self.take(key, bytes)? {
                Some(lent) => break lent,
                None => tokio::time::sleep(LOOK).await,
            }
        };
        lent.counting.get_or_try_init(|| read).await?;
        Ok(lent)
    }

    /// `None`: others count with what has the room now.
    fn take(self: &Arc<Self>, key: &str, bytes: u64) -> Result<Option<Lent>> {
        let mut held = self.held();
        if !held.contains_key(key) {
            if taken(&held) + bytes > self.bytes_max {
                held.retain(|_, held| held.users > 0);
            }
            if bytes > self.bytes_max {
                return Err(too_large(bytes, self.bytes_max));
            }
            if taken(&held) + bytes > self.bytes_max {
                return Ok(None);
            }
            let fresh = Held { counting: Arc::default(), bytes, users: 0, left: Instant::now() };
            held.insert(key.to_owned(), fresh);
        }
        let counting = held.get_mut(key).map(|held| {
            held.users += 1;
            Arc::clone(&held.counting)
        });
        let counting = counting.ok_or_else(|| Failure::new(Kind::Internal, "interactions vanished"))?;
        Ok(Some(Lent { shared: Arc::clone(self), key: key.to_owned(), counting }))
    }

    fn forget_idle(&self) {
        self.held().retain(|_, held| held.users > 0 || held.left.elapsed() < LINGER);
    }
}

fn taken(held: &HashMap<String, Held>) -> u64 {
    held.values().map(|held| held.bytes).sum()
}

impl Lent {
    /// The interactions.
    ///
    /// # Errors
    /// Never: they were read before this was lent.
    pub fn counting(&self) -> Result<&Counting> {
        self.counting.get().ok_or_else(|| Failure::new(Kind::Internal, "interactions were not read"))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut held = self.shared.held();
        let Some(entry) = held.get_mut(&self.key) else { return };
        entry.users -= 1;
        entry.left = Instant::now();
        if entry.counting.get().is_none() && entry.users == 0 {
            held.remove(&self.key);
        } else if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let shared = Arc::clone(&self.shared);
            runtime.spawn(async move {
                tokio::time::sleep(LINGER + Duration::from_secs(1)).await;
                shared.forget_idle();
            });
        }
    }
}

const TOO_LARGE: &str = "the interactions do not fit this executor: ";

/// They take more memory than there is.
fn too_large(bytes: u64, bytes_max: u64) -> Failure {
    let text = format!(
        "{TOO_LARGE}{bytes} bytes, of which it may use {bytes_max}; give it more --memory, or use --count parts"
    );
    Failure::new(Kind::Unavailable, text)
}

/// Bytes that an executor may use, if that is why it failed.
pub fn room_of(failure: &Failure) -> Option<u64> {
    let text = failure.to_string();
    let (_, numbers) = text.split_once(TOO_LARGE)?;
    numbers.split_once("may use ")?.1.split(';').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    async fn none() -> Result<Counting> {
        Err(Failure::invalid("nothing there"))
    }

    #[tokio::test]
    async fn what_does_not_fit_is_told_with_the_room() {
        let shared = Arc::new(Shared::new(1000));
        let error = shared.lend("a", 1001, none()).await.err().unwrap();
        assert_eq!(room_of(&error), Some(1000));
        assert_eq!(room_of(&Failure::invalid("other")), None);
        let error = shared.lend("a", 999, none()).await.err().unwrap();
        assert_eq!(error.to_string(), "nothing there");
        assert!(shared.held().is_empty(), "what could not be read takes no room");
    }

    #[tokio::test]
    async fn one_reads_for_all() {
        static READS: AtomicUsize = AtomicUsize::new(0);
        let read = || async {
            READS.fetch_add(1, Ordering::Relaxed);
            let config = br#"{"id":"a","engineFactory":"com.actionml.RecommendationEngine","datasource":{"params":{"appName":"a"}},"algorithms":[{"name":"ur","params":
                {"appName":"a","indexName":"i","indicators":[{"name":"buy"}]}}]}"#;
            let (config, _) =
                engine::EngineConfig::parse(config, engine::Leniency::Strict, &|_| None).unwrap();
            let mut portion = engine::Portion::new(Arc::new(config), 0);
            portion.push_pairs(0, [("u", "i")].into_iter()).unwrap();
            let mut training = portion.prepare(None, 1, &Quiet).unwrap();
            let bytes = training.correlating().unwrap().counting(0, 1).unwrap();
            Ok::<_, Failure>(Counting::from_bytes(&bytes)?)
        };
        let shared = Arc::new(Shared::new(1000));
        let (one, other) = tokio::join!(shared.lend("a", 600, read()), shared.lend("a", 600, read()));
        assert_eq!(one.unwrap().counting().unwrap().items(), 1);
        assert_eq!((READS.load(Ordering::Relaxed), shared.held()["a"].users), (1, 1));
        let waits = tokio::time::timeout(LOOK * 3, shared.lend("b", 600, read())).await;
        assert!(waits.is_err(), "a is in use");
        assert!(shared.lend("b", 1001, read()).await.is_err(), "it never fits");
        drop(other);
        assert!(shared.lend("b", 600, read()).await.is_ok(), "a is idle");
    }

    struct Quiet;
    impl engine::Observer for Quiet {
        fn stage(&self, _: &str, _: u64) {}
        fn progress(&self, _: u64) {}
        fn preflight(&self, _: &engine::TrainReport) {}
    }
}
