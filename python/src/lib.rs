//! The native half of the wheel: `arblast._native`. The Python half says what people see.
//!
//! Every call that does more than look goes through [`border`]: without the GIL, with errors and panics as exceptions. Tables cross by
//! the Arrow PyCapsule interface ([`frames`]), matrices by the buffer protocol, queries and answers as JSON.

mod border;
mod event_rows;
mod frames;
mod histories;
mod lines;
mod methods;
mod pairs;
mod rows;
mod served;
mod texts;
mod told;

/// What `import arblast._native` gives.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use crate::border::{ArblastError, CorruptDataError, VersionError};
    #[pymodule_export]
    use crate::frames::Table;
    #[pymodule_export]
    use crate::methods::{Scorer, correlate_pairs, correlate_rows, default_engine, evaluate, llr, train};
    #[pymodule_export]
    use crate::served::Served;

    /// Version of the package.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    /// Commit that it was built from.
    #[pymodule_export]
    const BUILD: &str = env!("ARBLAST_BUILD");
    /// Platform that it was built for.
    #[pymodule_export]
    const TARGET: &str = env!("ARBLAST_TARGET");
}
