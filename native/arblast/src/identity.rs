//! Which program this is.

/// Version of the product.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Commit, or the name of the release build.
pub const BUILD: &str = env!("ARBLAST_BUILD");
/// Target triple.
pub const TARGET: &str = env!("ARBLAST_TARGET");
