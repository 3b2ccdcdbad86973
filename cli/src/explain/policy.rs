//! What a POST policy lets a form upload do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oss_callback::sign::policy::{Condition, Test};
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
    for text in conditions {
        let text = text.to_string();
        let Some(condition) = Condition::parse(&text) else {
            report.line(format_args!("{}: not a condition that OSS knows", printable(&text)));
            report.wrong("OSS would refuse this policy");
            continue;
        };
        let (name, rule) = sentence(&condition);
        report.fact(&printable(name), printable(&rule));
        pinned = pinned.or(condition.exact_value("callback").map(str::to_owned));
    }
    match pinned {
        Some(callback) => callback::explain(report, &callback, None),
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

/// What a condition is about, and what it demands of it.
fn sentence(condition: &Condition) -> (&str, String) {
    match condition {
        Condition::Length { least, most } => ("size", format!("from {least} to {most} bytes")),
        Condition::Field { name, test } => {
            let rule = match test {
                Test::Is(_) if condition.exact_value("callback").is_some() => {
                    "must be the callback below, exactly".to_owned()
                }
                Test::Is(value) => format!("must be `{value}`"),
                Test::StartsWith(start) if start.is_empty() => "may be anything".to_owned(),
                Test::StartsWith(start) => format!("must start with `{start}`"),
                Test::In(values) => format!("must be one of {}", values.join(", ")),
                Test::NotIn(values) => format!("must be none of {}", values.join(", ")),
            };
            (name, rule)
        }
    }
}
