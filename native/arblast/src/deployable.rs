//! An engine file and, once there is one, the model that answers its queries.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use engine::EngineConfig;
use events::EngineInstance;
use stores::Storage;

use crate::failure::Result;
use crate::jobs;
use crate::serving::Serving;

/// An engine that may not be trained yet.
pub struct Deployable {
    /// What it does.
    pub config: EngineConfig,
    /// Its file.
    pub text: String,
    pinned: Option<u64>,
    serving: RwLock<Option<Arc<Serving>>>,
    opening: Mutex<()>,
}

impl Deployable {
    /// `config` is what `text` says; its newest model will answer, or generation `pinned`.
    pub fn new(config: EngineConfig, text: String, pinned: Option<u64>) -> Self {
        Self { config, text, pinned, serving: RwLock::default(), opening: Mutex::default() }
    }

    /// What answers; opens the model if need be.
    ///
    /// # Errors
    /// `NotFound`: it has no model yet, or its app does not exist. Or the model cannot serve.
    pub fn serving(&self, storage: &Storage) -> Result<Arc<Serving>> {
        if let Some(serving) = self.opened() {
            return Ok(serving);
        }
        // One opens, the others wait for that; who only looks does not.
        let _opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(serving) = self.opened() {
            return Ok(serving);
        }
        let opened = Arc::new(Serving::open(storage, self.config.clone(), self.pinned)?);
        *self.serving.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// What answers, if its model is open.
    pub fn opened(&self) -> Option<Arc<Serving>> {
        self.serving.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its training runs, newest first.
    ///
    /// # Errors
    /// Whatever the store reports.
    pub fn runs(&self, storage: &Storage) -> Result<Vec<EngineInstance>> {
        jobs::runs(storage, &self.config.app_name, &self.config.variant)
    }
}
