//! Reads objects against their tables, and collects everything that is wrong with them.

use std::fmt;

use events::EventTime;
use events::json::Json;

use super::{Kind, Member, Problem, Table};
use crate::config::parse_duration;

/// Gives the value of an environment variable.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// More problems than these are counted, not kept: a hostile document must not fill the memory with messages.
const KEPT: usize = 100;

/// Reads objects; every problem of a document is collected.
pub(crate) struct Reader<'e> {
    /// A wrong value of an optional member counts as absent, with a warning.
    is_lenient: bool,
    /// A number is taken where a string is expected, as its text.
    takes_numbers_as_text: bool,
    /// Unknown members are refused, except at the root.
    is_strict_inside: bool,
    /// If given, `system.env.NAME` in a string becomes the variable's value.
    env: Option<Env<'e>>,
    errors: Vec<Problem>,
    /// Errors found, kept or not.
    failures: usize,
    warnings: Vec<Problem>,
    unknown: Vec<String>,
}

/// What a [`Reader`] found.
pub(crate) struct Findings {
    /// Wrong.
    pub errors: Vec<Problem>,
    /// Doubtful.
    pub warnings: Vec<Problem>,
    /// Paths of unknown members without indices, in order of appearance, each once.
    pub unknown: Vec<String>,
}

/// The members of one object: each is of the type that its table says, or absent.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    path: String,
    found: Vec<Found<'a>>,
}

#[derive(Debug)]
struct Found<'a> {
    name: &'static str,
    /// The name in the document.
    given: &'static str,
    /// `None`: it was refused, or is taken.
    value: Option<Value<'a>>,
    is_refused: bool,
}

