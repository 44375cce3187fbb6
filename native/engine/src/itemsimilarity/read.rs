//! Files of `user,item` lines, by several threads at once.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use model::DictionaryBuilder;

use super::{Error, Options, Progress, Stage, file_error};
use crate::TrainingSet;

/// Files are taken in pieces of so many bytes; a line belongs to the piece in which it begins.
const PIECE_BYTES: u64 = 1 << 20;

/// A line longer than this is refused, so that a file without line ends does not fill the memory.
const LINE_BYTES_MAX: usize = 1 << 20;

/// A piece of a file.
struct Piece {
    indicator: usize,
    start: u64,
    end: u64,
}

/// A failure in a piece; the piece's place decides which of several is reported.
struct Failure {
    piece: usize,
    error: Error,
}

/// What the threads share.
struct Work<'a> {
    options: &'a Options,
    progress: Progress<'a>,
    pieces: Vec<Piece>,
    total_bytes: u64,
    next: AtomicUsize,
    done_bytes: AtomicU64,
    failed: AtomicBool,
}

/// Everything that the files hold.
pub(super) fn read(options: &Options, progress: Progress<'_>) -> Result<TrainingSet, Error> {
    let pieces = pieces(options)?;
    let work = Work {
        options,
        progress,
        total_bytes: pieces.iter().map(|piece| piece.end - piece.start).sum(),
        pieces,
        next: AtomicUsize::new(0),
        done_bytes: AtomicU64::new(0),
        failed: AtomicBool::new(false),
    };
    let threads = options.threads.clamp(1, work.pieces.len().max(1));
    let sets: Vec<_> = std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(|| work.run())).collect();
        let own = work.run();
        let others = helpers.into_iter().map(|helper| match helper.join() {
            Ok(set) => set,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        std::iter::once(own).chain(others).collect()
    });
    let (sets, failures): (Vec<_>, Vec<_>) = sets.into_iter().partition(Result::is_ok);
    let first = failures.into_iter().filter_map(Result::err).min_by_key(|failure| failure.piece);
    if let Some(failure) = first {
        return Err(failure.error);
    }
    let mut sets = sets.into_iter().filter_map(Result::ok);
    let mut all = sets.next().unwrap_or_else(|| TrainingSet::new(options.indicators.len()));
    for set in sets {
        all.merge(set)?;
    }
    Ok(all)
}

fn pieces(options: &Options) -> Result<Vec<Piece>, Error> {
    let mut pieces = Vec::new();
    for (indicator, (_, path)) in options.indicators.iter().enumerate() {
        let length = std::fs::metadata(path).map_err(file_error(path))?.len();
        let mut start = 0;
        while start < length {
            let end = length.min(start + PIECE_BYTES);
            pieces.push(Piece { indicator, start, end });
            start = end;
        }
    }
    Ok(pieces)
}

impl Work<'_> {
    /// Takes pieces in order until there are no more, or one failed.
    fn run(&self) -> Result<TrainingSet, Failure> {
        let mut set = TrainingSet::new(self.options.indicators.len());
        let mut buffer = Vec::new();
        let mut file: Option<(usize, File)> = None;
        while !self.failed.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = self.pieces.get(number) else { break };
            let result = self.take(piece, &mut file, &mut buffer, &mut set);
            if let Err(error) = result {
                self.failed.store(true, Ordering::Relaxed);
                return Err(Failure { piece: number, error });
            }
            let bytes = piece.end - piece.start;
            let done = self.done_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
            (self.progress)(Stage::Read, done, self.total_bytes);
        }
        Ok(set)
    }

    fn take(
        &self,
        piece: &Piece,
        open: &mut Option<(usize, File)>,
        buffer: &mut Vec<u8>,
        set: &mut TrainingSet,
    ) -> Result<(), Error> {
        let path = &self.options.indicators[piece.indicator].1;
        let file = match open {
            Some((indicator, file)) if *indicator == piece.indicator => file,
            _ => &mut open.insert((piece.indicator, File::open(path).map_err(file_error(path))?)).1,
        };
        let offset = load(file, piece, buffer).map_err(file_error(path))?;
        push_lines(buffer, piece.indicator, set).map_err(|bad| match bad {
            Bad::Line { position, reason } => match line_number(path, offset + position as u64) {
                Ok(line) => Error::Line { path: path.clone(), line, reason },
                Err(error) => error,
            },
            Bad::Counting(error) => Error::Counting(error),
        })
    }
}

/// Reads the lines that begin in a piece; gives where in the file the first one begins.
fn load(file: &mut File, piece: &Piece, buffer: &mut Vec<u8>) -> std::io::Result<u64> {
    // One byte earlier, to see whether a line begins right at the start.
    let from = piece.start.saturating_sub(1);
    file.seek(SeekFrom::Start(from))?;
    buffer.clear();
    file.by_ref().take(piece.end - from).read_to_end(buffer)?;
    let skipped = match find(buffer, b'\n') {
        _ if piece.start == 0 => 0,
        Some(end) => end + 1,
        None => buffer.len(), // the line began earlier and ends later
    };
    if skipped < buffer.len() && buffer.last() != Some(&b'\n') {
        finish_line(file, buffer)?;
    }
    buffer.drain(..skipped);
    Ok(from + skipped as u64)
}

