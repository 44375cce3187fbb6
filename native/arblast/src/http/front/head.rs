//! Looks at the head of a request before it is parsed: the parser passes over what is wrong with these two headers.

const LENGTH: &[u8] = b"content-length:";
const CODING: &[u8] = b"transfer-encoding:";

/// What was seen of a request's head.
#[derive(Default)]
pub(super) struct Head {
    /// Beginning of the line whose end has not come.
    line: Vec<u8>,
    has_begun: bool,
    has_ended: bool,
    has_length: bool,
    has_coding: bool,
}

impl Head {
    /// The next bytes of the connection.
    pub fn read(&mut self, bytes: &[u8]) {
        let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
        while let (false, Some(line)) = (self.has_ended, lines.next()) {
            let room = CODING.len().saturating_sub(self.line.len());
            self.line.extend(line.iter().take(room));
            if lines.peek().is_some() {
                self.end_line();
            }
        }
        self.has_begun |= self.line.iter().any(|byte| *byte != b'\r');
    }

    fn end_line(&mut self) {
        let starts_with =
            |name: &[u8]| self.line.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
        let is_blank = self.line.is_empty() || self.line == b"\r";
        self.has_length |= starts_with(LENGTH);
        self.has_coding |= starts_with(CODING);
        // blank lines before a request mean nothing
        self.has_ended = is_blank && self.has_begun;
        self.has_begun |= !is_blank;
        self.line.clear();
    }

    /// Has anything come?
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Both a length and a coding: two servers in a row may disagree where the body ends (RFC 9112, section 6.1).
    pub fn is_ambiguous(&self) -> bool {
        self.has_length && self.has_coding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ambiguous(text: &str, piece: usize) -> bool {
        let mut head = Head::default();
        text.as_bytes().chunks(piece).for_each(|bytes| head.read(bytes));
        head.is_ambiguous()
    }

    #[test]
    fn length_and_coding_in_any_order_and_pieces() {
        let both = "\r\nPOST / HTTP/1.1\r\ncontent-LENGTH:5\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n";
        let turned = "POST / HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 5\n\n";
        let one = "POST / HTTP/1.1\r\nContent-Length: 29\r\nX-Transfer-Encoding: x\r\n\r\nTransfer-Encoding: chunked\r\n\r\n";
        for piece in 1..90 {
            assert!(is_ambiguous(both, piece), "{piece}");
            assert!(is_ambiguous(turned, piece), "{piece}");
            assert!(!is_ambiguous(one, piece), "{piece}");
        }
    }
}
