//! The error of the snapshot: a kind that answers *what can the caller do?*, and a text that names file and part.

/// Result of a model operation.
pub type Result<T> = std::result::Result<T, Error>;

/// What the caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The parts contradict each other: a defect of whoever made them.
    Invalid,
    /// The file cannot be read or written.
    Io,
    /// Written in a format that this program does not know: retrain, or use the program that wrote it.
    Version,
    /// Damaged or forged: retrain or roll back.
    Corrupt,
}

/// A failed operation on a model.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    #[source]
    source: Option<std::io::Error>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    pub(crate) fn io(message: impl Into<String>, source: std::io::Error) -> Self {
        let message = format!("{}: {source}", message.into());
        Self { kind: ErrorKind::Io, message, source: Some(source) }
    }

    /// The same, with `place` (a path, a part) in front of the text.
    pub(crate) fn at(mut self, place: impl std::fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}
