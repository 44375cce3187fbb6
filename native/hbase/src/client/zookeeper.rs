//! As much of ZooKeeper's protocol as reading a node takes: a session for one read.

use std::io::{Read, Write};
use std::time::Duration;

use super::connection::{connect, read_frame};
use super::error::{Cause, Error, Result};

/// Nodes of HBase have some hundred bytes; ZooKeeper itself stops at a MiB.
const NODE_BYTES_MAX: u32 = 2 << 20;
const NO_NODE: i32 = -101;

/// Data of a node, from the first of `hosts` (`host:port`) that answers; `None` if there is no such node.
pub(crate) fn read_node(hosts: &[String], path: &str, timeout: Duration) -> Result<Option<Vec<u8>>> {
    let mut failures = Vec::new();
    for host in hosts {
        let read = connect(host, timeout).and_then(|mut stream| {
            stream.set_read_timeout(Some(timeout))?;
            stream.set_write_timeout(Some(timeout))?;
            converse(&mut stream, path)
        });
        match read {
            Ok(data) => return Ok(data),
            Err(error) => failures.push(format!("{host}: {error}")),
        }
    }
    let message = format!("no ZooKeeper answers ({}): is it running there?", failures.join("; "));
    Err(Error::locate(message))
}

fn converse(stream: &mut (impl Read + Write), path: &str) -> std::io::Result<Option<Vec<u8>>> {
    exchange(stream, &session_request())?;
    let answer = exchange(stream, &read_request(path))?;
    let data =
        parse_answer(&answer).map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error));
    // Ends the session at once instead of after its timeout; nobody waits for the answer.
    _ = stream.write_all(&frame(&[2_i32.to_be_bytes(), (-11_i32).to_be_bytes()].concat()));
    data
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or_default();
    [&length.to_be_bytes()[..], payload].concat()
}

fn exchange(stream: &mut (impl Read + Write), payload: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(&frame(payload))?;
    read_frame(stream, NODE_BYTES_MAX)
}

/// Protocol version, last transaction seen, timeout, no session and password of before, not read-only.
fn session_request() -> Vec<u8> {
    let mut bytes = [0_i32.to_be_bytes().to_vec(), 0_i64.to_be_bytes().to_vec()].concat();
    bytes.extend(10_000_i32.to_be_bytes());
    bytes.extend(0_i64.to_be_bytes());
    bytes.extend(16_i32.to_be_bytes());
    bytes.extend([0; 17]);
    bytes
}

/// Request 1, of type 4 (read a node), without a watch.
fn read_request(path: &str) -> Vec<u8> {
    let length = i32::try_from(path.len()).unwrap_or_default();
    let mut bytes = [1_i32, 4, length].map(i32::to_be_bytes).concat();
    bytes.extend_from_slice(path.as_bytes());
    bytes.push(0);
    bytes
}

/// Request, transaction, error; then the data with its length.
fn parse_answer(answer: &[u8]) -> std::result::Result<Option<Vec<u8>>, String> {
    let int = |at: usize| {
        let bytes = answer.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(i32::from_be_bytes).ok_or_else(|| "an answer that is too short".to_owned())
    };
    match int(12)? {
        0 => {}
        NO_NODE => return Ok(None),
        code => return Err(format!("ZooKeeper's error {code}")),
    }
    let length = usize::try_from(int(16)?).unwrap_or_default();
    let data = answer.get(20..).and_then(|rest| rest.get(..length));
    Ok(Some(data.ok_or("a node that is longer than the answer")?.to_vec()))
}

/// The message in a node of HBase: without the note of who wrote it, and without the mark of protobuf.
pub(crate) fn strip(data: &[u8]) -> Result<&[u8]> {
    let malformed = || Error::new(Cause::Protocol, "the node in ZooKeeper is not one of HBase's");
    let message = match data {
        [0xFF, rest @ ..] => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(malformed)?;
            let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| malformed())?;
            rest.get(length..).ok_or_else(malformed)?
        }
        data => data,
    };
    message.strip_prefix(b"PBUF").ok_or_else(malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(code: i32, data: &[u8]) -> Vec<u8> {
        let length = i32::try_from(data.len()).unwrap();
        [&[0; 12][..], &code.to_be_bytes(), &length.to_be_bytes(), data, &[0; 68]].concat()
    }

    #[test]
    fn answers_are_data_nothing_or_an_error() {
        assert_eq!(parse_answer(&answer(0, b"abc")), Ok(Some(b"abc".to_vec())));
        assert_eq!(parse_answer(&answer(NO_NODE, b"")), Ok(None));
        assert!(parse_answer(&answer(-112, b"")).is_err());
        let mut forged = answer(0, b"abc");
        forged[16..20].copy_from_slice(&i32::MAX.to_be_bytes());
        assert!(parse_answer(&forged).is_err());
        forged[16..20].copy_from_slice(&(-1_i32).to_be_bytes());
        assert_eq!(parse_answer(&forged), Ok(Some(Vec::new())));
    }

    #[test]
    fn nodes_are_stripped() {
        assert_eq!(strip(b"\xFF\0\0\0\x02xyPBUFm").unwrap(), b"m");
        assert_eq!(strip(b"PBUFm").unwrap(), b"m");
        for wrong in [&b""[..], b"m", b"\xFF", b"\xFF\0\0\0\x09xyPBUFm", b"\xFF\xFF\xFF\xFF\xFFPBUF"] {
            assert!(strip(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn nobody_there_is_said_with_the_address() {
        let hosts = ["127.0.0.1:1".to_owned(), "[::1]:1".to_owned()];
        let error = read_node(&hosts, "/hbase/master", Duration::from_secs(1)).unwrap_err();
        assert!(error.to_string().starts_with("no ZooKeeper answers (127.0.0.1:1: "), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            _ = parse_answer(&bytes);
            _ = strip(&bytes);
        }
    }
}
