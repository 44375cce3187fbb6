//! Which model directory belongs to an engine.

use stores::{ModelDirectory, Storage};

/// The models of an app and a variant, wherever the engine file is.
pub fn of(storage: &Storage, app: &str, variant: &str) -> ModelDirectory {
    ModelDirectory::new(&storage.models, &key(app, variant))
}

/// `variant@app`, distinct for distinct pairs.
fn key(app: &str, variant: &str) -> String {
    let escaped = |name: &str| name.replace('%', "%25").replace('@', "%40");
    format!("{}@{}", escaped(variant), escaped(app))
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn distinct_engines_have_distinct_keys() {
        assert_eq!(key("shop", "default"), "default@shop");
        let names = ["a", "a@b", "b", "@", "a%40b", "%"];
        let pairs = names.iter().flat_map(|app| names.iter().map(move |variant| key(app, variant)));
        let keys: std::collections::BTreeSet<String> = pairs.collect();
        assert_eq!(keys.len(), names.len() * names.len());
    }
}
