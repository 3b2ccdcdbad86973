//! What a verified callback says.
//!
//! Strangers write what stands in it, NUL bytes too. So its texts go out with their length, and a
//! comparison that stops at a NUL is not the only one at hand.

use std::mem::MaybeUninit;
use std::os::raw::c_void;

use oss_callback_core::receive::{CallbackEvent, Field, FieldKind, Number};

use crate::error::osscb_error;
use crate::generated::{body_type as known_body_type, osscb_body_type, osscb_status};
use crate::guard::{Failure, Out, free, read, status};
use crate::library::Live;
use crate::text::{Text, bytes, give_number, osscb_str};
use crate::time::seconds;

/// What a verified callback says of the upload. Freed by `osscb_event_free`; what its functions return is
/// borrowed until then. It never changes: any number of threads may read one at once.
///
/// Its texts are `osscb_str`: `ptr` NULL if the body does not name the variable at all, `len` 0 if OSS had
/// no value for it. A NUL stands behind the text for `printf`; but one may stand in it too, so compare by
/// `osscb_str_equals`, not by `strcmp`. All is UTF-8, with U+FFFD for what was none.
///
/// How far each of these can be believed depends on the checks that were made: see docs/verifying.md.
#[derive(Debug)]
pub struct osscb_event {
    pub(crate) event: CallbackEvent,
    bucket: Option<Text>,
    key: Option<Text>,
    etag: Option<Text>,
    size: Figure,
    mime_type: Option<Text>,
    crc64: Figure,
    content_md5: Option<Text>,
    image_width: Figure,
    image_height: Figure,
    image_format: Option<Text>,
    client_ip: Option<Text>,
    vpc_id: Option<Text>,
    request_id: Option<Text>,
    operation: Option<Text>,
    /// Sorted by name, as the core gives them.
    variables: Vec<(Text, Text)>,
    seal_variable: Option<Text>,
    fields: Vec<(Text, Text, osscb_field_kind)>,
    seal_nonce: Option<Text>,
    _live: Live,
}

#[derive(Debug)]
struct Figure {
    kind: osscb_number_kind,
    value: u64,
    text: Option<Text>,
}

/// What an `osscb_number` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum osscb_number_kind {
    /// The body does not name it.
    OSSCB_NUMBER_ABSENT = 0,
    /// The body names it, but OSS had no value: image sizes of what is not an image.
    OSSCB_NUMBER_EMPTY = 1,
    /// The body has something else than a number from 0 to 2^64 - 1.
    OSSCB_NUMBER_INVALID = 2,
    /// The number.
    OSSCB_NUMBER_VALUE = 3,
}

/// A number in a callback body, or why there is none.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct osscb_number {
    /// Whether there is one.
    pub kind: osscb_number_kind,
    /// The number, with `OSSCB_NUMBER_VALUE`; else 0.
    pub value: u64,
    /// What stands there instead, with `OSSCB_NUMBER_INVALID`; else `ptr` is NULL.
    pub text: osscb_str,
}

/// What kind of value a field was in the body. Of the form type all are text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum osscb_field_kind {
    /// There is no such field.
    OSSCB_FIELD_NONE = 0,
    /// Text: every value of a form, and JSON strings.
    OSSCB_FIELD_TEXT = 1,
    /// A JSON number.
    OSSCB_FIELD_NUMBER = 2,
    /// `true` or `false` in JSON.
    OSSCB_FIELD_BOOL = 3,
    /// `null` in JSON; the text is empty.
    OSSCB_FIELD_NULL = 4,
}

impl Figure {
    fn new(number: Number<'_>) -> Figure {
        let (kind, value, text) = match number {
            Number::Absent => (osscb_number_kind::OSSCB_NUMBER_ABSENT, 0, None),
            Number::Empty => (osscb_number_kind::OSSCB_NUMBER_EMPTY, 0, None),
            Number::Invalid(text) => (osscb_number_kind::OSSCB_NUMBER_INVALID, 0, Some(Text::new(text))),
            Number::Value(value) => (osscb_number_kind::OSSCB_NUMBER_VALUE, value, None),
        };
        Figure { kind, value, text }
    }

    fn lend(&self) -> osscb_number {
        osscb_number { kind: self.kind, value: self.value, text: Text::lend(self.text.as_ref()) }
    }
}

fn kind_of(field: &Field) -> osscb_field_kind {
    match field.kind() {
        FieldKind::Number => osscb_field_kind::OSSCB_FIELD_NUMBER,
        FieldKind::Bool => osscb_field_kind::OSSCB_FIELD_BOOL,
        FieldKind::Null => osscb_field_kind::OSSCB_FIELD_NULL,
        _ => osscb_field_kind::OSSCB_FIELD_TEXT,
    }
}