#[derive(Debug)]
enum Value<'a> {
    Text(String),
    Whole(i64),
    Real(f64),
    Flag(bool),
    Bound(Bound),
    Texts(Vec<String>),
    Object(Members<'a>),
    Objects(Vec<Members<'a>>),
    Free(&'a Json),
}

/// A bound of a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bound {
    Number(f64),
    /// ms since 1970
    Date(i64),
}

/// The way from the root of a document to a value.
#[derive(Clone, Copy)]
pub(crate) enum Path<'p> {
    /// The document.
    Root,
    /// A member of an object.
    Member(&'p Path<'p>, &'p str),
    /// An item of an array.
    Item(&'p Path<'p>, usize),
}

impl Bound {
    /// The number, or the date in ms since 1970, exact within 285 000 years of it.
    #[expect(clippy::cast_precision_loss, reason = "documented")]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Number(number) => number,
            Self::Date(ms) => ms as f64,
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(Path::Root, name) => write!(f, "{}", short(name)),
            Self::Member(parent, name) => write!(f, "{parent}.{}", short(name)),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A name as messages show it: cut if it is absurdly long.
fn short(name: &str) -> &str {
    const LONGEST: usize = 80;
    name.char_indices().nth(LONGEST).map_or(name, |(end, _)| &name[..end])
}

impl<'e> Reader<'e> {
    /// For configuration files.
    pub fn of_config(is_lenient: bool, env: Env<'e>) -> Self {
        Self {
            is_lenient,
            takes_numbers_as_text: false,
            is_strict_inside: false,
            env: Some(env),
            ..Self::of_queries()
        }
    }

    /// For requests: strict, but numbers pass for strings, and unknown members of the document itself are only noted.
    pub fn of_queries() -> Self {
        Self {
            is_lenient: false,
            takes_numbers_as_text: true,
            is_strict_inside: true,
            env: None,
            errors: Vec::new(),
            failures: 0,
            warnings: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// What was found.
    pub fn finish(mut self) -> Findings {
        let more = self.failures - self.errors.len();
        if more > 0 {
            self.errors.push(Problem { path: String::new(), message: format!("has {more} more problem(s)") });
        }
        Findings { errors: self.errors, warnings: self.warnings, unknown: self.unknown }
    }

    /// The value at `path` is wrong: `message` continues the sentence that begins with the path.
    pub fn error(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.failures += 1;
        if self.errors.len() < KEPT {
            self.errors.push(Problem { path: path.into(), message: message.into() });
        }
    }

    /// The value at `path` is doubtful.
    pub fn warn(&mut self, path: impl Into<String>, message: impl Into<String>) {
        if self.warnings.len() < KEPT {
            self.warnings.push(Problem { path: path.into(), message: message.into() });
        }
    }

    /// The error for a value that should have been `expected`. Always `None`.
    pub fn mismatch<T>(&mut self, path: &Path<'_>, expected: impl fmt::Display, json: &Json) -> Option<T> {
        self.error(path.to_string(), format!("must be {expected}, got {}", json.excerpt()));
        None
    }

    /// The members of an object; `None` and an error if it is none. Members named `comment` are comments, and `null`
    /// is absent.
    pub fn object<'a>(&mut self, path: &Path<'_>, json: &'a Json, table: &Table) -> Option<Members<'a>> {
        let Json::Object(object) = json else { return self.mismatch(path, "an object", json) };
        let mut members = Members { path: path.to_string(), found: Vec::new() };
        for (name, json) in object.iter() {
            match table.find(name) {
                _ if name == "comment" => {}
                None => self.note_unknown(&Path::Member(path, name), name, table),
                Some(_) if json.is_null() => {}
                Some((member, given)) => {
                    self.member(&Path::Member(path, name), json, (member, given), &mut members)
                }
            }
        }
        for member in table.members {
            if member.is_required && !members.has(member.name) {
                self.error(members.path_of(member.name), format!("is missing; it must be {}", member.kind));
            }
        }
        Some(members)
    }

    fn member<'a>(
        &mut self,
        path: &Path<'_>,
        json: &'a Json,
        (member, given): (&'static Member, &'static str),
        members: &mut Members<'a>,
    ) {
        if let Some(first) = members.found.iter().find(|found| found.name == member.name) {
            let message = if first.given == given {
                format!("is given twice: \"{given}\" may be there once")
            } else {
                format!("means the same as \"{}\": only one of the two may be there", first.given)
            };
            self.error(path.to_string(), message);
            return;
        }
        if member.misspelt.contains(&given) {
            self.warn(path.to_string(), format!("is a misspelling, read as \"{}\"", member.name));
        }
        let (kept, failures) = (self.errors.len(), self.failures);
        let value = self.value(path, json, &member.kind);
        if self.is_lenient && !member.is_required && self.failures > failures {
            self.failures = failures;
            for Problem { path, message } in self.errors.split_off(kept) {
                self.warn(path, format!("{message}; ignored \"{}\"", member.name));
            }
            return;
        }
        members.found.push(Found { name: member.name, given, is_refused: value.is_none(), value });
    }

    fn note_unknown(&mut self, path: &Path<'_>, name: &str, table: &Table) {
        if self.is_strict_inside && !matches!(path, Path::Member(Path::Root, _)) {
            // Part of a rule that is not understood would give other results than were asked for.
            return self.error(path.to_string(), format!("is not known; known are {}", table.known()));
        }
        let path = path.to_string();
        let proposal =
            table.nearest(name).map(|known| format!("; did you mean \"{known}\"?")).unwrap_or_default();
        let general: String = path
            .split_inclusive('[')
            .map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()))
            .collect();
        if self.unknown.len() < KEPT && !self.unknown.contains(&general) {
            self.unknown.push(general);
        }
        self.warn(path, format!("is not known and was ignored{proposal}"));
    }

    fn value<'a>(&mut self, path: &Path<'_>, json: &'a Json, kind: &Kind) -> Option<Value<'a>> {
        let mismatch = |reader: &mut Self| reader.mismatch(path, kind, json);
        match *kind {
            Kind::Text => self.text(path, json, kind).map(Value::Text),
            Kind::Choice(choices) => {
                let text = self.text(path, json, kind)?;
                if choices.contains(&text.as_str()) { Some(Value::Text(text)) } else { mismatch(self) }
            }
            Kind::Flag => json.as_bool().map(Value::Flag).or_else(|| mismatch(self)),
            Kind::Whole(min, max) => {
                let whole = json.as_i64().filter(|whole| (min..=max).contains(whole));
                whole.map(Value::Whole).or_else(|| mismatch(self))
            }
            Kind::Real | Kind::Positive | Kind::AtLeast(_) | Kind::Share => {
                let is_too_large = json.as_f64().is_some_and(|value| value.abs() > f64::from(f32::MAX));
                if is_too_large {
                    return self.mismatch(path, format_args!("between -{0:e} and {0:e}", f32::MAX), json);
                }
                real(json, kind).map(Value::Real).or_else(|| mismatch(self))
            }
            Kind::Date | Kind::Duration => {
                let text = if let Json::String(_) = json { Some(self.text(path, json, kind)?) } else { None };
                let read = if matches!(kind, Kind::Date) { date } else { duration };
                read(text.as_deref(), json).map(Value::Whole).or_else(|| mismatch(self))
            }
            Kind::Bound => bound(json).map(Value::Bound).or_else(|| mismatch(self)),
            Kind::Texts => self.texts(path, json).map(Value::Texts),
            Kind::ObjectOrFalse(_) if *json == Json::Bool(false) => Some(Value::Flag(false)),
            Kind::ObjectOrFalse(_) if !matches!(json, Json::Object(_)) => mismatch(self),
            Kind::Object(table) | Kind::ObjectOrFalse(table) => {
                self.object(path, json, table).map(Value::Object)
            }
            Kind::Objects(table) => self.objects(path, json, table).map(Value::Objects),
            Kind::Free(_) => Some(Value::Free(json)),
        }
    }

    /// Text, after substitution of an environment variable.
    fn text(&mut self, path: &Path<'_>, json: &Json, kind: &Kind) -> Option<String> {
        let text = match json {
            Json::String(text) => text,
            Json::Number(number) if self.takes_numbers_as_text => return Some(number.to_string()),
            _ => return self.mismatch(path, kind, json),
        };
        self.substituted(path, text)
    }

    /// `system.env.NAME` and `system.env.NAME:-default` become the variable's value, other text stays. As in a
    /// shell, the default also stands for an empty variable. `None` and an error if there is neither.
    pub fn substituted(&mut self, path: &Path<'_>, text: &str) -> Option<String> {
        let (Some(env), Some(variable)) = (self.env, text.strip_prefix("system.env.")) else {
            return Some(text.to_owned());
        };
        let (name, default) = match variable.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (variable, None),
        };
        let value = env(name).filter(|value| default.is_none() || !value.is_empty());
        value.or_else(|| default.map(str::to_owned)).or_else(|| {
            let name = short(name);
            self.error(
                path.to_string(),
                format!(
                    "needs the environment variable {name}: set it, or write \"system.env.{name}:-default\""
                ),
            );
            None
        })
    }

    /// A list of texts.
    pub fn texts(&mut self, path: &Path<'_>, json: &Json) -> Option<Vec<String>> {
        let Json::Array(items) = json else { return self.mismatch(path, Kind::Texts, json) };
        let item = |(index, item)| self.text(&Path::Item(path, index), item, &Kind::Text);
        // Every wrong item is reported, not only the first.
        let texts: Vec<Option<String>> = items.iter().enumerate().map(item).collect();
        texts.into_iter().collect()
    }

    /// As [`object`](Self::object), for an array of them.
    pub fn objects<'a>(
        &mut self,
        path: &Path<'_>,
        json: &'a Json,
        table: &'static Table,
    ) -> Option<Vec<Members<'a>>> {
        let Json::Array(items) = json else { return self.mismatch(path, Kind::Objects(table), json) };
        let item = |(index, item)| self.object(&Path::Item(path, index), item, table);
        let objects: Vec<Option<Members<'a>>> = items.iter().enumerate().map(item).collect();
        objects.into_iter().collect()
    }
}

