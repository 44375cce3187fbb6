//! Cuts a stream of bytes into lines, with no more of it in memory than one line.

/// A line of a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Without its end.
    Text(&'a [u8]),
    /// It has more bytes than a line may have.
    TooLong,
}

/// What was not yet given out of a stream.
pub struct Lines {
    line_bytes_max: usize,
    /// Beginning of a line whose end has not come.
    partial: Vec<u8>,
    /// The current line is too long: what comes of it is passed over.
    skips: bool,
}

impl Lines {
    pub fn new(line_bytes_max: usize) -> Self {
        Self { line_bytes_max, partial: Vec::new(), skips: false }
    }

    /// Gives the lines that end in `bytes`, until `take` fails.
    pub fn push<E>(
        &mut self,
        bytes: &[u8],
        take: &mut impl FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, tail) = rest.split_at(end);
            rest = tail.get(1..).unwrap_or_default();
            self.end_line(line, take)?;
        }
        if !self.skips {
            self.skips = self.partial.len() + rest.len() > self.line_bytes_max;
            if self.skips {
                self.partial = Vec::new();
            } else {
                self.partial.extend_from_slice(rest);
            }
        }
        Ok(())
    }

    /// Gives the last line, which may lack its end.
    pub fn finish<E>(&mut self, take: &mut impl FnMut(Line<'_>) -> Result<(), E>) -> Result<(), E> {
        if self.skips || !self.partial.is_empty() { self.end_line(b"", take) } else { Ok(()) }
    }

    fn end_line<E>(
        &mut self,
        line: &[u8],
        take: &mut impl FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let is_too_long = self.skips || self.partial.len() + line.len() > self.line_bytes_max;
        self.skips = false;
        if is_too_long {
            self.partial.clear();
            return take(Line::TooLong);
        }
        if self.partial.is_empty() {
            return take(Line::Text(line));
        }
        self.partial.extend_from_slice(line);
        let taken = take(Line::Text(&self.partial));
        self.partial.clear();
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 6;

    fn cut(pieces: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let (mut lines, mut out) = (Lines::new(MAX), Vec::new());
        let mut take = |line: Line<'_>| {
            out.push(match line {
                Line::Text(text) => Some(text.to_vec()),
                Line::TooLong => None,
            });
            Ok::<_, Infallible>(())
        };
        for piece in pieces {
            let Ok(()) = lines.push(piece, &mut take);
            assert!(lines.partial.len() <= MAX);
        }
        let Ok(()) = lines.finish(&mut take);
        out
    }

    #[test]
    fn the_last_line_may_lack_its_end() {
        let some = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(cut(&[b"a\n", b"", b"bc", b"d\n\ne"]), [some("a"), some("bcd"), some(""), some("e")]);
        assert_eq!(
            cut(&[b"123456\n1234567\n", b"1234", b"567", b"8", b"\nx"]),
            [some("123456"), None, None, some("x")]
        );
        assert_eq!(cut(&[b"1234567"]), [None]);
        assert_eq!(cut(&[]), []);
    }

    proptest! {
        #[test]
        fn as_if_split_at_once(pieces in proptest::collection::vec("[ab\n]{0,12}", 0..8)) {
            let whole: String = pieces.concat();
            let mut expected: Vec<_> = whole.split('\n').map(|line| (line.len() <= MAX).then(|| line.as_bytes().to_vec())).collect();
            if whole.is_empty() || whole.ends_with('\n') {
                expected.pop();
            }
            let pieces: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
            prop_assert_eq!(cut(&pieces), expected);
        }
    }
}
