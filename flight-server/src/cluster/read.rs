//! A task that reads: some of a file's events become a portion.

use std::ops::Range;
use std::sync::Arc;

use arblast::failure::{Failure, Result};
use arrow::record_batch::RecordBatch;
use engine::{EngineConfig, Leniency, Portion};
use events::{EventRef, EventTime, ParsedEvent};
use futures::TryStreamExt;

use super::folder::Place;
use super::lines::Lines;
use super::parquet;
use super::task::{Format, Task};

/// A portion takes less memory than this fraction of the text of its events.
const TEXT_PER_PORTION: usize = 4;

/// How events are read.
#[derive(Debug, Clone)]
pub struct Reading {
    pub config: Arc<EngineConfig>,
    pub now_ms: i64,
    pub format: Format,
    pub skip_bad: bool,
}

/// What takes the events of blocks of lines, in order.
trait Sink: Send + 'static {
    fn push(&mut self, event: &EventRef<'_>) -> Result<()>;
}

impl Sink for Portion {
    fn push(&mut self, event: &EventRef<'_>) -> Result<()> {
        Ok(Portion::push(self, event)?)
    }
}

/// Takes note of events that will be pushed.
struct Learner(Portion);

impl Sink for Learner {
    fn push(&mut self, event: &EventRef<'_>) -> Result<()> {
        self.0.learn(event);
        Ok(())
    }
}

impl Reading {
    /// Of the text of an engine file whose secrets may be missing.
    ///
    /// # Errors
    /// It is none.
    pub fn new(engine: &str, now_ms: i64, format: Format, skip_bad: bool) -> Result<Self> {
        let variable = |name: &str| Some(std::env::var(name).unwrap_or_default());
        let (config, _) = EngineConfig::parse(engine.as_bytes(), Leniency::Lenient, &variable)
            .map_err(engine::Error::from)?;
        Ok(Self { config: Arc::new(config), now_ms, format, skip_bad })
    }

    /// The bytes of a task's portion, behind the number of what was no event. `grow` is asked before memory is taken.
    ///
    /// # Errors
    /// A line is no event; the file cannot be read; there is no memory.
    pub async fn portion(&self, task: &Task, grow: impl FnMut(usize) -> Result<()>) -> Result<Vec<u8>> {
        let portion = Portion::new(Arc::clone(&self.config), self.now_ms);
        let (portion, bad) = self.read(task, portion, grow).await?;
        let portion = tokio::task::spawn_blocking(move || portion.into_bytes()).await.map_err(panicked)?;
        Ok([&bad.to_le_bytes()[..], &portion].concat())
    }

    /// Adds the events of tasks to a portion, here, as with `removeDuplicates` equal events must meet: all are read twice. Gives
    /// how many were none.
    ///
    /// # Errors
    /// As [`portion`](Self::portion).
    pub async fn all(
        &self,
        tasks: &[Task],
        mut portion: Portion,
        done: &dyn Fn(u64),
    ) -> Result<(Portion, u64)> {
        if portion.learns() {
            let mut learner = Learner(portion);
            for task in tasks {
                (learner, _) = self.read(task, learner, |_| Ok(())).await?;
            }
            portion = learner.0;
        }
        let mut bad = 0;
        for (number, task) in (1..).zip(tasks) {
            let more;
            (portion, more) = self.read(task, portion, |_| Ok(())).await?;
            bad += more;
            done(number);
        }
        Ok((portion, bad))
    }

    async fn read<S: Sink>(
        &self,
        task: &Task,
        mut sink: S,
        mut grow: impl FnMut(usize) -> Result<()>,
    ) -> Result<(S, u64)> {
        let mut bad = 0;
        for file in task.source.lines() {
            let range = task.first..task.end;
            let more;
            (sink, more) = match self.format {
                Format::Json => self.read_lines(file.into(), range, sink, &mut grow).await?,
                Format::Parquet => self.read_rows(file.into(), range, sink, &mut grow).await?,
            };
            bad += more;
        }
        Ok((sink, bad))
    }

