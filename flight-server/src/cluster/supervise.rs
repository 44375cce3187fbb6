//! Gets tasks done by a cluster that may lose executors, reports and jobs. What counts is which files are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arblast::failure::{Failure, Result};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::physical_plan::ExecutionPlan;
use engine::Observer;
use events::Kind;

use super::folder::Place;
use super::interactions::room_of;
use super::link::{Cluster, Link, State};
use super::operator::TaskExec;
use super::task::{Task, Work, failure_from_json};

/// How often the folder and the job are looked at.
const LOOK: Duration = Duration::from_millis(150);
/// How often executors are counted.
const COUNT: Duration = Duration::from_secs(1);
/// How long the first executor is waited for, and a scheduler that does not answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// After so many jobs that brought nothing there is no hope.
const FRUITLESS_MAX: usize = 3;

/// How long a driver goes on.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// When all has to be done.
    pub deadline: Option<Instant>,
    /// The longest time in which no task ends.
    pub stalled_after: Duration,
}

/// Tasks to get done.
pub struct Job<'a> {
    pub link: &'a Link,
    pub folder: &'a Place,
    pub work: Work,
    pub tasks: &'a [Task],
    pub limits: Limits,
    pub observer: &'a dyn Observer,
    /// Hears what goes on.
    pub told: &'a dyn Fn(&str),
}

/// How a job of the scheduler went.
enum Outcome {
    /// All files are there.
    Complete,
    /// Something is missing, for this reason.
    Again(String),
}

