//! A callback body as a flat list of named values, from the form type or from JSON.
//!
//! Values are kept as text, with their JSON kind, so that nothing is lost by a number's conversion and
//! "absent", "empty" and "not a number" can be told apart.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::BodyType;

/// Values in one body. A template of 5 KB of Base64 cannot name as many.
const MAX_FIELDS: usize = 1024;
/// Objects and arrays within one another.
const MAX_DEPTH: usize = 16;

/// What kind of value a [`Field`] was in the body. Of the form type all are text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldKind {
    /// Text: every value of a form, and JSON strings.
    Text,
    /// A JSON number.
    Number,
    /// `true` or `false` in JSON.
    Bool,
    /// `null` in JSON; the text is empty.
    Null,
}

/// One value of a callback body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) kind: FieldKind,
}

impl Field {
    /// Name, decoded. Within JSON objects and arrays a path: `file.name`, `tags.0`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Value, decoded, with U+FFFD for what is not UTF-8.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it was in the body.
    pub fn kind(&self) -> FieldKind {
        self.kind
    }
}

/// Takes a body apart. The error goes on from "the body".
pub(super) fn parse(body: &[u8], body_type: BodyType) -> Result<Vec<Field>, String> {
    match body_type {
        BodyType::Json => parse_json(body),
        _ => parse_form(body),
    }
}

fn parse_form(body: &[u8]) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if fields.len() == MAX_FIELDS {
            return Err(too_many());
        }
        let (name, value) = split_pair(pair);
        fields.push(Field { name: decode_form(name), text: decode_form(value), kind: FieldKind::Text });
    }
    Ok(fields)
}

/// Name and value of `name=value`; a name alone has an empty value.
pub(super) fn split_pair(pair: &[u8]) -> (&[u8], &[u8]) {
    let mut halves = pair.splitn(2, |byte| *byte == b'=');
    (halves.next().unwrap_or_default(), halves.next().unwrap_or_default())
}

/// Percent-decodes; both `+` and `%20` are a blank, since which of them OSS writes is not documented.
pub(super) fn decode_form(text: &[u8]) -> String {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_encoding::percent_decode(&spaced).decode_utf8_lossy().into_owned()
}

fn parse_json(body: &[u8]) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    let mut input = serde_json::Deserializer::from_slice(body);
    let root = Node { fields: &mut fields, path: String::new(), depth: 0 };
    root.deserialize(&mut input)
        .and_then(|()| input.end())
        .map_err(|error| format!("is not the JSON object it should be: {error}"))?;
    Ok(fields)
}

fn too_many() -> String {
    format!("has more than {MAX_FIELDS} fields")
}

/// One JSON value, to be added to the fields under its path.
struct Node<'a> {
    fields: &'a mut Vec<Field>,
    path: String,
    depth: usize,
}

