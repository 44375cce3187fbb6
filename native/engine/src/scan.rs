//! Reads all events of a scope, says how far it is, and stops when told to.

use std::ops::ControlFlow;

use events::{EventRef, EventStore, Scope};

use crate::{Error, Observer, Result};

/// Events between two looks at the observer.
const STEP: u64 = 65_536;

/// Gives every event to `take`, in any order.
///
/// # Errors
/// Whatever the store reports; the first error of `take`; [`Error::Stopped`] if the observer says so.
pub(crate) fn all(
    store: &dyn EventStore,
    scope: Scope,
    stage: &str,
    observer: &dyn Observer,
    take: &mut dyn FnMut(&EventRef<'_>) -> Result<()>,
) -> Result<()> {
    observer.stage(stage, store.count(scope)?);
    let (mut read, mut failure) = (0_u64, None);
    store.scan(scope, &mut |event| {
        let mut taken = take(event);
        read += 1;
        if read.is_multiple_of(STEP) {
            observer.progress(read);
            if taken.is_ok() && observer.is_stopped() {
                taken = Err(Error::Stopped);
            }
        }
        match taken {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    observer.progress(read);
    failure.map_or(Ok(()), Err)
}