impl Job<'_> {
    /// Gets them done; `take` has each task's number and file once, in any order.
    ///
    /// # Errors
    /// [`engine::Error::Stopped`] if the observer says so; why a task failed; `Kind::Unavailable` if executors or the scheduler are
    /// gone, or it takes too long.
    pub async fn run(&self, mut take: impl FnMut(usize, Vec<u8>) -> Result<()>) -> Result<()> {
        let mut taken = Taken::new(self.tasks);
        let mut fruitless = 0;
        loop {
            let before = taken.number();
            let cluster = self.executors().await?;
            let job = self.link.submit("arblast train", self.plan(&taken)?).await?;
            let outcome = self.watch(&job, &cluster, &mut taken, &mut take).await;
            if !matches!(outcome, Ok(Outcome::Complete)) {
                // It may have ended by itself, or with its scheduler.
                let _ = self.link.cancel(&job).await;
            }
            let Outcome::Again(why) = outcome? else { return Ok(()) };
            fruitless = if taken.number() > before { 0 } else { fruitless + 1 };
            let missing = self.tasks.len() - taken.number();
            let what = format!("{missing} of {} tasks are not done: {why}", self.tasks.len());
            if fruitless >= FRUITLESS_MAX {
                return Err(Failure::new(
                    Kind::Unavailable,
                    format!("{what}; given up after {fruitless} tries"),
                ));
            }
            (self.told)(&format!("{what}; they are given out again"));
            tokio::time::sleep(LOOK * 4).await;
        }
    }

    /// Waits for executors.
    async fn executors(&self) -> Result<Cluster> {
        let asked = Instant::now();
        loop {
            self.look_at_the_clock(asked)?;
            let cluster = self.link.cluster().await;
            match cluster {
                Ok(cluster) if !cluster.executors.is_empty() => return Ok(cluster),
                Err(failure) if failure.kind() != Kind::Unavailable || asked.elapsed() > PATIENCE => {
                    return Err(failure);
                }
                Ok(_) if asked.elapsed() > PATIENCE => {
                    let text = "the scheduler has no executor; start some: arblast flight executor --scheduler HOST:PORT";
                    return Err(Failure::new(Kind::Unavailable, text));
                }
                _ => tokio::time::sleep(LOOK * 2).await,
            }
        }
    }

    /// One partition per task that is missing.
    fn plan(&self, taken: &Taken) -> Result<Arc<dyn ExecutionPlan>> {
        let missing = self.tasks.iter().enumerate().filter(|(number, _)| !taken.has(*number));
        let partitions = missing.map(|(_, task)| Ok(vec![task.to_batch()?])).collect::<Result<Vec<_>>>()?;
        let rows = MemorySourceConfig::try_new_exec(&partitions, Task::schema(), None);
        let rows = rows.map_err(|error| Failure::new(Kind::Internal, format!("a plan: {error}")))?;
        Ok(Arc::new(TaskExec::new(Arc::new(self.work.clone()), rows, None)))
    }

    async fn watch(
        &self,
        job: &str,
        cluster: &Cluster,
        taken: &mut Taken,
        take: &mut impl FnMut(usize, Vec<u8>) -> Result<()>,
    ) -> Result<Outcome> {
        let (mut heard, mut counted, mut news) = (Instant::now(), Instant::now(), Instant::now());
        loop {
            let state = self.state(job, &mut heard).await?;
            // After the state: what is there by then is all there will be of a job that has ended.
            if self.collect(taken, take).await? {
                news = Instant::now();
            }
            if taken.number() == self.tasks.len() {
                return Ok(Outcome::Complete);
            }
            match state {
                State::Running => {}
                State::Ended => return Ok(Outcome::Again("a job ended without them".to_owned())),
                State::Failed(reason) => return self.failed(taken, reason).await,
                State::Unknown if heard.elapsed() < PATIENCE => {}
                State::Unknown => return Ok(Outcome::Again("the scheduler lost the job".to_owned())),
            }
            self.look_at_the_clock(news)?;
            if counted.elapsed() > COUNT {
                counted = Instant::now();
                // A scheduler that does not answer shows in the state of the job.
                if let Ok(now) = self.link.cluster().await
                    && let Some(lost) = cluster.executors.difference(&now.executors).next()
                {
                    return Ok(Outcome::Again(format!("executor {lost} is lost")));
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// `heard` is when the scheduler last knew the job.
    async fn state(&self, job: &str, heard: &mut Instant) -> Result<State> {
        match self.link.state(job).await {
            Ok(State::Unknown) => Ok(State::Unknown),
            Ok(state) => {
                *heard = Instant::now();
                Ok(state)
            }
            Err(failure) if failure.kind() != Kind::Unavailable || heard.elapsed() > PATIENCE => Err(failure),
            Err(_) => Ok(State::Running),
        }
    }

    /// Takes what is new; was there something?
    async fn collect(
        &self,
        taken: &mut Taken,
        take: &mut impl FnMut(usize, Vec<u8>) -> Result<()>,
    ) -> Result<bool> {
        let names = self.folder.names().await?;
        let fresh: Vec<usize> = names.keys().filter_map(|name| taken.fresh(name)).collect();
        for &number in &fresh {
            take(number, self.folder.inside(&self.tasks[number].name).get().await?)?;
            taken.add(number);
            self.observer.progress(taken.number() as u64);
        }
        Ok(!fresh.is_empty())
    }

    /// Did a task say why? Then that is the reason, unless another try may help.
    async fn failed(&self, taken: &Taken, reason: String) -> Result<Outcome> {
        let names = self.folder.names().await?;
        let missing = self.tasks.iter().enumerate().filter(|(number, _)| !taken.has(*number));
        let mut again = reason;
        for (_, task) in missing.filter(|(_, task)| names.contains_key(&task.failure_file())) {
            let file = self.folder.inside(&task.failure_file());
            let Some(failure) = failure_from_json(&file.get().await?) else { continue };
            if failure.kind() != Kind::Unavailable || room_of(&failure).is_some() {
                return Err(failure);
            }
            again = failure.to_string();
            file.remove_file().await?;
        }
        Ok(Outcome::Again(again))
    }

    /// # Errors
    /// The observer wants an end, or there is no time left. `news` is when something last happened.
    fn look_at_the_clock(&self, news: Instant) -> Result<()> {
        if self.observer.is_stopped() {
            return Err(engine::Error::Stopped.into());
        }
        if self.limits.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return Err(Failure::new(Kind::Unavailable, "the train was not done by its --deadline"));
        }
        if news.elapsed() > self.limits.stalled_after {
            let text = format!(
                "no task ended within {} s (--stalled-after): look at the executors; if tasks take that long, allow \
                 more",
                self.limits.stalled_after.as_secs()
            );
            return Err(Failure::new(Kind::Unavailable, text));
        }
        Ok(())
    }
}

/// Which files have been taken.
struct Taken {
    numbers: BTreeMap<String, usize>,
    taken: BTreeSet<usize>,
}

impl Taken {
    fn new(tasks: &[Task]) -> Self {
        let numbers = tasks.iter().enumerate().map(|(number, task)| (task.name.clone(), number));
        Self { numbers: numbers.collect(), taken: BTreeSet::new() }
    }

    /// The task whose file has this name, if it has not been taken.
    fn fresh(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied().filter(|number| !self.taken.contains(number))
    }

    fn has(&self, number: usize) -> bool {
        self.taken.contains(&number)
    }

    fn add(&mut self, number: usize) {
        self.taken.insert(number);
    }

    fn number(&self) -> usize {
        self.taken.len()
    }
}
