//! The snapshot and its search.
//!
//! Training hands over [`ModelParts`]; [`write`] makes one immutable file of them, the same bytes for the same parts;
//! [`Model::open`] maps and checks it; [`View::search`] executes a [`SearchPlan`] in it and in the [`ItemChanges`] since,
//! [`View::explain`] says why.
//!
//! Items, things and property values are numbers by the byte order of their text ([`Dictionary`]). A score is a sum of
//! inverse document frequencies over postings, exactly as search engines round it. `docs/model-format.md` has the file.
//!
//! Nothing here knows events, users, queries or the time.

mod array;
mod bits;
mod changes;
mod dictionary;
mod error;
mod format;
mod model;
mod parts;
mod plan;
mod search;
mod view;

pub use changes::{ChangedItem, ItemChanges};
pub use dictionary::{Dictionary, DictionaryBuilder, DictionaryError, DictionaryView, key};
pub use error::{Error, ErrorKind, Result};
pub use format::{FORMAT, FORMAT_OLDEST, Written, write};
pub use model::{Counts, Model};
pub use parts::{IndicatorPart, ModelParts, PropertyPart, RankingPart};
pub use plan::{Bounds, Clause, Condition, Evidence, Explanation, Hit, Scoring, SearchPlan};
pub use view::View;
