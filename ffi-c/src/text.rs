//! Text and bytes across the boundary: what is borrowed, what is owned, and how it is checked.

use std::ffi::{CStr, CString};
use std::os::raw::{c_char, c_void};
#[cfg(unix)]
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::guard::{Failure, guarded};

/// No name, key, option or policy comes near it: a longer text is a length gone wrong.
const TEXT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Text that you lend: UTF-8, `len` bytes from `ptr`; it need not end with a NUL. `ptr` may be NULL if
/// `len` is 0, which means "no text" where a parameter is optional. See `OSSCB_STR` and `osscb_str_of`.
///
/// Text that an `osscb_event` lends has this form too, as a NUL may stand in it.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct osscb_str {
    /// First byte.
    pub ptr: *const c_char,
    /// Length in bytes.
    pub len: usize,
}

/// Bytes that a handle lends: they stay until the handle is freed.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct osscb_bytes {
    /// First byte; never NULL.
    pub ptr: *const u8,
    /// Length in bytes.
    pub len: usize,
}

/// Text that you own and free by `osscb_string_free`. A NUL stands behind its `len` bytes.
#[repr(C)]
pub struct osscb_string {
    /// First byte.
    pub ptr: *mut c_char,
    /// Length in bytes, without the NUL.
    pub len: usize,
}

/// A name and its value. In a query, a value whose `ptr` is NULL makes a name without `=`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct osscb_pair {
    /// Name.
    pub name: osscb_str,
    /// Value.
    pub value: osscb_str,
}

/// Lends a NUL-terminated text; NULL gives "no text".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_str_of(text: *const c_char) -> osscb_str {
    let len = if text.is_null() {
        0
    } else {
        // SAFETY: not NULL, and the caller promises a NUL at the end.
        unsafe { CStr::from_ptr(text) }.to_bytes().len()
    };
    osscb_str { ptr: text, len }
}

/// Whether two texts are the same, byte for byte, also behind a NUL. "No text" equals only itself, not
/// the empty text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_str_equals(one: osscb_str, other: osscb_str) -> bool {
    guarded(false, || {
        if one.ptr.is_null() || other.ptr.is_null() {
            return one.ptr.is_null() && other.ptr.is_null();
        }
        // SAFETY: not NULL, and the caller lends both.
        unsafe { one.bytes("one").is_ok_and(|one| other.bytes("other").is_ok_and(|other| one == other)) }
    })
}

/// Frees a text, and leaves an empty one behind, so that freeing it again does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_string_free(string: *mut osscb_string) {
    guarded((), || {
        // SAFETY: NULL, or the caller's `osscb_string`.
        let Some(string) = (unsafe { string.as_mut() }) else { return };
        let ptr = std::mem::replace(&mut string.ptr, std::ptr::null_mut());
        let len = std::mem::take(&mut string.len);
        if !ptr.is_null() {
            let whole = std::ptr::slice_from_raw_parts_mut(ptr.cast::<u8>(), len + 1);
            // SAFETY: made by `osscb_string::new` from a boxed slice of this length.
            drop(unsafe { Box::from_raw(whole) });
            crate::library::handle_gone();
        }
    });
}

impl osscb_string {
    pub(crate) fn new(text: String) -> osscb_string {
        let len = text.len();
        let mut bytes = text.into_bytes();
        bytes.push(0);
        crate::library::handle_made();
        osscb_string { ptr: Box::into_raw(bytes.into_boxed_slice()).cast(), len }
    }
}

impl osscb_str {
    /// No text.
    pub(crate) const NONE: osscb_str = osscb_str { ptr: std::ptr::null(), len: 0 };

    /// The bytes, of a length that can be. `field` names them in the error.
    ///
    /// # Safety
    /// `ptr` is NULL or points to `len` bytes that stay unchanged while the result is in use.
    pub(crate) unsafe fn bytes<'a>(self, field: &str) -> Result<&'a [u8], Failure> {
        if self.len > TEXT_BYTES_MAX {
            return Err(Failure::argument(
                field,
                format!("is said to be {} bytes long, which no such text is", self.len),
            ));
        }
        // SAFETY: the caller's promise.
        unsafe { bytes(self.ptr.cast(), self.len, field) }
    }

    /// The text, checked. `field` names it in the error.
    ///
    /// # Safety
    /// As for [`bytes`](osscb_str::bytes).
    pub(crate) unsafe fn check<'a>(self, field: &str) -> Result<&'a str, Failure> {
        // SAFETY: the caller's promise.
        let bytes = unsafe { self.bytes(field) }?;
        std::str::from_utf8(bytes).map_err(|error| {
            Failure::argument(field, format!("is not UTF-8 from byte {} on", error.valid_up_to()))
                .with_hint("Convert the text to UTF-8 before you pass it.")
        })
    }

