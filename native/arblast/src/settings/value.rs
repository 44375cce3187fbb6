//! Values of members: from JSON, or from the text of a variable or an option.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use events::Json;

use super::table::{Kind, Member};

/// Checks a value of the file; relative paths are taken from `directory`.
pub fn from_json(member: &Member, json: &Json, directory: &Path) -> Result<Json, String> {
    if json.is_null() {
        return default(member);
    }
    let wrong = || format!("must be {}, not {}", member.kind, told(member, json));
    match (member.kind, json) {
        (Kind::Flag, Json::Bool(_)) => Ok(json.clone()),
        (Kind::Whole(min, max), Json::Number(number)) => {
            number.as_i64().filter(|n| (min..=max).contains(n)).map(Json::from).ok_or_else(wrong)
        }
        (Kind::Texts, Json::Array(items)) if items.iter().all(|item| item.as_str().is_some()) => {
            Ok(json.clone())
        }
        (Kind::Path, Json::String(text)) if !text.is_empty() => {
            Ok(directory.join(text).to_string_lossy().into_owned().into())
        }
        (Kind::Choice(_) | Kind::Ip | Kind::Text | Kind::Secret, Json::String(text)) => {
            from_text(member, text)
        }
        _ => Err(wrong()),
    }
}

/// Checks the text of a variable or an option.
pub fn from_text(member: &Member, text: &str) -> Result<Json, String> {
    let whole = text;
    let text = text.trim();
    let value = match member.kind {
        Kind::Text => Some(Json::from(whole)),
        Kind::Flag => text.parse::<bool>().ok().map(Json::from),
        Kind::Whole(min, max) => text.parse::<i64>().ok().filter(|n| (min..=max).contains(n)).map(Json::from),
        Kind::Choice(words) => words.contains(&text).then(|| Json::from(text)),
        Kind::Ip => text.parse::<IpAddr>().ok().map(|ip| Json::from(ip.to_string())),
        Kind::Path | Kind::Secret => (!text.is_empty()).then(|| Json::from(text)),
        Kind::Texts => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Json::Array(items.map(Json::from).collect()))
        }
    };
    value.ok_or_else(|| format!("must be {}, not {}", member.kind, told(member, &Json::from(text))))
}

/// What holds if nobody sets the member.
pub fn default(member: &Member) -> Result<Json, String> {
    events::json::parse(member.default.as_bytes()).map_err(|error| format!("has a wrong default: {error}"))
}

/// A wrong value as a message may tell it: of a secret, what kind of value it is.
fn told(member: &Member, value: &Json) -> String {
    let kind = match value {
        _ if !matches!(member.kind, Kind::Secret) => return value.excerpt(),
        Json::Null => "null",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number (put it in quotes)",
        Json::String(text) if text.is_empty() => "an empty one",
        Json::String(_) => "this one",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    };
    kind.to_owned()
}

/// As a message says it: "must be …".
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Flag => f.write_str("true or false"),
            Self::Whole(min, max) => write!(f, "a whole number from {min} to {max}"),
            Self::Choice(words) => {
                for (i, word) in words.iter().enumerate() {
                    let before = [", ", " or "][usize::from(i + 1 == words.len())];
                    write!(f, "{}\"{word}\"", if i == 0 { "" } else { before })?;
                }
                Ok(())
            }
            Self::Ip => f.write_str("an IP address such as \"127.0.0.1\" or \"::\""),
            Self::Path => f.write_str("the path of a file"),
            Self::Text => f.write_str("a string"),
            Self::Secret => f.write_str("a string that is not empty"),
            Self::Texts => f.write_str("an array of strings"),
        }
    }
}
