//! The reader: recursive descent over bytes, depth-limited, memory within a small multiple of the input.

use std::borrow::Cow;

use super::{Json, Number, Object};

/// Deepest nesting of arrays and objects. Bounds the stack.
pub const MAX_DEPTH: usize = 128;

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct JsonError {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What was found or what is missing.
    pub reason: String,
}

/// Reads one JSON document, tolerating what PredictionIO's clients came to rely on: commas between elements may be
/// missing, doubled or trailing; integers may have a `+` or leading zeros; strings may hold raw control characters.
/// Everything else outside RFC 8259 is refused, several values in a row too: whoever sent them means all of them.
/// Memory is bounded by a constant multiple of the input (some 50 for `[[0],[0],…]`, by the sizes of values), depth by
/// [`MAX_DEPTH`].
pub fn parse(text: &[u8]) -> Result<Json, JsonError> {
    parse_observed(text).map(|(json, _)| json)
}

/// [`parse`], and the first place where the text is not strict JSON: for a warning, or to refuse it.
pub fn parse_observed(text: &[u8]) -> Result<(Json, Option<JsonError>), JsonError> {
    let mut parser = Parser::new(text).map_err(|fault| *fault)?;
    let json = parser.document(Parser::value).map_err(|fault| *fault)?;
    Ok((json, parser.leniency()))
}

/// The texts of the elements of an array, read as leniently as [`parse`] does; whatever is no array comes as its value.
pub fn elements(text: &[u8]) -> Result<Result<Vec<&[u8]>, Json>, JsonError> {
    let mut parser = Parser::new(text).map_err(|fault| *fault)?;
    let read = |parser: &mut Parser<'_>| {
        if !parser.open_array()? {
            return parser.value().map(Err);
        }
        let mut places = Vec::new();
        while parser.item(places.is_empty())? {
            let start = parser.at();
            parser.value()?;
            places.push(start..parser.at());
        }
        Ok(Ok(places))
    };
    let places = parser.document(read).map_err(|fault| *fault)?;
    Ok(places.map(|places| places.into_iter().filter_map(|place| text.get(place)).collect()))
}

/// A [`JsonError`] on its way up, boxed so that results stay small.
pub(crate) type Fault = Box<JsonError>;

/// A pull reader: [`document`](Parser::document) around [`value`](Parser::value), or around
/// [`open`](Parser::open) and [`member`](Parser::member) for whoever needs no tree.
pub(crate) struct Parser<'a> {
    text: &'a [u8],
    /// The same.
    utf8: &'a str,
    at: usize,
    depth: usize,
    /// Offset and nature of the first tolerated deviation.
    lenient: Option<(usize, &'static str)>,
}

impl<'a> Parser<'a> {
    /// Refuses what is not UTF-8; checking it once is cheaper than in every string.
    pub(crate) fn new(text: &'a [u8]) -> Result<Self, Fault> {
        let parser = Self { text, utf8: "", at: 0, depth: 0, lenient: None };
        match str::from_utf8(text) {
            Ok(utf8) => Ok(Self { utf8, ..parser }),
            Err(error) => Err(parser.fault_at(error.valid_up_to(), "not UTF-8")),
        }
    }

