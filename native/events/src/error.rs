//! The error of stores: private detail, and a public kind that answers *what can the caller do?*

/// Result of a store operation.
pub type Result<T> = std::result::Result<T, Error>;

/// What the caller can do about an error. Each border (HTTP, exit codes, …) has one table over these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Fix the input.
    Invalid,
    /// The key or its rights do not suffice.
    Denied,
    /// Nothing there under that name.
    NotFound,
    /// Try again later.
    Unavailable,
    /// Made by another version: upgrade or retrain.
    Version,
    /// Damaged: restore or retrain.
    Corrupt,
    /// A defect: report it.
    Internal,
}

/// A failed operation: its [`Kind`] and a text that a person can act on.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `message` names what was wrong and what would be right.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// The same with the underlying cause.
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// What the caller can do.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}
