//! The template of a callback's body: its `${…}` variables, and what OSS puts in their place.
//!
//! Decided here: the syntax that OSS takes (EC 0007-00000105), the list of system variables and their
//! kinds, and the text that a value becomes in each body type. Replacement knows nothing of its
//! surroundings: OSS puts a value's JSON form wherever the variable stands, also inside a quoted literal
//! (seen in production: `"${imageInfo.width},${imageInfo.height}"` came back as `"810,539"`).

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::options::BodyType;

/// What stays as it is in form values; OSS does not document its set. This one (RFC 3986, unreserved)
/// agrees with the captures that are public, and every form decoder reads it.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a system variable stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueKind {
    /// Text: OSS puts it in quotes in a JSON body.
    Text,
    /// A number: bare in a JSON body.
    Number,
}

/// A variable that OSS fills in by itself (OSS, Callback).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemVariable {
    /// Name, as it stands in `${…}`.
    pub name: &'static str,
    /// Text or number.
    pub kind: ValueKind,
    /// Whether it has no value at all for objects that are not images.
    pub image: bool,
}

const fn variable(name: &'static str, kind: ValueKind, image: bool) -> SystemVariable {
    SystemVariable { name, kind, image }
}

/// Every variable that OSS fills in by itself. The kind of `crc64` is not documented; it is taken as
/// text, since no JSON number can hold it safely.
pub const SYSTEM_VARIABLES: &[SystemVariable] = &[
    variable("bucket", ValueKind::Text, false),
    variable("object", ValueKind::Text, false),
    variable("etag", ValueKind::Text, false),
    variable("size", ValueKind::Number, false),
    variable("mimeType", ValueKind::Text, false),
    variable("imageInfo.height", ValueKind::Number, true),
    variable("imageInfo.width", ValueKind::Number, true),
    variable("imageInfo.format", ValueKind::Text, true),
    variable("crc64", ValueKind::Text, false),
    variable("contentMd5", ValueKind::Text, false),
    variable("vpcId", ValueKind::Text, false),
    variable("clientIp", ValueKind::Text, false),
    variable("reqId", ValueKind::Text, false),
    variable("operation", ValueKind::Text, false),
];

/// The system variable of that name, in exactly that spelling.
pub fn system_variable(name: &str) -> Option<&'static SystemVariable> {
    SYSTEM_VARIABLES.iter().find(|variable| variable.name == name)
}

/// Whether the variable's value is text, for all that is known of it. Custom variables are always text.
pub(super) fn is_text(name: &str) -> bool {
    name.starts_with("x:") || system_variable(name).is_some_and(|known| known.kind == ValueKind::Text)
}

/// What is put in a variable's place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// Percent-encoded in a form; quoted and escaped in JSON.
    Text(Cow<'a, str>),
    /// Bare in both.
    Number(u64),
    /// Nothing at all, not even quotes: `imageInfo` of an object that is not an image.
    Empty,
}

impl<'a> Value<'a> {
    /// Text, borrowed or owned.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Value<'a> {
        Value::Text(text.into())
    }

    fn write(&self, body_type: BodyType, out: &mut String) {
        match (self, body_type) {
            (Value::Text(text), BodyType::Form) => out.extend(utf8_percent_encode(text, FORM)),
            (Value::Text(text), BodyType::Json) => out.push_str(&json_string(text)),
            (Value::Number(number), _) => out.push_str(&number.to_string()),
            (Value::Empty, _) => {}
        }
    }
}

/// `text` as form field name or value.
pub(super) fn form_text(text: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(text, FORM)
}

/// `text` as JSON string, with its quotes.
pub(super) fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A body's template, parsed.
///
/// ```
/// use oss_callback::BodyType;
/// use oss_callback::callback::template::{Template, Value};
///
/// let template = Template::parse("key=${object}&size=${size}")?;
/// let body = template.expand(BodyType::Form, |name| match name {
///     "object" => Some(Value::text("a b.txt")),
///     "size" => Some(Value::Number(9)),
///     _ => None,
/// });
/// assert_eq!(body, "key=a%20b.txt&size=9");
/// # Ok::<(), oss_callback::callback::template::TemplateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

