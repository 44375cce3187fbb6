//! A stream cut into blocks of whole lines, with bounded memory whatever the stream holds.

use std::io::{self, Read};

/// Whole lines, or the head of one line that is too long.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// Byte offset of the first line.
    pub offset: u64,
    /// Byte offset after the last line.
    pub end: u64,
    /// The lines with their terminators; the last line of a stream may lack it.
    pub bytes: Vec<u8>,
    /// `bytes` is only the head of a line longer than [`Limits::line_bytes_max`].
    pub oversize: bool,
}

/// Sizes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// What a block holds at least, unless the stream ends.
    pub block_bytes: usize,
    /// A longer line is not kept in memory.
    pub line_bytes_max: usize,
}

/// Cuts a stream into blocks.
pub struct Blocks<R> {
    input: R,
    limits: Limits,
    /// Bytes after the last complete line that was given out.
    rest: Vec<u8>,
    offset: u64,
    ended: bool,
}

impl<R: Read> Blocks<R> {
    /// Of `input`, whose first byte has this offset and begins a line.
    pub fn new(input: R, offset: u64, limits: Limits) -> Self {
        Self { input, limits, rest: Vec::new(), offset, ended: false }
    }

    /// The next block; `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<Block>> {
        loop {
            self.fill()?;
            if self.rest.is_empty() {
                return Ok(None);
            }
            if let Some(newline) = self.rest.iter().rposition(|&byte| byte == b'\n') {
                return Ok(Some(self.take(newline + 1)));
            }
            if self.ended {
                return Ok(Some(self.take(self.rest.len())));
            }
            if self.rest.len() > self.limits.line_bytes_max {
                return self.skip_line().map(Some);
            }
        }
    }

    /// Reads until there is at least one block more than what is there.
    fn fill(&mut self) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        let wanted = self.limits.block_bytes;
        self.rest.reserve_exact(wanted);
        let read = self.input.by_ref().take(wanted as u64).read_to_end(&mut self.rest)?;
        self.ended = read < wanted;
        Ok(())
    }

    fn take(&mut self, length: usize) -> Block {
        let rest = self.rest.split_off(length);
        let bytes = std::mem::replace(&mut self.rest, rest);
        let offset = self.offset;
        self.offset += length as u64;
        Block { offset, end: self.offset, bytes, oversize: false }
    }

    /// Gives out the head of the current line and passes over the rest of it.
    fn skip_line(&mut self) -> io::Result<Block> {
        const HEAD_BYTES: usize = 1024;
        let mut head = std::mem::take(&mut self.rest);
        let mut skipped = head.len() as u64;
        head.truncate(HEAD_BYTES);
        while !self.ended {
            self.fill()?;
            let line_end = self.rest.iter().position(|&byte| byte == b'\n').map(|newline| newline + 1);
            let cut = line_end.unwrap_or(self.rest.len());
            skipped += cut as u64;
            self.rest.drain(..cut);
            if line_end.is_some() {
                break;
            }
        }
        let offset = self.offset;
        self.offset += skipped;
        Ok(Block { offset, end: self.offset, bytes: head, oversize: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { block_bytes: 8, line_bytes_max: 20 };

    fn blocks(text: &str) -> Vec<Block> {
        let mut blocks = Blocks::new(text.as_bytes(), 100, LIMITS);
        std::iter::from_fn(|| blocks.next().unwrap()).collect()
    }

    #[test]
    fn blocks_hold_whole_lines_and_cover_the_stream() {
        for text in
            ["", "a", "a\n", "\n\n\n", "one\ntwo\nthree\nfour\nfive\nsix", "0123456\n01234567\n012345678\n"]
        {
            let blocks = blocks(text);
            let joined: Vec<u8> = blocks.iter().flat_map(|block| block.bytes.clone()).collect();
            assert_eq!(joined, text.as_bytes());
            let mut offset = 100;
            for (index, block) in blocks.iter().enumerate() {
                assert_eq!(block.offset, offset);
                assert_eq!(block.end, offset + block.bytes.len() as u64);
                assert!(block.bytes.ends_with(b"\n") || index + 1 == blocks.len());
                offset = block.end;
            }
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let text = format!("good\n{}\nafter\n", "x".repeat(100));
        let blocks = blocks(&text);
        let oversize: Vec<&Block> = blocks.iter().filter(|block| block.oversize).collect();
        assert_eq!(oversize.len(), 1);
        assert_eq!((oversize[0].offset, oversize[0].end), (105, 206));
        assert!(oversize[0].bytes.len() < 100);
        let good: Vec<u8> =
            blocks.iter().filter(|block| !block.oversize).flat_map(|block| block.bytes.clone()).collect();
        assert_eq!(good, b"good\nafter\n");
    }

    #[test]
    fn a_line_that_is_too_long_may_be_the_last() {
        let blocks = blocks(&"x".repeat(1000));
        assert_eq!(blocks.len(), 1);
        assert_eq!((blocks[0].oversize, blocks[0].end), (true, 1100));
    }
}