impl Node<'_> {
    fn add<E: de::Error>(self, text: impl Into<String>, kind: FieldKind) -> Result<(), E> {
        if self.depth == 0 {
            return Err(E::custom("the outermost value must be an object"));
        }
        if self.fields.len() == MAX_FIELDS {
            return Err(E::custom(too_many()));
        }
        self.fields.push(Field { name: self.path, text: text.into(), kind });
        Ok(())
    }

    fn child<E: de::Error>(&mut self, name: &str) -> Result<Node<'_>, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format!("more than {MAX_DEPTH} levels of objects and arrays")));
        }
        let path = if self.depth == 0 { name.to_owned() } else { format!("{}.{name}", self.path) };
        Ok(Node { fields: self.fields, path, depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.add(value.to_string(), FieldKind::Bool)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.add(value.to_string(), FieldKind::Number)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.add(value.to_string(), FieldKind::Number)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.add(value.to_string(), FieldKind::Number)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.add(value, FieldKind::Text)
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.add("", FieldKind::Null)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            map.next_value_seed(self.child(&name)?)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        if self.depth == 0 {
            return Err(de::Error::custom("the outermost value must be an object"));
        }
        let mut index = 0;
        while list.next_element_seed(self.child(&index.to_string())?)?.is_some() {
            index += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Random;
    use super::*;

    fn flat(body: &str, body_type: BodyType) -> Vec<(String, String, FieldKind)> {
        let fields = parse(body.as_bytes(), body_type).unwrap();
        fields.into_iter().map(|field| (field.name, field.text, field.kind)).collect()
    }

    fn texts<'a>(pairs: &[(&'a str, &'a str, FieldKind)]) -> Vec<(String, String, FieldKind)> {
        pairs.iter().map(|(name, text, kind)| (name.to_string(), text.to_string(), *kind)).collect()
    }

    #[test]
    fn both_blanks_of_a_form_are_read_and_empty_is_not_absent() {
        use FieldKind::Text;
        let body = "object=a+b%20c%2Bd&size=&flag&&=x&x%3Aorder=%E7%9B%AE&q=1=2";
        let wanted = [
            ("object", "a b c+d", Text),
            ("size", "", Text),
            ("flag", "", Text),
            ("", "x", Text),
            ("x:order", "目", Text),
            ("q", "1=2", Text),
        ];
        assert_eq!(flat(body, BodyType::Form), texts(&wanted));
        assert_eq!(flat("", BodyType::Form), []);
    }

    #[test]
    fn json_is_flattened_with_its_kinds() {
        use FieldKind::{Bool, Null, Number, Text};
        let body = r#" {"object":"a\u002fb","size":18446744073709551615,"n":-1,"f":1.5,"b":true,"z":null,
            "image":{"width":8,"deep":{"er":""}},"tags":["x",2],"e":{},"l":[]} "#;
        let wanted = [
            ("object", "a/b", Text),
            ("size", "18446744073709551615", Number),
            ("n", "-1", Number),
            ("f", "1.5", Number),
            ("b", "true", Bool),
            ("z", "", Null),
            ("image.width", "8", Number),
            ("image.deep.er", "", Text),
            ("tags.0", "x", Text),
            ("tags.1", "2", Number),
        ];
        assert_eq!(flat(body, BodyType::Json), texts(&wanted));
    }

    #[test]
    fn json_that_is_broken_or_not_an_object_is_refused() {
        for body in [
            "",
            "[]",
            "[1]",
            "1",
            "\"x\"",
            "null",
            "{",
            r#"{"h":,"w":1}"#,
            r#"{"a":1}{"a":2}"#,
            r#"{"a":"x" y}"#,
            "{\"a\":1}\0",
        ] {
            assert!(parse(body.as_bytes(), BodyType::Json).is_err(), "{body}");
        }
        assert!(parse(b"{\"a\":\"\xff\"}", BodyType::Json).is_err());
        assert!(parse(b"\xef\xbb\xbf{\"a\":1}", BodyType::Json).is_err());
    }

    #[test]
    fn depth_and_number_of_fields_are_bounded() {
        let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert!(parse(nested(MAX_DEPTH).as_bytes(), BodyType::Json).is_ok());
        for depth in [MAX_DEPTH + 1, 200, 100_000] {
            assert!(parse(nested(depth).as_bytes(), BodyType::Json).is_err(), "{depth}");
            assert!(parse("[".repeat(depth).as_bytes(), BodyType::Json).is_err(), "{depth}");
        }
        let form = |count: usize| vec!["a=1"; count].join("&");
        assert!(parse(form(MAX_FIELDS).as_bytes(), BodyType::Form).is_ok());
        assert!(parse(form(MAX_FIELDS + 1).as_bytes(), BodyType::Form).unwrap_err().contains("1024 fields"));
        let json = |count: usize| format!(r#"{{"a":[{}]}}"#, vec!["1"; count].join(","));
        assert!(parse(json(MAX_FIELDS).as_bytes(), BodyType::Json).is_ok());
        assert!(parse(json(MAX_FIELDS + 1).as_bytes(), BodyType::Json).unwrap_err().contains("1024 fields"));
    }

    #[test]
    fn no_bytes_make_the_parser_panic() {
        let mut random = Random::new(3);
        let alphabet = b"{}[]\":,&=+%20aF\\u\xff\xc3\x28tnul1-.e ";
        for _ in 0..100_000 {
            let body: Vec<u8> =
                (0..random.below(40)).map(|_| alphabet[random.below(alphabet.len())]).collect();
            let _ = parse(&body, BodyType::Json);
            assert!(parse(&body, BodyType::Form).is_ok());
        }
    }

    /// Against the standard's own form encoder.
    #[test]
    fn what_was_form_encoded_comes_back() {
        let mut random = Random::new(4);
        for _ in 0..2_000 {
            let pairs: Vec<(String, String)> = (0..random.below(5))
                .map(|_| {
                    let mut text = || {
                        String::from_utf8_lossy(&{
                            let n = random.below(12);
                            random.bytes(n)
                        })
                        .into_owned()
                    };
                    (format!("n{}", text()), text())
                })
                .collect();
            let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            let fields = parse(body.as_bytes(), BodyType::Form).unwrap();
            let back: Vec<(String, String)> = fields.into_iter().map(|f| (f.name, f.text)).collect();
            assert_eq!(back, pairs);
        }
    }
}
