//! HTTP/1.1 by hand: a client that costs little processor time beside the server that it measures.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use tokio::io::Interest;
use tokio::net::TcpStream;

const READ_BYTES: usize = 64 << 10;
/// After so much of a request it is worth a call to see whether the server has refused it already.
const EARLY_BYTES: u64 = 64 << 10;

/// A kept-alive connection with at most one request under way.
pub struct Connection {
    stream: TcpStream,
    /// What came and belongs to no answer yet.
    received: Vec<u8>,
    usable: bool,
    sent_bytes: u64,
}

/// What a server said.
#[derive(Debug, Default)]
pub struct Answer {
    pub status: u16,
    /// Did it say when to come again?
    pub retry_after: bool,
    /// Did it say that the answer lacks something?
    pub degraded: bool,
    pub body: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new(), usable: true, sent_bytes: 0 })
    }

    /// May another request follow?
    pub fn usable(&self) -> bool {
        self.usable
    }

    /// Bytes of the last request that the machine took, the server's buffers included.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Sends one request and reads its answer.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.exchange_parts(std::iter::once(request)).await
    }

    /// Sends a request in parts; reads all the while, since a server may refuse it before its end. After such an answer
    /// the connection is not usable.
    pub async fn exchange_parts<'p>(&mut self, parts: impl Iterator<Item = &'p [u8]>) -> io::Result<Answer> {
        let mut parts = parts.filter(|part| !part.is_empty());
        let mut part = parts.next().unwrap_or_default();
        self.sent_bytes = 0;
        loop {
            part = self.write_some(part, &mut parts)?;
            if let Some((answer, keep)) = self.take_answer(false)? {
                self.usable = keep && part.is_empty();
                return Ok(answer);
            }
            let interest =
                if part.is_empty() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
            let ready = self.stream.ready(interest).await?;
            if ready.is_readable() && !self.read_some()? {
                self.usable = false;
                let answer = self.take_answer(true)?.map(|(answer, _)| answer);
                return answer.ok_or_else(|| ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Writes until the socket is full or all parts are gone; gives what is left of the part under way.
    fn write_some<'p>(
        &mut self,
        mut part: &'p [u8],
        parts: &mut impl Iterator<Item = &'p [u8]>,
    ) -> io::Result<&'p [u8]> {
        while !part.is_empty() {
            match self.stream.try_write(part) {
                Ok(written) => {
                    part = &part[written..];
                    self.sent_bytes += written as u64;
                    if part.is_empty() {
                        part = parts.next().unwrap_or_default();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // The refusal may be there to be read though the server takes no more.
                Err(error) => match self.has_answer() {
                    true => return Ok(&[]),
                    false => return Err(error),
                },
            }
            // A server that answers early shall be heard before all is sent.
            if self.sent_bytes > EARLY_BYTES && self.has_answer() {
                break;
            }
        }
        Ok(part)
    }

    /// Reads what is there; is it a whole answer?
    fn has_answer(&mut self) -> bool {
        let _ = self.read_some();
        matches!(parse(&self.received, false), Ok(Some(_)))
    }

    /// `false` = the server has ended the connection.
    fn read_some(&mut self) -> io::Result<bool> {
        let start = self.received.len();
        self.received.resize(start + READ_BYTES, 0);
        let read = self.stream.try_read(&mut self.received[start..]);
        self.received.truncate(start + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Ok(false),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The answer at the beginning of what was received, and whether the server keeps the connection.
    fn take_answer(&mut self, ended: bool) -> io::Result<Option<(Answer, bool)>> {
        let Some((answer, keep, used)) = parse(&self.received, ended)? else { return Ok(None) };
        self.received.drain(..used);
        Ok(Some((answer, keep)))
    }
}

/// An answer, whether the connection is kept, and its length; `None` if more must come.
pub fn parse(text: &[u8], ended: bool) -> io::Result<Option<(Answer, bool, usize)>> {
    let Some(head_end) = find(text, b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&text[..head_end]);
    let status = head.get(9..12).and_then(|digits| digits.parse().ok());
    let mut answer = Answer { status: status.ok_or(ErrorKind::InvalidData)?, ..Answer::default() };
    let (mut length, mut chunked, mut keep) = (None, false, true);
    for (name, value) in head.lines().skip(1).filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse::<usize>().ok(),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => keep = !value.eq_ignore_ascii_case("close"),
            "retry-after" => answer.retry_after = true,
            "x-arblast-degraded" => answer.degraded = true,
            _ => {}
        }
    }
    let body = &text[head_end + 4..];
    let used = if chunked {
        unchunked(body, &mut answer.body)
    } else {
        // Without a length the body goes to the end of the connection.
        let length = length.or(if keep { Some(0) } else { ended.then_some(body.len()) });
        length.filter(|length| body.len() >= *length).inspect(|length| answer.body.extend(&body[..*length]))
    };
    Ok(used.map(|used| (answer, keep, head_end + 4 + used)))
}

/// Appends the content of a chunked body and gives its length; `None` if more must come.
fn unchunked(body: &[u8], content: &mut Vec<u8>) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = find(&body[at..], b"\r\n")?;
        let digits = std::str::from_utf8(&body[at..at + line]).ok()?.split(';').next()?;
        let length = usize::from_str_radix(digits.trim(), 16).ok()?;
        let start = at + line + 2;
        at = start.checked_add(length)?.checked_add(2)?;
        if body.len() < at {
            return None;
        }
        if length == 0 {
            return Some(at);
        }
        content.extend(&body[start..start + length]);
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, ended: bool) -> Option<(u16, String, bool, usize)> {
        let (answer, keep, used) = parse(text.as_bytes(), ended).unwrap()?;
        Some((answer.status, String::from_utf8(answer.body).unwrap(), keep, used))
    }

    #[test]
    fn answers_end_where_they_say() {
        let fixed = "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(parsed(&format!("{fixed}HTTP"), false), Some((201, "{}".into(), true, fixed.len())));
        for end in 0..fixed.len() {
            assert_eq!(parsed(&fixed[..end], false), None);
        }
        let chunked =
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n";
        assert_eq!(parsed(chunked, false), Some((200, "abcd".into(), true, chunked.len())));
        for end in 0..chunked.len() {
            assert_eq!(parsed(&chunked[..end], false), None);
        }
        let closing = "HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\nno";
        assert_eq!(parsed(closing, false), None);
        assert_eq!(parsed(closing, true), Some((400, "no".into(), false, closing.len())));
        assert!(parse(b"SSH-2.0\r\n\r\n", false).is_err());
        let busy = parse(b"HTTP/1.1 429 x\r\nRetry-After: 1\r\ncontent-length:0\r\n\r\n", false);
        assert!(busy.unwrap().unwrap().0.retry_after);
    }
}