/// Reads on to the end of the last line, or so far that the line is too long.
fn finish_line(file: &mut File, buffer: &mut Vec<u8>) -> std::io::Result<()> {
    const STEP_BYTES: u64 = 4096;
    let whole = buffer.len();
    while buffer.len() - whole <= LINE_BYTES_MAX {
        let before = buffer.len();
        if file.by_ref().take(STEP_BYTES).read_to_end(buffer)? == 0 {
            return Ok(());
        }
        if let Some(end) = find(&buffer[before..], b'\n') {
            buffer.truncate(before + end + 1);
            return Ok(());
        }
    }
    Ok(())
}

/// Why a text cannot be pushed.
pub(crate) enum Bad {
    /// The line at this byte is not `user,item`.
    Line { position: usize, reason: &'static str },
    /// No more fits.
    Counting(crate::Error),
}

/// Pushes every line of a text that begins with a line.
pub(crate) fn push_lines(bytes: &[u8], indicator: usize, set: &mut TrainingSet) -> Result<(), Bad> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = error.valid_up_to();
            let position = bytes[..good].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
            push_lines(&bytes[..position], indicator, set)?; // an earlier line may be wrong, too
            return Err(Bad::Line { position, reason: "not UTF-8" });
        }
    };
    let mut batch = [("", ""); DictionaryBuilder::BATCH];
    let (mut position, mut filled) = (0, 0);
    while position < bytes.len() {
        let (line, next) = line(text, position).map_err(|reason| Bad::Line { position, reason })?;
        position = next;
        if let Some(interaction) = line {
            batch[filled] = interaction;
            filled += 1;
        }
        if filled == batch.len() {
            set.push_batch(indicator, &batch).map_err(Bad::Counting)?;
            filled = 0;
        }
    }
    for (user, thing) in &batch[..filled] {
        set.push(indicator, user, thing).map_err(Bad::Counting)?;
    }
    Ok(())
}

/// User and item.
type Fields<'a> = (&'a str, &'a str);

/// User and item of the line that begins here (`None` if it is blank), and where the next one begins.
#[inline]
fn line(text: &str, start: usize) -> Result<(Option<Fields<'_>>, usize), &'static str> {
    let bytes = text.as_bytes();
    let middle = mark(bytes, start);
    if middle == bytes.len() || bytes[middle] == b'\n' {
        return match text[start..middle].trim_end_matches('\r') {
            "" => Ok((None, middle + 1)),
            _ => Err("there is no separator"),
        };
    }
    let end = mark(bytes, middle + 1);
    if end < bytes.len() && bytes[end] != b'\n' {
        return Err("there are more than two fields");
    }
    let (user, thing) = (&text[start..middle], &text[middle + 1..end]);
    let thing = thing.strip_suffix('\r').unwrap_or(thing);
    if user.is_empty() || thing.is_empty() {
        return Err(if user.is_empty() { "the user is empty" } else { "the item is empty" });
    }
    if end - start > LINE_BYTES_MAX {
        return Err("it is longer than a megabyte");
    }
    Ok((Some((user, thing)), end + 1))
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// The first separator or line end from here on; the length if there is none. Eight bytes at a time.
#[inline]
fn mark(bytes: &[u8], start: usize) -> usize {
    let (words, rest) = bytes[start..].as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let marks = matches(word, b',') | matches(word, b'\t') | matches(word, b'\n');
        if marks != 0 {
            return start + number * 8 + marks.trailing_zeros() as usize / 8;
        }
    }
    let tail = rest.iter().position(|byte| matches!(byte, b',' | b'\t' | b'\n')).unwrap_or(rest.len());
    start + words.len() * 8 + tail
}

/// The high bit of the first byte that is the wanted one (and perhaps of later bytes).
#[inline]
fn matches(word: u64, wanted: u8) -> u64 {
    let differing = word ^ (u64::from(wanted) * ONES);
    differing.wrapping_sub(ONES) & !differing & (ONES << 7)
}

fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().position(|&byte| byte == wanted)
}

/// The number, from 1, of the line that begins at this offset.
fn line_number(path: &Path, offset: u64) -> Result<u64, Error> {
    let mut before = File::open(path).map_err(file_error(path))?.take(offset);
    let mut buffer = vec![0; 1 << 16];
    let mut line = 1;
    loop {
        let length = before.read(&mut buffer).map_err(file_error(path))?;
        if length == 0 {
            return Ok(line);
        }
        line += buffer[..length].iter().filter(|&&byte| byte == b'\n').count() as u64;
    }
}
