//! Names in an index: what people call things, as the server allows it.

use std::borrow::Cow;
use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Longer texts are indexed by their hash: a term has at most 32 766 bytes.
const TEXT_BYTES_MAX: usize = 8_000;
/// The server takes 512.
const DOCUMENT_ID_BYTES_MAX: usize = 400;
/// Longer names of fields end in a hash.
const FIELD_BYTES_MAX: usize = 200;
/// The server takes 255 bytes, and something is put behind it.
const INDEX_BYTES_MAX: usize = 200;

/// Name of the alias of an engine's models: lower case, distinct for distinct pairs.
pub(crate) fn of_engine(app: &str, variant: &str) -> String {
    let mut name = String::from("arblast-");
    escape(
        variant,
        '_',
        |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-',
        &mut name,
    );
    name.push('.');
    escape(app, '_', |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-', &mut name);
    shortened(name, INDEX_BYTES_MAX)
}

/// Name of the field for an indicator, property or ranking of any name.
pub(crate) fn field(name: &str) -> String {
    if name.is_empty() {
        return "%".to_owned();
    }
    let mut field = String::new();
    escape(name, '%', |byte| byte.is_ascii_alphanumeric() || byte == b'-', &mut field);
    // A single _ is common and harmless inside.
    let field = if name.starts_with('_') { field } else { field.replace("%5f", "_") };
    shortened(field, FIELD_BYTES_MAX)
}

/// Appends `text` with every other byte than those `kept` as a mark and two hex digits.
fn escape(text: &str, mark: char, kept: impl Fn(u8) -> bool, out: &mut String) {
    for byte in text.bytes() {
        if kept(byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(out, "{mark}{byte:02x}");
        }
    }
}

fn shortened(name: String, bytes_max: usize) -> String {
    if name.len() <= bytes_max {
        return name;
    }
    let hash = hash(&name);
    let head = name.get(..bytes_max.saturating_sub(hash.len())).unwrap_or_default();
    format!("{head}-{hash}")
}

/// A text as it is indexed and asked for.
pub(crate) fn text(value: &str) -> Cow<'_, str> {
    if value.len() <= TEXT_BYTES_MAX {
        Cow::Borrowed(value)
    } else {
        Cow::Owned(format!("sha256:{}", hash(value)))
    }
}

/// Id of the document of an item.
pub(crate) fn document(item: &str) -> Cow<'_, str> {
    if (1..=DOCUMENT_ID_BYTES_MAX).contains(&item.len()) && !item.starts_with('#') {
        Cow::Borrowed(item)
    } else {
        Cow::Owned(format!("#{}", hash(item)))
    }
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_distinct_and_allowed() {
        assert_eq!(of_engine("My App", "default"), "arblast-default._4dy_20_41pp");
        assert_eq!(of_engine("a", "b"), "arblast-b.a");
        assert_ne!(of_engine("a_2e", "b"), of_engine("a.", "b"));
        assert!(of_engine(&"é".repeat(500), "b").len() < 230);
        assert_eq!(
            ["category-pref", "a_b", "_id", "a.b", "ä", ""].map(field),
            ["category-pref", "a_b", "%5fid", "a%2eb", "%c3%a4", "%"]
        );
        assert_ne!(field(&"x".repeat(300)), field(&"x".repeat(301)));
    }

    #[test]
    fn long_and_reserved_ids_become_hashes() {
        let long = "x".repeat(9_000);
        assert_eq!((document("a"), text("a")), ("a".into(), "a".into()));
        for id in ["", "#a", &long] {
            assert!(document(id).starts_with('#') && document(id).len() == 65, "{id}");
        }
        assert_ne!(document(""), document("#"));
        assert_eq!(text(&long).len(), 71);
    }
}