impl osscb_event {
    pub(crate) fn new(event: CallbackEvent) -> osscb_event {
        let text = |text: Option<&str>| text.map(Text::new);
        let image = event.image();
        osscb_event {
            bucket: text(event.bucket()),
            key: text(event.key()),
            etag: text(event.etag()),
            size: Figure::new(event.size()),
            mime_type: text(event.mime_type()),
            crc64: Figure::new(event.crc64()),
            content_md5: text(event.content_md5()),
            image_width: Figure::new(image.width),
            image_height: Figure::new(image.height),
            image_format: text(image.format),
            client_ip: text(event.client_ip()),
            vpc_id: text(event.vpc_id()),
            request_id: text(event.request_id()),
            operation: text(event.operation()),
            variables: event.variables().map(|(name, value)| (Text::new(name), Text::new(value))).collect(),
            seal_variable: text(event.variable(oss_callback_core::receive::seal::VARIABLE)),
            fields: event
                .fields()
                .iter()
                .map(|field| (Text::new(field.name()), Text::new(field.text()), kind_of(field)))
                .collect(),
            seal_nonce: event.seal().map(|seal| Text::new(&seal.nonce)),
            event,
            _live: Live::new(),
        }
    }
}

/// # Safety
/// `event` is NULL or a live handle. So for the next.
unsafe fn text(event: *const osscb_event, look: impl Fn(&osscb_event) -> Option<&Text>) -> osscb_str {
    // SAFETY: the caller's promise.
    unsafe { read(event, osscb_str::NONE, |event| Text::lend(look(event))) }
}

unsafe fn number(event: *const osscb_event, look: impl Fn(&osscb_event) -> &Figure) -> osscb_number {
    let none = Figure { kind: osscb_number_kind::OSSCB_NUMBER_ABSENT, value: 0, text: None };
    // SAFETY: the caller's promise.
    unsafe { read(event, none.lend(), |event| look(event).lend()) }
}

/// Understands a body, without verifying anything: for a body that was verified elsewhere. Freed by
/// `osscb_event_free`.
///
/// `body_template`: the callback body as it was given to OSS, with its `${...}`. With `ptr` NULL, fields go by
/// OSS's own names (`bucket`, `object`, ...), and all others are custom variables.
///
/// Fails with `OSSCB_STATUS_VERIFICATION`, reason `malformed_body`, for a body that is not of that type,
/// does not fit the template, contradicts itself, or has more than 1024 fields or 16 levels of nesting; with
/// `OSSCB_STATUS_INVALID_ARGUMENT` for a template that cannot be read backwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_parse(
    body: *const c_void,
    body_len: usize,
    body_type: MaybeUninit<osscb_body_type>,
    body_template: osscb_str,
    event: *mut *mut osscb_event,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let work = || {
        let out = Out::new(event, "event")?;
        // SAFETY: body and text are lent for this call.
        let (body, template) =
            unsafe { (bytes(body, body_len, "body")?, body_template.optional("template")?) };
        let body_type = known_body_type(body_type).map_err(|number| {
            Failure::argument("body_type", format!("{number} is none of the values that the header names"))
        })?;
        let made = osscb_event::new(CallbackEvent::parse(body, body_type, template)?);
        // SAFETY: the caller lets us write there.
        unsafe { out.give(made) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, work) }
}

/// Name of the bucket.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_bucket(event: *const osscb_event) -> osscb_str {
    // SAFETY: NULL or a live handle.
    unsafe { text(event, |event| event.bucket.as_ref()) }
}

/// The object's key, decoded.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_key(event: *const osscb_event) -> osscb_str {
    // SAFETY: NULL or a live handle.
    unsafe { text(event, |event| event.key.as_ref()) }
}

/// The object's ETag, without quotes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_etag(event: *const osscb_event) -> osscb_str {
    // SAFETY: NULL or a live handle.
    unsafe { text(event, |event| event.etag.as_ref()) }
}

/// The object's size in bytes; of a multipart upload the whole.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_size(event: *const osscb_event) -> osscb_number {
    // SAFETY: NULL or a live handle.
    unsafe { number(event, |event| &event.size) }
}

/// The object's Content-Type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_mime_type(event: *const osscb_event) -> osscb_str {
    // SAFETY: NULL or a live handle.
    unsafe { text(event, |event| event.mime_type.as_ref()) }
}

/// The object's CRC-64.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_crc64(event: *const osscb_event) -> osscb_number {
    // SAFETY: NULL or a live handle.
    unsafe { number(event, |event| &event.crc64) }
}

/// Base64 of the object's MD5. OSS fills it in for PutObject and PostObject only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_content_md5(event: *const osscb_event) -> osscb_str {
    // SAFETY: NULL or a live handle.
    unsafe { text(event, |event| event.content_md5.as_ref()) }
}

/// Width of an image in pixels.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_image_width(event: *const osscb_event) -> osscb_number {
    // SAFETY: NULL or a live handle.
    unsafe { number(event, |event| &event.image_width) }
}

/// Height of an image in pixels.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_image_height(event: *const osscb_event) -> osscb_number {
    // SAFETY: NULL or a live handle.
    unsafe { number(event, |event| &event.image_height) }
}

