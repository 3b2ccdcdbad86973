//! The option handles. Their setters are generated and cannot fail: what is wrong is kept, and told by
//! the function that takes the options.

use std::mem::MaybeUninit;

use oss_callback_core::{CallbackBuilder, ClientBuilder, PutOptions, UploadOptions};

use crate::guard::{Failure, OwnFailure, catching, free, guarded, new_handle};
use crate::library::Live;
use crate::text::osscb_str;

/// Options of a client. Those that are not set have the defaults named at their setters.
#[derive(Debug)]
pub struct osscb_client_options(Building<ClientBuilder>);

/// Options of one upload in one request. All are optional.
#[derive(Debug)]
pub struct osscb_put_options(Building<PutOptions>);

/// Options of one upload of any size. All are optional.
#[derive(Debug)]
pub struct osscb_upload_options(Building<UploadOptions>);

/// Options of a callback.
#[derive(Debug)]
pub struct osscb_callback_options {
    building: Building<CallbackBuilder>,
    pub(crate) more_urls: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Building<B> {
    builder: B,
    /// The first thing that a setter was given and could not take.
    wrong: Option<OwnFailure>,
    _live: Live,
}

impl<B: Default + Clone> Building<B> {
    pub(crate) fn new() -> Building<B> {
        Building { builder: B::default(), wrong: None, _live: Live::new() }
    }

    fn change(&mut self, how: impl FnOnce(B) -> Result<B, Failure>) {
        // A setter that panics or refuses leaves the builder as it was.
        let before = self.builder.clone();
        match catching(|| how(before)) {
            Ok(builder) => self.builder = builder,
            Err(Failure::Own(failure)) => {
                self.wrong.get_or_insert(failure);
            }
            Err(Failure::Core(error)) => {
                let Failure::Own(failure) = Failure::argument("options", error.to_string()) else { return };
                self.wrong.get_or_insert(failure);
            }
        }
    }

    fn built(&self) -> Result<B, Failure> {
        match &self.wrong {
            Some(failure) => Err(Failure::Own(failure.clone())),
            None => Ok(self.builder.clone()),
        }
    }
}

pub(crate) trait Options {
    type Builder: Default + Clone;

    fn building(&mut self) -> &mut Building<Self::Builder>;
    fn parts(&self) -> &Building<Self::Builder>;
}

macro_rules! options {
    ($handle:ident, $builder:ident, $field:tt) => {
        impl Options for $handle {
            type Builder = $builder;

            fn building(&mut self) -> &mut Building<$builder> {
                &mut self.$field
            }

            fn parts(&self) -> &Building<$builder> {
                &self.$field
            }
        }
    };
}

options!(osscb_client_options, ClientBuilder, 0);
options!(osscb_put_options, PutOptions, 0);
options!(osscb_upload_options, UploadOptions, 0);
options!(osscb_callback_options, CallbackBuilder, building);

/// What was set, or the defaults for NULL; or what was wrong.
///
/// # Safety
/// `options` is NULL or a live handle.
pub(crate) unsafe fn built<O: Options>(options: *const O) -> Result<O::Builder, Failure> {
    // SAFETY: the caller's promise.
    match unsafe { options.as_ref() } {
        Some(options) => options.parts().built(),
        None => Ok(O::Builder::default()),
    }
}

/// # Safety
/// `options` is NULL or a live handle that nobody else uses meanwhile. So for the three below.
pub(crate) unsafe fn set<O: Options>(
    options: *mut O,
    how: impl FnOnce(O::Builder) -> Result<O::Builder, Failure>,
) {
    guarded((), || {
        // SAFETY: the caller's promise.
        if let Some(options) = unsafe { options.as_mut() } {
            options.building().change(how);
        }
    });
}

pub(crate) unsafe fn set_text<O: Options>(
    options: *mut O,
    field: &str,
    value: osscb_str,
    how: impl FnOnce(O::Builder, &str) -> O::Builder,
) {
    // SAFETY: the caller's promise, for handle and text.
    unsafe { set(options, |builder| Ok(how(builder, value.check(field)?))) };
}

pub(crate) unsafe fn set_enum<O: Options, E>(
    options: *mut O,
    field: &str,
    value: Result<E, i32>,
    how: impl FnOnce(O::Builder, E) -> O::Builder,
) {
    let how = |builder| match value {
        Ok(value) => Ok(how(builder, value)),
        Err(number) => {
            Err(Failure::argument(field, format!("{number} is none of the values that the header names")))
        }
    };
    // SAFETY: the caller's promise.
    unsafe { set(options, how) };
}

pub(crate) unsafe fn add_pair<O: Options>(
    options: *mut O,
    field: &str,
    name: osscb_str,
    value: osscb_str,
    how: impl FnOnce(O::Builder, &str, &str) -> O::Builder,
) {
    // SAFETY: the caller's promise, for handle and texts.
    unsafe { set(options, |builder| Ok(how(builder, name.check(field)?, value.check(field)?))) };
}

/// The number that C passed for an enum. C may pass any, so it is not taken for the enum before it is
/// compared with the known ones.
pub(crate) fn number<E>(value: MaybeUninit<E>) -> i32 {
    const { assert!(size_of::<E>() == size_of::<i32>() && align_of::<E>() == align_of::<i32>()) };
    // SAFETY: of the same size and alignment; the caller passed a number, so it is initialised.
    unsafe { value.as_ptr().cast::<i32>().read() }
}

/// Options with nothing set. Freed by `osscb_client_options_free`.
///
/// Setters copy what they are given, and the last call counts. They cannot fail: a value that cannot be
/// taken, such as text that is not UTF-8, is reported by `osscb_client_new`.
#[unsafe(no_mangle)]
pub extern "C" fn osscb_client_options_new() -> *mut osscb_client_options {
    new_handle(|| osscb_client_options(Building::new()))
}

/// Frees options. Clients made with them stay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_client_options_free(options: *mut osscb_client_options) {
    // SAFETY: NULL or a live handle.
    unsafe { free(options) };
}

