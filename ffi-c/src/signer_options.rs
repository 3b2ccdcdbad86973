//! Options of a signer. They are no options of the list: in other languages they are the constructor's
//! arguments.

use std::mem::MaybeUninit;

use oss_callback_core::{Secret, SignatureVersion};

use crate::generated::{osscb_signature_version, signature_version};
use crate::guard::{free, new_handle};
use crate::options::{self, Building, Options};
use crate::text::osscb_str;

/// Options of a signer. All are optional, but signature V4 needs a region.
#[derive(Debug)]
pub struct osscb_signer_options(Building<Choices>);

#[derive(Clone, Debug, Default)]
pub(crate) struct Choices {
    pub security_token: Option<Secret>,
    pub region: Option<String>,
    pub product: Option<String>,
    pub version: Option<SignatureVersion>,
}

impl Options for osscb_signer_options {
    type Builder = Choices;

    fn building(&mut self) -> &mut Building<Choices> {
        &mut self.0
    }

    fn parts(&self) -> &Building<Choices> {
        &self.0
    }
}

/// Options with nothing set. Freed by `osscb_signer_options_free`.
///
/// Setters copy what they are given, and the last call counts. They cannot fail: a value that cannot be
/// taken, such as text that is not UTF-8, is reported by `osscb_signer_new`.
#[unsafe(no_mangle)]
pub extern "C" fn osscb_signer_options_new() -> *mut osscb_signer_options {
    new_handle(|| osscb_signer_options(Building::new()))
}

/// STS token, for temporary credentials.
///
/// Default: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_signer_options_set_security_token(
    options: *mut osscb_signer_options,
    value: osscb_str,
) {
    let how = |choices, text: &str| Choices { security_token: Some(Secret::from(text)), ..choices };
    // SAFETY: NULL or a live handle; the text is lent for this call.
    unsafe { options::set_text(options, "security_token", value, how) };
}

/// Region, such as `cn-hangzhou`. Signature V4 needs it; it also gives the endpoint of signed URLs when
/// none is named.
///
/// Default: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_signer_options_set_region(
    options: *mut osscb_signer_options,
    value: osscb_str,
) {
    let how = |choices, text: &str| Choices { region: Some(text.to_owned()), ..choices };
    // SAFETY: NULL or a live handle; the text is lent for this call.
    unsafe { options::set_text(options, "region", value, how) };
}

/// V4: product, such as `oss-cloudbox`.
///
/// Default: `oss`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_signer_options_set_product(
    options: *mut osscb_signer_options,
    value: osscb_str,
) {
    let how = |choices, text: &str| Choices { product: Some(text.to_owned()), ..choices };
    // SAFETY: NULL or a live handle; the text is lent for this call.
    unsafe { options::set_text(options, "product", value, how) };
}

/// How requests are signed.
///
/// Default: `OSSCB_SIGNATURE_VERSION_V4`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_signer_options_set_version(
    options: *mut osscb_signer_options,
    value: MaybeUninit<osscb_signature_version>,
) {
    let how = |choices, version| Choices { version: Some(version), ..choices };
    // SAFETY: NULL or a live handle.
    unsafe { options::set_enum(options, "version", signature_version(value), how) };
}

/// Frees options. Signers made with them stay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_signer_options_free(options: *mut osscb_signer_options) {
    // SAFETY: NULL or a live handle.
    unsafe { free(options) };
}
