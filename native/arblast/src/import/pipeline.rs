//! The threads of an import: one reader, several parsers, one committer.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use events::{Event, EventFilter, EventStore, MAX_EVENT_BYTES, Scope};

use super::blocks::{Block, Blocks, Limits};
use super::parse::{Parsed, parse};
use super::progress::{Progress, Record};
use super::{BadLine, Form, Identity, Names, Source};
use crate::failure::{Failure, Result};

const LIMITS: Limits = Limits { block_bytes: 1 << 20, line_bytes_max: MAX_EVENT_BYTES };

/// Blocks between reader and committer: bounds memory to some dozen MiB per thread.
const BLOCKS_PER_PARSER_MAX: usize = 3;

/// Text whose events are stored together. A store pays for each commit by pages it must write again, so few large
/// commits are several times as fast as many small ones.
const COMMIT_BYTES: u64 = if cfg!(test) { 2 << 20 } else { 16 << 20 };

/// What to do with a line that is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Store nothing, if a file has one.
    Abort,
    /// Report it and go on.
    Skip,
}

/// Counts of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Lines, with the blank ones; lines of an interrupted run count, too.
    pub lines: u64,
    /// Events stored by this run.
    pub events: u64,
    /// Lines that are no events, in this run.
    pub bad: u64,
    /// Lines that an interrupted run had stored.
    pub resumed: u64,
}

/// How to import.
pub struct Import<'a> {
    /// The option that names the sources.
    pub by: &'a str,
    /// Where events go.
    pub store: &'a dyn EventStore,
    /// App and channel.
    pub scope: Scope,
    /// Where progress is noted.
    pub home: &'a Path,
    /// Time of acceptance.
    pub now_ms: i64,
    /// Threads that parse.
    pub parsers: usize,
    /// For lines that are no events.
    pub on_error: OnError,
    /// How events are written.
    pub form: Form,
    /// What the app declares.
    pub names: Names,
    /// Give events new ids, even if the file was imported before.
    pub fresh: bool,
    /// Counts bytes read.
    pub bytes_read: Arc<AtomicU64>,
    /// Counts events stored.
    pub events_stored: Arc<AtomicU64>,
}

/// Told of each line that is no event.
pub type OnBadLine<'a> = &'a mut dyn FnMut(&BadLine) -> Result<()>;

impl Import<'_> {
    /// Imports one source. On return its events are durable.
    ///
    /// # Errors
    /// The source cannot be read, the store fails, or a line is no event and [`OnError::Abort`] holds.
    pub fn run(&self, source: &Source, on_bad_line: OnBadLine<'_>) -> Result<Totals> {
        let failed = |error| Failure::file("read", self.by, source.name().as_ref())(error);
        let identity = match source {
            Source::File(path) if !self.fresh => Identity::of_file(path).map_err(failed)?,
            _ => Identity::fresh().map_err(failed)?,
        };
        let record = Record::new(self.home, self.scope, identity);
        let resumed = record.read();
        let start = resumed.unwrap_or(Progress { offset: 0, lines: 0, now_ms: self.now_ms });
        if self.on_error == OnError::Abort && matches!(source, Source::File(_)) {
            self.check(source, identity, start)?;
            self.bytes_read.store(0, Ordering::Relaxed);
        }
        let mut commit = Commit {
            import: self,
            source,
            record,
            stored: start,
            seen: start,
            waiting: Vec::new(),
            totals: Totals { lines: start.lines, resumed: start.lines, ..Totals::default() },
            on_bad_line,
        };
        self.stream(source, identity, start, &mut |parsed| commit.block(parsed))?;
        commit.finish()
    }

    /// Reads all lines and stores nothing: fails at the first that is no event.
    fn check(&self, source: &Source, identity: Identity, start: Progress) -> Result<()> {
        let mut lines = start.lines;
        self.stream(source, identity, start, &mut |parsed| {
            if let Some(bad) = parsed.bad.first() {
                return Err(aborted(
                    source,
                    lines + bad.line,
                    &bad.reason,
                    "nothing of this file was stored",
                ));
            }
            lines += parsed.lines;
            Ok(())
        })
    }

    /// Gives the parsed blocks of `source` to `take`, in order.
    fn stream(
        &self,
        source: &Source,
        identity: Identity,
        start: Progress,
        take: &mut dyn FnMut(Parsed) -> Result<()>,
    ) -> Result<()> {
        let failed = |error| Failure::file("read", self.by, source.name().as_ref())(error);
        let input = source.open(start.offset, Arc::clone(&self.bytes_read)).map_err(failed)?;
        let parsers = self.parsers.max(1);
        let (permit_giver, permits) = sync_channel(parsers * BLOCKS_PER_PARSER_MAX);
        let (block_giver, blocks) = channel();
        let (parsed_giver, parsed) = channel();
        let blocks = Mutex::new(blocks);
        thread::scope(|scope| {
            let reader = scope.spawn(|| read(input, start.offset, permit_giver, block_giver));
            for _ in 0..parsers {
                let (blocks, parsed_giver) = (&blocks, parsed_giver.clone());
                scope.spawn(move || self.parse_all(blocks, &parsed_giver, identity, start.now_ms));
            }
            drop(parsed_giver);
            let taken = in_order(&parsed, permits, take);
            // Free the threads that wait: a parser to hand over, the reader for a permit (gone with `permits`).
            drop(parsed);
            let read =
                reader.join().map_err(|_| Failure::new(events::Kind::Internal, "the reader panicked"))?;
            taken.and(read.map_err(failed))
        })
    }

    fn parse_all(
        &self,
        blocks: &Mutex<Receiver<(u64, Block)>>,
        parsed: &Sender<(u64, Parsed)>,
        identity: Identity,
        now_ms: i64,
    ) {
        loop {
            let next = blocks.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok((number, block)) = next else { return };
            if parsed.send((number, parse(&block, self.form, identity, now_ms, &self.names))).is_err() {
                return;
            }
        }
    }
}