/// Options with nothing set. Freed by `osscb_put_options_free`.
///
/// Setters copy what they are given, and the last call counts. They cannot fail: a value that cannot be
/// taken, such as text that is not UTF-8, is reported by the upload.
#[unsafe(no_mangle)]
pub extern "C" fn osscb_put_options_new() -> *mut osscb_put_options {
    new_handle(|| osscb_put_options(Building::new()))
}

/// Frees options.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_put_options_free(options: *mut osscb_put_options) {
    // SAFETY: NULL or a live handle.
    unsafe { free(options) };
}

/// Options with nothing set. Freed by `osscb_upload_options_free`.
///
/// Setters copy what they are given, and the last call counts. They cannot fail: a value that cannot be
/// taken, such as text that is not UTF-8, is reported by the upload.
#[unsafe(no_mangle)]
pub extern "C" fn osscb_upload_options_new() -> *mut osscb_upload_options {
    new_handle(|| osscb_upload_options(Building::new()))
}

/// Frees options.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_upload_options_free(options: *mut osscb_upload_options) {
    // SAFETY: NULL or a live handle.
    unsafe { free(options) };
}

/// Options with nothing set. Freed by `osscb_callback_options_free`.
///
/// Setters copy what they are given, and the last call counts. They cannot fail: a value that cannot be
/// taken, such as text that is not UTF-8, is reported by `osscb_callback_new`.
#[unsafe(no_mangle)]
pub extern "C" fn osscb_callback_options_new() -> *mut osscb_callback_options {
    new_handle(|| osscb_callback_options { building: Building::new(), more_urls: Vec::new() })
}

/// Adds a URL that OSS tries when those before it failed; up to five together.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_callback_options_add_url(
    options: *mut osscb_callback_options,
    url: osscb_str,
) {
    guarded((), || {
        // SAFETY: NULL or a live handle, and the text is lent for this call.
        let Some(options) = (unsafe { options.as_mut() }) else { return };
        let mut added = None;
        // SAFETY: as above.
        let take = |builder| {
            added = Some(unsafe { url.check("callback.url") }?.to_owned());
            Ok(builder)
        };
        options.building.change(take);
        options.more_urls.extend(added);
    });
}

/// Frees options. Callbacks made with them stay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_callback_options_free(options: *mut osscb_callback_options) {
    // SAFETY: NULL or a live handle.
    unsafe { free(options) };
}
