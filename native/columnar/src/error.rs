//! What can be wrong with record batches.

/// Result of a conversion.
pub type Result<T> = std::result::Result<T, Error>;

/// A record batch that does not fit, or that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A column is missing, unknown or of a wrong type.
    #[error("{0}")]
    Column(String),
    /// What to do contradicts itself or the rows.
    #[error("{0}")]
    Options(String),
    /// The engine cannot count it.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// Arrow cannot hold it.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}

impl Error {
    /// What the caller can do.
    pub fn kind(&self) -> events::Kind {
        match self {
            Self::Column(_) | Self::Options(_) | Self::Arrow(_) => events::Kind::Invalid,
            Self::Engine(error) => error.kind(),
        }
    }
}
