//! Texts of one event a line.

/// The lines of a text: where each begins, and its bytes without the blanks around them. Blank lines count, too; behind the last
/// line break none begins unless something is there.
pub fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let line = (at, rest[..length].trim_ascii());
        at += length;
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_know_their_place() {
        let all = |text: &'static str| {
            let shown = |(at, line)| (at, str::from_utf8(line).unwrap());
            lines(text.as_bytes()).map(shown).collect::<Vec<_>>()
        };
        assert_eq!(all(""), []);
        assert_eq!(all("\n"), [(0, "")]);
        assert_eq!(all("a \r\n\n\tb"), [(0, "a"), (4, ""), (5, "b")]);
        assert_eq!(all("a\nb\n"), [(0, "a"), (2, "b")]);
    }
}
