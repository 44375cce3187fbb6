//! How a command fails: a kind, which fixes the exit code and the HTTP status, and one line that says what to do.

use std::fmt;
use std::path::Path;

use engine::itemsimilarity;
use events::Kind;

/// Result of a command or of one of its steps.
pub type Result<T> = std::result::Result<T, Failure>;

/// A failed command.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    message: String,
}

impl Failure {
    /// A failure of `kind`; `message` says what was wrong and what would be right.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The input is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// There is nothing under that name.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// A file could not be read or written; `doing` is e.g. `cannot read /a/b`.
    pub fn io(doing: impl fmt::Display, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{AlreadyExists, InvalidData, NotFound, PermissionDenied};
        let kind = match error.kind() {
            NotFound => Kind::NotFound,
            AlreadyExists | PermissionDenied | InvalidData => Kind::Invalid,
            _ => Kind::Unavailable,
        };
        Self::new(kind, format!("{doing}: {error}"))
    }

    /// A file cannot be read or written (`doing`), which `by` named: an option, a variable or a setting.
    pub fn file<'a>(
        doing: &'a str,
        by: &'a str,
        path: &'a Path,
    ) -> impl Fn(std::io::Error) -> Self + Copy + 'a {
        move |error| Self::io(format_args!("cannot {doing} {}, which {by} names", path.display()), &error)
    }

    /// The same, of this option or file.
    #[must_use]
    pub fn of(self, what: &str) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }

    /// What the caller can do.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Exit code of the process: 1 as the original's tools, else the code of `sysexits.h` that fits.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Invalid | Kind::Denied | Kind::NotFound => 1,
            Kind::Unavailable => 75,
            Kind::Version => 78,
            Kind::Corrupt => 65,
            Kind::Internal => 70,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<events::Error> for Failure {
    fn from(error: events::Error) -> Self {
        Self::new(error.kind(), with_causes(&error))
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        Self::new(error.kind(), with_causes(&error))
    }
}

impl From<itemsimilarity::Error> for Failure {
    fn from(error: itemsimilarity::Error) -> Self {
        match error {
            itemsimilarity::Error::File { path, source } => Self::io(path.display(), &source),
            itemsimilarity::Error::Counting(error) => error.into(),
            error => Self::invalid(error.to_string()),
        }
    }
}

/// The text of an error and of what caused it, on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.contains(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_follow_the_kind() {
        let codes = [
            (Kind::Invalid, 1),
            (Kind::Denied, 1),
            (Kind::NotFound, 1),
            (Kind::Unavailable, 75),
            (Kind::Version, 78),
            (Kind::Corrupt, 65),
            (Kind::Internal, 70),
        ];
        for (kind, code) in codes {
            assert_eq!(Failure::new(kind, "x").exit_code(), code, "{kind:?}");
        }
    }

    #[test]
    fn causes_are_told() {
        let error = events::Error::new(Kind::Unavailable, "cannot append")
            .with_source(std::io::Error::other("disk full"));
        assert_eq!(Failure::from(error).to_string(), "cannot append: disk full");
    }
}
