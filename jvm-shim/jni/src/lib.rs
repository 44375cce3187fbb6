//! The native half of the jar: what `dev.arblast.internal.Native` declares.
//!
//! Every method goes through [`border::enter`]. Objects live in a table ([`handles`]) that Java knows the keys of. Columns come in
//! as direct buffers with Arrow's layout ([`columns`]), everything else as UTF-8 JSON or numbers; results leave as byte
//! arrays. Long work runs on threads of its own ([`jobs`]) while Java looks in from time to time. No thread of ours is ever
//! attached to the JVM, and nothing here calls Java, except to throw.

#![expect(unsafe_code, reason = "tells the JVM which function is which method")]

mod app;
mod border;
mod columns;
mod handles;
mod index;
mod jobs;
mod methods;
mod requests;
mod session;
mod tables;

use std::ffi::c_void;

use jni::strings::JNIStr;
use jni::{Env, JavaVM, NativeMethod, jni_str, sys};

/// Class whose native methods these are.
const CLASS: &JNIStr = jni_str!("dev/arblast/internal/Native");

/// Called by the JVM when it has loaded the library, on the thread and with the class loader of whoever loads it.
///
/// # Safety
/// Only for the JVM, which passes a pointer to itself.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn JNI_OnLoad(vm: *mut sys::JavaVM, _reserved: *mut c_void) -> sys::jint {
    // SAFETY: the JVM passes its own valid pointer.
    let vm = unsafe { JavaVM::from_raw(vm) };
    let registered = vm.attach_current_thread(register);
    if registered.is_ok() { sys::JNI_VERSION_1_8 } else { sys::JNI_ERR }
}

/// Called by the JVM when the class loader is gone, before it unloads the library: nobody has a key any more,
/// and no thread may run in it.
#[unsafe(no_mangle)]
pub extern "system" fn JNI_OnUnload(_vm: *mut sys::JavaVM, _reserved: *mut c_void) {
    // A panic must not leave; the JVM would not know what to do with it, and there is nothing left to do.
    let _ = std::panic::catch_unwind(|| {
        handles::close_all();
        jobs::wait_for_threads();
    });
}

/// Tells the JVM which function is which method. The first, `identity`, works even if others are not as Java declares them: then
/// the library is of another build, as Java says when it has compared.
fn register(env: &mut Env<'_>) -> jni::errors::Result<()> {
    // By the loader of the class that loads the library; see `border::raise`.
    let class = env.find_class(CLASS)?;
    let methods = methods::all().map(|(name, signature, function)| {
        // SAFETY: `methods::all` names each function with the signature of its own parameters.
        unsafe { NativeMethod::from_raw_parts(name, signature, function) }
    });
    // SAFETY: as above; the functions live as long as the library.
    unsafe { env.register_native_methods(&class, &methods[..1]) }?;
    // SAFETY: as above.
    let _ = unsafe { env.register_native_methods(&class, &methods[1..]) };
    Ok(())
}
