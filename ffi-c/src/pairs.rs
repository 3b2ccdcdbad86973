//! Lists of names and values, in both directions.

use std::ffi::CString;
use std::os::raw::c_char;

use crate::guard::{Failure, free, read};
use crate::library::Live;
use crate::text::{array, c_string, lend, osscb_pair};

/// Names and values in their order, such as headers or form fields.
#[derive(Debug)]
pub struct osscb_pairs {
    pairs: Vec<(CString, CString)>,
    _live: Live,
}

impl osscb_pairs {
    pub(crate) fn new(pairs: &[(String, String)]) -> osscb_pairs {
        let pairs = pairs.iter().map(|(name, value)| (c_string(name), c_string(value))).collect();
        osscb_pairs { pairs, _live: Live::new() }
    }
}

/// How many pairs there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_pairs_count(pairs: *const osscb_pairs) -> usize {
    // SAFETY: NULL or a live handle.
    unsafe { read(pairs, 0, |pairs| pairs.pairs.len()) }
}

/// The name of a pair; NULL if `index` is not below the count. Borrowed from `pairs`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_pairs_name(pairs: *const osscb_pairs, index: usize) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(pairs, std::ptr::null(), |pairs| lend(pairs.pairs.get(index).map(|pair| &pair.0))) }
}

/// The value of a pair; NULL if `index` is not below the count. Borrowed from `pairs`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_pairs_value(pairs: *const osscb_pairs, index: usize) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(pairs, std::ptr::null(), |pairs| lend(pairs.pairs.get(index).map(|pair| &pair.1))) }
}

/// Frees a list that you own. Those that `osscb_signed_headers`, `osscb_presigned_headers` and
/// `osscb_answer_headers` lend belong to their handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_pairs_free(pairs: *mut osscb_pairs) {
    // SAFETY: NULL or a live handle.
    unsafe { free(pairs) };
}

/// Pairs that the caller lends, checked.
///
/// # Safety
/// `pairs` is NULL or points to `count` pairs, each of which lends its texts.
pub(crate) unsafe fn texts(
    pairs: *const osscb_pair,
    count: usize,
    field: &str,
) -> Result<Vec<(String, String)>, Failure> {
    // SAFETY: the caller's promise.
    unsafe {
        let pairs: &[osscb_pair] = array(pairs, count, field)?;
        let owned =
            |pair: &osscb_pair| Ok((pair.name.check(field)?.to_owned(), pair.value.check(field)?.to_owned()));
        pairs.iter().map(owned).collect()
    }
}
