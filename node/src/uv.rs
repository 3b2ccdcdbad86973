//! Has the event loop wait for a descriptor: the few functions of libuv's that this takes. Node exports them for
//! addons. Where somebody else loads this one and has no libuv, there is nothing to be watched by.

use std::any::Any;
use std::ffi::{c_int, c_void};
use std::ptr::{null, null_mut};

use libloading::os::unix::Library;
use napi::bindgen_prelude::{Function, FunctionRef};
use napi::sys::{self, Status};
use napi::{Env, JsValue};

/// `uv_handle_type` and `uv_poll_event`, which stay as they are in all of libuv 1.
const UV_POLL: c_int = 8;
const UV_READABLE: c_int = 1;

/// A `uv_handle_t`. Its first field is the user's: a pointer to the watch.
type Handle = *mut c_void;

/// libuv's functions, as its uv.h declares them.
struct Uv {
    handle_size: unsafe extern "C" fn(kind: c_int) -> usize,
    poll_init: unsafe extern "C" fn(event_loop: *mut c_void, handle: Handle, descriptor: c_int) -> c_int,
    poll_start: unsafe extern "C" fn(
        handle: Handle,
        events: c_int,
        call: unsafe extern "C" fn(handle: Handle, status: c_int, events: c_int),
    ) -> c_int,
    unref: unsafe extern "C" fn(handle: Handle),
    close: unsafe extern "C" fn(handle: Handle, call: unsafe extern "C" fn(handle: Handle)),
}

impl Uv {
    /// Those of the program.
    fn find() -> Option<Uv> {
        let program = Library::this();
        macro_rules! function {
            ($name:literal) => {
                // SAFETY: the types are those that libuv declares.
                *unsafe { program.get($name) }.ok()?
            };
        }
        Some(Uv {
            handle_size: function!(c"uv_handle_size"),
            poll_init: function!(c"uv_poll_init"),
            poll_start: function!(c"uv_poll_start"),
            unref: function!(c"uv_unref"),
            close: function!(c"uv_close"),
        })
    }
}

/// One descriptor that is watched.
struct Watch {
    uv: Uv,
    env: sys::napi_env,
    call: FunctionRef<(), ()>,
    /// What the descriptor belongs to.
    _owner: Box<dyn Any>,
    cleanup: sys::napi_async_cleanup_hook_handle,
    /// libuv's part of it, which stays where it is.
    handle: Box<[u64]>,
}

/// Has `call` called on the event loop's thread whenever the descriptor can be read from, until the environment
/// ends. `owner`, to which the descriptor belongs, is kept for as long. The event loop is not kept alive by it.
///
/// False where there is no libuv, or it refuses.
pub fn watch(env: &Env, descriptor: c_int, owner: Box<dyn Any>, call: &Function<'_, (), ()>) -> bool {
    let (Some(uv), Ok(call)) = (Uv::find(), call.create_ref()) else { return false };
    let mut event_loop = null_mut();
    // SAFETY: it writes to the place that it is given.
    if unsafe { sys::napi_get_uv_event_loop(env.raw(), &mut event_loop) } != Status::napi_ok {
        return false;
    }
    // SAFETY: it tells a number.
    let bytes = unsafe { (uv.handle_size)(UV_POLL) };
    let handle = vec![0_u64; bytes.div_ceil(size_of::<u64>())].into_boxed_slice();
    let watch = Watch { uv, env: env.raw(), call, _owner: owner, cleanup: null_mut(), handle };
    let watch = Box::leak(Box::new(watch));
    let handle: Handle = watch.handle.as_mut_ptr().cast();
    // SAFETY: the loop is this thread's, the handle is as large as libuv says, and the descriptor is open. From
    // `poll_init` on, both stay until `closed`.
    unsafe {
        if (watch.uv.poll_init)(event_loop.cast(), handle, descriptor) != 0 {
            drop(Box::from_raw(watch));
            return false;
        }
        let data: *mut Watch = watch;
        *handle.cast() = data;
        (watch.uv.unref)(handle);
        let cleanup = &raw mut watch.cleanup;
        let is_watched = sys::napi_add_async_cleanup_hook(watch.env, Some(env_ends), data.cast(), cleanup)
            == Status::napi_ok
            && (watch.uv.poll_start)(handle, UV_READABLE, readable) == 0;
        if !is_watched {
            (watch.uv.close)(handle, closed);
        }
        is_watched
    }
}

/// # Safety
/// The handle was made by [`watch`] and is not closed.
unsafe fn of(handle: Handle) -> *mut Watch {
    // SAFETY: `watch` has put it there.
    unsafe { *handle.cast() }
}

unsafe extern "C" fn readable(handle: Handle, _status: c_int, _events: c_int) {
    // SAFETY: libuv calls this on the loop's thread, with a handle of ours, and outside of JavaScript.
    unsafe {
        let watch = &*of(handle);
        let mut scope = null_mut();
        if sys::napi_open_handle_scope(watch.env, &mut scope) == Status::napi_ok {
            call(watch);
            sys::napi_close_handle_scope(watch.env, scope);
        }
    }
}

/// Calls as Node calls back itself: whatever is due at the end of a callback is done.
///
/// # Safety
/// On the environment's thread, in a scope of handles.
unsafe fn call(watch: &Watch) {
    let env = Env::from_raw(watch.env);
    let Ok(function) = watch.call.borrow_back(&env) else { return };
    let (mut global, mut result, mut thrown) = (null_mut(), null_mut(), null_mut());
    // SAFETY: they write to the places that they are given.
    unsafe {
        sys::napi_get_global(watch.env, &mut global);
        let (context, function) = (null_mut(), function.raw());
        let status = sys::napi_make_callback(watch.env, context, global, function, 0, null(), &mut result);
        if status == Status::napi_pending_exception {
            sys::napi_get_and_clear_last_exception(watch.env, &mut thrown);
            sys::napi_fatal_exception(watch.env, thrown);
        }
    }
}

unsafe extern "C" fn env_ends(_hook: sys::napi_async_cleanup_hook_handle, data: *mut c_void) {
    // SAFETY: Node calls this once, on the environment's thread, with the watch that was given to it.
    unsafe {
        let watch = &mut *data.cast::<Watch>();
        (watch.uv.close)(watch.handle.as_mut_ptr().cast(), closed);
    }
}

unsafe extern "C" fn closed(handle: Handle) {
    // SAFETY: the last that libuv does with a handle of ours. Whoever waits for us at the environment's end is
    // told by the removal of the hook.
    unsafe {
        let watch = Box::from_raw(of(handle));
        let cleanup = watch.cleanup;
        drop(watch);
        if !cleanup.is_null() {
            sys::napi_remove_async_cleanup_hook(cleanup);
        }
    }
}
