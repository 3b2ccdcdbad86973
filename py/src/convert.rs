//! Python's arguments as the core takes them, each refused with its name when it does not fit.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyMapping, PyMemoryView, PyString};

use crate::errors::{invalid, wrong_type};

const DECODE: &str = "Decode it: `value.decode()`.";

/// Text, borrowed from the Python object.
pub(crate) fn text<'a>(field: &str, value: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    let text = value.cast::<PyString>().map_err(|_| {
        let hint = (value.is_instance_of::<PyBytes>()).then_some(DECODE);
        wrong_type(field, "str", value, hint)
    })?;
    text.to_str().map_err(|cause| {
        let error = invalid(value.py(), field, "holds a lone surrogate, which UTF-8 cannot express", None);
        error.set_cause(value.py(), Some(cause));
        error
    })
}

/// Text, or `None`.
pub(crate) fn optional_text(field: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<String>> {
    value.map(|value| text(field, value).map(str::to_owned)).transpose()
}

pub(crate) fn boolean(field: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    match value.cast::<PyBool>() {
        Ok(value) => Ok(value.is_true()),
        Err(_) => Err(wrong_type(field, "bool", value, None)),
    }
}

pub(crate) fn integer(field: &str, value: &Bound<'_, PyAny>) -> PyResult<i64> {
    if value.is_instance_of::<PyBool>() || value.is_instance_of::<PyFloat>() {
        return Err(wrong_type(field, "int", value, None));
    }
    let number = value.call_method0("__index__").map_err(|_| wrong_type(field, "int", value, None))?;
    number.extract().map_err(|_| invalid(value.py(), field, "is out of range", None))
}

/// Seconds, or a `timedelta`.
pub(crate) fn duration(field: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let wanted = "a number of seconds or a timedelta";
    let seconds: f64 = if is_number(value) {
        value.extract()?
    } else {
        let total = value.call_method0("total_seconds").and_then(|total| total.extract());
        total.map_err(|_| wrong_type(field, wanted, value, None))?
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        let hint = (seconds < 0.0).then_some("Leave it out for the default.");
        invalid(value.py(), field, "must be a finite number of seconds, not below 0", hint)
    })
}

/// Unix seconds or an aware `datetime`; now where there is none.
pub(crate) fn moment(field: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<SystemTime> {
    let Some(value) = value else { return Ok(SystemTime::now()) };
    let seconds: f64 = if is_number(value) {
        value.extract()?
    } else {
        let wanted = "an aware datetime or Unix seconds";
        let offset = value.call_method0("utcoffset").map_err(|_| wrong_type(field, wanted, value, None))?;
        if offset.is_none() {
            let hint = "Give it a time zone: `datetime.now(timezone.utc)`.";
            return Err(invalid(value.py(), field, "is a datetime without a time zone", Some(hint)));
        }
        value.call_method0("timestamp")?.extract()?
    };
    // What lies too far off for the core is refused there.
    let moved = Duration::try_from_secs_f64(seconds.abs()).ok().and_then(|off| match seconds < 0.0 {
        true => SystemTime::UNIX_EPOCH.checked_sub(off),
        false => SystemTime::UNIX_EPOCH.checked_add(off),
    });
    moved.ok_or_else(|| invalid(value.py(), field, "is out of range", None))
}

fn is_number(value: &Bound<'_, PyAny>) -> bool {
    !value.is_instance_of::<PyBool>()
        && (value.is_instance_of::<PyFloat>() || value.is_instance_of::<PyInt>())
}

/// A mapping of text to text, in its order.
pub(crate) fn pairs(field: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for_each_pair(field, value, |name, value| {
        let inner = format!("{field}[{:?}]", name);
        let hint = value.is_instance_of::<PyInt>().then_some("Make it text: `str(value)`.");
        let text = match value.is_instance_of::<PyString>() {
            true => text(&inner, value)?.to_owned(),
            false => return Err(wrong_type(&inner, "str", value, hint)),
        };
        pairs.push((name, text));
        Ok(())
    })?;
    Ok(pairs)
}

/// A query: pairs, or a mapping, with `None` for a name without a value.
pub(crate) fn query(field: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<(String, Option<String>)>> {
    let mut query = Vec::new();
    let mut add = |name: String, value: &Bound<'_, PyAny>| {
        let given = (!value.is_none()).then_some(value);
        let value = optional_text(&format!("{field}[{name:?}]"), given)?;
        query.push((name, value));
        Ok(())
    };
    if value.cast::<PyMapping>().is_ok() {
        for_each_pair(field, value, add)?;
        return Ok(query);
    }
    let wanted = "pairs of a name and a value or None";
    if value.is_instance_of::<PyString>() {
        return Err(wrong_type(field, wanted, value, Some("Use `urllib.parse.parse_qsl`.")));
    }
    for pair in value.try_iter().map_err(|_| wrong_type(field, wanted, value, None))? {
        let pair = pair?;
        let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) =
            pair.extract().map_err(|_| wrong_type(field, wanted, &pair, None))?;
        add(text(field, &name)?.to_owned(), &value)?;
    }
    Ok(query)
}

