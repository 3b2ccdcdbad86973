//! Which field of a body holds which variable: by OSS's names, or as the user's own template says.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::BodyType;
use super::fields::{self, Field, FieldKind};
use crate::callback::template::{self, BareDollar, Piece, ValueKind, system_variable};

/// Stand around a variable's name within a template's parsed text. Noncharacters: no text holds them.
const OPEN: char = '\u{fdd0}';
const CLOSE: char = '\u{fdd1}';

/// What a variable was replaced by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub text: String,
    pub kind: FieldKind,
}

/// Claims by variable: system ones by their name, custom ones with `x:`.
pub(super) type Claims = BTreeMap<String, Claim>;

/// A user's own body template, read backwards.
#[derive(Debug)]
pub(super) struct Layout {
    /// Name of the field, and what stands in it.
    fields: Vec<(String, Vec<Part>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variable(String),
}

impl Layout {
    /// Reads a template. The error goes on from "the template".
    pub(super) fn new(template: &str, body_type: BodyType) -> Result<Layout, String> {
        if template.contains([OPEN, CLOSE]) {
            return Err("holds a Unicode noncharacter".to_owned());
        }
        let layout = match body_type {
            BodyType::Json => json_layout(template)?,
            _ => form_layout(template)?,
        };
        for (name, parts) in &layout {
            check_separable(parts)
                .map_err(|why| format!("cannot be read backwards in field `{name}`: {why}"))?;
        }
        check_names(&layout)?;
        Ok(Layout { fields: layout })
    }

    /// What the body says of each variable. The error goes on from "the body".
    pub(super) fn claims(&self, fields: &[Field]) -> Result<Claims, String> {
        let mut claims = Claims::new();
        for (name, parts) in self.fields.iter().filter(|(_, parts)| parts.iter().any(Part::is_variable)) {
            for field in fields.iter().filter(|field| field.name == *name) {
                let values = take_apart(parts, &field.text)
                    .ok_or_else(|| format!("does not fit the template in field `{name}`"))?;
                let kind = if parts.len() == 1 { field.kind } else { FieldKind::Text };
                for (variable, text) in values {
                    claim(&mut claims, variable.to_owned(), text, kind)?;
                }
            }
        }
        Ok(claims)
    }
}

/// What a body without a template says: fields by the names of OSS's variables, all others are custom
/// variables, as in this library's default body. The error goes on from "the body".
pub(super) fn default_claims(fields: &[Field]) -> Result<Claims, String> {
    let mut claims = Claims::new();
    for field in fields {
        let name = if system_variable(&field.name).is_some() || field.name.starts_with("x:") {
            field.name.clone()
        } else {
            format!("x:{}", field.name)
        };
        claim(&mut claims, name, &field.text, field.kind)?;
    }
    Ok(claims)
}

/// Two fields may repeat a variable, but must not disagree on it: nobody could say which one counts.
fn claim(claims: &mut Claims, variable: String, text: &str, kind: FieldKind) -> Result<(), String> {
    match claims.entry(variable) {
        Entry::Vacant(free) => {
            free.insert(Claim { text: text.to_owned(), kind });
        }
        Entry::Occupied(taken) if taken.get().text != text => {
            return Err(format!("gives two values for `{}`", taken.key()));
        }
        Entry::Occupied(_) => {}
    }
    Ok(())
}

impl Part {
    fn is_variable(&self) -> bool {
        matches!(self, Part::Variable(_))
    }
}

fn form_layout(template: &str) -> Result<Vec<(String, Vec<Part>)>, String> {
    let mut layout = Vec::new();
    for pair in template.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = fields::split_pair(pair.as_bytes());
        // The constants are sent as they are written and decoded on arrival, the variables are not.
        let value = String::from_utf8_lossy(value);
        let mut parts = Vec::new();
        for part in split_variables(&value)? {
            parts.push(match part {
                Part::Literal(text) => Part::Literal(fields::decode_form(text.as_bytes())),
                variable => variable,
            });
        }
        layout.push((fields::decode_form(name), parts));
    }
    Ok(layout)
}

fn json_layout(template: &str) -> Result<Vec<(String, Vec<Part>)>, String> {
    // A variable outside of quotes gets its quotes, or none, from OSS: as a template it is not JSON yet.
    let mut json = String::with_capacity(template.len() + 16);
    let (mut quoted, mut escaped) = (false, false);
    for part in split_variables(template)? {
        match part {
            Part::Variable(name) => {
                let quote = if quoted { "" } else { "\"" };
                json.extend([quote, &format!("{OPEN}{name}{CLOSE}"), quote]);
                escaped = false;
            }
            Part::Literal(text) => {
                for character in text.chars() {
                    match character {
                        _ if escaped => escaped = false,
                        '\\' if quoted => escaped = true,
                        '"' => quoted = !quoted,
                        _ => {}
                    }
                }
                json.push_str(&text);
            }
        }
    }
    let fields = fields::parse(json.as_bytes(), BodyType::Json)?;
    Ok(fields.into_iter().map(|field| (field.name, split_marked(&field.text))).collect())
}

