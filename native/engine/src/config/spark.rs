//! `sparkConf`: settings passed on to Spark and search servers. And the one place that knows what is secret.

use std::collections::BTreeMap;

use events::json::{self, Json, Object};

use super::ConfigError;
use crate::members::{Path, Reader};

/// Settings with dotted keys and text values. Members named `comment` are comments.
pub(super) fn flatten(reader: &mut Reader<'_>, path: &Path<'_>, json: &Json) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    match json {
        Json::Object(object) => add(reader, path, "", object, &mut settings),
        _ => reader.mismatch(path, "an object", json).unwrap_or_default(),
    }
    correct_spelling(reader, path, &mut settings);
    settings
}

fn add(
    reader: &mut Reader<'_>,
    path: &Path<'_>,
    prefix: &str,
    object: &Object,
    settings: &mut BTreeMap<String, String>,
) {
    for (name, value) in object.iter().filter(|(name, _)| *name != "comment") {
        let path = &Path::Member(path, name);
        let key = match (prefix, name) {
            // Harness' short form.
            ("", "master") => "spark.master".to_owned(),
            ("", name) => name.to_owned(),
            (prefix, name) => format!("{prefix}.{name}"),
        };
        let text = match value {
            Json::Null => continue,
            Json::Object(object) => {
                add(reader, path, &key, object, settings);
                continue;
            }
            Json::Array(_) => {
                reader.error(path.to_string(), "must not be an array: arrays are not allowed in sparkConf");
                continue;
            }
            Json::String(text) => reader.substituted(path, text),
            Json::Number(_) | Json::Bool(_) => Some(value.to_string()),
        };
        if let Some(text) = text
            && settings.insert(key, text).is_some()
        {
            reader.warn(path.to_string(), "is given twice; the last one counts");
        }
    }
}

fn correct_spelling(reader: &mut Reader<'_>, path: &Path<'_>, settings: &mut BTreeMap<String, String>) {
    const WRONG: &str = "spark.driver.memroy";
    const RIGHT: &str = "spark.driver.memory";
    if let Some(value) = settings.remove(WRONG) {
        reader.warn(Path::Member(path, WRONG).to_string(), format!("is a misspelling, read as \"{RIGHT}\""));
        settings.entry(RIGHT.to_owned()).or_insert(value);
    }
}

/// The text of a configuration for records and logs: every scalar whose name, or the name of an object around it,
/// speaks of a password, secret, key, token or credential is replaced by `***`, and so is who signs in within a
/// URL (`https://***@host`). References to environment variables are not resolved.
///
/// # Errors
/// The text is no JSON.
pub fn redacted(text: &[u8]) -> Result<String, ConfigError> {
    let mut json = json::parse(text)?;
    redact(&mut json, false);
    Ok(json.to_string())
}

fn redact(json: &mut Json, is_secret: bool) {
    match json {
        Json::Object(object) => {
            let members = std::mem::take(object).into_iter().map(|(name, mut value)| {
                redact(&mut value, is_secret || names_secret(&name));
                (name, value)
            });
            *object = members.collect();
        }
        Json::Array(items) => items.iter_mut().for_each(|item| redact(item, is_secret)),
        Json::Null => {}
        scalar if is_secret => *scalar = Json::from("***"),
        Json::String(text) => {
            if let Some(masked) = without_userinfo(text) {
                *text = masked;
            }
        }
        Json::Bool(_) | Json::Number(_) => {}
    }
}

/// A text without user and password of the URLs in it; `None` if it has none. What is in doubt is masked.
fn without_userinfo(text: &str) -> Option<String> {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, authority) = rest.split_at(at + "://".len());
        // Not at a slash: passwords that should have been escaped may hold one.
        let end = authority.find(char::is_whitespace).unwrap_or(authority.len());
        let own = authority.split_at(end).0.split("://").next().unwrap_or_default();
        masked.push_str(before);
        rest = match own.rfind('@') {
            Some(userinfo) => {
                masked.push_str("***");
                &authority[userinfo..]
            }
            None => authority,
        };
    }
    masked.push_str(rest);
    (masked != text).then_some(masked)
}

fn names_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    ["pass", "secret", "key", "token", "credential"].iter().any(|word| name.contains(word))
}
