//! Inflation with a bound: a small body may hold gigabytes of zeros.

use std::io::{self, Write};

use axum::http::StatusCode;
use flate2::write::MultiGzDecoder;

use super::refusal::Refusal;

/// Compressed bytes that are inflated in one step, at most; they become some four megabytes at the worst.
pub const STEP_BYTES: usize = 4 << 10;

/// Inflates a whole text of at most `bytes_max` bytes. 413 if it is longer, 400 if it is damaged.
pub fn inflate(compressed: &[u8], what: &str, bytes_max: usize) -> Result<Vec<u8>, Refusal> {
    let mut decoder = MultiGzDecoder::new(Bounded { bytes: Vec::new(), bytes_max, overflown: false });
    let mut done = decoder.write_all(compressed);
    if done.is_ok() {
        done = decoder.try_finish();
    }
    if decoder.get_ref().overflown {
        return Err(Refusal::too_large(what, bytes_max));
    }
    done.map_err(|error| damaged(&error))?;
    Ok(std::mem::take(&mut decoder.get_mut().bytes))
}

fn damaged(error: &io::Error) -> Refusal {
    Refusal::invalid(format!("the body is no complete gzip stream: {error}"))
}

/// Refuses to grow beyond its limit.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
    overflown: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.bytes_max - self.bytes.len() {
            self.overflown = true;
            return Err(io::Error::other("too long"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes that a stream may become, whatever its length.
const FREE_BYTES: u64 = 1 << 20;

/// Bytes that each compressed byte may become beyond that. Events of real shops become 10 to 50, nothing but zeros 1000.
const RATIO_MAX: u64 = 200;

/// Inflates piece by piece.
pub struct Inflater {
    decoder: MultiGzDecoder<Vec<u8>>,
    compressed: u64,
    inflated: u64,
}

impl Inflater {
    pub fn new() -> Self {
        Self { decoder: MultiGzDecoder::new(Vec::new()), compressed: 0, inflated: 0 }
    }

    /// What this piece, of at most [`STEP_BYTES`], gives. 413 if it all is far more than was sent.
    pub fn step(&mut self, piece: &[u8]) -> Result<Vec<u8>, Refusal> {
        self.compressed += piece.len() as u64;
        self.decoder.write_all(piece).map_err(|error| damaged(&error))?;
        self.inflated()
    }

    /// What is left at the end of the body.
    pub fn finish(&mut self) -> Result<Vec<u8>, Refusal> {
        self.decoder.try_finish().map_err(|error| damaged(&error))?;
        self.inflated()
    }

    fn inflated(&mut self) -> Result<Vec<u8>, Refusal> {
        let text = std::mem::take(self.decoder.get_mut());
        self.inflated += text.len() as u64;
        if self.inflated > FREE_BYTES + RATIO_MAX * self.compressed {
            let text =
                format!("the body inflates to more than 1 MiB and {RATIO_MAX} times its compressed bytes");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn whole_and_in_steps_alike() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(|i| i.wrapping_mul(i).to_le_bytes()).collect();
        let mut compressed = gzip(&text[..300_000]);
        compressed.extend(gzip(&text[300_000..]));
        assert_eq!(inflate(&compressed, "x", text.len()).unwrap(), text);
        let mut inflater = Inflater::new();
        let mut stepwise = Vec::new();
        for piece in compressed.chunks(1000) {
            stepwise.extend(inflater.step(piece).unwrap());
        }
        stepwise.extend(inflater.finish().unwrap());
        assert_eq!(stepwise, text);
    }

    #[test]
    fn bombs_and_damage_are_refused() {
        let bomb = gzip(&vec![0; 50 << 20]);
        assert!(bomb.len() < 1 << 20, "less than it may become");
        assert_eq!(inflate(&bomb, "x", 1 << 20).unwrap_err().status.as_u16(), 413);
        let mut inflater = Inflater::new();
        let mut inflated = 0;
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        bomb.write_all(&vec![0; 50 << 20]).unwrap();
        let refusal = bomb.finish().unwrap().chunks(1000).find_map(|piece| match inflater.step(piece) {
            Ok(text) => {
                inflated += text.len();
                None
            }
            Err(refusal) => Some(refusal),
        });
        assert_eq!(refusal.unwrap().status.as_u16(), 413);
        assert!(inflated <= 2 << 20, "{inflated}");
        let good = gzip(b"hello world");
        let mut flipped = good.clone();
        flipped[good.len() - 6] ^= 1;
        for bad in [&good[..good.len() - 1], &good[..12], &good[..3], b"hello", &flipped] {
            assert_eq!(inflate(bad, "x", 100).unwrap_err().status.as_u16(), 400, "{bad:?}");
        }
        assert_eq!(inflate(&good, "x", 11).unwrap(), b"hello world");
        assert_eq!(inflate(&good, "x", 10).unwrap_err().status.as_u16(), 413);
    }
}
