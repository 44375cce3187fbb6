//! Which store does a URL name?

use std::sync::Arc;
use std::time::Duration;

use events::{Error, Kind, Result};
use hdfs_native_object_store::HdfsObjectStoreBuilder;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, RetryConfig};
use url::{Position, Url};

use crate::Options;
use crate::wait::runtime;

/// A service that is gone is told before a train is given up.
const S3_PATIENCE: Duration = Duration::from_secs(20);

/// The store that a URL leads to; its path does not matter.
///
/// # Errors
/// `Kind::Invalid`: stores of this kind are not known, or an option.
pub fn store(url: &Url, options: Options<'_>) -> Result<Arc<dyn ObjectStore>> {
    match url.scheme() {
        "file" => Ok(Arc::new(LocalFileSystem::new())),
        "hdfs" => hdfs(url, options),
        "s3" | "s3a" => s3(url, options),
        scheme => {
            Err(invalid(format!("{scheme}:// is no place that is known; give file://, hdfs:// or s3://")))
        }
    }
}

fn hdfs(url: &Url, options: Options<'_>) -> Result<Arc<dyn ObjectStore>> {
    let root = &url[..Position::BeforePath];
    if url.host_str().unwrap_or_default().is_empty() {
        return Err(invalid(format!(
            "{url}: the name of the file system is missing: hdfs://NAME/path or hdfs://HOST:PORT/path"
        )));
    }
    let given = options.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let builder = HdfsObjectStoreBuilder::new()
        .with_url(root)
        .with_config(given)
        .with_io_runtime(runtime()?.handle().clone());
    let unknown = |error| {
        invalid(format!(
            "{root}: {error}; HADOOP_CONF_DIR names the folder of hdfs-site.xml that knows this name"
        ))
    };
    Ok(Arc::new(builder.build().map_err(unknown)?))
}

fn s3(url: &Url, options: Options<'_>) -> Result<Arc<dyn ObjectStore>> {
    let retry = RetryConfig { retry_timeout: S3_PATIENCE, ..Default::default() };
    let root = &url[..Position::AfterHost];
    let mut builder = AmazonS3Builder::from_env().with_url(root).with_retry(retry);
    for (name, value) in options {
        let key: AmazonS3ConfigKey = name.parse().map_err(|_| invalid(format!("S3 has no option {name}")))?;
        // Who names such an endpoint wants it so.
        if key == AmazonS3ConfigKey::Endpoint && value.starts_with("http://") {
            builder = builder.with_allow_http(true);
        }
        builder = builder.with_config(key, value);
    }
    Ok(Arc::new(builder.build().map_err(|error| invalid(format!("{root}: {error}")))?))
}

pub(crate) fn invalid(text: String) -> Error {
    Error::new(Kind::Invalid, text)
}