/// A number in the range of `kind`.
fn real(json: &Json, kind: &Kind) -> Option<f64> {
    let fits = |value: &f64| match kind {
        Kind::Positive => *value > 0.0,
        Kind::AtLeast(least) => value >= least,
        Kind::Share => (0.0..=1.0).contains(value),
        _ => true,
    };
    json.as_f64().filter(fits)
}

/// ms since 1970 of a date given as text or as such a number, within ±285 000 years: a double counts them exactly.
fn date(text: Option<&str>, json: &Json) -> Option<i64> {
    const LATEST_MS: i64 = 8_640_000_000_000_000;
    let ms = match text {
        Some(text) => EventTime::parse_date(text)?.millis,
        None => json.as_i64()?,
    };
    (-LATEST_MS..=LATEST_MS).contains(&ms).then_some(ms)
}

/// ms of a duration given as text or in seconds.
fn duration(text: Option<&str>, json: &Json) -> Option<i64> {
    match text {
        Some(text) => parse_duration(text),
        None => parse_duration(&json.as_number()?.to_string()),
    }
}

/// Text that is a number is refused: it would otherwise read as a year.
fn bound(json: &Json) -> Option<Bound> {
    match json {
        Json::Number(number) => Some(number.as_f64()).filter(|value| value.is_finite()).map(Bound::Number),
        Json::String(text) if text.trim().parse::<f64>().is_err() => date(Some(text), json).map(Bound::Date),
        _ => None,
    }
}

