//! Whatever is put in: nothing panics, JSON stays JSON, and a form decodes back to its values.

use std::collections::HashMap;

use super::check::{check_parameters, check_vars};
use super::*;

struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// Text of the characters and fragments that cause trouble.
    fn text(&mut self) -> String {
        const PARTS: &[&str] = &[
            "$",
            "{",
            "}",
            "${",
            "${object}",
            "${x:a}",
            "${size}",
            "${imageInfo.width}",
            "\"",
            "\\",
            "\\u",
            "%",
            "%2",
            "&",
            "=",
            "+",
            " ",
            "\r\n",
            "\0",
            "\u{1}",
            "名",
            "😀",
            "\u{feff}",
            "\u{2028}",
            "a",
            "x:",
            "X",
            ":",
            "/",
            ";",
            "#",
            "?",
            "http://",
            "https://",
            "[::1]",
            "a.example",
            "@",
            ".",
            "1",
            "'",
            "<",
            "`",
            "é",
        ];
        (0..self.below(8)).map(|_| *self.pick(PARTS)).collect()
    }
}

const ROUNDS: usize = 20_000;
const VARIABLES: [&str; 8] =
    ["${object}", "${bucket}", "${etag}", "${size}", "${x:a}", "${vpcId}", "${imageInfo.height}", "${crc64}"];

#[test]
fn arbitrary_input_never_panics() {
    let mut random = Xorshift(0x9e37_79b9_7f4a_7c15);
    let mut accepted = 0;
    for _ in 0..ROUNDS {
        let url = if random.below(2) == 0 { random.text() } else { "http://a.example/".to_owned() };
        let mut builder = Callback::builder(url).unchecked(random.below(8) == 0);
        if random.below(2) == 0 {
            builder = builder.body_type(BodyType::Json);
        }
        builder = match random.below(3) {
            0 => builder.body(random.text()),
            1 => builder.field(random.text(), random.text()).field(random.text(), random.text()),
            _ => builder,
        };
        if random.below(2) == 0 {
            let name = if random.below(2) == 0 { random.text() } else { "a".to_owned() };
            builder = builder.var(name, random.text());
        }
        if random.below(8) == 0 {
            builder = builder.host(random.text()).header(random.text(), random.text());
        }
        match builder.build() {
            Ok(callback) => {
                accepted += 1;
                let _ = callback.preview(&PreviewValues::new().object(random.text()));
                let _ = format!("{callback:?}");
            }
            Err(error) => {
                assert!(error.field().is_some_and(|field| field.starts_with("callback")), "{error}")
            }
        }
        let _ = check_parameters(&random.text(), Some(&random.text()));
        let _ = check_parameters(&encode::base64(&random.text()), None);
        let _ = check_vars(&encode::base64(&format!("{{\"x:a\":{}", random.text())));
    }
    assert!(accepted > ROUNDS / 10, "only {accepted} of {ROUNDS} were worth a look");
}

/// Text without a variable.
fn literal(random: &mut Xorshift) -> String {
    let mut text = random.text();
    while text.contains("${") {
        text = text.replace("${", "$");
    }
    text
}

/// A field's value: one variable, or text with at most numbers in it.
fn field_value(random: &mut Xorshift) -> String {
    match random.below(3) {
        0 => (*random.pick(&VARIABLES)).to_owned(),
        1 => literal(random),
        _ => format!("{}${{size}}{}", literal(random), literal(random)),
    }
}

fn values(random: &mut Xorshift) -> PreviewValues {
    let values = PreviewValues::new()
        .object(random.text())
        .bucket(random.text())
        .etag(random.text())
        .size(random.next());
    if random.below(2) == 0 { values.image(random.next(), random.next(), random.text()) } else { values }
}

/// What a field should arrive as, replaced without regard to any encoding.
fn replaced(value: &str, callback: &Callback, values: &PreviewValues) -> String {
    let known = VARIABLES.iter().map(|variable| variable.trim_start_matches("${").trim_end_matches('}'));
    let known: HashMap<&str, String> = known
        .map(|name| {
            let var = callback.vars().iter().find(|(var, _)| var == name).map(|(_, value)| value.clone());
            let text = var.unwrap_or_else(|| match values.get(name) {
                Some(Value::Text(text)) => text.into_owned(),
                Some(Value::Number(number)) => number.to_string(),
                _ => String::new(),
            });
            (name, text)
        })
        .collect();
    let mut out = String::new();
    for (index, part) in value.split("${").enumerate() {
        match part.split_once('}') {
            Some((name, rest)) if index > 0 => {
                out.push_str(&known[name]);
                out.push_str(rest);
            }
            _ => out.push_str(part),
        }
    }
    out
}

#[test]
fn json_built_from_fields_is_json_for_any_values() {
    let mut random = Xorshift(7);
    for _ in 0..ROUNDS {
        let (value, var) = (field_value(&mut random), random.text());
        let builder = Callback::builder("http://a.example").body_type(BodyType::Json).var("a", var);
        let callback = builder.field("f", &value).field("g\"$", "${x:a}").build();
        let callback = callback.unwrap_or_else(|error| panic!("{value:?}: {error}"));
        let values = values(&mut random);
        let body = callback.preview(&values).unwrap();
        let parsed: serde_json::Value =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{value:?} gives {body}: {error}"));
        let got = match &parsed["f"] {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        assert_eq!(got, replaced(&value, &callback, &values), "{value:?} gives {body}");
        assert_eq!(parsed["g\"$"], serde_json::Value::from(callback.vars()[0].1.as_str()));
    }
}

#[test]
fn a_form_built_from_fields_decodes_back_to_the_values() {
    let mut random = Xorshift(11);
    for _ in 0..ROUNDS {
        let name = format!("n{}", random.text());
        let mut value = field_value(&mut random);
        if random.below(2) == 0 {
            value = format!("{value}${{object}}${{x:a}}");
        }
        let builder = Callback::builder("http://a.example").var("a", random.text()).field("v", "${x:a}");
        let callback = builder.field(&name, &value).build();
        let callback = callback.unwrap_or_else(|error| panic!("{value:?}: {error}"));
        let values = values(&mut random);
        let body = callback.preview(&values).unwrap();
        let pairs: Vec<(String, String)> =
            ::url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let expected =
            [("v".to_owned(), callback.vars()[0].1.clone()), (name, replaced(&value, &callback, &values))];
        assert_eq!(pairs, expected, "{body}");
    }
}