/// Format of an image, such as `jpg`; empty for what is not an image.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_image_format(event: *const osscb_event) -> osscb_str {
    // SAFETY: NULL or a live handle.
    unsafe { text(event, |event| event.image_format.as_ref()) }
}

/// Address that the upload came from.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_client_ip(event: *const osscb_event) -> osscb_str {
    // SAFETY: NULL or a live handle.
    unsafe { text(event, |event| event.client_ip.as_ref()) }
}

/// VPC that the upload came from; empty if it came from none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_vpc_id(event: *const osscb_event) -> osscb_str {
    // SAFETY: NULL or a live handle.
    unsafe { text(event, |event| event.vpc_id.as_ref()) }
}

/// OSS's id of the upload request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_request_id(event: *const osscb_event) -> osscb_str {
    // SAFETY: NULL or a live handle.
    unsafe { text(event, |event| event.request_id.as_ref()) }
}

/// Name of the upload's API, such as `PutObject`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_operation(event: *const osscb_event) -> osscb_str {
    // SAFETY: NULL or a live handle.
    unsafe { text(event, |event| event.operation.as_ref()) }
}

/// A custom variable, by its name with or without `x:`; `ptr` NULL if there is none of that name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_variable(event: *const osscb_event, name: osscb_str) -> osscb_str {
    let look = |event: &osscb_event| {
        // SAFETY: the text is lent for this call.
        let Ok(name) = (unsafe { name.check("name") }) else { return osscb_str::NONE };
        let Some(found) = event.event.variable(name) else { return osscb_str::NONE };
        // Any copy of that value is as good as the variable's own.
        let values = event.variables.iter().map(|(_, value)| value).chain(&event.seal_variable);
        Text::lend(values.into_iter().find(|value| value.as_str() == found))
    };
    // SAFETY: NULL or a live handle.
    unsafe { read(event, osscb_str::NONE, look) }
}

/// How many custom variables there are. The seal is not among them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_variable_count(event: *const osscb_event) -> usize {
    // SAFETY: NULL or a live handle.
    unsafe { read(event, 0, |event| event.variables.len()) }
}

/// The name of a custom variable, without `x:`, in their alphabetical order; `ptr` NULL if `index` is not
/// below the count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_variable_name(event: *const osscb_event, index: usize) -> osscb_str {
    // SAFETY: NULL or a live handle.
    unsafe { text(event, |event| event.variables.get(index).map(|pair| &pair.0)) }
}

/// The value of a custom variable; `ptr` NULL if `index` is not below the count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_variable_value(event: *const osscb_event, index: usize) -> osscb_str {
    // SAFETY: NULL or a live handle.
    unsafe { text(event, |event| event.variables.get(index).map(|pair| &pair.1)) }
}

/// How many fields stood in the body.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_field_count(event: *const osscb_event) -> usize {
    // SAFETY: NULL or a live handle.
    unsafe { read(event, 0, |event| event.fields.len()) }
}

/// The name of a field, decoded, in the order of the body; within JSON objects and arrays a path:
/// `file.name`, `tags.0`. `ptr` NULL if `index` is not below the count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_field_name(event: *const osscb_event, index: usize) -> osscb_str {
    // SAFETY: NULL or a live handle.
    unsafe { text(event, |event| event.fields.get(index).map(|field| &field.0)) }
}

/// The value of a field as it stood in the body, decoded; `ptr` NULL if `index` is not below the count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_field_text(event: *const osscb_event, index: usize) -> osscb_str {
    // SAFETY: NULL or a live handle.
    unsafe { text(event, |event| event.fields.get(index).map(|field| &field.1)) }
}

/// What a field was in the body; `OSSCB_FIELD_NONE` if `index` is not below the count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_field_kind(event: *const osscb_event, index: usize) -> osscb_field_kind {
    let none = osscb_field_kind::OSSCB_FIELD_NONE;
    // SAFETY: NULL or a live handle.
    unsafe { read(event, none, |event| event.fields.get(index).map_or(none, |field| field.2)) }
}

/// The nonce of the seal, made for one upload; `ptr` NULL unless the verifier was given secrets and so has
/// checked the seal.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_seal_nonce(event: *const osscb_event) -> osscb_str {
    // SAFETY: NULL or a live handle.
    unsafe { text(event, |event| event.seal_nonce.as_ref()) }
}

/// From when on the seal is refused, in seconds since 1970 (UTC). Returns false, and leaves `expires_at` as
/// it is, unless the seal was checked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_seal_expires_at(
    event: *const osscb_event,
    expires_at: *mut i64,
) -> bool {
    let look = |event: &osscb_event| {
        let expiry = event.event.seal().map(|seal| seconds(seal.expires_at));
        // SAFETY: NULL, or the caller lets us write there.
        unsafe { give_number(expiry, expires_at) }
    };
    // SAFETY: NULL or a live handle.
    unsafe { read(event, false, look) }
}

/// Frees an event, and what was borrowed from it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_event_free(event: *mut osscb_event) {
    // SAFETY: NULL or a live handle.
    unsafe { free(event) };
}
