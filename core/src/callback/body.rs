//! Bodies that are not written out: the default one, and those built from fields.
//!
//! Escaping follows what OSS does later. In a form, names and literal text are percent-encoded here and
//! values by OSS. In JSON, a field that is one variable stands bare, for OSS to quote; numbers may also
//! stand inside literal text, but text may not, since OSS would put quotes inside the quotes.

use super::template::{
    BareDollar, Piece, SYSTEM_VARIABLES, TemplateError, ValueKind, form_text, is_text, json_string, scan,
    system_variable,
};
use crate::error::{Error, Result};
use crate::options::BodyType;

const FIELD: &str = "callback.fields";
/// What the default body says of every upload.
const DEFAULT: [&str; 5] = ["bucket", "object", "etag", "size", "mimeType"];

/// The default body: what was uploaded, and every variable under its name without `x:`.
pub(super) fn default_body(vars: &[(String, String)], body_type: BodyType, checked: bool) -> Result<String> {
    let mut fields: Vec<(String, String)> =
        DEFAULT.iter().map(|name| ((*name).to_owned(), format!("${{{name}}}"))).collect();
    for (var, _) in vars {
        let name = var.strip_prefix("x:").unwrap_or(var);
        // The receiver of a default body tells fields apart by OSS's names: one that a variable bears
        // would pass for OSS's own word.
        if checked && system_variable(name).is_some() {
            let message =
                format!("holds `{var}`, whose name in the default body is that of OSS's `${{{name}}}`");
            return Err(Error::invalid_argument("callback.vars", message)
                .with_hint("Rename it, or say with `field` how the body should look."));
        }
        fields.push((name.to_owned(), format!("${{{var}}}")));
    }
    from_fields(&fields, body_type, checked)
}

/// The template of a body with these fields.
pub(super) fn from_fields(fields: &[(String, String)], body_type: BodyType, checked: bool) -> Result<String> {
    let mut parts = Vec::with_capacity(fields.len());
    for (index, (name, value)) in fields.iter().enumerate() {
        if checked && name.is_empty() {
            return Err(Error::invalid_argument(FIELD, "hold a field without a name"));
        }
        let pieces = match scan(value, BareDollar::Literal) {
            Ok(pieces) => pieces,
            Err(error) if checked => return Err(unclosed(name, &error)),
            // Nothing in it is a variable, so all of it is text.
            Err(_) => vec![Piece::Literal(0..value.len())],
        };
        let field = Field { name, value, pieces };
        parts.push(match body_type {
            BodyType::Form => field.form(),
            BodyType::Json => {
                let repeated = fields.iter().take(index).any(|(earlier, _)| earlier == name);
                if checked && repeated {
                    let message = format!("hold `{name}` twice, which JSON does not allow");
                    return Err(Error::invalid_argument(FIELD, message));
                }
                field.json(checked)?
            }
        });
    }
    Ok(match body_type {
        BodyType::Form => parts.join("&"),
        BodyType::Json => format!("{{{}}}", parts.join(",")),
    })
}

fn unclosed(name: &str, error: &TemplateError) -> Error {
    Error::invalid_argument(FIELD, format!("`{name}`: {error}"))
        .with_ec("0007-00000105")
        .with_hint("Close it by `}`; text that holds `${` itself goes into a variable (`var`).")
}

struct Field<'a> {
    name: &'a str,
    value: &'a str,
    pieces: Vec<Piece>,
}

impl<'a> Field<'a> {
    fn text(&self, range: &std::ops::Range<usize>) -> &'a str {
        self.value.get(range.clone()).unwrap_or_default()
    }

    fn form(&self) -> String {
        let mut out = format!("{}=", form_text(self.name));
        for piece in &self.pieces {
            match piece {
                Piece::Literal(range) => out.push_str(&form_text(self.text(range)).to_string()),
                Piece::Variable(range) => out.push_str(&format!("${{{}}}", self.text(range))),
            }
        }
        out
    }

    fn json(&self, checked: bool) -> Result<String> {
        let name = json_literal(self.name);
        if let [Piece::Variable(range)] = self.pieces.as_slice() {
            let variable = self.text(range);
            return match system_variable(variable) {
                // Without an image there is nothing in its place: quoted it stays JSON, bare it does not.
                Some(known) if known.image && known.kind == ValueKind::Number => {
                    Ok(format!("\"{name}\":\"${{{variable}}}\""))
                }
                Some(known) if known.image && checked => Err(Error::invalid_argument(
                    FIELD,
                    format!(
                        "`{}`: `${{{variable}}}` breaks a JSON body when the object is not an image",
                        self.name
                    ),
                )
                .with_hint(
                    "Use the form type, or `mimeType`, or write the JSON out with `body` if all are images.",
                )),
                _ => Ok(format!("\"{name}\":${{{variable}}}")),
            };
        }
        let mut out = format!("\"{name}\":\"");
        for piece in &self.pieces {
            match piece {
                Piece::Literal(range) => out.push_str(&json_literal(self.text(range))),
                Piece::Variable(range) => {
                    let variable = self.text(range);
                    if checked && is_text(variable) {
                        return Err(text_in_text(self.name, variable));
                    }
                    out.push_str(&format!("${{{variable}}}"));
                }
            }
        }
        out.push('"');
        Ok(out)
    }
}

