//! The report of an import: one JSON line per bad line.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use events::json::Object;

use super::BadLine;

/// Writes bad lines to a file, which is made when the first one comes.
pub struct Report {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Report {
    /// At `path`, replacing what is there once there is something to report.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), file: None }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `{"file", "line", "offset", "reason", "text"}`
    pub fn bad_line(&mut self, file: &str, bad: &BadLine) -> io::Result<()> {
        let line = Object::new()
            .with("file", file)
            .with("line", bad.line)
            .with("offset", bad.offset)
            .with("reason", bad.reason.as_str())
            .with("text", bad.head.as_str());
        let writer = match &mut self.file {
            Some(writer) => writer,
            none => {
                if let Some(parent) = self.path.parent() {
                    fs::create_dir_all(parent)?;
                }
                none.insert(BufWriter::new(File::create(&self.path)?))
            }
        };
        writeln!(writer, "{line}")
    }

    /// Writes out what is buffered.
    pub fn finish(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}
