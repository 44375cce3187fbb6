//! What an executor does with a task: looks whether it is wanted, does it, leaves the file.

use std::sync::Arc;
use std::time::Instant;

use arblast::failure::{Failure, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool};
use events::Kind;

use super::count;
use super::folder::Place;
use super::interactions::Shared;
use super::read::Reading;
use super::task::{Task, What, Work, failure_to_json};

/// A file that is there as long as the job is wanted.
pub const WANTED: &str = "job";
/// Memory for the counters of a task that sums up, at most.
pub const COUNTERS_BYTES: u64 = 128 << 20;

/// What an executor has for all its tasks.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Done {
    /// Of the file.
    pub bytes: u64,
    /// That it took; 0 if the file was there.
    pub seconds: f64,
}

impl Worker {
    /// Holds interactions of so many bytes at most.
    pub fn new(interactions_bytes_max: u64) -> Self {
        Self { shared: Arc::new(Shared::new(interactions_bytes_max)) }
    }

    /// Does a task. Why it fails is left in the folder, for the driver, who hears of it in no other way.
    ///
    /// # Errors
    /// Whatever it meets.
    pub async fn run(&self, work: &Work, task: &Task, memory: &Arc<dyn MemoryPool>) -> Result<Done> {
        let folder = Place::open(&work.folder)?;
        let done = self.attempt(work, task, &folder, memory).await;
        if let Err(failure) = &done
            && is_wanted(&folder).await?
        {
            // The driver hears at least that the job has failed.
            let _ = leave(&folder, &task.failure_file(), failure_to_json(failure).into_bytes()).await;
        }
        done
    }

    async fn attempt(
        &self,
        work: &Work,
        task: &Task,
        folder: &Place,
        memory: &Arc<dyn MemoryPool>,
    ) -> Result<Done> {
        if !is_wanted(folder).await? {
            return Err(not_wanted(&folder.url()));
        }
        if let Some(bytes) = folder.inside(&task.name).size().await? {
            return Ok(Done { bytes, seconds: 0.0 });
        }
        let began = Instant::now();
        let file = self.made(&work.what, task, folder, memory).await?;
        let bytes = file.len() as u64;
        leave(folder, &task.name, file).await?;
        Ok(Done { bytes, seconds: began.elapsed().as_secs_f64() })
    }

    async fn made(
        &self,
        what: &What,
        task: &Task,
        folder: &Place,
        memory: &Arc<dyn MemoryPool>,
    ) -> Result<Vec<u8>> {
        let reservation = MemoryConsumer::new(format!("arblast {}", task.name)).register(memory);
        let grow = |bytes: usize| reservation.try_grow(bytes).map_err(|error| no_memory(&error));
        match what {
            What::Read { engine, now_ms, format, skip_bad } => {
                Reading::new(engine, *now_ms, *format, *skip_bad)?.portion(task, grow).await
            }
            What::Count { parts: 0, cells } => count::whole(task, folder, *cells, &self.shared).await,
            What::Count { parts, .. } => count::summed(task, folder, *parts, grow).await,
        }
    }
}

async fn is_wanted(folder: &Place) -> Result<bool> {
    Ok(folder.inside(WANTED).size().await?.is_some())
}

/// Leaves a file for the driver. If the job was given up meanwhile, writing may have made its folder anew; then that goes too.
async fn leave(folder: &Place, name: &str, file: Vec<u8>) -> Result<()> {
    folder.put(name, file).await?;
    if is_wanted(folder).await? {
        return Ok(());
    }
    folder.remove().await?;
    Err(not_wanted(&folder.url()))
}

/// Gives up the folder of a job. [`WANTED`] goes first: whoever writes later sees that, and clears away what it wrote.
///
/// # Errors
/// Whatever the store reports.
pub async fn give_up(folder: &Place) -> Result<()> {
    match folder.inside(WANTED).remove_file().await {
        Err(failure) if failure.kind() != Kind::NotFound => Err(failure),
        _ => folder.remove().await,
    }
}

fn not_wanted(folder: &str) -> Failure {
    let text = format!(
        "{folder} is not there: either the train was cancelled, or this executor does not see the --scratch folder, which must \
         be on storage that all share"
    );
    Failure::new(Kind::NotFound, text)
}

fn no_memory(error: &datafusion::error::DataFusionError) -> Failure {
    let text =
        format!("too little memory for a task: give executors more --memory or fewer --vcores ({error})");
    Failure::new(Kind::Unavailable, text)
}