    /// As [`check`](osscb_str::check); a NULL `ptr` is no text.
    ///
    /// # Safety
    /// As for [`check`](osscb_str::check).
    pub(crate) unsafe fn optional<'a>(self, field: &str) -> Result<Option<&'a str>, Failure> {
        // SAFETY: the caller's promise.
        let text = unsafe { self.check(field) }?;
        Ok((!self.ptr.is_null()).then_some(text))
    }

    /// As [`check`](osscb_str::check), for the path of a file: on Unix any bytes will do.
    ///
    /// # Safety
    /// As for [`bytes`](osscb_str::bytes).
    pub(crate) unsafe fn path(self, field: &str) -> Result<PathBuf, Failure> {
        // SAFETY: the caller's promise.
        #[cfg(unix)]
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(unsafe { self.bytes(field) }?));
        // SAFETY: as above.
        #[cfg(not(unix))]
        let path = PathBuf::from(unsafe { self.check(field) }?);
        match path.as_os_str().is_empty() {
            true => Err(Failure::argument(field, "is empty")),
            false => Ok(path),
        }
    }
}

/// An array that the caller lends. NULL is allowed for an empty one.
///
/// # Safety
/// `ptr` is NULL or points to `len` elements that stay unchanged while the result is in use.
pub(crate) unsafe fn array<'a, T>(ptr: *const T, len: usize, field: &str) -> Result<&'a [T], Failure> {
    if len == 0 {
        return Ok(&[]);
    }
    if ptr.is_null() {
        return Err(Failure::argument(field, format!("is NULL, but its length is {len}")));
    }
    if !ptr.is_aligned() {
        return Err(Failure::argument(field, "is not aligned"));
    }
    if len > TEXT_BYTES_MAX / size_of::<T>().max(1) {
        return Err(Failure::argument(field, format!("is said to hold {len} elements, which it cannot")));
    }
    // SAFETY: not NULL, aligned, of a possible size, and the caller's promise for the rest.
    Ok(unsafe { std::slice::from_raw_parts(ptr, len) })
}

/// Bytes that the caller lends, of any length that memory can hold.
///
/// # Safety
/// `ptr` is NULL or points to `len` bytes that stay unchanged while the result is in use.
pub(crate) unsafe fn bytes<'a>(ptr: *const c_void, len: usize, field: &str) -> Result<&'a [u8], Failure> {
    if len == 0 {
        return Ok(&[]);
    }
    if ptr.is_null() {
        return Err(Failure::argument(field, format!("is NULL, but its length is {len}")));
    }
    if isize::try_from(len).is_err() {
        return Err(Failure::argument(
            field,
            format!("is said to be {len} bytes long, which nothing in memory can be"),
        ));
    }
    // SAFETY: not NULL, of a possible length, and the caller's promise for the rest.
    Ok(unsafe { std::slice::from_raw_parts(ptr.cast(), len) })
}

/// Writes a number that may be missing, and says whether it is there.
///
/// # Safety
/// `place` is NULL or may be written to.
pub(crate) unsafe fn give_number<T>(value: Option<T>, place: *mut T) -> bool {
    let there = value.is_some();
    if let Some(value) = value
        && !place.is_null()
    {
        // SAFETY: not NULL, and the caller's promise.
        unsafe { place.write(value) };
    }
    there
}

/// Text that a handle lends with its length, since a NUL may stand in it; one stands behind it too.
#[derive(Debug)]
pub(crate) struct Text(String);

impl Text {
    pub fn new(text: &str) -> Text {
        Text(format!("{text}\0"))
    }

    pub fn as_str(&self) -> &str {
        self.0.strip_suffix('\0').unwrap_or_default()
    }

    /// Lends it to C, or lends "no text".
    pub fn lend(text: Option<&Text>) -> osscb_str {
        text.map_or(osscb_str::NONE, |text| osscb_str {
            ptr: text.0.as_ptr().cast(),
            len: text.as_str().len(),
        })
    }
}

/// Text for C, which ends at a NUL: one inside becomes U+FFFD.
pub(crate) fn c_string(text: &str) -> CString {
    let clean = || CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default();
    CString::new(text).unwrap_or_else(|_| clean())
}

/// Borrows a text from a handle, or gives NULL.
pub(crate) fn lend(text: Option<&CString>) -> *const c_char {
    text.map_or(std::ptr::null(), |text| text.as_ptr())
}
