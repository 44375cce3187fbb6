//! Where a value of an event comes from.

use std::borrow::Cow;
use std::fmt;

use events::Json;

use super::path::Path;

/// A path, a constant, or a combination of sources.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// What stands there.
    Path(Path),
    /// Always this.
    Constant(Json),
    /// The first that is there.
    First(Vec<Source>),
    /// The texts of all, with `-` between them; absent if one of them is.
    Join(Vec<Source>),
}

/// A source whose paths into the payload are followed already: once per payload, not once per element.
pub enum Bound<'a> {
    Value(Option<&'a Json>),
    Element(&'a Path),
    First(Vec<Bound<'a>>),
    Join(Vec<Bound<'a>>),
}

impl Source {
    /// Follows the paths that begin at the payload.
    pub fn bind<'a>(&'a self, payload: &'a Json) -> Bound<'a> {
        let all = |sources: &'a [Source]| sources.iter().map(|source| source.bind(payload)).collect();
        match self {
            Self::Path(path) if path.from_element => Bound::Element(path),
            Self::Path(path) => Bound::Value(path.find(payload)),
            Self::Constant(value) => Bound::Value(Some(value)),
            Self::First(sources) => Bound::First(all(sources)),
            Self::Join(sources) => Bound::Join(all(sources)),
        }
    }

    /// Does it look at the element of an `each`?
    pub fn needs_element(&self) -> bool {
        match self {
            Self::Path(path) => path.from_element,
            Self::Constant(_) => false,
            Self::First(sources) | Self::Join(sources) => sources.iter().any(Self::needs_element),
        }
    }
}

impl Bound<'_> {
    /// The value, of this element; `None` = absent.
    pub fn value<'v>(&'v self, element: &'v Json) -> Option<Cow<'v, Json>> {
        match self {
            Self::Value(value) => value.map(Cow::Borrowed),
            Self::Element(path) => path.find(element).map(Cow::Borrowed),
            Self::First(sources) => sources.iter().find_map(|source| source.value(element)),
            Self::Join(sources) => {
                let text = |source: &Bound<'_>| source.value(element).and_then(|value| value.to_text());
                let texts = sources.iter().map(text).collect::<Option<Vec<String>>>()?;
                Some(Cow::Owned(texts.join("-").into()))
            }
        }
    }
}

/// As a person would call it.
impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, sources) = match self {
            Self::Path(path) => return path.fmt(formatter),
            Self::Constant(value) => return formatter.write_str(&value.excerpt()),
            Self::First(sources) => ("first", sources),
            Self::Join(sources) => ("join", sources),
        };
        write!(formatter, "{word} of ")?;
        for (number, source) in sources.iter().enumerate() {
            write!(formatter, "{}{source}", if number == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
