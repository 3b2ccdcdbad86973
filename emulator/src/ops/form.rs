//! A form as browsers send it (RFC 7578): fields, and the file behind them.

use bytes::Bytes;

use crate::error::OssError;

/// Name and value of a field, in bytes (OSS, PostObject).
const NAME_LIMIT: usize = 8 * 1024;
const VALUE_LIMIT: usize = 2 * 1024 * 1024;

/// A form taken apart.
#[derive(Debug)]
pub(crate) struct Form {
    fields: Vec<(String, String)>,
    pub file: Bytes,
    /// The file's name on the sender's machine, without folders.
    pub file_name: String,
    pub file_type: Option<String>,
}

struct Part {
    name: String,
    file_name: Option<String>,
    content_type: Option<String>,
    content: Bytes,
}

impl Form {
    /// Reads all up to the field `file`; what follows it is ignored, as OSS does.
    pub fn parse(content_type: &str, body: &Bytes) -> Result<Form, OssError> {
        let boundary = boundary(content_type).ok_or_else(|| malformed("its boundary is missing"))?;
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        // The first delimiter has no line end before it, unless there is a preamble.
        let mut at = match body.starts_with(delimiter.get(2..).unwrap_or_default()) {
            true => delimiter.len() - 2,
            false => find(body, &delimiter, 0).ok_or_else(|| malformed("it has no parts"))? + delimiter.len(),
        };
        let mut fields = Vec::new();
        loop {
            if body.get(at..).is_some_and(|rest| rest.starts_with(b"--")) {
                return Err(OssError::new(
                    400,
                    "InvalidArgument",
                    "The form must hold a field `file`, as its last one.",
                ));
            }
            let start = find(body, b"\r\n", at).ok_or_else(|| malformed("a part has no head"))?;
            let end = find(body, &delimiter, start).ok_or_else(|| malformed("its end is missing"))?;
            let part = Part::parse(&body.slice(start..end))?;
            at = end + delimiter.len();
            if part.name.eq_ignore_ascii_case("file") {
                let file_name = part.file_name.unwrap_or_default();
                // Some browsers have sent the whole path.
                let file_name = file_name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
                return Ok(Form { fields, file: part.content, file_name, file_type: part.content_type });
            }
            if part.name.len() > NAME_LIMIT || part.content.len() > VALUE_LIMIT {
                return Err(OssError::new(400, "FieldItemTooLong", "A field of the form is too long."));
            }
            let value = String::from_utf8(part.content.to_vec())
                .map_err(|_| malformed(&format!("the field {} is not UTF-8", part.name)))?;
            fields.push((part.name, value));
        }
    }

    /// The first field of that name, in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn fields(&self) -> &[(String, String)] {
        &self.fields
    }
}

impl Part {
    /// `text` begins with the line end before the head.
    fn parse(text: &Bytes) -> Result<Part, OssError> {
        let head_end = find(text, b"\r\n\r\n", 0).ok_or_else(|| malformed("a part has no head"))?;
        let head = std::str::from_utf8(text.get(..head_end).unwrap_or_default())
            .map_err(|_| malformed("the head of a part is not UTF-8"))?;
        let content = text.slice(head_end + 4..);
        let (mut disposition, mut content_type) = ("", None);
        for line in head.split("\r\n") {
            let Some((name, value)) = line.split_once(':') else { continue };
            match name.trim().to_ascii_lowercase().as_str() {
                "content-disposition" => disposition = value.trim(),
                "content-type" => content_type = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        let name = parameter(disposition, "name").ok_or_else(|| malformed("a part has no name"))?;
        Ok(Part { name, file_name: parameter(disposition, "filename"), content_type, content })
    }
}

fn boundary(content_type: &str) -> Option<String> {
    parameter(content_type, "boundary").filter(|boundary| (1..=70).contains(&boundary.len()))
}

/// A parameter of a header's value, with or without quotes. Browsers write a quote within as `%22`.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value;
    while let Some((_, after)) = rest.split_once(';') {
        let (key, after) = after.split_once('=')?;
        let (text, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(';').unwrap_or(after.len())),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(text.trim_end().to_owned());
        }
        rest = after;
    }
    None
}

fn find(text: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let first = *wanted.first()?;
    let mut at = from;
    loop {
        at += text.get(at..)?.iter().position(|byte| *byte == first)?;
        if text.get(at..)?.starts_with(wanted) {
            return Some(at);
        }
        at += 1;
    }
}

fn malformed(why: &str) -> OssError {
    OssError::new(
        400,
        "MalformedPOSTRequest",
        format!("The body of your POST request is not well-formed: {why}."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; charset=utf-8; boundary=\"x y\"";

    fn form(text: &str) -> Result<Form, OssError> {
        Form::parse(TYPE, &Bytes::from(text.replace('\n', "\r\n")))
    }

    #[test]
    fn fields_and_the_file_are_taken_apart_byte_for_byte() {
        let text = "--x y\nContent-Disposition: form-data; name=\"Key\"\n\na/${filename}\n--x y\n\
            content-disposition:form-data; filename=\"C:\\dir\\cat;1.jpg\"; name=file\n\
            Content-Type: image/jpeg\n\n\n--x\n\n--x y\nignored";
        let form = form(text).unwrap();
        assert_eq!((form.get("key"), form.get("file")), (Some("a/${filename}"), None));
        assert_eq!((&*form.file, form.file_name.as_str()), (&b"\r\n--x\r\n"[..], "cat;1.jpg"));
        assert_eq!(form.file_type.as_deref(), Some("image/jpeg"));
    }

    #[test]
    fn what_is_no_form_is_refused_wherever_it_ends() {
        let whole = "--x y\nContent-Disposition: form-data; name=\"file\"\n\nabc\n--x y--";
        for end in 0..whole.len() - 2 {
            assert!(form(&whole[..end]).is_err(), "{}", &whole[..end]);
        }
        assert_eq!(&*form(whole).unwrap().file, b"abc");
        assert!(form("--x y\nContent-Disposition: form-data; name=a\n\nb\n--x y--").is_err(), "no file");
        assert!(form("--x y\nContent-Type: text/plain\n\nb\n--x y--").is_err(), "no name");
        assert!(Form::parse("multipart/form-data", &Bytes::from(whole)).is_err(), "no boundary");
    }
}
