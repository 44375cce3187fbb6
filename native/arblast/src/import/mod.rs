//! Events from files of JSON lines into a store, as fast as the store takes them.
//!
//! One thread reads blocks of whole lines, several parse them, one commits them in order. Each line's event is stored
//! exactly once, whatever interrupts the import: an event without an `eventId` gets one made of the file's identity
//! and the line's place in it ([`Identity::event_id`]), so a repeated line replaces itself. How far the committer came is
//! noted beside the events ([`progress`]), so that a second run starts there instead of at the first line.

mod blocks;
mod identity;
mod names;
mod parse;
mod pipeline;
pub mod progress;
mod report;
mod source;

pub use identity::Identity;
pub use names::Names;
pub use parse::{BadLine, Form};
pub use pipeline::{Import, OnError, Totals};
pub use report::Report;
pub use source::{Source, sources};
