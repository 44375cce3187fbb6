//! The embedded index fulfils the contract of all.

use model::conformance::{InMemory, model_index};

#[test]
fn embedded_index() {
    model_index(InMemory::new);
}
