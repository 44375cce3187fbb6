//! `application/x-www-form-urlencoded`

use events::json::Object;

use super::invalid;
use crate::failure::Result;

/// The fields as an object of strings, in order; of a repeated name the last counts. `+` is a space, a `%` without two
/// hexadecimal digits stands for itself, as browsers read it. Fails where the decoded text is not UTF-8.
pub fn parse(body: &[u8]) -> Result<Object> {
    let mut fields = Object::new();
    for (number, field) in body.split(|&byte| byte == b'&').filter(|field| !field.is_empty()).enumerate() {
        let mut parts = field.splitn(2, |&byte| byte == b'=');
        let mut next = || String::from_utf8(decode(parts.next().unwrap_or_default()));
        match (next(), next()) {
            (Ok(name), Ok(value)) => fields.push(name, value),
            _ => return Err(invalid(format!("Field {} of the form is not UTF-8.", number + 1))),
        }
    }
    fields.keep_last();
    Ok(fields)
}

fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        decoded.push(match first {
            b'+' => b' ',
            b'%' => match escaped(after) {
                Some(byte) => {
                    rest = after.get(2..).unwrap_or_default();
                    byte
                }
                None => b'%',
            },
            other => other,
        });
    }
    decoded
}

/// The byte of the two hexadecimal digits at the beginning.
fn escaped(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| digits.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(body: &str) -> String {
        parse(body.as_bytes()).unwrap().to_string()
    }

    #[test]
    fn reads_fields() {
        assert_eq!(parsed(""), "{}");
        assert_eq!(parsed("&&"), "{}");
        assert_eq!(parsed("a=1&b=x+y%20z&c&d="), r#"{"a":"1","b":"x y z","c":"","d":""}"#);
        assert_eq!(parsed("data%5Bid%5D=8&data[x]=a=b"), r#"{"data[id]":"8","data[x]":"a=b"}"#);
        assert_eq!(parsed("a=1&b=2&a=3"), r#"{"a":"3","b":"2"}"#);
        assert_eq!(parsed("a=%C3%BC"), r#"{"a":"ü"}"#);
        assert_eq!(parsed("a=100%&b=%zz&c=%4"), r#"{"a":"100%","b":"%zz","c":"%4"}"#);
    }

    #[test]
    fn refuses_what_is_no_text() {
        let error = parse(b"a=1&b=%ff").unwrap_err();
        assert_eq!(error.to_string(), "Field 2 of the form is not UTF-8.");
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&body);
        }

        #[test]
        fn every_text_survives(fields in proptest::collection::btree_map(".{0,8}", ".{0,8}", 1..5)) {
            let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
            let pair = |(name, value): (&String, &String)| format!("{}={}", escape(name), escape(value));
            let body = fields.iter().map(pair).collect::<Vec<_>>().join("&");
            let expected: Object = fields.into_iter().map(|(name, value)| (name, value.into())).collect();
            prop_assert_eq!(parse(body.as_bytes()).unwrap(), expected);
        }
    }
}
