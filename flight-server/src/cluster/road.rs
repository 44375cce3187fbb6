//! The way of a train through a cluster: portions in, interactions out, blocks in.

use std::sync::Arc;

use arblast::failure::{Failure, Result};
use arblast::jobs::{Ask, Road};
use engine::{Observer, Portion, Trained};

use super::driver::{Driver, Site, megabytes};
use super::executor::runtime;
use super::inputs::Inputs;
use super::read::{Reading, split_off_bad};
use super::task::{Format, Task, What};

/// Trains by way of a cluster.
pub struct ClusterRoad {
    pub site: Arc<Site>,
    /// Files of events; none: those of the store, which the driver reads.
    pub events: Vec<String>,
    /// How they are written, if their names do not tell.
    pub format: Option<Format>,
    pub skip_bad: bool,
}

impl ClusterRoad {
    /// With the events of the store.
    pub fn of_store(site: Arc<Site>) -> Self {
        Self { site, events: Vec::new(), format: None, skip_bad: false }
    }
}

impl Road for ClusterRoad {
    fn reads_store(&self) -> bool {
        self.events.is_empty()
    }

    fn train(&self, ask: &Ask<'_>, observer: &dyn Observer) -> Result<Trained> {
        let trained = self.site.drive(ask.run, observer, async |driver| {
            Drive { road: self, ask, observer, driver }.train().await
        });
        runtime()?.block_on(trained)
    }
}

/// A train under way.
struct Drive<'a> {
    road: &'a ClusterRoad,
    ask: &'a Ask<'a>,
    observer: &'a dyn Observer,
    driver: &'a Driver<'a>,
}

impl Drive<'_> {
    async fn train(&self) -> Result<Trained> {
        let portion = self.read().await?;
        let Ask { current, options, .. } = *self.ask;
        self.observer.stage("prepare", 0);
        let mut training = portion.prepare(current, options.threads, self.observer)?;
        self.observer.preflight(training.report());
        training.check()?;
        let is_counted = match training.correlating() {
            Some(correlating) => self.driver.correlate(correlating, options.threads).await?,
            None => true,
        };
        if !is_counted {
            training.correlate(options.threads, self.observer)?;
        }
        self.observer.stage("assemble", 0);
        Ok(training.assemble()?)
    }

    fn portion(&self) -> Portion {
        Portion::new(Arc::new(self.ask.config.clone()), self.ask.options.now_ms)
    }

    async fn read(&self) -> Result<Portion> {
        let mut portion = self.portion();
        if self.road.events.is_empty() {
            let missing =
                || Failure::invalid("--events is missing: files, folders or patterns, by path or URL");
            let (store, scope) = self.ask.events.ok_or_else(missing)?;
            portion.read(store, scope, self.observer)?;
            return Ok(portion);
        }
        let inputs = Inputs::find(&self.road.events, self.road.format).await?;
        let (files, bytes) = inputs.size();
        let cluster = self.driver.cluster().await?;
        let tasks = inputs.tasks(cluster.vcores).await?;
        self.observer.stage("read", tasks.len() as u64);
        let bad = if portion.learns() {
            self.driver.tell("removeDuplicates: equal events must meet, so the driver reads them all");
            let Ask { config, options, .. } = self.ask;
            let config = Arc::new((*config).clone());
            let (format, skip_bad) = (inputs.format(), self.road.skip_bad);
            let reading = Reading { config, now_ms: options.now_ms, format, skip_bad };
            let bad;
            (portion, bad) = reading.all(&tasks, portion, &|done| self.observer.progress(done)).await?;
            bad
        } else {
            self.read_elsewhere(&mut portion, tasks, inputs.format()).await?
        };
        self.driver.tell(&format!("read {} of {files} files, {} events", megabytes(bytes), portion.events()));
        if bad > 0 {
            self.driver.tell(&format!("skipped {bad} lines that are no events"));
        }
        Ok(portion)
    }

    /// Gives how many lines were no events.
    async fn read_elsewhere(&self, portion: &mut Portion, tasks: Vec<Task>, format: Format) -> Result<u64> {
        let engine = engine::redacted(self.ask.config_text.as_bytes()).map_err(engine::Error::from)?;
        let (now_ms, skip_bad) = (self.ask.options.now_ms, self.road.skip_bad);
        let (mut bad, mut bytes, count) = (0, 0, tasks.len());
        let take = |_: usize, file: Vec<u8>| -> Result<()> {
            let (part, more) = split_off_bad(&file)?;
            portion.merge(part)?;
            bad += more;
            bytes += file.len() as u64;
            Ok(())
        };
        self.driver.run(What::Read { engine, now_ms, format, skip_bad }, tasks, take).await?;
        self.driver.tell(&format!("{count} tasks read; {} of portions came back", megabytes(bytes)));
        Ok(bad)
    }
}
