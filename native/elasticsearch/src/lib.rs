//! Models in Elasticsearch or OpenSearch: published as an index per generation, and searched there with the ranking of the
//! embedded index.
//!
//! [`Cluster`] speaks to the servers, [`Indexes`] keeps the generations of one engine, [`Index`] answers by one of them;
//! [`Setting`] says where all this is. [`Metadata`] is what PredictionIO has left there.
//!
//! ```text
//! <name>                      alias of the generation that answers
//! <name>-0000000007           a generation; its mapping names indicators and rankings in `_meta`
//! <name>-0000000007.building  alias while it is written; an index with it is incomplete, and removed by the next publish
//! <name>-0000000007.items     alias ever after; changes of items go through it, so that none makes a deleted index again
//! ```
//! The servers are told weights, not asked for scores: how many items have a value is counted in the index and becomes the
//! boost of a clause that scores a constant. So scores depend neither on shards nor on deleted documents or copies, and
//! have the bits of the embedded index.

mod changes;
mod cluster;
mod documents;
mod explain;
mod failure;
mod hosts;
mod index;
mod indexes;
mod mapping;
mod metadata;
mod names;
mod publish;
mod query;
mod setting;
mod statistics;

pub use cluster::{Cluster, Options};
pub use index::Index;
pub use indexes::{Indexes, Listed};
pub use metadata::Metadata;
pub use publish::{Built, Observer};
pub use setting::{Place, Setting, pio_url};
