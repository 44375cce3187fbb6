//! What Java holds: keys into a table, not pointers. A key that is stale, zero or invented is an exception.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use engine::{Counting, Recommender, Summing};
use model::Model;

use crate::app::{Append, Cursor};
use crate::border::{Fault, Result};
use crate::session::Session;

/// Something that Java has a key of.
#[derive(Clone)]
pub enum Object {
    /// A train, from its first event to its model.
    Session(Arc<Session>),
    /// What tasks count with.
    Counting(Arc<Counting>),
    /// Counters that sum up.
    Sums(Arc<Mutex<Summing>>),
    /// A model that answers.
    Answering(Arc<Answering>),
    /// Events on their way out.
    Cursor(Arc<Cursor>),
    /// Events on their way in.
    Append(Arc<Append>),
}

/// A model, and how queries are answered with it; without an engine file it can only be read.
pub struct Answering {
    /// The model.
    pub model: Model,
    /// Turns queries into plans.
    pub recommender: Option<Recommender>,
}

struct Slot {
    /// Rises each time that the slot is used again, so that an old key does not open what came later.
    generation: u32,
    object: Option<Object>,
}

static TABLE: RwLock<Vec<Slot>> = RwLock::new(Vec::new());

/// Keeps an object; gives its key, never 0.
pub fn insert(object: Object) -> Result<i64> {
    let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
    let free =
        table.iter().position(|slot| slot.object.is_none() && slot.generation < i32::MAX.unsigned_abs());
    let index = free.unwrap_or(table.len());
    if free.is_none() {
        table.push(Slot { generation: 0, object: None });
    }
    let number = u32::try_from(index).map_err(|_| Fault::state("too many objects are open"))?;
    let slot = &mut table[index];
    slot.generation += 1;
    slot.object = Some(object);
    Ok(i64::from(slot.generation) << 32 | i64::from(number))
}

fn find(table: &[Slot], key: i64) -> Option<usize> {
    let index = usize::try_from(key & 0xffff_ffff).ok()?;
    let slot = table.get(index)?;
    (i64::from(slot.generation) == key >> 32 && slot.object.is_some()).then_some(index)
}

fn get(key: i64) -> Result<Object> {
    let table = TABLE.read().unwrap_or_else(PoisonError::into_inner);
    let object = find(&table, key).and_then(|index| table[index].object.clone());
    object.ok_or_else(|| Fault::state("closed, or never open"))
}

/// The session of a key.
pub fn session(key: i64) -> Result<Arc<Session>> {
    match get(key)? {
        Object::Session(session) => Ok(session),
        _ => Err(Fault::argument("this is no training session")),
    }
}

/// What counts, of a key.
pub fn counting(key: i64) -> Result<Arc<Counting>> {
    match get(key)? {
        Object::Counting(counting) => Ok(counting),
        _ => Err(Fault::argument("these are no interactions to count")),
    }
}

/// The counters of a key.
pub fn sums(key: i64) -> Result<Arc<Mutex<Summing>>> {
    match get(key)? {
        Object::Sums(sums) => Ok(sums),
        _ => Err(Fault::argument("these are no counters")),
    }
}

/// The model of a key.
pub fn answering(key: i64) -> Result<Arc<Answering>> {
    match get(key)? {
        Object::Answering(answering) => Ok(answering),
        _ => Err(Fault::argument("this is no model")),
    }
}

/// The events that are read, of a key.
pub fn cursor(key: i64) -> Result<Arc<Cursor>> {
    match get(key)? {
        Object::Cursor(cursor) => Ok(cursor),
        _ => Err(Fault::argument("these are no events to read")),
    }
}

/// The events that are to be stored, of a key.
pub fn append(key: i64) -> Result<Arc<Append>> {
    match get(key)? {
        Object::Append(append) => Ok(append),
        _ => Err(Fault::argument("these are no events to store")),
    }
}

/// Forgets an object; whoever works with it ends in peace. A key that opens nothing is no error.
pub fn close(key: i64) {
    let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
    let object = find(&table, key).and_then(|index| table[index].object.take());
    drop(table);
    object.into_iter().for_each(end);
}

/// Forgets all objects, and what they are at.
pub fn close_all() {
    let table = std::mem::take(&mut *TABLE.write().unwrap_or_else(PoisonError::into_inner));
    table.into_iter().filter_map(|slot| slot.object).for_each(end);
}

fn end(object: Object) {
    if let Object::Session(session) = object {
        session.stop();
    }
}

/// Objects that are open.
pub fn open() -> usize {
    let table = TABLE.read().unwrap_or_else(PoisonError::into_inner);
    table.iter().filter(|slot| slot.object.is_some()).count()
}
