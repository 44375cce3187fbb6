//! Work in numbered pieces, handed out one after another to whoever is free.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The results of `work` on 0..`pieces`, in this order, from several threads, the calling one included. Each thread has
/// its own `state`.
pub(crate) fn in_turn<S, R: Send>(
    threads: usize,
    pieces: usize,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let some = || {
        let mut state = state();
        let mut results = Vec::new();
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces {
                return results;
            }
            results.push((piece, work(&mut state, piece)));
        }
    };
    let mut results = std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads.min(pieces)).map(|_| scope.spawn(some)).collect();
        let mut results = some();
        for helper in helpers {
            match helper.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_unstable_by_key(|&(piece, _)| piece);
    results.into_iter().map(|(_, result)| result).collect()
}