/// A part of a template, as a range of its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Literal(Range<usize>),
    /// The range of the name, without `${` and `}`.
    Variable(Range<usize>),
}

/// What a `$` without `{` means: an error for OSS, plain text in fields, where it is escaped later.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum BareDollar {
    Refuse,
    Literal,
}

impl Template {
    /// Takes a template apart.
    ///
    /// # Errors
    /// A `$` that no `{` follows, a `${` that is never closed, and a name that is empty or holds `$` or
    /// `{`. Names are not looked up here.
    pub fn parse(text: impl Into<String>) -> Result<Template, TemplateError> {
        let text = text.into();
        let pieces = scan(&text, BareDollar::Refuse)?;
        Ok(Template { text, pieces })
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Names of its variables, in order, as often as they occur.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable(range) => self.text.get(range.clone()),
            Piece::Literal(_) => None,
        })
    }

    /// Names of its variables, and whether each stands inside a quoted literal, the text being JSON.
    pub(super) fn variables_in_json(&self) -> Vec<(&str, bool)> {
        let (mut quoted, mut escaped) = (false, false);
        let mut found = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Variable(range) => {
                    found.extend(self.text.get(range.clone()).map(|name| (name, quoted)));
                    escaped = false;
                }
                Piece::Literal(range) => {
                    for byte in self.text.get(range.clone()).unwrap_or_default().bytes() {
                        match byte {
                            _ if escaped => escaped = false,
                            b'\\' if quoted => escaped = true,
                            b'"' => quoted = !quoted,
                            _ => {}
                        }
                    }
                }
            }
        }
        found
    }

    /// The body: every variable replaced by what `lookup` knows of it.
    ///
    /// In a form each value is percent-encoded. In JSON, text is quoted and escaped and numbers are bare,
    /// wherever the variable stands; so text inside a quoted literal gives doubled quotes, as it is
    /// expected of OSS. A variable unknown to `lookup` gives nothing; what OSS does then is not documented.
    pub fn expand<'v>(&self, body_type: BodyType, lookup: impl Fn(&str) -> Option<Value<'v>>) -> String {
        let mut out = String::with_capacity(self.text.len() * 2);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(range) => out.push_str(self.text.get(range.clone()).unwrap_or_default()),
                Piece::Variable(range) => {
                    let name = self.text.get(range.clone()).unwrap_or_default();
                    lookup(name).unwrap_or(Value::Empty).write(body_type, &mut out);
                }
            }
        }
        out
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Takes text with variables apart. Every range lies on character boundaries: all marks are ASCII.
pub(crate) fn scan(text: &str, bare_dollar: BareDollar) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let (mut literal_start, mut at) = (0, 0);
    while let Some(dollar) = text.get(at..).and_then(|rest| rest.find('$')).map(|found| found + at) {
        if text.as_bytes().get(dollar + 1) != Some(&b'{') {
            if bare_dollar == BareDollar::Refuse {
                return Err(TemplateError { offset: dollar, fault: Fault::DollarWithoutBrace });
            }
            at = dollar + 1;
            continue;
        }
        let start = dollar + 2;
        let end = text.get(start..).and_then(|rest| rest.find('}')).map(|found| found + start);
        let end = end.ok_or(TemplateError { offset: dollar, fault: Fault::NotClosed })?;
        let name = text.get(start..end).unwrap_or_default();
        if name.is_empty() {
            return Err(TemplateError { offset: dollar, fault: Fault::NoName });
        }
        if name.contains(['$', '{']) {
            return Err(TemplateError { offset: dollar, fault: Fault::NotClosed });
        }
        if literal_start < dollar {
            pieces.push(Piece::Literal(literal_start..dollar));
        }
        pieces.push(Piece::Variable(start..end));
        (literal_start, at) = (end + 1, end + 1);
    }
    if literal_start < text.len() {
        pieces.push(Piece::Literal(literal_start..text.len()));
    }
    Ok(pieces)
}

