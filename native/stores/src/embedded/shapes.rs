//! Shapes: the names and types of events, stored once.
//!
//! A store holds millions of events but few combinations of event name, entity type and target type. A record names its
//! combination by number. Numbers are given out in order and never change, so a process keeps what it has read.

use std::collections::BTreeMap;

use events::Event;

use super::bytes::{Reader, put_optional, put_text, put_unsigned};

/// Beyond this many, shapes are written in full into each record: memory stays bounded whatever clients send.
const SHAPES_MAX: usize = 1 << 14;
/// Longer shapes are written in full too.
const SHAPE_BYTES_MAX: usize = 512;

/// Event name, entity type and target type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShapeRef<'a> {
    pub(super) event: &'a str,
    pub(super) entity_type: &'a str,
    pub(super) target_type: Option<&'a str>,
}

impl<'a> ShapeRef<'a> {
    pub(super) fn of(event: &'a Event) -> Self {
        Self {
            event: &event.event,
            entity_type: &event.entity.kind,
            target_type: event.target.as_ref().map(|target| target.kind.as_str()),
        }
    }

    pub(super) fn write_to(&self, out: &mut Vec<u8>) {
        put_text(out, self.event);
        put_text(out, self.entity_type);
        put_optional(out, self.target_type);
    }

    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self { event: reader.text()?, entity_type: reader.text()?, target_type: reader.optional()? })
    }
}

/// A shape that owns its texts.
#[derive(Debug, Clone)]
struct Shape {
    event: Box<str>,
    entity_type: Box<str>,
    target_type: Option<Box<str>>,
}

/// The numbered shapes of a store. Number 0 is kept for a shape that stands in the record itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Shapes {
    list: Vec<Shape>,
    numbers: BTreeMap<Box<[u8]>, u16>,
}

impl Shapes {
    /// Number of shapes, which is also the greatest number.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Number of an encoded shape.
    pub(super) fn number(&self, encoded: &[u8]) -> Option<u16> {
        self.numbers.get(encoded).copied()
    }

    /// Whether a new shape may get a number.
    pub(super) fn has_room_for(&self, encoded: &[u8]) -> bool {
        self.list.len() < SHAPES_MAX && encoded.len() <= SHAPE_BYTES_MAX
    }

    /// Adds an encoded shape and gives its number; `None` if it is malformed.
    pub(super) fn push(&mut self, encoded: &[u8]) -> Option<u16> {
        let shape = ShapeRef::read(&mut Reader::new(encoded))?;
        self.list.push(Shape {
            event: shape.event.into(),
            entity_type: shape.entity_type.into(),
            target_type: shape.target_type.map(Into::into),
        });
        let number = u16::try_from(self.list.len()).ok()?;
        self.numbers.insert(encoded.into(), number);
        Some(number)
    }

    /// Which numbers may be of an event with one of these names. Number 0 always may: its shape stands in the record.
    pub(super) fn named(&self, events: &[String]) -> Vec<bool> {
        let named = |shape: &Shape| events.iter().any(|event| **event == *shape.event);
        std::iter::once(true).chain(self.list.iter().map(named)).collect()
    }

    /// The shape at the head of a record.
    pub(super) fn read<'a>(&'a self, reader: &mut Reader<'a>) -> Option<ShapeRef<'a>> {
        let number = usize::try_from(reader.unsigned()?).ok()?;
        if number == 0 {
            return ShapeRef::read(reader);
        }
        self.at(number - 1)
    }

    /// The shape with this number; `None` for 0.
    pub(super) fn get(&self, number: u16) -> Option<ShapeRef<'_>> {
        self.at(usize::from(number).checked_sub(1)?)
    }

    fn at(&self, index: usize) -> Option<ShapeRef<'_>> {
        let shape = self.list.get(index)?;
        Some(ShapeRef {
            event: &shape.event,
            entity_type: &shape.entity_type,
            target_type: shape.target_type.as_deref(),
        })
    }
}

/// How a record and the history index name a shape.
pub(super) struct Head {
    /// Number of the shape, 0 if it stands in the record.
    pub(super) number: u16,
    /// What a record begins with: the number, and for 0 the shape itself.
    pub(super) bytes: Vec<u8>,
}

impl Head {
    pub(super) fn new(number: Option<u16>, encoded: &[u8]) -> Self {
        let mut bytes = Vec::new();
        put_unsigned(&mut bytes, u64::from(number.unwrap_or(0)));
        if number.is_none() {
            bytes.extend_from_slice(encoded);
        }
        Self { number: number.unwrap_or(0), bytes }
    }
}
