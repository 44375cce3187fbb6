//! The snapshot and its search.
//!
//! Training hands over [`ModelParts`]; [`write`] makes one immutable file of them, the same bytes for the same parts;
//! [`Model::open`] maps and checks it; [`View::search`] executes a [`SearchPlan`] in it and in the [`ItemChanges`] since,
//! [`View::explain`] says why. [`ModelIndex`] is that as a contract, which search servers can fulfil as well.
//!
//! Items, things and property values are numbers by the byte order of their text ([`Dictionary`]). A score is a sum of
//! inverse document frequencies over postings, exactly as search engines round it. `docs/model-format.md` has the file.
//!
//! Nothing here knows events, users, queries or the time.

mod array;
mod bits;
mod changes;
pub mod conformance;
mod dictionary;
mod error;
mod format;
mod index;
mod model;
mod parts;
mod plan;
mod search;
mod view;

pub use changes::{ChangedItem, ItemChanges};
pub use dictionary::{Dictionary, DictionaryBuilder, DictionaryError, DictionaryView, key};
pub use error::{Error, ErrorKind, Result};
pub use format::{FORMAT, FORMAT_OLDEST, Written, write};
pub use index::{Described, Found, IndexCorrelators, ModelIndex};
pub use model::{Counts, Model};
pub use parts::{IndicatorPart, ModelParts, PropertyPart, RankingPart};
pub use plan::{Bounds, Clause, Condition, Evidence, Explanation, Hit, Scoring, SearchPlan};
pub use search::{es5_shard, term_weight};
pub use view::View;
