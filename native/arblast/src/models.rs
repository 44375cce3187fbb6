//! Which model directory belongs to an engine.

use model::Model;
use stores::{Generation, ModelDirectory, Storage};

use crate::failure::{Failure, Result};

/// The models of an app and a variant, wherever the engine file is.
pub fn of(storage: &Storage, app: &str, variant: &str) -> ModelDirectory {
    ModelDirectory::new(&storage.models, &key(app, variant))
}

/// Opens a chosen generation.
pub fn generation(directory: &ModelDirectory, number: u64) -> Result<Generation> {
    let listed = directory.list()?.into_iter().find(|listed| listed.generation == number);
    let info = listed.and_then(|listed| listed.info).ok_or_else(|| {
        Failure::not_found(format!(
            "generation {number} is not there any more; `arblast models` lists those that are"
        ))
    })?;
    let model = Model::open(directory.model_path(number)).map_err(engine::Error::from)?;
    Ok(Generation { number, info, model })
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
