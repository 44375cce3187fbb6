//! Search servers that a model goes to as well, as an option and the environment say.

use std::env;

use elasticsearch::{Indexes, Observer, Setting, pio_url};
use engine::{EngineConfig, Observer as _};
use stores::Generation;

use crate::border::{Fault, Result};
use crate::jobs::Progress;

/// Where an engine's models go: to the servers of this URL; of the one that the environment names, if it is empty. `None`: there
/// are none.
pub fn indexes(url: &str, config: &EngineConfig) -> Result<Option<Indexes>> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let told = Some(url.to_owned()).filter(|url| !url.is_empty());
    let setting = Setting {
        url: told.or_else(|| variable("ARBLAST_INDEX_URL")).or_else(|| pio_url(&variable)),
        api_key: variable("ARBLAST_INDEX_API_KEY"),
        ca_file: variable("ARBLAST_INDEX_CA_FILE").map(Into::into),
        shards: shards(variable("ARBLAST_INDEX_SHARDS"))?,
    };
    Ok(setting.place()?.map(|place| place.indexes(&config.app_name, &config.variant)))
}

fn shards(text: Option<String>) -> Result<u32> {
    let Some(text) = text else { return Ok(1) };
    let shards = text.parse().ok().filter(|shards| (1..=1024).contains(shards));
    shards.ok_or_else(|| {
        Fault::argument(format!("ARBLAST_INDEX_SHARDS must be a number from 1 to 1024, got {text}"))
    })
}

/// Publishes a generation there; query servers find it by its digest.
pub fn publish(indexes: &Indexes, opened: &Generation, progress: &Progress) -> events::Result<()> {
    progress.stage("index", u64::from(opened.model.items()));
    indexes.clone().noting(&opened.info.digest).publish(&opened.model, &Following(progress)).map(drop)
}

struct Following<'a>(&'a Progress);

impl Observer for Following<'_> {
    fn progress(&self, done: u64, _: u64) {
        engine::Observer::progress(self.0, done);
    }

    fn is_stopped(&self) -> bool {
        engine::Observer::is_stopped(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_shards_is_one() {
        assert_eq!(shards(None).unwrap(), 1);
        assert_eq!(shards(Some("12".to_owned())).unwrap(), 12);
        for wrong in ["0", "1025", "-1", "two"] {
            let text = format!("{:?}", shards(Some(wrong.to_owned())).unwrap_err());
            assert!(text.contains("from 1 to 1024"), "{text}");
        }
    }
}
