//! Rust source without its comments and the contents of its literals, and what is checked in it.

use std::collections::BTreeMap;

use crate::{FILE_LINES_MAX, FUNCTION_LINES_MAX};

/// Source text in which comments have become blanks and every character of a literal a `_`; line breaks stay.
pub(crate) struct Source {
    code: String,
}

/// A function and the number of its lines that hold code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Line where it begins, from 1.
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

impl Source {
    pub(crate) fn new(text: &str) -> Self {
        let mut code = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let (length, fill) = if rest.starts_with("//") {
                (rest.find('\n').unwrap_or(rest.len()), ' ')
            } else if rest.starts_with("/*") {
                (comment_length(rest), ' ')
            } else if let Some(length) = literal_length(rest, &code) {
                (length, '_')
            } else {
                (c.len_utf8(), c)
            };
            let (taken, left) = rest.split_at(length);
            code.extend(taken.chars().map(|c| if c == '\n' { c } else { fill }));
            rest = left;
        }
        Self { code }
    }

    /// Words with their positions in the code.
    fn words(&self) -> impl Iterator<Item = (usize, &str)> {
        let outside = |c: char| !c.is_alphanumeric() && c != '_';
        let mut at = 0;
        self.code.split_inclusive(outside).filter_map(move |piece| {
            let start = at;
            at += piece.len();
            let word = piece.trim_end_matches(outside);
            (!word.is_empty()).then_some((start, word))
        })
    }

    pub(crate) fn has_word(&self, wanted: &str) -> bool {
        self.words().any(|(_, word)| word == wanted)
    }

    /// Functions with a body, in order; one inside another counts by itself and in the other.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        let mut words = self.words().peekable();
        while let Some((start, word)) = words.next() {
            let Some((at, name)) = words.peek().copied().filter(|_| word == "fn") else { continue };
            let named = self.code[start + 2..at].chars().all(char::is_whitespace);
            if let Some(end) = self.body_end(at).filter(|_| named) {
                let lines = self.code[start..end].lines().filter(|line| !line.trim().is_empty()).count();
                let line = self.code[..start].matches('\n').count() + 1;
                functions.push(Function { name: name.to_owned(), line, lines });
            }
        }
        functions
    }

    /// Position after the closing brace of the body of the function whose name stands `at`; `None` if it has no body.
    fn body_end(&self, at: usize) -> Option<usize> {
        let (mut braces, mut others) = (0_usize, 0_usize);
        for (offset, c) in self.code[at..].char_indices() {
            match c {
                '(' | '[' => others += 1,
                ')' | ']' => others = others.saturating_sub(1),
                ';' if braces == 0 && others == 0 => return None,
                '{' if others == 0 || braces > 0 => braces += 1,
                '}' if braces == 1 => return Some(at + offset + 1),
                '}' => braces = braces.saturating_sub(1),
                _ => {}
            }
        }
        None
    }
}

/// Length of the block comment that `text` begins with; comments nest.
fn comment_length(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Length of the string or character literal that `text` begins with. A quote of a lifetime begins none.
fn literal_length(text: &str, before: &str) -> Option<usize> {
    let in_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let raw = text.trim_start_matches(['b', 'c']);
    if let Some(hashes) = raw.strip_prefix('r').filter(|_| !in_word && text.len() - raw.len() <= 1) {
        let inner = hashes.trim_start_matches('#');
        if let Some(inner) = inner.strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(hashes.len() - inner.len() - 1));
            return Some(
                text.len() - inner.len() + inner.find(&end).map_or(inner.len(), |at| at + end.len()),
            );
        }
    }
    match text.as_bytes() {
        [b'"', ..] => Some(quoted_length(text, '"')),
        [b'\'', b'\\', ..] => Some(quoted_length(text, '\'')),
        [b'\'', ..] => {
            let c = text[1..].chars().next()?;
            text[1 + c.len_utf8()..].starts_with('\'').then_some(c.len_utf8() + 2)
        }
        _ => None,
    }
}

fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Functions and files that are too long. `allowed` says which functions may be longer; those met are taken out of it.
pub(crate) fn check_length(
    path: &str,
    source: &Source,
    allowed: &mut BTreeMap<String, usize>,
) -> Vec<String> {
    let mut complaints = Vec::new();
    for Function { name, line, lines } in source.functions() {
        let limit =
            if lines > FUNCTION_LINES_MAX { allowed.remove(&format!("{path}: {name}")) } else { None };
        let limit = limit.unwrap_or(FUNCTION_LINES_MAX);
        if lines > limit {
            complaints.push(format!("{path}:{line}: {name} has {lines} lines of code, the limit is {limit}"));
        } else if lines < limit && limit > FUNCTION_LINES_MAX {
            complaints.push(format!(
                "{path}:{line}: {name} has {lines} lines of code; lower its number in RATCHET"
            ));
        }
    }
    let lines = source.code.lines().count();
    if lines > FILE_LINES_MAX {
        complaints.push(format!("{path} has {lines} lines, the limit is {FILE_LINES_MAX}"));
    }
    complaints
}

/// Marks of unfinished work, in any text.
pub(crate) fn check_marks(path: &str, text: &str) -> Vec<String> {
    let marks = [concat!("XX", "X"), concat!("FIX", "ME"), concat!("TO", "DO")];
    let is_word = |word: &str| marks.contains(&word);
    let lines = (1..).zip(text.lines());
    let found = lines.filter(|(_, line)| line.split(|c: char| !c.is_alphanumeric()).any(is_word));
    found.map(|(number, line)| format!("{path}:{number}: unfinished: {}", line.trim())).collect()
}

