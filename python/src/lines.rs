//! Files of event JSON lines, plain or by gzip: several threads parse, the events come in the order of the files.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use events::{EventTime, MAX_EVENT_BYTES, ParsedEvent};
use flate2::read::MultiGzDecoder;

use crate::border::{Fault, Result, Stop};
use crate::told::Take;

/// Lines are parsed in blocks of so many bytes.
const BLOCK_BYTES: usize = 1 << 20;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Gives all events of a file to `take`. Those without an id get one by `file`, their place among the files, and their place in it.
///
/// # Errors
/// The file cannot be read; a line is no event: file and line are told; whatever `take` says; the call was stopped.
pub fn read(
    path: &Path,
    file: u64,
    now: EventTime,
    threads: usize,
    stop: &Stop,
    take: Take<'_>,
) -> Result<()> {
    let mut blocks = Blocks::open(path)?;
    loop {
        stop.check()?;
        let some = (0..threads.max(1)).map(|_| blocks.next()).collect::<Result<Vec<_>>>()?;
        let some: Vec<Block> = some.into_iter().flatten().collect();
        if some.is_empty() {
            return Ok(());
        }
        let parsed = std::thread::scope(|scope| {
            let helpers: Vec<_> =
                some.iter().skip(1).map(|block| scope.spawn(move || block.parse(path, file, now))).collect();
            let first = some.first().map(|block| block.parse(path, file, now));
            let others = helpers.into_iter().map(|helper| match helper.join() {
                Ok(parsed) => parsed,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            first.into_iter().chain(others).collect::<Vec<_>>()
        });
        for events in parsed {
            events?.iter().try_for_each(|event| event.lend(&mut *take))?;
        }
    }
}

/// A file, by blocks of whole lines.
struct Blocks {
    path: PathBuf,
    input: Box<dyn BufRead>,
    line: u64,
}

/// Whole lines.
struct Block {
    /// Number of the first, from 1.
    line: u64,
    bytes: Vec<u8>,
}

impl Blocks {
    fn open(path: &Path) -> Result<Self> {
        let failed = || Fault::file(path);
        let mut file = BufReader::with_capacity(BLOCK_BYTES, File::open(path).map_err(failed())?);
        let packed = file.fill_buf().map_err(failed())?.starts_with(&GZIP);
        let input: Box<dyn BufRead> = if packed {
            Box::new(BufReader::with_capacity(BLOCK_BYTES, MultiGzDecoder::new(file)))
        } else {
            Box::new(file)
        };
        Ok(Self { path: path.to_owned(), input, line: 1 })
    }

    /// `None` at the end.
    fn next(&mut self) -> Result<Option<Block>> {
        let mut block =
            Block { line: self.line, bytes: Vec::with_capacity(BLOCK_BYTES + (BLOCK_BYTES >> 4)) };
        let failed = Fault::file(&self.path);
        let limit = (BLOCK_BYTES + MAX_EVENT_BYTES) as u64;
        let mut read = || -> std::io::Result<()> {
            self.input.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut block.bytes)?;
            if block.bytes.last().is_some_and(|&byte| byte != b'\n') {
                self.input.by_ref().take(limit).read_until(b'\n', &mut block.bytes)?;
            }
            Ok(())
        };
        read().map_err(failed)?;
        self.line += block.bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        Ok((!block.bytes.is_empty()).then_some(block))
    }
}

impl Block {
    fn parse(&self, path: &Path, file: u64, now: EventTime) -> Result<Vec<ParsedEvent<'_>>> {
        let mut parsed = Vec::new();
        for (number, line) in (self.line..).zip(events::lines(&self.bytes).map(|(_, line)| line)) {
            if line.is_empty() {
                continue;
            }
            let mut event = ParsedEvent::parse(line, now).map_err(|error| {
                let text = error.to_string();
                let text = text.strip_prefix("line 1, ").unwrap_or(&text);
                Fault::argument(format!("{}, line {number}: {text}", path.display()))
            })?;
            event.event_id.get_or_insert_with(|| place_id(file, number).into());
            parsed.push(event);
        }
        Ok(parsed)
    }
}

/// An id that ascends with the place of an event: it decides between equal times, as one by import does.
pub fn place_id(source: u64, number: u64) -> String {
    format!("{source:016x}{number:016x}")
}
