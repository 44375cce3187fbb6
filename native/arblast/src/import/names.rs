//! Names of events that the app does not declare.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use events::{DeclaredEvents, OnUnknown};

/// Names that are remembered; more are stored as well.
const REMEMBERED_MAX: usize = 1000;

/// What an app declares, and what was met beside it.
#[derive(Debug, Default)]
pub struct Names {
    declared: Option<DeclaredEvents>,
    undeclared: Mutex<BTreeSet<String>>,
}

impl Names {
    /// Those of an app; `None` = all names are good.
    pub fn new(declared: Option<DeclaredEvents>) -> Self {
        Self { declared, undeclared: Mutex::default() }
    }

    /// Why an event of this name is refused.
    pub fn check(&self, name: &str) -> Result<(), String> {
        let Some(declared) = self.declared.as_ref().filter(|declared| !declared.allows(name)) else {
            return Ok(());
        };
        if declared.unknown() == OnUnknown::Reject {
            return Err(declared.refusal(name));
        }
        let mut undeclared = self.undeclared.lock().unwrap_or_else(PoisonError::into_inner);
        if undeclared.len() < REMEMBERED_MAX && !undeclared.contains(name) {
            undeclared.insert(name.to_owned());
        }
        Ok(())
    }

    /// Names that were let through though they are not declared, each once, sorted.
    pub fn undeclared(self) -> BTreeSet<String> {
        self.undeclared.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
