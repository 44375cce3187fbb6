//! The engine's error: what went wrong, and by [`Error::kind`] what the caller can do about it.

use events::Kind;
use model::{DictionaryError, ErrorKind};

use crate::{ConfigError, QueryError};

/// Result of an engine operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why training or recommending failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The query is wrong.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The event store or registry failed.
    #[error(transparent)]
    Store(#[from] events::Error),
    /// The model cannot be used.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// More distinct ids than a dictionary holds.
    #[error("too many distinct ids: {0}")]
    Ids(#[from] DictionaryError),
    /// The interactions do not fit what counting can hold.
    #[error("too many interactions: {0}")]
    Counting(#[from] cco::Error),
    /// The events do not make a model: the text names what is missing.
    #[error("{0}")]
    Untrainable(String),
    /// Nothing can be evaluated: the text says which events or which choice are to blame.
    #[error("{0}")]
    Unmeasurable(String),
    /// A query names something that the model or configuration lacks.
    #[error("{0}")]
    Unanswerable(String),
    /// A line of plain interactions is none.
    #[error("not user,item (comma or tab, no quoting): {reason}, in: {head}")]
    Line {
        /// What is wrong.
        reason: &'static str,
        /// How it begins.
        head: String,
    },
    /// The observer asked for an end.
    #[error("stopped before the model was complete")]
    Stopped,
    /// Bytes of another process of the same job are not as they were written.
    #[error("damaged on its way between processes: {0}")]
    Damaged(&'static str),
    /// Bytes of another process come from another version of this program.
    #[error("made by another version of Arblast: give every process of the job the same jar or program")]
    OtherVersion,
    /// Portions that do not belong together.
    #[error(
        "read for another engine file or another time of training: give every process of the job the same"
    )]
    OtherEngine,
    /// The new model was not published: it is empty or much smaller than the one in use.
    #[error("{0}")]
    Shrunk(String),
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl Error {
    /// What the caller can do. One table per border maps kinds to HTTP, exit codes, ….
    pub fn kind(&self) -> Kind {
        match self {
            Self::Config(_)
            | Self::Query(_)
            | Self::Ids(_)
            | Self::Counting(_)
            | Self::Untrainable(_)
            | Self::Unmeasurable(_)
            | Self::Unanswerable(_)
            | Self::Line { .. }
            | Self::Shrunk(_) => Kind::Invalid,
            Self::Store(error) => error.kind(),
            Self::Stopped => Kind::Unavailable,
            Self::Damaged(_) => Kind::Corrupt,
            Self::OtherVersion | Self::OtherEngine => Kind::Version,
            Self::Model(error) => match error.kind() {
                ErrorKind::Version => Kind::Version,
                ErrorKind::Corrupt => Kind::Corrupt,
                ErrorKind::Io => Kind::Unavailable,
                ErrorKind::Invalid => Kind::Internal,
            },
        }
    }
}