/// Crates whose results depend on their input alone.
const PURE: [&str; 4] = ["cco", "events", "model", "engine"];

/// Macros of unfinished work anywhere, and clocks where results depend on the input alone.
pub(crate) fn check_calls(path: &str, source: &Source) -> Vec<String> {
    let pure = PURE.iter().any(|name| path.starts_with(&format!("native/{name}/")));
    // Tests may wait.
    let below = pure && path.contains("/src/") && !path.ends_with("/tests.rs");
    let unfinished: &[&str] = &["todo!", "unimplemented!"];
    let clocks: &[&str] = &["Instant::now", "SystemTime::now"];
    let mut complaints = Vec::new();
    for (number, line) in (1..).zip(source.code.lines()) {
        let banned = unfinished.iter().chain(if below { clocks } else { &[] });
        let found = banned.filter(|call| line.contains(**call));
        complaints.extend(found.map(|call| format!("{path}:{number}: {call} has no place here")));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::{BTreeMap, Function, Source, check_calls, check_length, check_marks};

    #[test]
    fn leaves_code_only() {
        let source =
            Source::new("a /* b /* c */ d */ e // f\n\"g \\\" h\" 'i' '\\'' r#\"j \" k\"# br\"l\" <'m> n'o");
        assert_eq!(
            source.code.split_whitespace().filter(|word| !word.starts_with('_')).collect::<Vec<_>>(),
            ["a", "e", "<'m>", "n'o"]
        );
        assert_eq!(Source::new("x\n/* ä\n */ y").code.lines().count(), 3);
    }

    #[test]
    fn unfinished_literals_end_with_the_text() {
        for text in ["\"a", "'\\", "r##\"a\"#", "/* a", "'", "b'", "r", "br#", "\"\\"] {
            Source::new(text);
        }
    }

    #[test]
    fn measures_functions() {
        let text = "trait A { fn none(&self, x: [u8; 2]); }\n\nfn one() {}\n/// fn\npub fn four<T>(f: fn(u8) -> u8, s: [u8; 2]) -> X\nwhere T: A {\n    // not counted\n\n    call(\"}\", '}', |x| { x });\n}\n";
        let functions = Source::new(text).functions();
        let function = |name: &str, line, lines| Function { name: name.to_owned(), line, lines };
        assert_eq!(functions, [function("one", 3, 1), function("four", 5, 4)]);
    }

    #[test]
    fn measures_a_function_within_a_function_in_both() {
        let functions = Source::new("fn a() {\n  fn b() {\n  }\n}").functions();
        assert_eq!(functions.iter().map(|function| function.lines).collect::<Vec<_>>(), [4, 2]);
    }

    fn long(lines: usize) -> Source {
        Source::new(&format!("fn f() {{\n{}}}\n", "x;\n".repeat(lines - 2)))
    }

    #[test]
    fn sees_a_long_function() {
        let none = BTreeMap::new;
        assert_eq!(check_length("a.rs", &long(70), &mut none()), Vec::<String>::new());
        assert_eq!(
            check_length("a.rs", &long(71), &mut none()),
            ["a.rs:1: f has 71 lines of code, the limit is 70"]
        );
    }

    #[test]
    fn the_ratchet_turns_one_way() {
        let check =
            |lines| check_length("a.rs", &long(lines), &mut BTreeMap::from([("a.rs: f".to_owned(), 90)]));
        assert_eq!(check(90), Vec::<String>::new());
        assert_eq!(check(91).len(), 1);
        assert_eq!(check(89), ["a.rs:1: f has 89 lines of code; lower its number in RATCHET"]);
    }

    #[test]
    fn sees_a_long_file() {
        let file = |lines| check_length("a.rs", &Source::new(&"// x\n".repeat(lines)), &mut BTreeMap::new());
        assert_eq!(file(800), Vec::<String>::new());
        assert_eq!(file(801), ["a.rs has 801 lines, the limit is 800"]);
    }

    #[test]
    fn sees_marks_as_words() {
        let text =
            ["fine", concat!("a FIX", "ME: b"), concat!("XX", "XL"), concat!("// TO", "DO")].join("\n");
        assert_eq!(check_marks("a.md", &text).len(), 2);
    }

    #[test]
    fn sees_calls_outside_literals() {
        let calls = "fn f() { todo!() }\n// unimplemented!()\nlet s = \"todo!\";\nlet now = std::time::Instant::now();\n";
        assert_eq!(check_calls("native/engine/src/a.rs", &Source::new(calls)).len(), 2);
        assert_eq!(check_calls("native/arblast/src/a.rs", &Source::new(calls)).len(), 1);
        assert_eq!(check_calls("native/engine/src/tests.rs", &Source::new(calls)).len(), 1);
        assert_eq!(check_calls("native/cco/benches/a.rs", &Source::new(calls)).len(), 1);
    }

    #[test]
    fn sees_unsafe_as_a_word_of_code() {
        assert!(Source::new("unsafe { x }").has_word("unsafe"));
        assert!(!Source::new("#[allow(unsafe_code)] // unsafe\nlet a = \"unsafe\";").has_word("unsafe"));
    }
}
