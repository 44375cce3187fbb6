//! The lines of a block, parsed and checked.

use events::{Event, EventTime, Json};

use super::blocks::Block;
use super::{Identity, Names};
use crate::harness;

/// A line that is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Number of the line in its file, from 1.
    pub line: u64,
    /// Byte offset of its beginning.
    pub offset: u64,
    /// What is wrong with it.
    pub reason: String,
    /// Its beginning.
    pub head: String,
}

/// What the lines of a block are.
#[derive(Debug, Default, PartialEq)]
pub struct Parsed {
    /// Good lines, in order, each with an id.
    pub events: Vec<Event>,
    /// Bad lines; `line` counts from the beginning of the block.
    pub bad: Vec<BadLine>,
    /// Lines, with the blank ones.
    pub lines: u64,
    /// Byte offset after the block.
    pub end: u64,
}

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As the event API takes them.
    Api,
    /// As clients of Harness send them: targets are items, and a user's `$delete` removes what he did before.
    Harness,
}

/// Parses the lines of `block`. Events without an id get the one of their place; all were accepted at `now_ms`.
pub fn parse(block: &Block, form: Form, identity: Identity, now_ms: i64, names: &Names) -> Parsed {
    let mut parsed = Parsed { end: block.end, ..Parsed::default() };
    if block.oversize {
        parsed.lines = 1;
        let reason = format!("the line is too long: {} bytes", block.end - block.offset);
        parsed.bad.push(BadLine { line: 1, offset: block.offset, reason, head: head(&block.bytes) });
        return parsed;
    }
    let now = EventTime::utc(now_ms);
    for (at, text) in events::lines(&block.bytes) {
        parsed.lines += 1;
        let offset = block.offset + at as u64;
        if !text.is_empty() {
            match event(text, form, now, names) {
                Ok(mut event) => {
                    event.event_id.get_or_insert_with(|| identity.event_id(offset));
                    parsed.events.push(event);
                }
                Err(reason) => {
                    parsed.bad.push(BadLine { line: parsed.lines, offset, reason, head: head(text) });
                }
            }
        }
    }
    parsed
}

/// The event of one line, or why it is none.
fn event(line: &[u8], form: Form, now: EventTime, names: &Names) -> Result<Event, String> {
    let event = match form {
        Form::Api => Event::parse(line, now),
        Form::Harness => {
            harness::event(line).and_then(|(members, _)| Event::from_json(&Json::Object(members), now))
        }
    };
    // Its own line is always the first: the file's line stands beside it.
    let reason = |text: String| text.strip_prefix("line 1, ").unwrap_or(&text).to_owned();
    let event = event.map_err(|error| reason(error.to_string()))?;
    names.check(&event.event)?;
    Ok(event)
}

/// The first characters of a line, for a person to recognise it.
fn head(line: &[u8]) -> String {
    const HEAD_CHARS: usize = 160;
    String::from_utf8_lossy(&line[..line.len().min(4 * HEAD_CHARS)]).chars().take(HEAD_CHARS).collect()
}
