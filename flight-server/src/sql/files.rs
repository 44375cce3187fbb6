//! Where `COPY … TO` writes: one folder that the operator names, and nothing else of this machine.

use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use url::Url;

use super::quota::Quota;

/// The only store that a session has: the folder, if there is one.
#[derive(Debug, Default)]
pub struct Folder(pub Option<Arc<Quota>>);

impl ObjectStoreRegistry for Folder {
    fn register_store(&self, _: &Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        match &self.0 {
            Some(store) if url.scheme() == "file" => Ok(Arc::clone(store) as Arc<dyn ObjectStore>),
            _ => Err(DataFusionError::Plan(format!("{} cannot be read or written here", url.scheme()))),
        }
    }
}

/// The place that a statement names: a relative path without a way out, in the folder or, for a client of one app, in that
/// app's folder there.
///
/// # Errors
/// It is none, or there is no folder.
pub fn place(target: &str, app: Option<&str>, has_folder: bool) -> Result<String> {
    let wrong = |text: &str| Err(DataFusionError::Plan(format!("COPY TO '{target}': {text}")));
    if !has_folder {
        return wrong(
            "files may not be written here: nobody has set flightExportDirectory or --export-directory",
        );
    }
    let safe = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_alphanumeric() || "-_.=".contains(c))
    };
    let parts = target.strip_suffix('/').unwrap_or(target);
    if !parts.split('/').all(safe) {
        return wrong(
            "name a place in the export folder, such as 'events.parquet' or 'shop/events/': letters, digits, - _ . = and /",
        );
    }
    let own = app.map(|app| format!("{app}/")).unwrap_or_default();
    Ok(format!("file:///{own}{target}"))
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn there_is_no_way_out_of_the_folder() {
        for good in ["events.parquet", "a/b/", "a/b=c/d.parquet"] {
            assert_eq!(place(good, None, true).unwrap(), format!("file:///{good}"));
            assert_eq!(place(good, Some("shop"), true).unwrap(), format!("file:///shop/{good}"));
        }
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "file:///x",
            "s3://b/x",
            ".hidden",
            "a\\b",
            "a%2e",
        ] {
            assert!(place(bad, None, true).is_err(), "{bad}");
        }
        assert!(
            place("events.parquet", None, false).unwrap_err().to_string().contains("flightExportDirectory")
        );
    }
}
