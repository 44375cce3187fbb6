//! Models from documents, as a search server would be given them.

pub use model::conformance::{Document, Documents, bytes, dictionary, llr, model, parts};