    /// Reads the whole text with `read`: one value, and nothing after it.
    pub(crate) fn document<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if self.text.starts_with(b"\xef\xbb\xbf") {
            return Err(self.fault("byte order mark: send UTF-8 without it"));
        }
        if self.gap() > 0 {
            self.tolerate("comma before the value");
        }
        let is_object = self.peek() == Some(b'{');
        let value = read(self)?;
        if self.gap() > 0 {
            self.tolerate("comma after the value");
        }
        match self.peek() {
            None => Ok(value),
            Some(b'{') if is_object => Err(self.fault("expected one object, a second begins here")),
            Some(_) => Err(self.fault("text after the value")),
        }
    }

    /// Reads a value as a tree.
    pub(crate) fn value(&mut self) -> Result<Json, Fault> {
        match self.peek() {
            Some(b'"') => Ok(Json::String(self.string()?.into_owned())),
            Some(b'{') => self.object().map(Json::Object),
            Some(b'[') => self.array(),
            Some(b'0'..=b'9' | b'-' | b'+') => self.number().map(Json::Number),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => Err(self.fault(format!("expected a value, found {}", self.here()))),
            None => Err(self.fault("the text ends where a value is expected")),
        }
    }

    /// Reads a string, if one starts here that has no escapes.
    #[inline]
    pub(crate) fn plain_text(&mut self) -> Option<&'a str> {
        let start = self.at;
        if self.peek() == Some(b'"') {
            self.at += 1;
            let text = self.plain();
            if self.peek() == Some(b'"') {
                self.at += 1;
                return Some(text);
            }
            self.at = start;
        }
        None
    }

    /// Enters an object, if one starts here.
    pub(crate) fn open_object(&mut self) -> Result<bool, Fault> {
        if self.peek() != Some(b'{') {
            return Ok(false);
        }
        self.open()?;
        Ok(true)
    }

    /// Enters an array, if one starts here.
    pub(crate) fn open_array(&mut self) -> Result<bool, Fault> {
        if self.peek() != Some(b'[') {
            return Ok(false);
        }
        self.open()?;
        Ok(true)
    }

    /// Goes to the next item of the open array, whose value is next; `false` = the array has ended.
    pub(crate) fn item(&mut self, is_first: bool) -> Result<bool, Fault> {
        self.element(b']', is_first)
    }

    /// The name of the next member of the open object, with its value next; `None` = the object has ended.
    #[inline]
    pub(crate) fn member(&mut self, is_first: bool) -> Result<Option<Cow<'a, str>>, Fault> {
        if !self.element(b'}', is_first)? {
            return Ok(None);
        }
        if self.peek() != Some(b'"') {
            return Err(self.fault(format!("expected a member name in double quotes, found {}", self.here())));
        }
        let name = self.string()?;
        self.blanks();
        if self.peek() != Some(b':') {
            return Err(self.fault(format!("expected `:` after the member name, found {}", self.here())));
        }
        self.at += 1;
        self.blanks();
        Ok(Some(name))
    }

    /// Bytes read so far.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The first tolerated deviation from strict JSON.
    pub(crate) fn leniency(&self) -> Option<JsonError> {
        self.lenient.map(|(at, reason)| self.error_at(at, reason.to_owned()))
    }

    fn object(&mut self) -> Result<Object, Fault> {
        self.open()?;
        let mut object = Object::new();
        while let Some(name) = self.member(object.is_empty())? {
            let value = self.value()?;
            object.push(name, value);
        }
        Ok(object)
    }

    fn array(&mut self) -> Result<Json, Fault> {
        self.open()?;
        let mut items = Vec::new();
        while self.element(b']', items.is_empty())? {
            items.push(self.value()?);
        }
        Ok(Json::Array(items))
    }

    fn open(&mut self) -> Result<(), Fault> {
        if self.depth == MAX_DEPTH {
            return Err(self.fault(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Goes to the next element of the open array or object; `false` = it has ended with `close`.
    fn element(&mut self, close: u8, is_first: bool) -> Result<bool, Fault> {
        let commas = self.gap();
        match self.peek() {
            Some(byte) if byte == close => {
                if commas > 0 {
                    self.tolerate("comma before the end");
                }
                self.depth -= 1;
                self.at += 1;
                return Ok(false);
            }
            Some(_) => {}
            None => return Err(self.fault(format!("truncated: `{}` is missing", char::from(close)))),
        }
        if commas != usize::from(!is_first) {
            self.tolerate(if commas == 0 { "missing comma" } else { "superfluous comma" });
        }
        Ok(true)
    }

    fn number(&mut self) -> Result<Number, Fault> {
        let start = self.at;
        if matches!(self.peek(), Some(b'-' | b'+')) {
            self.at += 1;
        }
        let whole = self.digits()?;
        let mut is_integer = true;
        if self.peek() == Some(b'.') {
            is_integer = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            is_integer = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'-' | b'+')) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.end_of_word()?;
        if self.text[start] == b'+' || (whole.len() > 1 && whole[0] == b'0') {
            self.lenient.get_or_insert((start, "number with `+` or leading zeros"));
        }
        // Only ASCII was taken.
        let token = str::from_utf8(&self.text[start..self.at]).unwrap_or_default();
        Number::from_token(token, is_integer)
            .ok_or_else(|| self.fault_at(start, "number beyond the range of a double"))
    }

    fn digits(&mut self) -> Result<&'a [u8], Fault> {
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        if length == 0 {
            return Err(self.fault(format!("expected a digit, found {}", self.here())));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, Fault> {
        if !self.text[self.at..].starts_with(word.as_bytes()) {
            return Err(self.fault(format!("expected a value, found {}", self.here())));
        }
        self.at += word.len();
        self.end_of_word()?;
        Ok(value)
    }

    /// With missing commas tolerated, `12-3` or `nullx` would otherwise read as two values.
    fn end_of_word(&self) -> Result<(), Fault> {
        match self.peek() {
            Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.' | b'_') => {
                Err(self.fault(format!("unexpected {}", self.here())))
            }
            _ => Ok(()),
        }
    }

    /// Reads a string; borrowed from the text if it has no escapes.
    #[inline]
    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        match self.plain_text() {
            Some(text) => Ok(Cow::Borrowed(text)),
            None => self.escaped().map(Cow::Owned),
        }
    }

    /// Reads a string that is not all plain.
    #[cold]
    fn escaped(&mut self) -> Result<String, Fault> {
        self.at += 1;
        let mut text = self.plain().to_owned();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(byte) => {
                    self.tolerate("raw control character in a string");
                    text.push(char::from(byte));
                    self.at += 1;
                }
                None => return Err(self.fault("truncated: the string is not closed")),
            }
            text.push_str(self.plain());
        }
    }

    /// Takes everything up to a quote, a backslash, a control character or the end.
    #[inline]
    fn plain(&mut self) -> &'a str {
        let start = self.at;
        self.at += plain_bytes(&self.text[start..]);
        self.since(start)
    }

    /// The text from `start`, which like the cursor is at an ASCII character or the end.
    fn since(&self, start: usize) -> &'a str {
        self.utf8.get(start..self.at).unwrap_or_default()
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let start = self.at;
        let letter = self.text.get(start + 1).copied();
        self.at += 2;
        let plain = match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let unit = self.hex4(start)?;
                return self.unicode(start, unit);
            }
            Some(_) => return Err(self.fault_at(start, "unknown escape in a string")),
            None => {
                return Err(self.fault_at(start, "truncated: the string is not closed"));
            }
        };
        Ok(plain)
    }

    /// The character of one UTF-16 unit, or of two.
    fn unicode(&mut self, start: usize, unit: u32) -> Result<char, Fault> {
        let mut code = unit;
        if (0xd800..0xdc00).contains(&unit) && self.text[self.at..].starts_with(b"\\u") {
            self.at += 2;
            let low = self.hex4(start)?;
            if (0xdc00..0xe000).contains(&low) {
                code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            }
        }
        char::from_u32(code).ok_or_else(|| self.fault_at(start, "half of a surrogate pair in a string"))
    }

    fn hex4(&mut self, start: usize) -> Result<u32, Fault> {
        let fault = || self.fault_at(start, "`\\u` needs four hexadecimal digits");
        let digits = self.text.get(self.at..self.at + 4).ok_or_else(fault)?;
        let mut unit = 0;
        for &digit in digits {
            unit = unit << 4 | char::from(digit).to_digit(16).ok_or_else(fault)?;
        }
        self.at += 4;
        Ok(unit)
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Skips white space and commas; gives the number of commas.
    fn gap(&mut self) -> usize {
        let mut commas = 0;
        self.blanks();
        while self.peek() == Some(b',') {
            commas += 1;
            self.at += 1;
            self.blanks();
        }
        commas
    }

    fn tolerate(&mut self, what: &'static str) {
        self.lenient.get_or_insert((self.at, what));
    }

    /// The character at the cursor, for a message.
    #[cold]
    fn here(&self) -> String {
        match self.utf8.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(character) if !character.is_control() => format!("`{character}`"),
            Some(character) => format!("control character {:#04x}", u32::from(character)),
            None => "the end of the text".to_owned(),
        }
    }

    #[cold]
    fn fault(&self, reason: impl Into<String>) -> Fault {
        self.fault_at(self.at, reason)
    }

    #[cold]
    fn fault_at(&self, at: usize, reason: impl Into<String>) -> Fault {
        Box::new(self.error_at(at, reason.into()))
    }

    fn error_at(&self, at: usize, reason: String) -> JsonError {
        let before = &self.text[..at.min(self.text.len())];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let is_character = |byte: &&u8| **byte & 0xc0 != 0x80;
        JsonError {
            line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
            column: before[line_start..].iter().filter(is_character).count() + 1,
            reason,
        }
    }
}

/// Bytes up to a quote, a backslash, a control character or the end.
pub(super) fn plain_bytes(text: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The lowest byte that is marked is less than `limit`; above it, carries mark too many.
        let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;
        let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        let special = below(word, u64::from(b' ')) | equal(b'"') | equal(b'\\');
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    words.len() * 8 + rest.iter().position(special).unwrap_or(rest.len())
}