/// Why a text is no template (EC 0007-00000105).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    offset: usize,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    DollarWithoutBrace,
    NotClosed,
    NoName,
}

impl TemplateError {
    /// Where in the text the `$` stands that starts the trouble, in bytes.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// OSS's words for it. Only those for a `$` without `{` are documented.
    pub fn oss_message(&self) -> &'static str {
        match self.fault {
            Fault::DollarWithoutBrace => "Left brace must be adjacent to dollar sign.",
            Fault::NotClosed => "Right brace is missing.",
            Fault::NoName => "The variable name is empty.",
        }
    }

    pub(super) fn is_documented(&self) -> bool {
        self.fault == Fault::DollarWithoutBrace
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = self.offset;
        match self.fault {
            Fault::DollarWithoutBrace => write!(f, "holds a `$` at byte {offset} that no `{{` follows"),
            Fault::NotClosed => write!(f, "holds a `${{` at byte {offset} that is not closed by `}}`"),
            Fault::NoName => write!(f, "holds `${{}}` at byte {offset}, which names no variable"),
        }
    }
}

impl std::error::Error for TemplateError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        Template::parse(text).unwrap().variables().map(str::to_owned).collect()
    }

    #[test]
    fn variables_are_found_in_order_and_braces_alone_are_text() {
        assert_eq!(names("{\"a\":${object},\"b\":{\"c\":${x:d}}}名${size}"), ["object", "x:d", "size"]);
        assert!(names("{}}{").is_empty());
        assert!(names("").is_empty());
    }

    #[test]
    fn malformed_variables_are_refused_with_their_place() {
        for (text, offset) in
            [("a$", 1), ("a=$x:my_var}", 2), ("$(object)", 0), ("名${size", 3), ("${}", 0), ("${a${b}}", 0)]
        {
            assert_eq!(Template::parse(text).unwrap_err().offset(), offset, "{text}");
        }
        let error = Template::parse("my_var=$x:my_var}").unwrap_err();
        assert_eq!(error.oss_message(), "Left brace must be adjacent to dollar sign.");
    }

    #[test]
    fn form_values_are_percent_encoded_and_literals_are_sent_as_written() {
        let template = Template::parse("literal /ü=${v}&n=${n}&e=${e}&u=${unknown}").unwrap();
        let body = template.expand(BodyType::Form, |name| match name {
            "v" => Some(Value::text("a b/c+d&=名~-._%")),
            "n" => Some(Value::Number(7)),
            "e" => Some(Value::Empty),
            _ => None,
        });
        assert_eq!(body, "literal /ü=a%20b%2Fc%2Bd%26%3D%E5%90%8D~-._%25&n=7&e=&u=");
    }

    #[test]
    fn json_text_is_quoted_wherever_it_stands() {
        let template = Template::parse(r#"{"a":${v},"b":"${n},${e}","c":"${v}"}"#).unwrap();
        let body = template.expand(BodyType::Json, |name| match name {
            "v" => Some(Value::text("q\"\n")),
            "n" => Some(Value::Number(7)),
            _ => None,
        });
        assert_eq!(body, r#"{"a":"q\"\n","b":"7,","c":""q\"\n""}"#);
    }

    #[test]
    fn places_inside_quoted_literals_are_told_from_bare_ones() {
        let template = Template::parse(r#"{"a\"${q1}":${b1},"c":"x\\",${b2}:"${q2}"}"#).unwrap();
        let found = template.variables_in_json();
        assert_eq!(found, [("q1", true), ("b1", false), ("b2", false), ("q2", true)]);
    }
}