    async fn read_rows<S: Sink>(
        &self,
        file: Arc<str>,
        range: Range<u64>,
        mut sink: S,
        grow: &mut impl FnMut(usize) -> Result<()>,
    ) -> Result<(S, u64)> {
        let mut batches = parquet::batches(&Place::open(&file)?, range).await?;
        let (now, skip_bad) = (EventTime::utc(self.now_ms), self.skip_bad);
        let mut bad = 0;
        while let Some(batch) = batches.try_next().await? {
            grow(batch.get_array_memory_size() / TEXT_PER_PORTION)?;
            let file = Arc::clone(&file);
            let more;
            (sink, more) = parsed(sink, move |sink| push_rows(&file, &batch, now, skip_bad, sink)).await?;
            bad += more;
        }
        Ok((sink, bad))
    }

    async fn read_lines<S: Sink>(
        &self,
        file: Arc<str>,
        range: Range<u64>,
        mut sink: S,
        grow: &mut impl FnMut(usize) -> Result<()>,
    ) -> Result<(S, u64)> {
        let mut lines = Lines::open(Place::open(&file)?, range).await?;
        let (now, skip_bad) = (EventTime::utc(self.now_ms), self.skip_bad);
        let mut bad = 0;
        while let Some((offset, block)) = lines.next().await? {
            grow(block.len() / TEXT_PER_PORTION)?;
            let file = Arc::clone(&file);
            let more;
            (sink, more) =
                parsed(sink, move |sink| push_lines(&file, offset, &block, now, skip_bad, sink)).await?;
            bad += more;
        }
        Ok((sink, bad))
    }
}

/// Parses in a thread that may take long; gives the sink back, and how many were no events.
async fn parsed<S: Sink>(
    mut sink: S,
    parse: impl FnOnce(&mut S) -> Result<u64> + Send + 'static,
) -> Result<(S, u64)> {
    let done = move || parse(&mut sink).map(|bad| (sink, bad));
    tokio::task::spawn_blocking(done).await.map_err(panicked)?
}

/// A thread of the pool panicked.
pub fn panicked(error: tokio::task::JoinError) -> Failure {
    Failure::new(events::Kind::Internal, format!("a task broke: {error}"))
}

/// Gives how many rows were no events.
fn push_rows(
    file: &str,
    batch: &RecordBatch,
    now: EventTime,
    skip_bad: bool,
    sink: &mut impl Sink,
) -> Result<u64> {
    let (mut bad, mut failure) = (0, None);
    let rows = columnar::event_texts(batch, |_, text| {
        let pushed = match ParsedEvent::parse(text.as_bytes(), now) {
            Ok(event) => event.lend(|event| sink.push(event)),
            Err(_) if skip_bad => {
                bad += 1;
                Ok(())
            }
            Err(error) => Err(no_event(file, "a row", &error, text.as_bytes())),
        };
        if failure.is_none()
            && let Err(first) = pushed
        {
            failure = Some(first);
        }
    });
    rows.map_err(|error| Failure::invalid(format!("{file}: {error}")))?;
    failure.map_or(Ok(bad), Err)
}

fn no_event(file: &str, place: &str, error: &events::Error, text: &[u8]) -> Failure {
    const HEAD_CHARS: usize = 160;
    let reason = error.to_string();
    let reason = reason.strip_prefix("line 1, ").unwrap_or(&reason);
    let head: String = String::from_utf8_lossy(text).chars().take(HEAD_CHARS).collect();
    Failure::invalid(format!("{file}: {place} is no event: {reason} In: {head}"))
}

/// Gives how many lines were no events. Those without a creation time came `now`.
fn push_lines(
    file: &str,
    offset: u64,
    block: &[u8],
    now: EventTime,
    skip_bad: bool,
    sink: &mut impl Sink,
) -> Result<u64> {
    let mut bad = 0;
    for (at, text) in events::lines(block) {
        if !text.is_empty() {
            match ParsedEvent::parse(text, now) {
                Ok(event) => event.lend(|event| sink.push(event))?,
                Err(_) if skip_bad => bad += 1,
                Err(error) => {
                    return Err(no_event(
                        file,
                        &format!("the line at byte {}", offset + at as u64),
                        &error,
                        text,
                    ));
                }
            }
        }
    }
    Ok(bad)
}

/// What [`Reading::portion`] gave: the portion, and the number of what was no event.
pub fn split_off_bad(file: &[u8]) -> Result<(&[u8], u64)> {
    let (bad, portion) = file.split_first_chunk().ok_or(engine::Error::Damaged("a portion is cut short"))?;
    Ok((portion, u64::from_le_bytes(*bad)))
}
