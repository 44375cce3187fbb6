//! One connection to one service of one server: calls out, answers in, in order of the server's choice.

use std::io::{BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use prost::Message;

use super::error::{Error, Result};
use super::messages::{
    CellBlockMeta, ConnectionHeader, RequestHeader, ResponseHeader, UserInformation, VersionInfo,
};

/// No answer is larger; scans and gets ask for much less, and a forged length must not take the memory.
const FRAME_BYTES_MAX: u32 = 512 << 20;

/// A connection after its greeting.
#[derive(Debug)]
pub(crate) struct Connection {
    address: String,
    reader: BufReader<TcpStream>,
    last_call: u32,
    /// Answers that nobody waits for any more.
    abandoned: Vec<u32>,
    /// Used by the pool: what has been idle for long may be dead.
    pub(crate) used: Instant,
}

/// An answer: the message, and the cells beside it.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) message: T,
    pub(crate) cells: Vec<u8>,
}

pub(crate) fn connect(address: &str, timeout: Duration) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for socket in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&socket, timeout) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Connection {
    /// Connects and greets. The server answers a greeting only if it refuses it.
    pub(crate) fn open(
        address: &str,
        service: &str,
        user: &str,
        connect_timeout: Duration,
        answer_timeout: Duration,
    ) -> Result<Self> {
        let failed = |error: std::io::Error| Error::connection(address, &error);
        let mut stream = connect(address, connect_timeout).map_err(failed)?;
        stream.set_read_timeout(Some(answer_timeout)).map_err(failed)?;
        stream.set_write_timeout(Some(answer_timeout)).map_err(failed)?;
        stream.write_all(&greeting(service, user)).map_err(failed)?;
        Ok(Self {
            address: address.to_owned(),
            reader: BufReader::with_capacity(256 << 10, stream),
            last_call: 0,
            abandoned: Vec::new(),
            used: Instant::now(),
        })
    }

    /// Calls and waits for the answer.
    pub(crate) fn call<T: Message + Default>(
        &mut self,
        method: &str,
        request: &impl Message,
        cells: &[u8],
    ) -> Result<Answer<T>> {
        let call = self.send(method, request, cells)?;
        self.receive(call)
    }

    /// Sends a request; gives the number that [`receive`](Self::receive) wants.
    pub(crate) fn send(&mut self, method: &str, request: &impl Message, cells: &[u8]) -> Result<u32> {
        self.last_call = self.last_call.wrapping_add(1);
        let timeout = self.reader.get_ref().read_timeout().ok().flatten();
        let timeout = timeout.and_then(|timeout| u32::try_from(timeout.as_millis()).ok());
        let length = u32::try_from(cells.len()).ok();
        let header = RequestHeader {
            call_id: Some(self.last_call),
            method_name: Some(method.to_owned()),
            request_param: Some(true),
            cell_block_meta: (!cells.is_empty()).then_some(CellBlockMeta { length }),
            timeout,
        };
        let mut head = vec![0; 4];
        head.extend(header.encode_length_delimited_to_vec());
        head.extend(request.encode_length_delimited_to_vec());
        let total = u32::try_from(head.len() - 4 + cells.len()).ok().filter(|total| *total < 256 << 20);
        let total =
            total.ok_or_else(|| Error::new(super::Cause::Refused, "a request of more than 256 MiB"))?;
        head[..4].copy_from_slice(&total.to_be_bytes());
        let mut stream = self.reader.get_ref();
        let sent = stream.write_all(&head).and_then(|()| stream.write_all(cells));
        sent.map_err(|error| Error::connection(&self.address, &error))?;
        Ok(self.last_call)
    }

    /// The answer to `call`, the only one that is waited for.
    pub(crate) fn receive<T: Message + Default>(&mut self, call: u32) -> Result<Answer<T>> {
        let (answered, answer) = self.receive_next()?;
        // A server that refuses the greeting throws without naming a call.
        let answer = answer?;
        if answered == call { Ok(answer) } else { Err(Error::protocol("it is for another call")) }
    }

    /// The next answer, of whichever call, or what was thrown instead; those that were abandoned are passed over. An error is
    /// the end of the connection.
    pub(crate) fn receive_next<T: Message + Default>(&mut self) -> Result<(u32, Result<Answer<T>>)> {
        loop {
            let frame = self.read_frame()?;
            let mut rest = &frame[..];
            let header = ResponseHeader::decode_length_delimited(&mut rest).map_err(Error::protocol)?;
            let call = header.call_id();
            if let Some(at) = self.abandoned.iter().position(|id| *id == call) {
                self.abandoned.swap_remove(at);
                continue;
            }
            if let Some(thrown) = header.exception {
                let (class, text) = (thrown.exception_class_name(), thrown.stack_trace());
                let error = Error::thrown(class, text, thrown.do_not_retry());
                return Ok((call, Err(error.within(&self.address))));
            }
            let message = T::decode_length_delimited(&mut rest).map_err(Error::protocol)?;
            let at = frame.len() - rest.len();
            let mut cells = frame;
            cells.drain(..at);
            return Ok((call, Ok(Answer { message, cells })));
        }
    }

    /// Whatever is answered to this call will be passed over.
    pub(crate) fn abandon(&mut self, call: u32) {
        self.abandoned.push(call);
    }

    fn read_frame(&mut self) -> Result<Vec<u8>> {
        let failed = |error: std::io::Error| Error::connection(&self.address, &error);
        read_frame(&mut self.reader, FRAME_BYTES_MAX).map_err(failed)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

/// A length and as many bytes. Memory grows with what arrives, not with what is announced.
pub(crate) fn read_frame(reader: &mut impl Read, max: u32) -> std::io::Result<Vec<u8>> {
    let invalid = |text: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, text.to_owned());
    let mut length = [0; 4];
    reader.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > max {
        return Err(invalid(
            "it answers, but not in the protocol that was expected: is this the right port?",
        ));
    }
    let mut frame = Vec::with_capacity(usize::try_from(length.min(1 << 20)).unwrap_or_default());
    let read = reader.take(u64::from(length)).read_to_end(&mut frame)?;
    if u32::try_from(read).ok() != Some(length) {
        return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the connection was closed"));
    }
    Ok(frame)
}

/// Magic, version 0, simple authentication, and the header with its length.
fn greeting(service: &str, user: &str) -> Vec<u8> {
    let version = VersionInfo {
        version: "2.6.1".into(),
        version_major: Some(2),
        version_minor: Some(6),
        ..VersionInfo::default()
    };
    let header = ConnectionHeader {
        user_info: Some(UserInformation { effective_user: user.to_owned() }),
        service_name: Some(service.to_owned()),
        cell_block_codec_class: Some("org.apache.hadoop.hbase.codec.KeyValueCodec".into()),
        version_info: Some(version),
    };
    let header = header.encode_to_vec();
    let length = u32::try_from(header.len()).unwrap_or_default();
    [b"HBas\x00\x50", &length.to_be_bytes()[..], &header].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_whole_or_refused() {
        assert_eq!(read_frame(&mut &[0, 0, 0, 2, 7, 8, 9][..], 10).unwrap(), [7, 8]);
        assert_eq!(read_frame(&mut &[0, 0, 0, 0][..], 10).unwrap(), []);
        for wrong in [&[][..], &[0, 0], &[0, 0, 0, 2, 7], &[0xFF; 9], &[0, 0, 0, 11, 1]] {
            assert!(read_frame(&mut &wrong[..], 10).is_err(), "{wrong:?}");
        }
        // Announced but not sent: an error, without the memory.
        assert!(read_frame(&mut &[0x1F, 0xFF, 0xFF, 0xFF, 1][..], FRAME_BYTES_MAX).is_err());
    }

    /// What comes of a call to a server that answers this.
    fn answered(bytes: &'static [u8]) -> Result<Answer<super::super::messages::ScanResponse>> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            _ = stream.read(&mut [0; 1000]);
            _ = stream.write_all(bytes);
        });
        let second = Duration::from_secs(1);
        let mut connection = Connection::open(&address, "ClientService", "me", second, second).unwrap();
        let answer = connection.call("Scan", &super::super::messages::ScanRequest::default(), &[]);
        server.join().unwrap();
        answer
    }

    #[test]
    fn forged_answers_are_errors() {
        // A header for call 1, an empty message, no cells.
        assert!(answered(b"\0\0\0\x04\x02\x08\x01\0").is_ok());
        for forged in [
            &b""[..],
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"\0\0\0\x04\x02\x08\x02\0",
            b"\0\0\0\x04\xFF\xFF\xFF\xFF",
            b"\0\0\0\x03\x02\x08\x01",
            b"\0\0\0\x05\x02\x08\x01\x7F\x08",
            b"\x1F\xFF\xFF\xFF\x02\x08\x01\0",
            b"\0\0\0\x06\x05\x08\x01\x12\x7F\0",
        ] {
            let error = answered(forged).unwrap_err();
            assert!(!error.to_string().contains('\n'), "{error}");
        }
        // Thrown for no call: the greeting was refused.
        let error = answered(b"\0\0\0\x19\x18\x12\x16\x0A\x14a.AccessDeniedExcept").unwrap_err();
        assert!(error.to_string().contains("AccessDenied"), "{error}");
    }

    #[test]
    fn whoever_speaks_otherwise_is_told_apart() {
        let error = read_frame(&mut &b"HTTP/1.1 400 Bad Request"[..], FRAME_BYTES_MAX).unwrap_err();
        assert!(error.to_string().contains("right port"), "{error}");
    }
}
