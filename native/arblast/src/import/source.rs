//! Where lines come from: a file, the files of a directory or a glob, standard input; compressed by gzip, or rows of
//! Parquet, which `arblast-flight` writes as lines.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use crate::failure::{Failure, Result};
use crate::flight;

/// One input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// For messages and reports.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "-".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Bytes to read; 0 if unknown.
    pub fn size(&self) -> u64 {
        match self {
            Self::Stdin => 0,
            Self::File(path) => std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
        }
    }

    /// Opens the lines from byte `offset` of the uncompressed text on. `bytes_read` counts what comes from the disk.
    pub fn open(&self, offset: u64, bytes_read: Arc<AtomicU64>) -> io::Result<Box<dyn Read + Send>> {
        let path = match self {
            Self::Stdin => return Ok(Box::new(Counted { input: io::stdin(), bytes_read })),
            Self::File(path) => path,
        };
        let mut file = File::open(path)?;
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz")) {
            let mut text = MultiGzDecoder::new(io::BufReader::new(Counted { input: file, bytes_read }));
            io::copy(&mut text.by_ref().take(offset), &mut io::sink())?;
            return Ok(Box::new(text));
        }
        if is_parquet(&file)? {
            let mut text = Rows::of(path)?;
            io::copy(&mut text.by_ref().take(offset), &mut io::sink())?;
            bytes_read.fetch_add(self.size(), Ordering::Relaxed);
            return Ok(Box::new(text));
        }
        file.seek(SeekFrom::Start(offset))?;
        bytes_read.fetch_add(offset, Ordering::Relaxed);
        Ok(Box::new(Counted { input: file, bytes_read }))
    }
}

fn is_parquet(file: &File) -> io::Result<bool> {
    let mut head = Vec::new();
    file.take(4).read_to_end(&mut head)?;
    Ok(head == b"PAR1")
}

/// The rows of a Parquet file as lines, while `arblast-flight` writes them.
struct Rows {
    program: Child,
    lines: ChildStdout,
}

impl Rows {
    fn of(path: &Path) -> io::Result<Self> {
        let needs = |failure: Failure| {
            let text = format!("it is Parquet, and {failure}; or export as JSON, without --format parquet");
            io::Error::new(io::ErrorKind::NotFound, text)
        };
        let mut command = flight::program().map_err(needs)?;
        command.arg("lines").arg(path).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut program = command.spawn()?;
        let lines = program.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { program, lines })
    }

    /// Nothing, if it was all; else what the program says.
    fn ended(&mut self) -> io::Result<usize> {
        if self.program.wait()?.success() {
            return Ok(0);
        }
        let mut said = String::new();
        if let Some(stderr) = &mut self.program.stderr {
            stderr.read_to_string(&mut said)?;
        }
        let said = said.trim().trim_start_matches("error: ");
        Err(io::Error::new(io::ErrorKind::InvalidData, said))
    }
}

impl Read for Rows {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.lines.read(buffer)? {
            0 if !buffer.is_empty() => self.ended(),
            read => Ok(read),
        }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        // Nobody reads on.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

struct Counted<R> {
    input: R,
    bytes_read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.bytes_read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// The inputs that the option `by` names: `-`, a file, a directory (its files, without hidden ones and Hadoop's `_…`) or a
/// glob. Sorted by path.
pub fn sources(by: &str, input: &str) -> Result<Vec<Source>> {
    if input == "-" {
        return Ok(vec![Source::Stdin]);
    }
    let path = Path::new(input);
    let mut files = if path.is_file() {
        vec![path.to_path_buf()]
    } else if path.is_dir() {
        files_of(path).map_err(Failure::file("read", by, path))?
    } else {
        matching(by, input)?
    };
    files.sort();
    if files.is_empty() {
        if let Some(folder) = first_folder(path) {
            return Err(Failure::not_found(format!(
                "{by} {input} has no files, only folders: give one of them, {by} {}",
                folder.display()
            )));
        }
        return Err(Failure::not_found(format!(
            "{by} {input}: no such file; give a file, a directory with files, a glob in quotes, or - for standard input"
        )));
    }
    Ok(files.into_iter().map(Source::File).collect())
}

fn files_of(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_file() && !is_hidden(&path) {
            files.push(path);
        }
    }
    Ok(files)
}

/// A folder in a folder: events of an engine of Harness, of a channel, of a day.
fn first_folder(directory: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(directory).ok()?;
    entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir() && !is_hidden(path)).min()
}

fn matching(by: &str, pattern: &str) -> Result<Vec<PathBuf>> {
    let paths = glob::glob(pattern).map_err(|error| Failure::invalid(format!("{by} {pattern}: {error}")))?;
    let mut files = Vec::new();
    for path in paths {
        let path = path.map_err(|error| Failure::invalid(format!("{by} {pattern}: {error}")))?;
        if path.is_dir() {
            files.extend(files_of(&path).map_err(|error| Failure::io(path.display(), &error))?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| {
        name.as_encoded_bytes().starts_with(b".") || name.as_encoded_bytes().starts_with(b"_")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn names(input: &Path) -> Vec<String> {
        let sources = sources("--input", &input.display().to_string()).unwrap_or_default();
        sources.iter().map(|source| source.name().rsplit('/').next().unwrap_or_default().to_owned()).collect()
    }

    fn read(source: &Source, offset: u64) -> (String, u64) {
        let count = Arc::new(AtomicU64::new(0));
        let mut text = String::new();
        source.open(offset, Arc::clone(&count)).unwrap().read_to_string(&mut text).unwrap();
        (text, count.load(Ordering::Relaxed))
    }

    #[test]
    fn directories_and_globs_give_their_files_in_order() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["part-00001", "part-00000", "_SUCCESS", ".part-00000.crc"] {
            std::fs::write(directory.path().join(name), "x").unwrap();
        }
        assert_eq!(names(directory.path()), ["part-00000", "part-00001"]);
        assert_eq!(names(&directory.path().join("part-*1")), ["part-00001"]);
        assert_eq!(names(&directory.path().join("part-00000")), ["part-00000"]);
        assert!(names(&directory.path().join("nothing*")).is_empty());
    }

    #[test]
    fn an_offset_counts_in_the_uncompressed_text() {
        let directory = tempfile::tempdir().unwrap();
        let plain = directory.path().join("a.json");
        std::fs::write(&plain, "one\ntwo\n").unwrap();
        assert_eq!(read(&Source::File(plain), 4), ("two\n".to_owned(), 8));
        let packed = directory.path().join("a.json.gz");
        let mut encoder =
            flate2::write::GzEncoder::new(File::create(&packed).unwrap(), flate2::Compression::fast());
        encoder.write_all(b"one\ntwo\n").unwrap();
        encoder.finish().unwrap();
        let size = Source::File(packed.clone()).size();
        assert_eq!(read(&Source::File(packed), 4), ("two\n".to_owned(), size));
    }
}
