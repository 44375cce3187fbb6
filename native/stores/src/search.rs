//! Search servers that answer in the place of the mapped model file: what a program must be told of them.

use std::sync::Arc;

use events::{Error, Result};
use model::{ChangedItem, Model, ModelIndex, PropertyPart};

/// Models of all engines in search servers.
pub trait SearchServers: Send + Sync {
    /// Could a model be published now? Better known before a long train than after.
    ///
    /// # Errors
    /// Those of the servers.
    fn check(&self, engine: EngineName<'_>) -> Result<()>;

    /// What answers, such as `Elasticsearch 9.5.3`.
    ///
    /// # Errors
    /// Nothing answers, or nothing that can be used.
    fn about(&self) -> Result<String>;

    /// Publishes the model that has this digest, and makes it current. `progress` hears of items done and all items, and says
    /// whether to go on.
    ///
    /// # Errors
    /// Those of the servers; what was current still is.
    fn publish(
        &self,
        engine: EngineName<'_>,
        model: &Model,
        digest: &str,
        progress: &dyn Fn(u64, u64) -> bool,
    ) -> Result<()>;

    /// What answers by the model that has this digest.
    ///
    /// # Errors
    /// `Kind::NotFound`: it is not there. Those of the servers.
    fn open(&self, engine: EngineName<'_>, digest: &str) -> Result<Arc<dyn SearchIndex>>;

    /// Makes the model that has this digest current for who asks the servers directly.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn make_current(&self, engine: EngineName<'_>, digest: &str) -> Result<()>;
}

/// Whose models.
#[derive(Debug, Clone, Copy)]
pub struct EngineName<'a> {
    /// Name of the app.
    pub app: &'a str,
    /// Variant of the engine.
    pub variant: &'a str,
}

/// One model in search servers.
pub trait SearchIndex: ModelIndex<Error = Error> + Send + Sync {
    /// Takes in what has become of items, in the form of [`model::ItemChanges::with`].
    ///
    /// # Errors
    /// Those of the servers. A repetition does no harm.
    fn apply(&self, items: &[ChangedItem], properties: &[PropertyPart]) -> Result<()>;
}
