//! The one JSON of the product: events, queries and `engine.json`.
//!
//! Reading is lenient where old clients need it (see [`parse`]); writing is strict and compact. Members keep their
//! order, integers keep all their digits, and reals print as Java's `Double.toString` does (`1e10` → `1.0E10`), so
//! that values survive a journey through systems of the PredictionIO family unchanged.

mod number;
mod parse;
mod write;

pub use number::Number;
pub(crate) use parse::{Fault, Parser};
pub use parse::{JsonError, MAX_DEPTH, elements, parse, parse_observed};
pub(crate) use write::push;
pub use write::write_string;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Json {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer of any size, or a finite double.
    Number(Number),
    /// Text.
    String(String),
    /// `[…]`
    Array(Vec<Json>),
    /// `{…}`
    Object(Object),
}

impl Json {
    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Json::String(text) = self { Some(text) } else { None }
    }

    /// The value of a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        if let Json::Bool(value) = self { Some(*value) } else { None }
    }

    /// The number.
    pub fn as_number(&self) -> Option<&Number> {
        if let Json::Number(number) = self { Some(number) } else { None }
    }

    /// A number as a double; huge integers are rounded.
    pub fn as_f64(&self) -> Option<f64> {
        self.as_number().map(Number::as_f64)
    }

    /// A number that is whole and fits (`3`, `3.0`, not `3.5`).
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number().and_then(Number::as_i64)
    }

    /// The items of an array.
    pub fn as_array(&self) -> Option<&[Json]> {
        if let Json::Array(items) = self { Some(items) } else { None }
    }

    /// The members of an object.
    pub fn as_object(&self) -> Option<&Object> {
        if let Json::Object(object) = self { Some(object) } else { None }
    }

    /// `true` for `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Json::Null)
    }

    /// Member `name` of an object; `None` also for other values.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.as_object()?.get(name)
    }

    /// A string, or a number as its text: where old clients send `42` for `"42"`.
    pub fn to_text(&self) -> Option<String> {
        match self {
            Json::String(text) => Some(text.clone()),
            Json::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn keep_last(&mut self) {
        match self {
            Json::Array(items) => items.iter_mut().for_each(Json::keep_last),
            Json::Object(object) => object.keep_last(),
            _ => {}
        }
    }

    /// The JSON text for a message, cut after some 60 characters.
    pub fn excerpt(&self) -> String {
        const CHARACTERS: usize = 60;
        let text = match self {
            // A cut string needs no more than its beginning; the rest may be megabytes.
            Json::String(text) => Json::String(text.chars().take(CHARACTERS).collect()).to_string(),
            Json::Array(items) if !items.is_empty() => format!("an array of {}", items.len()),
            Json::Object(object) if !object.is_empty() => format!("an object of {}", object.len()),
            other => other.to_string(),
        };
        match text.char_indices().nth(CHARACTERS) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Json::String(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Json::String(text)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Json::Bool(value)
    }
}

impl<N: Into<Number>> From<N> for Json {
    fn from(value: N) -> Self {
        Json::Number(value.into())
    }
}

impl From<Object> for Json {
    fn from(object: Object) -> Self {
        Json::Object(object)
    }
}

impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(items: Vec<T>) -> Self {
        Json::Array(items.into_iter().map(Into::into).collect())
    }
}

/// Members that are compared one with each other rather than sorted.
const FEW: usize = 8;

/// Members in their order. Parsing keeps duplicate names; [`get`](Object::get) sees the last of them.
/// Lookups are linear: objects are small, and whoever merges many members keeps a map.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object {
    members: Vec<(String, Json)>,
}

impl Object {
    /// No members.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of `name`: the last one, if it is there several times.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Is there a member `name`?
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets `name`: replaces what [`get`](Object::get) sees, in its place, else appends.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Json>) {
        let (name, value) = (name.into(), value.into());
        match self.members.iter_mut().rev().find(|(key, _)| *key == name) {
            Some((_, old)) => *old = value,
            None => self.members.push((name, value)),
        }
    }

    /// Appends without looking for a duplicate.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Json>) {
        self.members.push((name.into(), value.into()));
    }

    /// [`insert`](Object::insert) for building: `Object::new().with("a", 1).with("b", "x")`.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Json>) -> Self {
        self.insert(name, value);
        self
    }

    /// Number of members, duplicates included.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// No members?
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Names and values in order, duplicates included.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Json)> + ExactSizeIterator {
        self.members.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Bytes of all names and strings within: a lower bound of the JSON text.
    pub fn text_bytes(&self) -> usize {
        fn of(value: &Json) -> usize {
            match value {
                Json::String(text) => text.len(),
                Json::Array(items) => items.iter().map(of).sum(),
                Json::Object(object) => object.text_bytes(),
                _ => 1,
            }
        }
        self.members.iter().map(|(name, value)| name.len() + of(value)).sum()
    }

    /// Leaves each name once, in the place of its first member with the value of its last; in nested objects too.
    pub fn keep_last(&mut self) {
        self.keep_last_here();
        self.members.iter_mut().for_each(|(_, value)| value.keep_last());
    }

    fn keep_last_here(&mut self) {
        // Most objects have few members, and no name twice: those cost no memory.
        let is_repeated = |i: usize| self.members[..i].iter().any(|(name, _)| *name == self.members[i].0);
        if self.members.len() <= FEW && !(1..self.members.len()).any(is_repeated) {
            return;
        }
        let mut order: Vec<usize> = (0..self.members.len()).collect();
        // Stable: equal names stay in their order.
        order.sort_by(|&a, &b| self.members[a].0.cmp(&self.members[b].0));
        let mut dropped = vec![false; self.members.len()];
        for pair in order.windows(2).rev() {
            let (earlier, later) = (pair[0], pair[1]);
            if self.members[earlier].0 == self.members[later].0 {
                self.members[earlier].1 = std::mem::take(&mut self.members[later].1);
                dropped[later] = true;
            }
        }
        let mut dropped = dropped.into_iter();
        self.members.retain(|_| !dropped.next().unwrap_or(false));
    }
}

impl IntoIterator for Object {
    type Item = (String, Json);
    type IntoIter = std::vec::IntoIter<(String, Json)>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}

impl FromIterator<(String, Json)> for Object {
    fn from_iter<T: IntoIterator<Item = (String, Json)>>(members: T) -> Self {
        Self { members: members.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests;
