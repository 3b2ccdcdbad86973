//! JavaScript's values as the core takes them, each refused with its name when it does not fit.

use std::time::{Duration, SystemTime};

use napi::bindgen_prelude::{Array, FromNapiValue, JsObjectValue};
use napi::{JsValue, Unknown, ValueType};

use crate::outcome::Failure;

/// The largest whole number of which JavaScript's arithmetic is exact.
pub const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// Text.
pub fn text(field: &str, value: &Unknown<'_>) -> Result<String, Failure> {
    text_of(|| field.to_owned(), value)
}

/// Text, whose name is only made up when it does not fit.
fn text_of(field: impl FnOnce() -> String, value: &Unknown<'_>) -> Result<String, Failure> {
    let is = value.get_type()?;
    if is == ValueType::String {
        // Each question to Node costs, and nearly all texts are what they should be. In its UTF-8 a lone
        // surrogate is U+FFFD, which may also stand there by itself.
        let text = String::from_unknown(*value)?;
        if !text.contains('\u{fffd}') {
            return Ok(text);
        }
    }
    let field = &field();
    let hint = match is {
        ValueType::String => {
            let text = value.coerce_to_string()?.into_utf16()?;
            return text.as_str().map_err(|_| {
                Failure::invalid(field, "holds a lone surrogate, which UTF-8 cannot express", None)
            });
        }
        ValueType::Number | ValueType::Boolean => Some("Make it text: `String(value)`."),
        _ => None,
    };
    Err(wrong_type(field, "a string", value, hint))
}

/// Text, or `undefined`.
pub fn optional_text(field: &str, value: Option<Unknown<'_>>) -> Result<Option<String>, Failure> {
    value.map(|value| text(field, &value)).transpose()
}

pub fn boolean(field: &str, value: &Unknown<'_>) -> Result<bool, Failure> {
    match value.get_type()? {
        ValueType::Boolean => Ok(value.coerce_to_bool()?),
        _ => Err(wrong_type(field, "a boolean", value, None)),
    }
}

pub fn integer(field: &str, value: &Unknown<'_>) -> Result<i64, Failure> {
    let number = number(field, "a whole number", value)?;
    if number.fract() != 0.0 || number.abs() > MAX_SAFE_INTEGER {
        return Err(Failure::invalid(field, &format!("must be a whole number, but is {number}"), None));
    }
    Ok(number as i64)
}

/// A length of time, in milliseconds.
pub fn duration(field: &str, value: &Unknown<'_>) -> Result<Duration, Failure> {
    let number = number(field, "a number of milliseconds", value)?;
    Duration::try_from_secs_f64(number / 1000.0)
        .map_err(|_| Failure::invalid(field, "must be a finite number of milliseconds, not below 0", None))
}

/// Unix seconds; now where there are none.
pub fn moment(field: &str, value: Option<Unknown<'_>>) -> Result<SystemTime, Failure> {
    let Some(value) = value else { return Ok(SystemTime::now()) };
    unix_seconds(field, number(field, "a Date or Unix seconds", &value)?)
}

/// A moment.
pub fn unix_seconds(field: &str, seconds: f64) -> Result<SystemTime, Failure> {
    // What lies too far off for the core is refused there.
    let moved = Duration::try_from_secs_f64(seconds.abs()).ok().and_then(|off| match seconds < 0.0 {
        true => SystemTime::UNIX_EPOCH.checked_sub(off),
        false => SystemTime::UNIX_EPOCH.checked_add(off),
    });
    moved.ok_or_else(|| Failure::invalid(field, "must be a valid Date or Unix seconds", None))
}

fn number(field: &str, wanted: &str, value: &Unknown<'_>) -> Result<f64, Failure> {
    match value.get_type()? {
        ValueType::Number => Ok(value.coerce_to_number()?.get_double()?),
        _ => Err(wrong_type(field, wanted, value, None)),
    }
}

/// The elements of a list.
pub fn elements<'env>(list: &Array<'env>) -> Result<Vec<Unknown<'env>>, Failure> {
    let mut all = Vec::with_capacity(list.len() as usize);
    for index in 0..list.len() {
        all.push(list.get(index)?.ok_or_else(|| Failure::bug("a list has a hole"))?);
    }
    Ok(all)
}

/// A flat list of names and values.
pub fn entries<'env>(list: &Array<'env>) -> Result<Vec<(String, Unknown<'env>)>, Failure> {
    let all = elements(list)?;
    all.chunks_exact(2).map(|pair| Ok((text("name", &pair[0])?, pair[1]))).collect()
}

/// Names and texts, from the list of pairs that `index.js` makes of an object.
pub fn pairs(field: &str, value: &Unknown<'_>) -> Result<Vec<(String, String)>, Failure> {
    each_pair(field, value, |inner, value| text_of(inner, value))
}

/// Names and texts, with `null` for a name without a value.
pub fn query(field: &str, value: &Unknown<'_>) -> Result<Vec<(String, Option<String>)>, Failure> {
    each_pair(field, value, |inner, value| match value.get_type()? {
        ValueType::Null | ValueType::Undefined => Ok(None),
        _ => text_of(inner, value).map(Some),
    })
}

fn each_pair<T>(
    field: &str,
    value: &Unknown<'_>,
    convert: impl Fn(&dyn Fn() -> String, &Unknown<'_>) -> Result<T, Failure>,
) -> Result<Vec<(String, T)>, Failure> {
    let wanted = "an object, a Map, or an array of pairs";
    let mut all = Vec::new();
    for pair in list(field, wanted, value)? {
        let Ok([name, value]) = <[Unknown<'_>; 2]>::try_from(list(field, wanted, &pair)?) else {
            return Err(Failure::invalid(field, "must hold pairs of a name and a value", None));
        };
        let name = text(field, &name)?;
        let value = convert(&|| format!("{field}[{name:?}]"), &value)?;
        all.push((name, value));
    }
    Ok(all)
}

/// Several texts; one text alone is refused, for it would be taken letter by letter.
pub fn texts(field: &str, value: &Unknown<'_>) -> Result<Vec<String>, Failure> {
    list(field, "an array of strings", value)?.iter().map(|item| text(field, item)).collect()
}

fn list<'env>(field: &str, wanted: &str, value: &Unknown<'env>) -> Result<Vec<Unknown<'env>>, Failure> {
    if !value.is_array()? {
        return Err(wrong_type(field, wanted, value, None));
    }
    let list = value.coerce_to_object()?;
    (0..list.get_array_length()?).map(|index| Ok(list.get_element(index)?)).collect()
}

/// "must be a string, but is a number"
pub fn wrong_type(field: &str, wanted: &str, value: &Unknown<'_>, hint: Option<&str>) -> Failure {
    let is = match value.get_type() {
        Ok(ValueType::Undefined) => "undefined",
        Ok(ValueType::Null) => "null",
        Ok(ValueType::Boolean) => "a boolean",
        Ok(ValueType::Number) => "a number",
        Ok(ValueType::String) => "a string",
        Ok(ValueType::Symbol) => "a symbol",
        Ok(ValueType::Function) => "a function",
        Ok(ValueType::BigInt) => "a bigint",
        // Objects arrive as lists of pairs.
        _ => "an object",
    };
    Failure::invalid(field, &format!("must be {wanted}, but is {is}"), hint)
}