impl<'a> Members<'a> {
    /// Was the member given, right or wrong? `name` is its name in the table.
    pub fn has(&self, name: &str) -> bool {
        self.found.iter().any(|found| found.name == name)
    }

    /// Was the member given, but wrong?
    pub fn is_refused(&self, name: &str) -> bool {
        self.found.iter().any(|found| found.name == name && found.is_refused)
    }

    /// Path of the object.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Path of a member, by the name that the document uses.
    pub fn path_of(&self, name: &str) -> String {
        let given = self.found.iter().find(|found| found.name == name).map_or(name, |found| found.given);
        if self.path.is_empty() { given.to_owned() } else { format!("{}.{given}", self.path) }
    }

    fn take(&mut self, name: &str) -> Option<Value<'a>> {
        self.found.iter_mut().find(|found| found.name == name)?.value.take()
    }

    /// Takes a text or choice.
    pub fn text(&mut self, name: &str) -> Option<String> {
        if let Value::Text(text) = self.take(name)? { Some(text) } else { None }
    }

    /// Takes a whole number, a date or a duration.
    pub fn whole(&mut self, name: &str) -> Option<i64> {
        if let Value::Whole(whole) = self.take(name)? { Some(whole) } else { None }
    }

    /// Takes a whole number that its table bounds to `u32`.
    pub fn count(&mut self, name: &str) -> Option<u32> {
        self.whole(name).and_then(|whole| u32::try_from(whole).ok())
    }

    /// Takes a number.
    pub fn real(&mut self, name: &str) -> Option<f64> {
        if let Value::Real(real) = self.take(name)? { Some(real) } else { None }
    }

    /// Takes a number in single precision, the precision of scores.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the reader lets only numbers in the range of f32 pass"
    )]
    pub fn single(&mut self, name: &str) -> Option<f32> {
        self.real(name).map(|real| real as f32)
    }

    /// A flag. What is none stays, so that an object may stand in its place.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        match self.found.iter().find(|found| found.name == name)?.value {
            Some(Value::Flag(flag)) => Some(flag),
            _ => None,
        }
    }

    /// Takes a bound of a range.
    pub fn bound(&mut self, name: &str) -> Option<Bound> {
        if let Value::Bound(bound) = self.take(name)? { Some(bound) } else { None }
    }

    /// Takes a list of texts.
    pub fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        if let Value::Texts(texts) = self.take(name)? { Some(texts) } else { None }
    }

    /// Takes an object.
    pub fn object(&mut self, name: &str) -> Option<Members<'a>> {
        if let Value::Object(members) = self.take(name)? { Some(members) } else { None }
    }

    /// Takes a list of objects.
    pub fn objects(&mut self, name: &str) -> Option<Vec<Members<'a>>> {
        if let Value::Objects(objects) = self.take(name)? { Some(objects) } else { None }
    }

    /// Takes an unchecked value.
    pub fn free(&mut self, name: &str) -> Option<&'a Json> {
        if let Value::Free(json) = self.take(name)? { Some(json) } else { None }
    }
}
