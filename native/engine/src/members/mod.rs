//! Typed reading of JSON objects. What an object may have is data, a [`Table`]: from it come the checks, the messages,
//! and the tables of the reference in `docs/`.

#[cfg(test)]
pub(crate) mod arbitrary;
#[cfg(test)]
pub(crate) mod docs;
mod reader;

pub use reader::Env;
pub(crate) use reader::{Bound, Members, Path, Reader};

use std::fmt;

/// Something wrong or doubtful at one place of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, e.g. `algorithms[0].params.indicators[1].minLLR`; empty = the whole document.
    pub path: String,
    /// What is wrong and what would be right; a sentence whose subject is the path.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = if self.path.is_empty() { "the document" } else { &self.path };
        write!(f, "{subject} {}", self.message)
    }
}

/// The members that one kind of object may have.
pub(crate) struct Table {
    /// Names the object in the reference.
    #[cfg_attr(not(test), expect(dead_code, reason = "the reference is made of it"))]
    pub title: &'static str,
    /// In the order of the reference.
    pub members: &'static [Member],
}

/// A member: name, type, and what the reference says about it.
#[derive(Clone, Copy)]
pub(crate) struct Member {
    /// The name that the reference teaches.
    pub name: &'static str,
    /// Other names that mean the same.
    pub aliases: &'static [&'static str],
    /// Wrong spellings from old documentation, understood with a warning.
    pub misspelt: &'static [&'static str],
    /// Type and range.
    pub kind: Kind,
    /// Must it be there?
    pub is_required: bool,
    /// In words, for the reference; the defaults themselves are set where the value is used.
    #[cfg_attr(not(test), expect(dead_code, reason = "the reference is made of it"))]
    pub default: &'static str,
    /// For the reference.
    #[cfg_attr(not(test), expect(dead_code, reason = "the reference is made of it"))]
    pub meaning: &'static str,
}

/// The type and range of a value.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A string.
    Text,
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number, both bounds included.
    Whole(i64, i64),
    /// Any number that a 32-bit float can hold.
    Real,
    /// A [`Kind::Real`] > 0.
    Positive,
    /// A [`Kind::Real`] ≥ this.
    AtLeast(f64),
    /// From 0 to 1.
    Share,
    /// An instant, read to ms since 1970.
    Date,
    /// A number, or a date given as ISO text.
    Bound,
    /// A length of time > 0, read to ms.
    Duration,
    /// Strings.
    Texts,
    /// An object with these members.
    Object(&'static Table),
    /// An object with these members, or `false`.
    ObjectOrFalse(&'static Table),
    /// Objects with these members.
    Objects(&'static Table),
    /// Anything; the words say what. Whoever asks for it reads it.
    Free(&'static str),
}

impl Table {
    /// The member that `name` means, and that name of it.
    fn find(&self, name: &str) -> Option<(&'static Member, &'static str)> {
        self.members.iter().find_map(|member| Some((member, member.names().find(|known| *known == name)?)))
    }

    /// The names that the reference teaches: `"a", "b" and "c"`.
    fn known(&self) -> String {
        listed(&self.members.iter().map(|member| member.name).collect::<Vec<_>>(), "and")
    }

    /// The known name most like `name`, if any is like it.
    fn nearest(&self, name: &str) -> Option<&'static str> {
        nearest(
            name,
            self.members.iter().flat_map(|member| member.names().map(move |known| (known, member.name))),
        )
    }
}

impl Member {
    fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied()).chain(self.misspelt.iter().copied())
    }

    /// With other names that mean the same.
    pub const fn or(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// With known wrong spellings.
    pub const fn misspelt(self, misspelt: &'static [&'static str]) -> Self {
        Self { misspelt, ..self }
    }
}

/// A member that must be there.
pub(crate) const fn required(name: &'static str, kind: Kind, meaning: &'static str) -> Member {
    Member { name, aliases: &[], misspelt: &[], kind, is_required: true, default: "required", meaning }
}

/// A member that may be absent.
pub(crate) const fn optional(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    meaning: &'static str,
) -> Member {
    Member { name, aliases: &[], misspelt: &[], kind, is_required: false, default, meaning }
}

/// A kind as a message says it: "must be …".
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Text => f.write_str("a string"),
            Self::Choice(choices) => write!(f, "{}", quoted(choices)),
            Self::Flag => f.write_str("true or false"),
            Self::Whole(i64::MIN, i64::MAX) => f.write_str("a whole number"),
            Self::Whole(min, max) if max >= i64::from(u32::MAX) => write!(f, "a whole number ≥ {min}"),
            Self::Whole(min, max) => write!(f, "a whole number from {min} to {max}"),
            Self::Real => f.write_str("a number"),
            Self::Positive => f.write_str("a number > 0"),
            Self::AtLeast(least) => write!(f, "a number ≥ {least}"),
            Self::Share => f.write_str("a number from 0 to 1"),
            Self::Date => f.write_str("a date such as \"2026-01-15T12:00:00Z\", or milliseconds since 1970"),
            Self::Bound => f.write_str("a number, or a date such as \"2026-01-15T12:00:00Z\""),
            Self::Duration => {
                f.write_str("a duration such as \"90 days\" or \"12 hours\", or a number of seconds")
            }
            Self::Texts => f.write_str("an array of strings"),
            Self::Object(_) => f.write_str("an object"),
            Self::ObjectOrFalse(_) => f.write_str("an object or false"),
            Self::Objects(_) => f.write_str("an array of objects"),
            Self::Free(words) => f.write_str(words),
        }
    }
}

/// `"a", "b" or "c"`
fn quoted(choices: &[&str]) -> String {
    listed(choices, "or")
}

fn listed(choices: &[&str], conjunction: &str) -> String {
    let choices: Vec<String> = choices.iter().map(|choice| format!("\"{choice}\"")).collect();
    match choices.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} {conjunction} {last}", rest.join(", ")),
        _ => choices.concat(),
    }
}

/// Of `known` (a spelling and what it stands for), the one most like `name`, if it differs by no more than a third.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = (&'a str, &'a str)>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    let allowed = (name.chars().count() / 3).max(1);
    known
        .map(|(spelling, meant)| (edits(name, spelling), meant))
        .filter(|&(edits, _)| edits <= allowed)
        .min_by_key(|&(edits, _)| edits)
        .map(|(_, meant)| meant)
}

/// Levenshtein distance, ignoring case.
fn edits(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (i, letter) in b.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for j in 1..=a.len() {
            let replaced = diagonal + usize::from(a[j - 1] != letter);
            diagonal = row[j];
            row[j] = replaced.min(row[j] + 1).min(row[j - 1] + 1);
        }
    }
    row[a.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_levenshtein_distances() {
        assert_eq!([edits("", "abc"), edits("minLLR", "minllr"), edits("kitten", "sitting")], [3, 0, 3]);
    }

    #[test]
    fn only_similar_names_are_proposed() {
        let known = || ["num", "eventNames", "rankings"].into_iter().map(|name| (name, name));
        assert_eq!(nearest("nums", known()), Some("num"));
        assert_eq!(nearest("eventName", known()), Some("eventNames"));
        assert_eq!(nearest("colour", known()), None);
        assert_eq!(nearest(&"x".repeat(1000), known()), None);
    }
}
