//! Query parameters and path segments, decoded exactly once.

use std::borrow::Cow;

use super::refusal::Refusal;

/// The parameters after the `?`.
#[derive(Clone, Copy)]
pub struct Params<'a>(&'a str);

impl<'a> Params<'a> {
    pub fn of(uri: &'a axum::http::Uri) -> Self {
        Self(uri.query().unwrap_or_default())
    }

    /// Raw values of `name`, in order.
    fn raw(self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.split('&').filter_map(move |pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then_some(value)
        })
    }

    /// The first value of `name`.
    pub fn first(self, name: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
        self.raw(name).next().map(|value| decoded(name, value)).transpose()
    }

    /// The first value, owned.
    pub fn text(self, name: &str) -> Result<Option<String>, Refusal> {
        Ok(self.first(name)?.map(Cow::into_owned))
    }

    /// `false` if it is not given.
    pub fn flag(self, name: &str) -> Result<bool, Refusal> {
        let Some(text) = self.text(name)? else { return Ok(false) };
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err(wrong(name, &text, "true or false")),
        }
    }

    /// All values of `name`.
    pub fn all(self, name: &str) -> Result<Vec<String>, Refusal> {
        self.raw(name).map(|value| decoded(name, value).map(Cow::into_owned)).collect()
    }
}

/// The refusal of a value.
pub fn wrong(name: &str, text: &str, right: &str) -> Refusal {
    let text: String = text.chars().take(100).collect();
    Refusal::invalid(format!("the parameter {name} must be {right}, got '{text}'"))
}

fn decoded<'a>(name: &str, value: &'a str) -> Result<Cow<'a, str>, Refusal> {
    decode(value, true)
        .ok_or_else(|| Refusal::invalid(format!("the parameter {name} is no percent-encoded UTF-8 text")))
}

/// A segment of a path.
pub fn segment(raw: &str) -> Option<String> {
    decode(raw, false).map(Cow::into_owned)
}

/// Percent-decodes; `None` if the text is malformed.
fn decode(raw: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    if !raw.bytes().any(|byte| byte == b'%' || (plus_is_space && byte == b'+')) {
        return Some(Cow::Borrowed(raw));
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'%' => {
                let (digits, tail) = rest.split_first_chunk::<2>()?;
                let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
                bytes.push(u8::try_from(high? << 4 | low?).ok()?);
                rest = tail;
            }
            b'+' if plus_is_space => bytes.push(b' '),
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_once() {
        let uri = "/x?a=1&b=%2525+%2B&a=2&c&d=%zz&e=%ff&f=%C3%BC".parse().unwrap();
        let params = Params::of(&uri);
        assert_eq!(params.text("a").unwrap().unwrap(), "1");
        assert_eq!(params.all("a").unwrap(), ["1", "2"]);
        assert_eq!(params.text("b").unwrap().unwrap(), "%25 +");
        assert_eq!(params.text("c").unwrap().unwrap(), "");
        assert_eq!(params.text("f").unwrap().unwrap(), "ü");
        assert_eq!(params.text("g").unwrap(), None);
        for malformed in ["d", "e"] {
            assert!(params.text(malformed).unwrap_err().message.contains(malformed));
        }
        assert_eq!(segment("a+b%2Fc").unwrap(), "a+b/c");
        assert_eq!(segment("a%2"), None);
    }
}
