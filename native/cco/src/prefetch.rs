//! A hint to the processor, where there is one to give.
#![allow(unsafe_code)]

/// Asks for the cache lines of `slice[start..start + length]`, as far as the slice goes.
#[inline(always)]
pub(crate) fn prefetch<T>(slice: &[T], start: usize, length: usize) {
    const LINE_BYTES: usize = 64;
    #[cfg(target_arch = "x86_64")]
    for element in slice.iter().skip(start).take(length).step_by((LINE_BYTES / size_of::<T>()).max(1)) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of a valid reference; it reads nothing and SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(element).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, start, length, LINE_BYTES);
}
