//! Correlators as JSON lines: several threads render, one after another they write.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use cco::Correlators;
use model::Dictionary;

use super::{Error, Options, Progress, Stage, file_error, names};
use crate::Prepared;

/// Items rendered at a time.
const ITEMS: u32 = 256;

/// Writes the output under a temporary name and renames it.
pub(super) fn write(
    options: &Options,
    prepared: &Prepared,
    correlators: &[Correlators],
    progress: Progress<'_>,
) -> Result<(), Error> {
    let mut temporary = options.output.clone().into_os_string();
    temporary.push(".partial");
    let temporary = PathBuf::from(temporary);
    let lines = Lines::new(options, prepared, correlators);
    let written = File::create(&temporary).and_then(|file| lines.write(file, options.threads, progress));
    let renamed = written.and_then(|()| std::fs::rename(&temporary, &options.output));
    renamed.map_err(|error| {
        // What cannot be removed was not created.
        let _ = std::fs::remove_file(&temporary);
        file_error(&options.output)(error)
    })
}

struct Lines<'a> {
    items: &'a Dictionary,
    indicators: Vec<Named<'a>>,
}

struct Named<'a> {
    name: &'a str,
    things: &'a Dictionary,
    correlators: &'a Correlators,
}

/// Whose turn it is to write, or why nobody shall.
struct Turn {
    block: u32,
    file: File,
    failure: Option<std::io::Error>,
}

impl<'a> Lines<'a> {
    fn new(options: &'a Options, prepared: &'a Prepared, correlators: &'a [Correlators]) -> Self {
        let named =
            |(index, (name, correlators))| Named { name, things: prepared.things(index), correlators };
        let indicators = names(options).zip(correlators).enumerate().map(named).collect();
        Self { items: prepared.things(0), indicators }
    }

    fn write(&self, file: File, threads: usize, progress: Progress<'_>) -> std::io::Result<()> {
        let next = AtomicU32::new(0);
        let turn = Mutex::new(Turn { block: 0, file, failure: None });
        let moved = Condvar::new();
        let work = || self.render_blocks(&next, &turn, &moved, progress);
        std::thread::scope(|scope| {
            for _ in 1..threads.max(1) {
                scope.spawn(work);
            }
            work();
        });
        let turn = turn.into_inner().unwrap_or_else(PoisonError::into_inner);
        turn.failure.map_or(Ok(()), Err)
    }

    fn render_blocks(&self, next: &AtomicU32, turn: &Mutex<Turn>, moved: &Condvar, progress: Progress<'_>) {
        let items = self.items.len();
        let mut text = Vec::new();
        loop {
            let block = next.fetch_add(1, Ordering::Relaxed);
            let first = block.saturating_mul(ITEMS);
            if first >= items {
                return;
            }
            let end = items.min(first.saturating_add(ITEMS));
            text.clear();
            for item in first..end {
                self.render(&mut text, item);
            }
            let turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            let mut turn = moved
                .wait_while(turn, |turn| turn.block != block && turn.failure.is_none())
                .unwrap_or_else(PoisonError::into_inner);
            if turn.failure.is_some() {
                return;
            }
            turn.failure = turn.file.write_all(&text).err();
            turn.block += 1;
            moved.notify_all();
            drop(turn);
            progress(Stage::Write, u64::from(end), u64::from(items));
        }
    }

    fn render(&self, text: &mut Vec<u8>, item: u32) {
        for indicator in &self.indicators {
            let row = indicator.correlators.row(item as usize);
            let named = row.map(|(thing, llr)| (indicator.things.get(thing), llr));
            push_line(text, self.items.get(item), indicator.name, named);
        }
    }
}

/// Appends `{"item":…,"indicator":…,"correlators":[["id",llr],…]}` and a line end; nothing if there are no correlators.
pub fn push_line<'a>(
    text: &mut Vec<u8>,
    item: &str,
    indicator: &str,
    correlators: impl Iterator<Item = (&'a str, f64)>,
) {
    let before = text.len();
    text.extend_from_slice(b"{\"item\":");
    push_json(text, item);
    text.extend_from_slice(b",\"indicator\":");
    push_json(text, indicator);
    text.extend_from_slice(b",\"correlators\":[");
    let empty = text.len();
    for (thing, llr) in correlators {
        text.extend_from_slice(if text.len() == empty { b"[" } else { b",[" });
        push_json(text, thing);
        // The shortest text that reads back as the same number. A Vec does not fail.
        let _ = write!(text, ",{llr}]");
    }
    if text.len() == empty {
        text.truncate(before);
    } else {
        text.extend_from_slice(b"]}\n");
    }
}

/// A JSON string.
fn push_json(text: &mut Vec<u8>, string: &str) {
    text.push(b'"');
    for &byte in string.as_bytes() {
        match byte {
            b'"' | b'\\' => text.extend_from_slice(&[b'\\', byte]),
            b'\n' => text.extend_from_slice(b"\\n"),
            b'\r' => text.extend_from_slice(b"\\r"),
            b'\t' => text.extend_from_slice(b"\\t"),
            0..0x20 => {
                let _ = write!(text, "\\u{byte:04x}");
            }
            _ => text.push(byte),
        }
    }
    text.push(b'"');
}
