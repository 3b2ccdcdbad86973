//! Percent-encoding as OSS signs and reads it: every byte but RFC 3986's unreserved ones becomes an
//! upper-case `%XX`. A blank is `%20`, never `+`.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const RESERVED: &AsciiSet = &UNRESERVED;
const RESERVED_BUT_SLASH: &AsciiSet = &UNRESERVED.remove(b'/');

/// One name or value of a query: `/` is encoded too.
pub(crate) fn component(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, RESERVED).into()
}

/// Appends [`component`] of `text`.
pub(crate) fn push_component(out: &mut String, text: &str) {
    out.extend(utf8_percent_encode(text, RESERVED));
}

/// Appends a path: `/` stays.
pub(crate) fn push_path(out: &mut String, text: &str) {
    out.extend(utf8_percent_encode(text, RESERVED_BUT_SLASH));
}

/// Appends `name=value` pairs, joined by `&`. A name without a value stands bare.
pub(crate) fn push_query<'a>(out: &mut String, pairs: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) {
    for (index, (name, value)) in pairs.into_iter().enumerate() {
        if index > 0 {
            out.push('&');
        }
        push_component(out, name);
        if let Some(value) = value {
            out.push('=');
            push_component(out, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_bytes_stay_as_they_are() {
        for byte in 0..=127u8 {
            let text = char::from(byte).to_string();
            let stays = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            let expected = if stays { text.clone() } else { format!("%{byte:02X}") };
            assert_eq!(component(&text), expected);
            let mut path = String::new();
            push_path(&mut path, &text);
            assert_eq!(path, if byte == b'/' { "/" } else { &*expected });
        }
        assert_eq!(component("中 +"), "%E4%B8%AD%20%2B");
    }

    #[test]
    fn a_query_tells_an_empty_value_from_none() {
        let mut query = String::new();
        push_query(&mut query, [("uploads", None), ("prefix", Some("")), ("a b", Some("c/d&"))]);
        assert_eq!(query, "uploads&prefix=&a%20b=c%2Fd%26");
    }
}