fn split_variables(text: &str) -> Result<Vec<Part>, String> {
    let pieces = template::scan(text, BareDollar::Literal).map_err(|error| error.to_string())?;
    let part = |piece: Piece| match piece {
        Piece::Literal(range) => Ok(Part::Literal(text.get(range).unwrap_or_default().to_owned())),
        Piece::Variable(range) => {
            let name = text.get(range).unwrap_or_default();
            if system_variable(name).is_none() && name.strip_prefix("x:").is_none_or(str::is_empty) {
                return Err(format!("names `${{{name}}}`, which is not a variable of OSS"));
            }
            Ok(Part::Variable(name.to_owned()))
        }
    };
    pieces.into_iter().map(part).collect()
}

fn split_marked(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for (index, piece) in text.split([OPEN, CLOSE]).enumerate() {
        match (index % 2, piece) {
            (1, name) => parts.push(Part::Variable(name.to_owned())),
            (_, "") => {}
            (_, literal) => parts.push(Part::Literal(literal.to_owned())),
        }
    }
    parts
}

/// Nobody could say which of two fields of one name holds what. Two that hold the same do no harm, nor do
/// constants.
fn check_names(layout: &[(String, Vec<Part>)]) -> Result<(), String> {
    for (index, (name, parts)) in layout.iter().enumerate() {
        let earlier = layout.iter().take(index).filter(|(other, _)| other == name);
        let variable = |parts: &[Part]| parts.iter().any(Part::is_variable);
        for (_, other) in earlier {
            if other != parts && (variable(other) || variable(parts)) {
                let (first, second) = (written(other), written(parts));
                return Err(format!(
                    "gives the field `{name}` twice, as `{first}` and as `{second}`; give each a name of its \
                     own, in the callback too, such as `{name}` and `{name}2`"
                ));
            }
        }
    }
    Ok(())
}

/// The parts as a template has them.
fn written(parts: &[Part]) -> String {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Literal(literal) => text.push_str(literal),
            Part::Variable(name) => text.extend(["${", name, "}"]),
        }
    }
    text
}

/// Of several variables in one field, all but the last must end where the literal after them begins:
/// true of numbers before anything that is no digit, never of text that a stranger chose.
fn check_separable(parts: &[Part]) -> Result<(), String> {
    for (index, part) in parts.iter().enumerate() {
        let Part::Variable(name) = part else { continue };
        let later = parts.get(index + 1..).unwrap_or_default();
        if !later.iter().any(Part::is_variable) {
            break;
        }
        let separated = later.first().is_some_and(|next| match next {
            Part::Literal(text) => !text.starts_with(|c: char| c.is_ascii_digit()),
            Part::Variable(_) => false,
        });
        if !separated || !is_number(name) {
            return Err(format!(
                "where `${{{name}}}` ends cannot be told; give each variable a field of its own"
            ));
        }
    }
    Ok(())
}

fn is_number(variable: &str) -> bool {
    // A CRC-64 is text in JSON, but made of digits all the same.
    variable == "crc64" || system_variable(variable).is_some_and(|known| known.kind == ValueKind::Number)
}