fn text_in_text(field: &str, variable: &str) -> Error {
    let message = format!(
        "`{field}`: `${{{variable}}}` is text, and inside other text OSS would put quotes within the quotes"
    );
    let numbers: Vec<&str> = SYSTEM_VARIABLES
        .iter()
        .filter(|known| known.kind == ValueKind::Number)
        .map(|known| known.name)
        .collect();
    Error::invalid_argument(FIELD, message).with_hint(format!(
        "Make it a field of its own, with nothing around it. Only numbers may stand in text: {}.",
        numbers.join(", ")
    ))
}

/// `text` inside JSON quotes. A `$` is escaped, since a template can hold none of its own.
fn json_literal(text: &str) -> String {
    let quoted = json_string(text);
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    inner.replace('$', "\\u0024")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn form(pairs: &[(&str, &str)]) -> String {
        from_fields(&fields(pairs), BodyType::Form, true).unwrap()
    }

    fn json(pairs: &[(&str, &str)]) -> Result<String> {
        from_fields(&fields(pairs), BodyType::Json, true)
    }

    #[test]
    fn form_fields_leave_variables_bare_and_encode_the_rest() {
        assert_eq!(
            form(&[("a b", "x=${object}&$5"), ("名", ""), ("a b", "2")]),
            "a%20b=x%3D${object}%26%245&%E5%90%8D=&a%20b=2"
        );
    }

    #[test]
    fn json_fields_leave_a_lone_variable_to_oss() {
        let body =
            json(&[("o\"$", "${object}"), ("s", "${size}"), ("price", "5$"), ("n", "${size} bytes\n")]);
        assert_eq!(
            body.unwrap(),
            r#"{"o\"\u0024":${object},"s":${size},"price":"5\u0024","n":"${size} bytes\n"}"#
        );
    }

    #[test]
    fn json_fields_put_image_sizes_in_quotes() {
        let body = json(&[("w", "${imageInfo.width}"), ("wh", "${imageInfo.width}x${imageInfo.height}")]);
        assert_eq!(
            body.unwrap(),
            r#"{"w":"${imageInfo.width}","wh":"${imageInfo.width}x${imageInfo.height}"}"#
        );
        let error = json(&[("f", "${imageInfo.format}")]).unwrap_err();
        assert!(error.message().contains("not an image"), "{error}");
    }

    #[test]
    fn text_within_text_is_refused_in_json() {
        for value in ["key ${object}", "${object}${etag}", "${x:a}!"] {
            let error = json(&[("f", value)]).unwrap_err();
            assert_eq!(error.field(), Some("callback.fields"));
            assert!(error.message().contains("quotes within the quotes"), "{error}");
        }
        assert_eq!(form(&[("f", "key ${object}")]), "f=key%20${object}");
    }

    #[test]
    fn fields_that_make_no_body_are_refused() {
        assert!(json(&[("", "a")]).is_err());
        assert!(json(&[("a", "1"), ("a", "2")]).unwrap_err().message().contains("twice"));
        let error = json(&[("a", "${size")]).unwrap_err();
        assert_eq!(error.ec(), Some("0007-00000105"));
    }

    #[test]
    fn the_default_body_carries_every_variable() {
        let vars = fields(&[("x:uid", "1"), ("x:order", "2")]);
        assert_eq!(
            default_body(&vars, BodyType::Form, true).unwrap(),
            "bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mimeType=${mimeType}\
             &uid=${x:uid}&order=${x:order}"
        );
        assert_eq!(
            default_body(&vars, BodyType::Json, true).unwrap(),
            "{\"bucket\":${bucket},\"object\":${object},\"etag\":${etag},\"size\":${size},\
             \"mimeType\":${mimeType},\"uid\":${x:uid},\"order\":${x:order}}"
        );
        for name in SYSTEM_VARIABLES.iter().map(|variable| variable.name.to_owned()) {
            let var = [(format!("x:{name}"), "1".to_owned())];
            let error = default_body(&var, BodyType::Form, true).unwrap_err();
            assert!(error.message().contains(&format!("`${{{name}}}`")), "{error}");
        }
    }
}
