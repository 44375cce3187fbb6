//! Paths into a payload: `$.order.lines[0].sku`, or `@.sku` for the element of an `each`.

use std::fmt;

use events::Json;

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// From the element (`@`) and not from the payload (`$`)?
    pub from_element: bool,
    steps: Vec<Step>,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Index(usize),
}

impl Path {
    /// Does this text mean a path? It does if it is `$` or `@`, or begins with one of them and `.` or `[`; `$set` is a
    /// plain text.
    pub fn is_meant(text: &str) -> bool {
        text.strip_prefix(['$', '@']).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }

    /// Reads `$` or `@`, followed by any number of `.name`, `['any name']` and `[index]`; the reason if it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("\"{text}\" is not a path: {why}");
        let mut rest = text
            .strip_prefix(['$', '@'])
            .ok_or_else(|| wrong("it begins with $ (the payload) or @ (the element of each)"))?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = Step::read(rest).map_err(wrong)?;
            steps.push(step);
            rest = after;
        }
        Ok(Self { from_element: text.starts_with('@'), steps, text: text.to_owned() })
    }

    /// The value there; `null` counts as absent.
    pub fn find<'a>(&self, start: &'a Json) -> Option<&'a Json> {
        let found = self.steps.iter().try_fold(start, |value, step| match step {
            Step::Member(name) => value.get(name),
            Step::Index(index) => value.as_array()?.get(*index),
        });
        found.filter(|value| !value.is_null())
    }
}

impl Step {
    /// The step that `text` begins with, and what follows it.
    fn read(text: &str) -> Result<(Self, &str), &'static str> {
        if let Some(rest) = text.strip_prefix("['") {
            let end = "a name in brackets ends with ']";
            let (name, rest) = rest.split_once("']").ok_or(end)?;
            return Ok((Self::Member(name.to_owned()), rest));
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (index, rest) = rest.split_once(']').ok_or("an index ends with ]")?;
            let digits = index.bytes().all(|byte| byte.is_ascii_digit());
            let index = index.parse().ok().filter(|_| digits);
            return index.map(|index| (Self::Index(index), rest)).ok_or("an index is a number from 0");
        }
        let rest = text.strip_prefix('.').ok_or("a step is .name, ['name'] or [0]")?;
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let plain = |c: char| !c.is_whitespace() && !"'\"]*?$@()".contains(c);
        if name.is_empty() || !name.chars().all(plain) {
            return Err("a name that is empty or has special characters is written ['name']");
        }
        Ok((Self::Member(name.to_owned()), rest))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use events::json;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn finds_values() {
        let text = r#"{"a": {"b": [{"c": 1}, [2, 3]]}, "data[id]": "x", "ü-1": true, "n": null, "": 7}"#;
        let payload = json::parse(text.as_bytes()).unwrap();
        let cases = [
            ("$.a.b[0].c", "1"),
            ("$.a.b[1][1]", "3"),
            ("$['a'].b[1]", "[2,3]"),
            ("$['data[id]']", "\"x\""),
            ("$.ü-1", "true"),
            ("$['']", "7"),
            ("@.a.b[0]", "{\"c\":1}"),
        ];
        for (path, expected) in cases {
            let found = Path::parse(path).unwrap().find(&payload).unwrap().to_string();
            assert_eq!(found, expected, "{path}");
        }
        assert_eq!(Path::parse("$").unwrap().find(&payload), Some(&payload));
        for path in ["$.n", "$.x", "$.a[0]", "$.a.b[2]", "$.a.b.c", "$[0]", "$.ü-1.x"] {
            assert_eq!(Path::parse(path).unwrap().find(&payload), None, "{path}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let cases = [
            ("a.b", "begins with $"),
            ("", "begins with $"),
            ("$a", "a step is .name"),
            ("$.", "written ['name']"),
            ("$..a", "written ['name']"),
            ("$.a b", "written ['name']"),
            ("$.*", "written ['name']"),
            ("$[a]", "an index is a number from 0"),
            ("$[-1]", "an index is a number from 0"),
            ("$[+1]", "an index is a number from 0"),
            ("$[]", "an index is a number from 0"),
            ("$[99999999999999999999]", "an index is a number from 0"),
            ("$[0", "ends with ]"),
            ("$['a]", "ends with ']"),
            ("$[0]a", "a step is .name"),
        ];
        for (path, reason) in cases {
            let error = Path::parse(path).unwrap_err();
            assert!(error.contains(reason), "{path}: {error}");
        }
    }

    #[test]
    fn plain_texts_are_no_paths() {
        for text in ["$set", "$unset", "user", "@home", "", "$$", "a$.b"] {
            assert!(!Path::is_meant(text), "{text}");
        }
        for text in ["$", "@", "$.a", "@[0]", "$..", "@.a b"] {
            assert!(Path::is_meant(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[$@]?[.a\\[\\]'0-9ü ]{0,12}") {
            if let Ok(path) = Path::parse(&text) {
                prop_assert_eq!(path.to_string(), text);
                let _ = path.find(&Json::Array(vec![Json::Null, 1.into()]));
            }
        }
    }
}
