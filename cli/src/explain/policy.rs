//! What a POST policy lets a form upload do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Report, callback};
use crate::text::printable;

const HIDDEN: &str = "(a token, not shown)";

/// Explains a policy, as Base64.
pub fn explain(report: &mut Report, policy: &str) {
    report.section("This is a POST policy: what a form upload that carries it may do.");
    let bytes = STANDARD.decode(policy).unwrap_or_default();
    let mut json = serde_json::from_slice::<Value>(&bytes).unwrap_or_default();
    hide_tokens(&mut json);
    let Value::Object(members) = &json else {
        report.section("Would OSS take it?");
        report.line("No: it is not the Base64 of a JSON object.");
        return report.wrong("OSS would refuse this policy");
    };
    for line in serde_json::to_string_pretty(&json).unwrap_or_default().lines() {
        report.line(printable(line));
    }
    report.section("What it means");
    expiration(report, members.get("expiration"));
    let conditions = match members.get("conditions") {
        Some(Value::Array(conditions)) => conditions.as_slice(),
        _ => {
            report.fact("conditions", "missing: OSS refuses a policy without them");
            report.wrong("OSS would refuse this policy");
            &[]
        }
    };
    let mut pinned = None;
    for condition in conditions {
        match sentence(condition) {
            Some((field, rule)) => {
                report.fact(&printable(&field), printable(&rule));
                if field == "callback" {
                    pinned = Some(exact(condition).unwrap_or_default());
                }
            }
            None => {
                report.line(format_args!(
                    "{}: not a condition that OSS knows",
                    printable(&condition.to_string())
                ));
                report.wrong("OSS would refuse this policy");
            }
        }
    }
    match pinned {
        Some(callback) if !callback.is_empty() => callback::explain(report, &callback, None),
        Some(_) => {}
        None => {
            report.section("The callback");
            report
                .line("No condition pins the field `callback`: whoever has the form may change or drop it.");
            report.line("hint: Add {\"callback\": \"…\"} with the exact Base64 text to the conditions.");
        }
    }
}

fn expiration(report: &mut Report, value: Option<&Value>) {
    let parsed = value.and_then(Value::as_str).and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    let Some(until) = parsed else {
        report.fact("valid until", "missing or no ISO 8601 time such as 2030-01-01T12:00:00.000Z");
        return report.wrong("OSS would refuse this policy");
    };
    let left = until - OffsetDateTime::now_utc();
    report.fact("valid until", format_args!("{until}{}", super::url::remaining(left.whole_seconds())));
    if left.is_negative() {
        report.wrong("this policy has expired");
    }
}

/// Takes out what the conditions say of a token, in whatever form: whoever has it can use it elsewhere.
fn hide_tokens(json: &mut Value) {
    let is_token = |name: &str| name.to_ascii_lowercase().ends_with("security-token");
    match json {
        Value::Object(members) => {
            for (name, value) in members {
                if is_token(name) {
                    *value = HIDDEN.into();
                } else {
                    hide_tokens(value);
                }
            }
        }
        Value::Array(items) => {
            let name = items.iter().position(|item| item.as_str().is_some_and(is_token));
            for (position, item) in items.iter_mut().enumerate() {
                if name.is_some_and(|name| position > name) {
                    *item = HIDDEN.into();
                } else {
                    hide_tokens(item);
                }
            }
        }
        _ => {}
    }
}

/// The field of a condition in lower case, and what it demands in words.
fn sentence(condition: &Value) -> Option<(String, String)> {
    let field = |value: &Value| Some(value.as_str()?.trim_start_matches('$').to_ascii_lowercase());
    match condition {
        Value::Object(pairs) if pairs.len() == 1 => {
            let (name, value) = pairs.iter().next()?;
            let (name, value) = (name.to_ascii_lowercase(), value.as_str()?);
            let rule = shown(&name, value);
            Some((name, rule))
        }
        Value::Array(words) => match (words.first()?.as_str()?, words.as_slice()) {
            ("eq", [_, name, Value::String(value)]) => {
                let name = field(name)?;
                let rule = shown(&name, value);
                Some((name, rule))
            }
            ("starts-with", [_, name, Value::String(value)]) => {
                let name = field(name)?;
                let rule = if value.is_empty() {
                    "may be anything".to_owned()
                } else {
                    format!("must start with `{value}`")
                };
                Some((name, rule))
            }
            ("content-length-range", [_, min, max]) => {
                let (min, max) = (min.as_u64()?, max.as_u64()?);
                Some(("size".to_owned(), format!("from {min} to {max} bytes")))
            }
            (word @ ("in" | "not-in"), [_, name, Value::Array(values)]) => {
                let name = field(name)?;
                let values: Vec<&str> = values.iter().map(Value::as_str).collect::<Option<_>>()?;
                let rule = if word == "in" { "must be one of" } else { "must be none of" };
                Some((name, format!("{rule} {}", values.join(", "))))
            }
            _ => None,
        },
        _ => None,
    }
}

fn shown(name: &str, value: &str) -> String {
    match name {
        "callback" => "must be the callback below, exactly".to_owned(),
        _ => format!("must be `{value}`"),
    }
}

fn exact(condition: &Value) -> Option<String> {
    match condition {
        Value::Object(pairs) => pairs.values().next()?.as_str().map(str::to_owned),
        Value::Array(words) if words.first()?.as_str()? == "eq" => words.get(2)?.as_str().map(str::to_owned),
        _ => None,
    }
}
