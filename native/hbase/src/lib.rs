//! Events in HBase.
//!
//! [`client`] speaks HBase's own protocol and knows nothing of events; [`store`] keeps events in the rows that
//! PredictionIO writes and reads.

pub mod client;
pub mod store;

pub use store::open;
