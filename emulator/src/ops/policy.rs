//! What a form's policy allows (OSS, PostObject).

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oss_callback::sign::policy::{Condition, Test};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::form::Form;
use crate::error::OssError;

/// Conditions that a policy must hold if it is signed by V4.
const V4_CONDITIONS: &[&str] = &["x-oss-signature-version", "x-oss-credential", "x-oss-date"];

/// Refuses a form that its policy does not allow.
pub(super) fn check(policy: &str, form: &Form, bucket: &str, now: SystemTime) -> Result<(), OssError> {
    let json = STANDARD.decode(policy).map_err(|_| invalid("it is not Base64"))?;
    let policy: Value = serde_json::from_slice(&json).map_err(|_| invalid("it is not JSON"))?;
    let expiration = policy.get("expiration").and_then(Value::as_str);
    let expiration = expiration.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    let expiration = expiration.ok_or_else(|| invalid("its expiration is missing or no time"))?;
    if now > SystemTime::from(expiration) {
        return Err(OssError::access_denied("Invalid according to Policy: Policy expired."));
    }
    let conditions = policy.get("conditions").and_then(Value::as_array);
    let conditions = conditions.ok_or_else(|| invalid("it has no list of conditions"))?;
    // The bucket that the form is sent to, whatever a field of that name says.
    let field = |name: &str| if name.eq_ignore_ascii_case("bucket") { Some(bucket) } else { form.get(name) };
    let mut known = Vec::new();
    for text in conditions {
        let condition =
            Condition::parse(&text.to_string()).ok_or_else(|| invalid(&format!("{text} is no condition")))?;
        obey(&condition, text, &field, form.file.len() as u64)?;
        known.push(condition);
    }
    if form.get("x-oss-signature").is_some() {
        let names = |name: &str| known.iter().any(|condition| condition.exact_value(name).is_some());
        let token = form.get("x-oss-security-token").map(|_| "x-oss-security-token");
        if let Some(name) = V4_CONDITIONS.iter().copied().chain(token).find(|name| !names(name)) {
            return Err(invalid(&format!("it lacks a condition for {name}")));
        }
    }
    Ok(())
}

/// Refuses a form that a condition does not allow; `text` is the condition's own.
fn obey<'f>(
    condition: &Condition,
    text: &Value,
    field: &impl Fn(&str) -> Option<&'f str>,
    size: u64,
) -> Result<(), OssError> {
    match condition {
        Condition::Length { least, .. } if size < *least => Err(OssError::new(
            400,
            "EntityTooSmall",
            "Your proposed upload smaller than the minimum allowed size.",
        )),
        Condition::Length { most, .. } if size > *most => Err(OssError::new(
            400,
            "EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed object size.",
        )),
        Condition::Length { .. } => Ok(()),
        Condition::Field { name, test } => {
            let value = field(name);
            let listed = |list: &[String]| value.is_some_and(|value| list.iter().any(|one| one == value));
            let holds = match test {
                Test::Is(wanted) => value == Some(wanted),
                Test::StartsWith(start) => value.is_some_and(|value| value.starts_with(start)),
                Test::In(list) => listed(list),
                Test::NotIn(list) => !listed(list),
            };
            let message = || format!("Invalid according to Policy: Policy Condition failed: {text}");
            if holds { Ok(()) } else { Err(OssError::access_denied(message())) }
        }
    }
}

fn invalid(why: &str) -> OssError {
    OssError::new(400, "InvalidPolicyDocument", format!("Invalid Policy: {why}."))
}
