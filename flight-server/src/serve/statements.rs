//! What the server keeps between two calls: prepared statements, and plans that wait to be fetched. Both end by themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use tonic::Status;

use crate::sql::Bound;

/// Of an app; the one that was used longest ago gives way.
const KEPT_MAX: usize = 256;

/// Keeps things by handles that cannot be guessed.
pub struct Kept<T> {
    what: &'static str,
    age_max: Duration,
    entries: Mutex<BTreeMap<[u8; 16], Entry<T>>>,
}

struct Entry<T> {
    owner: Option<u32>,
    used: Instant,
    value: T,
}

/// A statement that was prepared.
#[derive(Clone)]
pub struct Prepared {
    /// Its text, with `$1` for parameters.
    pub sql: String,
    /// Its parameters.
    pub parameters: SchemaRef,
    /// Their values, once bound.
    pub bound: Option<Bound>,
}

/// A plan whose result waits to be fetched, once.
pub struct Waiting {
    /// What to execute.
    pub plan: Arc<dyn ExecutionPlan>,
    /// In what.
    pub context: Arc<TaskContext>,
}

impl<T> Kept<T> {
    /// Each for as long as that after it was used; `what` names one.
    pub fn new(what: &'static str, age_max: Duration) -> Self {
        Self { what, age_max, entries: Mutex::default() }
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, BTreeMap<[u8; 16], Entry<T>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a value of an app; gives its handle.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn put(&self, owner: Option<u32>, value: T) -> Result<Vec<u8>, Status> {
        let mut handle = [0; 16];
        getrandom::fill(&mut handle).map_err(|_| Status::unavailable("the system gives no random bytes"))?;
        let mut entries = self.entries();
        entries.retain(|_, entry| entry.used.elapsed() < self.age_max);
        let own =
            |entries: &BTreeMap<_, Entry<T>>| entries.values().filter(|entry| entry.owner == owner).count();
        if own(&entries) >= KEPT_MAX {
            let of_owner = entries.iter().filter(|(_, entry)| entry.owner == owner);
            let oldest = of_owner.min_by_key(|(_, entry)| entry.used).map(|(handle, _)| *handle);
            oldest.and_then(|oldest| entries.remove(&oldest));
        }
        entries.insert(handle, Entry { owner, used: Instant::now(), value });
        Ok(handle.to_vec())
    }

    /// Reads or changes what is kept.
    ///
    /// # Errors
    /// There is nothing of this app under the handle.
    pub fn with<R>(
        &self,
        owner: Option<u32>,
        handle: &[u8],
        act: impl FnOnce(&mut T) -> R,
    ) -> Result<R, Status> {
        let key = <[u8; 16]>::try_from(handle).map_err(|_| self.unknown())?;
        let mut entries = self.entries();
        let entry = entries.get_mut(&key);
        let entry = entry.filter(|entry| entry.owner == owner && entry.used.elapsed() < self.age_max);
        let entry = entry.ok_or_else(|| self.unknown())?;
        entry.used = Instant::now();
        Ok(act(&mut entry.value))
    }

    /// Takes it away.
    ///
    /// # Errors
    /// As [`with`](Self::with).
    pub fn take(&self, owner: Option<u32>, handle: &[u8]) -> Result<T, Status> {
        self.with(owner, handle, |_| ())?;
        let key = <[u8; 16]>::try_from(handle).map_err(|_| self.unknown())?;
        self.entries().remove(&key).map(|entry| entry.value).ok_or_else(|| self.unknown())
    }

    fn unknown(&self) -> Status {
        let (what, minutes) = (self.what, self.age_max.as_secs() / 60);
        Status::not_found(format!(
            "there is no such {what}: it was closed or fetched, or not used for {minutes} minutes"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_app_has_its_own_and_no_more_than_allowed() {
        let kept = Kept::new("statement", Duration::from_secs(60));
        let first = kept.put(Some(1), 0).unwrap();
        let other = kept.put(Some(2), 100).unwrap();
        assert!(kept.with(Some(2), &first, |_| ()).is_err(), "of another app");
        for value in 1..KEPT_MAX {
            kept.put(Some(1), value).unwrap();
        }
        assert_eq!(kept.with(Some(1), &first, |value| *value).unwrap(), 0);
        kept.put(Some(1), KEPT_MAX).unwrap();
        assert_eq!(kept.entries().len(), KEPT_MAX + 1);
        assert_eq!(kept.take(Some(1), &first).unwrap(), 0, "it was used last");
        assert!(kept.take(Some(1), &first).is_err());
        assert_eq!(kept.take(Some(2), &other).unwrap(), 100);
        assert!(kept.take(None, b"short").is_err());
    }

    #[test]
    fn what_is_not_used_ends() {
        let kept = Kept::new("statement", Duration::ZERO);
        let handle = kept.put(None, 1).unwrap();
        let status = kept.with(None, &handle, |_| ()).unwrap_err();
        assert_eq!(status.code(), tonic::Code::NotFound);
        kept.put(None, 2).unwrap();
        assert_eq!(kept.entries().len(), 1);
    }
}