fn take_apart<'a>(parts: &'a [Part], mut text: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
    let mut values = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        match part {
            Part::Literal(literal) => text = text.strip_prefix(literal.as_str())?,
            Part::Variable(name) => {
                let later = parts.get(index + 1..).unwrap_or_default();
                let length = if later.iter().any(Part::is_variable) {
                    text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())
                } else {
                    let tail = later.first().map_or(0, |part| match part {
                        Part::Literal(literal) | Part::Variable(literal) => literal.len(),
                    });
                    text.len().checked_sub(tail)?
                };
                let (value, rest) = text.split_at_checked(length)?;
                values.push((name.as_str(), value));
                text = rest;
            }
        }
    }
    text.is_empty().then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(template: &str, body: &str, body_type: BodyType) -> Result<Vec<(String, String)>, String> {
        let claims =
            Layout::new(template, body_type)?.claims(&fields::parse(body.as_bytes(), body_type).unwrap())?;
        Ok(claims.into_iter().map(|(name, claim)| (name, claim.text)).collect())
    }

    fn pairs(expected: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        Ok(expected.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect())
    }

    #[test]
    fn own_field_names_lead_to_oss_variables() {
        let template = "filename=${object}&n=${size}&who=${x:user}&fixed=1&path=a%2F${etag}.bin";
        let body = "filename=a%26b+c&n=&who=%24%7Bsize%7D&fixed=1&path=a/E.bin";
        let wanted = [("etag", "E"), ("object", "a&b c"), ("size", ""), ("x:user", "${size}")];
        assert_eq!(read(template, body, BodyType::Form), pairs(&wanted));
    }

    #[test]
    fn json_templates_are_read_with_nesting_and_with_variables_in_quotes() {
        let template = r#"{"f":{"k":${object},"n":${size}},"pic":"${imageInfo.width},${imageInfo.height}",
            "u":["id-${x:user}!"],"c":"\"$"}"#;
        let body = r#"{"f":{"k":"a\"b","n":12},"pic":"810,539","u":["id-7!!"],"c":"\"$"}"#;
        let wanted = [
            ("imageInfo.height", "539"),
            ("imageInfo.width", "810"),
            ("object", "a\"b"),
            ("size", "12"),
            ("x:user", "7!"),
        ];
        assert_eq!(read(template, body, BodyType::Json), pairs(&wanted));
    }

    #[test]
    fn the_image_size_of_what_is_no_image_is_empty() {
        let template = r#"{"pic":"${imageInfo.width},${imageInfo.height}"}"#;
        let wanted = [("imageInfo.height", ""), ("imageInfo.width", "")];
        assert_eq!(read(template, r#"{"pic":","}"#, BodyType::Json), pairs(&wanted));
    }

    #[test]
    fn a_body_that_departs_from_the_template_is_noticed() {
        for (template, body) in
            [("p=a-${object}", "p=b-x"), ("p=${object}-z", "p=x"), ("p=${size}x${object}", "p=12")]
        {
            assert!(read(template, body, BodyType::Form).unwrap_err().contains("field `p`"), "{template}");
        }
        assert_eq!(read("p=${object}", "q=1", BodyType::Form), Ok(vec![]));
    }

    #[test]
    fn templates_that_cannot_be_read_backwards_are_refused() {
        for (template, body_type) in [
            ("a=${object}-${etag}", BodyType::Form),
            ("a=${size}${crc64}", BodyType::Form),
            ("a=${size}0${crc64}", BodyType::Form),
            ("a=${objct}", BodyType::Form),
            ("a=${x:}", BodyType::Form),
            ("a=${object", BodyType::Form),
            ("{\"a\":${object}", BodyType::Json),
            ("a=${object}", BodyType::Json),
            ("a=\u{fdd0}", BodyType::Form),
        ] {
            assert!(Layout::new(template, body_type).is_err(), "{template}");
        }
    }

    #[test]
    fn a_field_that_is_given_twice_is_named_when_the_template_is_read() {
        let error = |template: &str, body_type| Layout::new(template, body_type).unwrap_err();
        let expected = "gives the field `tag` twice, as `${x:a}` and as `${x:b}`; give each a name of its own, \
                        in the callback too, such as `tag` and `tag2`";
        assert_eq!(error("tag=${x:a}&n=1&tag=${x:b}", BodyType::Form), expected);
        assert_eq!(error("tag=${x:a}&t%61g=${x:b}", BodyType::Form), expected);
        assert_eq!(error(r#"{"tag":${x:a},"tag":${x:b}}"#, BodyType::Json), expected);
        assert!(error(r#"{"t":{"a":${x:a}},"t":{"a":"1"}}"#, BodyType::Json).contains("`t.a` twice"));
        assert!(error("tag=${x:a}&tag=b-${x:a}", BodyType::Form).contains("`b-${x:a}`"));
        assert!(error("tag=1&tag=${x:a}", BodyType::Form).contains("as `1` and as `${x:a}`"));
    }

    #[test]
    fn fields_of_one_name_that_cannot_disagree_are_taken() {
        let twice = "a=${etag}&a=${etag}&c=1&c=2";
        assert_eq!(read(twice, "a=1&a=1&c=1&c=2", BodyType::Form), pairs(&[("etag", "1")]));
        let list = r#"["${x:a}","${x:b}"]"#;
        let template = format!("{{\"l\":{list}}}");
        let wanted = [("x:a", "1"), ("x:b", "2")];
        assert_eq!(read(&template, r#"{"l":["1","2"]}"#, BodyType::Json), pairs(&wanted));
    }

    #[test]
    fn a_literal_that_looks_like_an_encoded_variable_is_none() {
        assert_eq!(read("a=$%7Bobject%7D", "a=$%7Bobject%7D", BodyType::Form), Ok(vec![]));
    }

    #[test]
    fn two_fields_may_repeat_a_variable_but_not_disagree() {
        assert_eq!(read("a=${etag}&b=${etag}", "a=1&b=1", BodyType::Form), pairs(&[("etag", "1")]));
        assert!(read("a=${etag}&b=${etag}", "a=1&b=2", BodyType::Form).unwrap_err().contains("`etag`"));
        assert!(read("a=${etag}", "a=1&a=2", BodyType::Form).is_err());
        let twice = fields::parse(b"{\"object\":\"a\",\"object\":\"b\"}", BodyType::Json).unwrap();
        assert!(default_claims(&twice).unwrap_err().contains("`object`"));
    }

    #[test]
    fn without_a_template_other_names_are_custom_variables() {
        let fields = fields::parse(b"object=k&order=7&x:user=u", BodyType::Form).unwrap();
        let names: Vec<String> = default_claims(&fields).unwrap().into_keys().collect();
        assert_eq!(names, ["object", "x:order", "x:user"]);
    }
}
