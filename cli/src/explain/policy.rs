//! What a POST policy lets a form upload do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Report, callback};
use crate::text::printable;

/// Explains a policy, as Base64.
pub fn explain(report: &mut Report, policy: &str) {
    report.section("This is a POST policy: what a form upload that carries it may do.");
    callback::json(report, policy);
    let bytes = STANDARD.decode(policy).unwrap_or_default();
    let Ok(Value::Object(members)) = serde_json::from_slice::<Value>(&bytes) else {
        report.section("Would OSS take it?");
        report.line("No: it is not the Base64 of a JSON object.");
        return report.wrong("OSS would refuse this policy");
    };
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
            Some((field, text)) => {
                report.line(printable(&text));
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

/// The field of a condition in lower case, and the condition in words.
fn sentence(condition: &Value) -> Option<(String, String)> {
    let field = |value: &Value| Some(value.as_str()?.trim_start_matches('$').to_ascii_lowercase());
    match condition {
        Value::Object(pairs) if pairs.len() == 1 => {
            let (name, value) = pairs.iter().next()?;
            let (name, value) = (name.to_ascii_lowercase(), value.as_str()?);
            let text = format!("{name:<16}must be {}", shown(&name, value));
            Some((name, text))
        }
        Value::Array(words) => match (words.first()?.as_str()?, words.as_slice()) {
            ("eq", [_, name, Value::String(value)]) => {
                let name = field(name)?;
                let text = format!("{name:<16}must be {}", shown(&name, value));
                Some((name, text))
            }
            ("starts-with", [_, name, Value::String(value)]) => {
                let name = field(name)?;
                let rule = if value.is_empty() {
                    "may be anything".to_owned()
                } else {
                    format!("must start with `{value}`")
                };
                Some((name.clone(), format!("{name:<16}{rule}")))
            }
            ("content-length-range", [_, min, max]) => {
                let (min, max) = (min.as_u64()?, max.as_u64()?);
                Some((String::new(), format!("{:<16}from {min} to {max} bytes", "size")))
            }
            (word @ ("in" | "not-in"), [_, name, Value::Array(values)]) => {
                let name = field(name)?;
                let values: Vec<&str> = values.iter().map(Value::as_str).collect::<Option<_>>()?;
                let rule = if word == "in" { "must be one of" } else { "must be none of" };
                Some((name.clone(), format!("{name:<16}{rule} {}", values.join(", "))))
            }
            _ => None,
        },
        _ => None,
    }
}

fn shown(name: &str, value: &str) -> String {
    match name {
        "x-oss-security-token" => "(a token, not shown)".to_owned(),
        "callback" => "the callback below, exactly".to_owned(),
        _ => format!("`{value}`"),
    }
}

fn exact(condition: &Value) -> Option<String> {
    match condition {
        Value::Object(pairs) => pairs.values().next()?.as_str().map(str::to_owned),
        Value::Array(words) if words.first()?.as_str()? == "eq" => words.get(2)?.as_str().map(str::to_owned),
        _ => None,
    }
}
