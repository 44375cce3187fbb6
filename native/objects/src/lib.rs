//! Models where many machines reach them: in a Hadoop file system (`hdfs://name/path`) or in S3 and what speaks like it
//! (`s3://bucket/path`). [`open`] gives the files of models, [`store`] the whole store for other readers.
//!
//! Hadoop's configuration is that of `HADOOP_CONF_DIR`, name nodes that take over for each other included, and the user is
//! `HADOOP_USER_NAME`. For S3 the `AWS_…` variables count, `AWS_ENDPOINT` and `AWS_ALLOW_HTTP` too.

mod client;
mod failure;
mod hadoop;
mod remote;
mod store;
mod wait;

use std::sync::Arc;

use events::Result;

pub use hadoop::property as hadoop_property;
pub use store::store;
pub use wait::Patience;

use remote::Remote;

/// A setting of a store and its value, stronger than what the environment says: `access_key_id`, `region`, `endpoint` and so on for
/// S3, names of Hadoop's configuration for a Hadoop file system.
pub type Options<'a> = &'a [(String, String)];

/// Does this URL name a store that [`open`] understands?
pub fn understands(url: &str) -> bool {
    ["hdfs://", "s3://", "s3a://"].iter().any(|scheme| url.starts_with(scheme))
}

/// The files in a folder of a store. Asks nobody yet.
///
/// # Errors
/// `Kind::Invalid`: the URL is none, or the options.
pub fn open(url: &str, options: Options<'_>) -> Result<Arc<dyn stores::Objects>> {
    open_with(url, options, Patience::default())
}

/// The same with another patience.
///
/// # Errors
/// As [`open`].
pub fn open_with(url: &str, options: Options<'_>, patience: Patience) -> Result<Arc<dyn stores::Objects>> {
    Ok(Arc::new(Remote::open(url, options, patience)?))
}
