//! What drives a cluster: gives out tasks, has a folder for what goes between processes, counts elsewhere what is to be counted.

use std::time::{Duration, Instant};

use arblast::clock;
use arblast::failure::{Failure, Result};
use engine::{Correlating, Observer};
use events::Kind;
use events::json::Object;

use super::count::{ALL, part_file};
use super::folder::Place;
use super::interactions::{BYTES_PER_CELL, room_of};
use super::link::{Cluster, Link};
use super::place::{Load, Where};
use super::supervise::{Job, Limits};
use super::task::{Task, What, Work};
use super::worker::{WANTED, give_up};

/// Folders of jobs begin so.
const JOB: &str = "job-";
/// Text of the tasks that are given out at once: a plan names them all, and must fit into a message.
const PLAN_BYTES_MAX: usize = 4 << 20;
/// What a task takes of a plan, beside its text.
const TASK_BYTES: usize = 256;
/// What is older was left behind by a driver that died.
const FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 3600);

/// A cluster, and how to use it.
pub struct Site {
    /// `host:port` of the scheduler.
    pub scheduler: String,
    /// The folder that all processes reach.
    pub scratch: String,
    pub count: Where,
    pub deadline: Option<Duration>,
    pub stalled_after: Duration,
    /// Hears what goes on.
    pub told: Box<dyn Fn(&str) + Send + Sync>,
}

/// A process that gives tasks to a cluster, for one job.
pub struct Driver<'a> {
    site: &'a Site,
    observer: &'a dyn Observer,
    link: Link,
    folder: Place,
    limits: Limits,
}

impl Site {
    /// May it be quicker than to count here?
    pub fn is_worth_while(&self, correlating: &Correlating, threads: usize) -> bool {
        Load::of(correlating).place(self.count, threads, usize::MAX) != Where::Driver
    }

    /// Does a job, whose folder has a name that nobody else uses, and clears away behind it.
    ///
    /// # Errors
    /// The cluster or the scratch folder cannot be reached; whatever the work reports.
    pub async fn drive<T>(
        &self,
        name: &str,
        observer: &dyn Observer,
        work: impl AsyncFnOnce(&Driver<'_>) -> Result<T>,
    ) -> Result<T> {
        let limits = Limits {
            deadline: self.deadline.map(|time| Instant::now() + time),
            stalled_after: self.stalled_after,
        };
        let link = Link::open(&self.scheduler).await?;
        let scratch = Place::open(&self.scratch)?;
        sweep(&scratch).await;
        let folder = scratch.inside(&format!("{JOB}{name}"));
        folder.put(WANTED, Object::new().with("job", name).to_string().into_bytes()).await?;
        let driver = Driver { site: self, observer, link, folder, limits };
        let done = work(&driver).await;
        if let Err(failure) = give_up(&driver.folder).await {
            driver.tell(&failure.to_string());
        }
        done
    }
}

/// Removes the folders of jobs whose drivers died. What cannot be removed now is in nobody's way.
async fn sweep(scratch: &Place) {
    let limit = clock::now_ms() - i64::try_from(FORGOTTEN.as_millis()).unwrap_or(i64::MAX);
    for (file, _, written_ms) in scratch.files().await.unwrap_or_default() {
        let name = scratch.relative(&file);
        if let Some((job, WANTED)) = name.split_once('/')
            && job.starts_with(JOB)
            && written_ms < limit
        {
            let _ = give_up(&scratch.inside(job)).await;
        }
    }
}

impl Driver<'_> {
    pub fn tell(&self, text: &str) {
        (self.site.told)(text);
    }

    /// The executors that there are now.
    ///
    /// # Errors
    /// The scheduler is gone.
    pub async fn cluster(&self) -> Result<Cluster> {
        self.link.cluster().await
    }

