//! The stored form of one event. `docs/event-store-format.md` describes it.

use std::ops::Range;

use events::{Event, EventRef, EventTime, Result};

use super::bytes::{Reader, put_signed, put_text};
use super::error::corrupt;
use super::keys::{GeneratedId, Seq, Tag};
use super::shapes::{ShapeRef, Shapes};

const CLIENT_ID: u8 = 1;
const PR_ID: u8 = 2;
const TAGS: u8 = 4;
const OFFSETS: u8 = 8;

const CHECKSUM_BYTES: usize = 4;

/// Appends everything of `event` but its shape and id, which get their form in the transaction that writes it. Gives the
/// flags, and where in `out` the id of the target is.
pub(super) fn encode_body(event: &Event, text: &mut String, out: &mut Vec<u8>) -> (u8, Range<usize>) {
    let mut flags = 0;
    put_signed(out, event.event_time.millis);
    put_signed(out, event.creation_time.millis.wrapping_sub(event.event_time.millis));
    let offsets = [event.event_time.offset_seconds, event.creation_time.offset_seconds];
    if offsets != [0, 0] {
        flags |= OFFSETS;
        for seconds in offsets {
            put_signed(out, i64::from(seconds));
        }
    }
    put_text(out, &event.entity.id);
    let mut target_at = out.len()..out.len();
    if let Some(target) = &event.target {
        put_text(out, &target.id);
        target_at = out.len() - target.id.len()..out.len();
    }
    if let Some(pr_id) = &event.pr_id {
        flags |= PR_ID;
        put_text(out, pr_id);
    }
    if !event.tags.is_empty() {
        flags |= TAGS;
        put_text(out, &event.tags.join(","));
    }
    if !event.properties.is_empty() {
        text.clear();
        event.properties.write_to(text);
        out.extend_from_slice(text.as_bytes());
    }
    (flags, target_at)
}

/// Puts a record together in `out`: checksum, flags, shape, the client's id if it is to be kept, and the encoded body.
pub(super) fn assemble(
    seq: Seq,
    flags: u8,
    shape: &[u8],
    client_id: Option<&str>,
    body: &[u8],
    out: &mut Vec<u8>,
) {
    out.clear();
    out.extend_from_slice(&[0; CHECKSUM_BYTES]);
    out.push(flags | if client_id.is_some() { CLIENT_ID } else { 0 });
    out.extend_from_slice(shape);
    if let Some(id) = client_id {
        put_text(out, id);
    }
    out.extend_from_slice(body);
    let checksum = checksum(seq, &out[CHECKSUM_BYTES..]).to_le_bytes();
    out[..CHECKSUM_BYTES].copy_from_slice(&checksum);
}

/// The position is part of it, so that a record at a wrong place is noticed too.
fn checksum(seq: Seq, content: &[u8]) -> u32 {
    let [_, _, _, _, low @ ..] = seq.to_be_bytes();
    let mut hasher = crc32fast::Hasher::new_with_initial(u32::from_be_bytes(low));
    hasher.update(content);
    hasher.finalize()
}

/// A record, checked; fields are decoded on demand.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    seq: Seq,
    flags: u8,
    content: &'a [u8],
}

impl<'a> Record<'a> {
    /// Checks the checksum of what the log holds at `seq`.
    pub(super) fn open(seq: Seq, bytes: &'a [u8]) -> Result<Self> {
        let damaged = || corrupt(format!("the record of event {seq} is damaged"));
        let (stored, content) = bytes.split_first_chunk::<CHECKSUM_BYTES>().ok_or_else(damaged)?;
        if u32::from_le_bytes(*stored) != checksum(seq, content) {
            return Err(damaged());
        }
        let (flags, content) = content.split_first().ok_or_else(damaged)?;
        Ok(Self { seq, flags: *flags, content })
    }

    /// Position in the log.
    pub(super) fn seq(&self) -> Seq {
        self.seq
    }

    /// Whether the id is one that a client gave.
    pub(super) fn has_client_id(&self) -> bool {
        self.flags & CLIENT_ID != 0
    }

    /// All fields. `id` holds the text of a generated id.
    pub(super) fn decode(
        &self,
        tag: Tag,
        shapes: &'a Shapes,
        id: &'a mut GeneratedId,
    ) -> Result<EventRef<'a>> {
        let damaged = || corrupt(format!("the record of event {} is malformed", self.seq));
        let mut reader = Reader::new(self.content);
        let shape = shapes.read(&mut reader).ok_or_else(damaged)?;
        let client_id = self.optional(CLIENT_ID, &mut reader).ok_or_else(damaged)?;
        let event_id = match client_id {
            Some(client_id) => client_id,
            None => {
                *id = GeneratedId::new(tag, self.seq);
                id.as_str()
            }
        };
        self.body(shape, event_id, &mut reader).ok_or_else(damaged)
    }

    fn body(&self, shape: ShapeRef<'a>, event_id: &'a str, reader: &mut Reader<'a>) -> Option<EventRef<'a>> {
        let event_millis = reader.signed()?;
        let creation_millis = event_millis.wrapping_add(reader.signed()?);
        let (mut event_offset, mut creation_offset) = (0, 0);
        if self.flags & OFFSETS != 0 {
            event_offset = i32::try_from(reader.signed()?).ok()?;
            creation_offset = i32::try_from(reader.signed()?).ok()?;
        }
        let entity_id = reader.text()?;
        let target = match shape.target_type {
            Some(kind) => Some((kind, reader.text()?)),
            None => None,
        };
        let pr_id = self.optional(PR_ID, reader)?;
        let tags = self.optional(TAGS, reader)?.unwrap_or_default();
        let properties = reader.rest()?;
        Some(EventRef {
            event_id,
            event: shape.event,
            entity_type: shape.entity_type,
            entity_id,
            target,
            properties: if properties.is_empty() { "{}" } else { properties },
            event_time: EventTime { millis: event_millis, offset_seconds: event_offset },
            pr_id,
            tags,
            creation_time: EventTime { millis: creation_millis, offset_seconds: creation_offset },
        })
    }

    /// A text that is there if `flag` is set.
    fn optional(&self, flag: u8, reader: &mut Reader<'a>) -> Option<Option<&'a str>> {
        if self.flags & flag == 0 { Some(None) } else { reader.text().map(Some) }
    }
}