fn for_each_pair(
    field: &str,
    value: &Bound<'_, PyAny>,
    mut each: impl FnMut(String, &Bound<'_, PyAny>) -> PyResult<()>,
) -> PyResult<()> {
    if let Ok(dict) = value.cast::<PyDict>() {
        for (name, value) in dict.iter() {
            each(text(field, &name)?.to_owned(), &value)?;
        }
        return Ok(());
    }
    let mapping =
        value.cast::<PyMapping>().map_err(|_| wrong_type(field, "a mapping of str to str", value, None))?;
    for item in mapping.items()?.iter() {
        let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
        each(text(field, &name)?.to_owned(), &value)?;
    }
    Ok(())
}

/// Whether it stands for one text, not for several: such as bytes, which are text that is to be decoded.
pub(crate) fn is_one_text(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>()
}

/// Several texts; one text alone is refused, for it would be taken letter by letter.
pub(crate) fn texts(field: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let wanted = "a sequence of str";
    if is_one_text(value) {
        let hint = if value.is_instance_of::<PyBytes>() { DECODE } else { "Put it into a list." };
        return Err(wrong_type(field, wanted, value, Some(hint)));
    }
    let items = value.try_iter().map_err(|_| wrong_type(field, wanted, value, None))?;
    items.map(|item| text(field, &item?).map(str::to_owned)).collect()
}

/// `bytes`, which are shared, or a copy of what can change; `None` for what holds no bytes.
pub(crate) fn bytes_like(value: &Bound<'_, PyAny>) -> PyResult<Option<Bytes>> {
    let shared = |bytes: &Bound<'_, PyBytes>| Bytes::from_owner(PyBackedBytes::from(bytes.clone()));
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(Some(shared(bytes)));
    }
    if let Ok(array) = value.cast::<PyByteArray>() {
        return Ok(Some(array.to_vec().into()));
    }
    let Ok(view) = PyMemoryView::from(value) else { return Ok(None) };
    Ok(Some(shared(&view.call_method0("tobytes")?.cast_into::<PyBytes>()?)))
}

/// Raw bytes, such as a request's body.
pub(crate) fn bytes(field: &str, value: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let hint = value
        .is_instance_of::<PyString>()
        .then_some("Give the raw bytes as they arrived, before any framework has decoded them.");
    bytes_like(value)?.ok_or_else(|| wrong_type(field, "bytes-like", value, hint))
}

/// Text that a stranger has sent, as str or bytes: whatever is not UTF-8 in it is replaced, not refused,
/// for the core judges it.
pub(crate) fn foreign_text(field: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(text.to_string_lossy().into_owned());
    }
    match bytes_like(value)? {
        Some(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        None => Err(wrong_type(field, "str or bytes", value, None)),
    }
}

/// A request's headers: pairs, or whatever gives pairs by `items()`; names may stand twice.
pub(crate) fn headers(field: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<(String, Vec<u8>)>> {
    let wanted = "a mapping, or pairs of a name and a value";
    let refuse = |value: &Bound<'_, PyAny>| wrong_type(field, wanted, value, None);
    if value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>() {
        return Err(refuse(value));
    }
    let items = match value.getattr_opt("items")? {
        Some(items) => items.call0()?,
        None => value.clone(),
    };
    let mut headers = Vec::new();
    for pair in items.try_iter().map_err(|_| refuse(value))? {
        let pair = pair?;
        // Tuples, or the lists that JSON makes of them.
        if pair.is_instance_of::<PyString>() || pair.is_instance_of::<PyBytes>() {
            return Err(refuse(&pair));
        }
        let both = pair.try_iter().and_then(Iterator::collect::<PyResult<Vec<_>>>);
        let Ok([name, value]) = both.as_deref() else { return Err(refuse(&pair)) };
        let name = foreign_text(field, name)?;
        let value = foreign_text(&format!("{field}[{name:?}]"), value)?;
        headers.push((name, value.into_bytes()));
    }
    Ok(headers)
}