    /// Tasks for the cluster, of which `take` has each file once.
    ///
    /// # Errors
    /// See [`Job::run`].
    pub async fn run(
        &self,
        what: What,
        tasks: Vec<Task>,
        mut take: impl FnMut(usize, Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let Self { link, folder, limits, observer, site } = self;
        let mut first = 0;
        for end in rounds(&tasks) {
            let work = Work { folder: self.folder.url(), what: what.clone() };
            let tasks = &tasks[first..end];
            let job =
                Job { link, folder, work, tasks, limits: *limits, observer: *observer, told: &*site.told };
            job.run(|number, file| take(first + number, file)).await?;
            first = end;
        }
        Ok(())
    }

    /// Counts by the executors, if that is asked for or worth while. `false`: it is to be counted here.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    pub async fn correlate(&self, correlating: &mut Correlating, threads: usize) -> Result<bool> {
        let load = Load::of(correlating);
        let cluster = self.cluster().await?;
        let wanted = self.site.count;
        let parts = match load.place(wanted, threads, cluster.vcores) {
            Where::Driver | Where::Auto => return Ok(false),
            Where::Parts => load.parts(load.cells * BYTES_PER_CELL, cores_of_one(&cluster)),
            Where::Executors => match self.count(correlating, load, &cluster, 0).await {
                Err(failure) if wanted == Where::Auto && room_of(&failure).is_some() => {
                    self.tell(&format!("{failure}; counts by parts"));
                    load.parts(room_of(&failure).unwrap_or_default(), cores_of_one(&cluster))
                }
                counted => return counted.map(|()| true),
            },
        };
        self.count(correlating, load, &cluster, parts).await.map(|()| true)
    }

    /// `parts`: of the users, 0 = all at once.
    async fn count(
        &self,
        correlating: &mut Correlating,
        load: Load,
        cluster: &Cluster,
        parts: u32,
    ) -> Result<()> {
        let none = || Failure::new(Kind::Internal, "there is nothing to count");
        let mut sent = 0;
        for part in 0..parts.max(1) {
            let bytes = correlating.counting(part, parts.max(1)).ok_or_else(none)?;
            sent += bytes.len() as u64;
            let name = if parts == 0 { ALL.to_owned() } else { part_file(part) };
            self.folder.put(&name, bytes).await?;
        }
        let tasks = load.tasks(parts, cluster.vcores);
        let in_parts = if parts == 0 { String::new() } else { format!(" in {parts} parts") };
        self.tell(&format!(
            "{} executors count {} pairs{in_parts} by {} ranges of items; {} went out",
            cluster.executors.len(),
            load.cells,
            tasks.len(),
            megabytes(sent)
        ));
        self.observer.stage("count", tasks.len() as u64);
        let mut blocks: Vec<Vec<u8>> = vec![Vec::new(); tasks.len()];
        let take = |number: usize, file| -> Result<()> {
            blocks[number] = file;
            Ok(())
        };
        self.run(What::Count { parts, cells: load.cells }, tasks, take).await?;
        let bytes = blocks.iter().map(|block| block.len() as u64).sum();
        self.tell(&format!("{} of blocks came back", megabytes(bytes)));
        Ok(blocks.iter().try_for_each(|block| correlating.add(block))?)
    }
}

/// Where each round of tasks ends.
fn rounds(tasks: &[Task]) -> Vec<usize> {
    let (mut ends, mut bytes) = (Vec::new(), 0);
    for (number, task) in tasks.iter().enumerate() {
        let own = task.source.len() + TASK_BYTES;
        if bytes > 0 && bytes + own > PLAN_BYTES_MAX {
            ends.push(number);
            bytes = 0;
        }
        bytes += own;
    }
    ends.extend((!tasks.is_empty()).then_some(tasks.len()));
    ends
}

fn cores_of_one(cluster: &Cluster) -> usize {
    cluster.vcores.div_ceil(cluster.executors.len().max(1))
}

/// For people.
#[expect(clippy::cast_precision_loss, reason = "for people")]
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_fit_into_messages() {
        let tasks = |count: usize, bytes: usize| -> Vec<Task> {
            let task = |n: usize| Task { name: n.to_string(), source: "x".repeat(bytes), first: 0, end: 0 };
            (0..count).map(task).collect()
        };
        assert!(rounds(&[]).is_empty());
        assert_eq!(rounds(&tasks(3, 100)), [3]);
        assert_eq!(rounds(&tasks(3, PLAN_BYTES_MAX + 1)), [1, 2, 3]);
        let half = PLAN_BYTES_MAX / 2 - TASK_BYTES;
        assert_eq!(rounds(&tasks(5, half)), [2, 4, 5]);
    }
}