/// A permit per block, taken by the reader, given back by the committer.
type Permits = Receiver<()>;

fn read(
    input: Box<dyn Read + Send>,
    offset: u64,
    permits: SyncSender<()>,
    blocks: Sender<(u64, Block)>,
) -> std::io::Result<()> {
    let mut input = Blocks::new(input, offset, LIMITS);
    let mut number = 0;
    while let Some(block) = input.next()? {
        // Both fail only when the other side gave up; its own error is the one to tell.
        if permits.send(()).is_err() || blocks.send((number, block)).is_err() {
            break;
        }
        number += 1;
    }
    Ok(())
}

/// Hands over blocks by number; at most as many wait as there are permits.
fn in_order(
    parsed: &Receiver<(u64, Parsed)>,
    permits: Permits,
    take: &mut dyn FnMut(Parsed) -> Result<()>,
) -> Result<()> {
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    for (number, block) in parsed {
        waiting.insert(number, block);
        while let Some(block) = waiting.remove(&next) {
            take(block)?;
            next += 1;
            // The reader put one in for this block.
            let _ = permits.recv();
        }
    }
    Ok(())
}

/// Stores blocks in order, several at a time.
struct Commit<'a> {
    import: &'a Import<'a>,
    source: &'a Source,
    record: Record,
    /// What is stored.
    stored: Progress,
    /// What is stored or waits.
    seen: Progress,
    waiting: Vec<Event>,
    totals: Totals,
    on_bad_line: OnBadLine<'a>,
}

impl Commit<'_> {
    fn block(&mut self, mut parsed: Parsed) -> Result<()> {
        for mut bad in parsed.bad {
            bad.line += self.seen.lines;
            if self.import.on_error == OnError::Abort {
                self.store()?;
                let stored = format!("{} events before it were stored", self.totals.events);
                return Err(aborted(self.source, bad.line, &bad.reason, &stored));
            }
            self.totals.bad += 1;
            (self.on_bad_line)(&bad)?;
        }
        match self.import.form {
            Form::Api => self.waiting.append(&mut parsed.events),
            Form::Harness => parsed.events.into_iter().try_for_each(|event| self.of_harness(event))?,
        }
        self.seen.offset = parsed.end;
        self.seen.lines += parsed.lines;
        if self.seen.offset - self.stored.offset >= COMMIT_BYTES { self.store() } else { Ok(()) }
    }

    fn of_harness(&mut self, event: Event) -> Result<()> {
        if event.event != "$delete" || event.entity.kind != "user" {
            self.waiting.push(event);
            return Ok(());
        }
        // What came before is there already, or waits; what comes later stays, however often this line is read.
        self.store()?;
        let (store, scope) = (self.import.store, self.import.scope);
        let earlier = EventFilter {
            entity_type: Some(event.entity.kind),
            entity_id: Some(event.entity.id),
            until: event.event_time.millis.checked_add(1),
            ..EventFilter::default()
        };
        let mut ids = Vec::new();
        store.find(scope, &earlier, &mut |found| {
            ids.push(found.event_id.to_owned());
            ControlFlow::Continue(())
        })?;
        ids.iter().try_for_each(|id| store.delete(scope, id).map(drop))?;
        Ok(())
    }

    /// Makes what waits durable, then notes it.
    fn store(&mut self) -> Result<()> {
        if !self.waiting.is_empty() {
            self.import.store.append(self.import.scope, &self.waiting)?;
            let stored = self.waiting.len() as u64;
            self.totals.events += stored;
            self.import.events_stored.fetch_add(stored, Ordering::Relaxed);
            self.waiting.clear();
        }
        self.stored = self.seen;
        if matches!(self.source, Source::File(_)) && !self.import.fresh {
            self.record.write(self.stored).map_err(|error| Failure::io("cannot note progress", &error))?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Totals> {
        self.store()?;
        self.totals.lines = self.stored.lines;
        self.record.remove().map_err(|error| Failure::io("cannot note the end of the import", &error))?;
        Ok(self.totals)
    }
}

fn aborted(source: &Source, line: u64, reason: &str, stored: &str) -> Failure {
    Failure::invalid(format!(
        "malformed json => {}, line {line}: {reason} ({stored}); correct the line, or go on without it by --on-error skip",
        source.name()
    ))
}

#[cfg(test)]
mod tests;
