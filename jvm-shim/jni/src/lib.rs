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

/// Called by the JVM when it has loaded the library, on the thread and with the class loader of whoever loads it. A method
/// that Java does not declare just so is an error here, not a crash later.
#[unsafe(no_mangle)]
#[expect(clippy::not_unsafe_ptr_arg_deref, reason = "the JVM alone calls it")]
pub extern "system" fn JNI_OnLoad(vm: *mut sys::JavaVM, _reserved: *mut c_void) -> sys::jint {
    // SAFETY: the JVM passes its own valid pointer.
    let vm = unsafe { JavaVM::from_raw(vm) };
    let registered = vm.attach_current_thread(register);
    // With an error an exception is pending, which says more than a number could.
    if registered.is_ok() { sys::JNI_VERSION_1_8 } else { sys::JNI_ERR }
}

fn register(env: &mut Env<'_>) -> jni::errors::Result<()> {
    let methods = methods::all();
    let methods: Vec<NativeMethod<'_>> = methods
        .iter()
        .map(|&(name, signature, function)| {
            // SAFETY: `methods::all` names each function with the signature of its own parameters.
            unsafe { NativeMethod::from_raw_parts(name, signature, function) }
        })
        .collect();
    // SAFETY: as above; the functions live as long as the library.
    unsafe { env.register_native_methods(CLASS, &methods) }
}
