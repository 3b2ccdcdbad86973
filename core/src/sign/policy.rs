//! POST policies: what a browser form may upload, signed (OSS, "PostObject").

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::error::{Error, Result};

/// Checks that OSS could read the policy and that it holds a condition for each of `required`.
///
/// # Errors
/// `invalid_argument` for `policy`. Values are not repeated: one of them may be a token.
pub(super) fn check(policy_json: &str, required: &[(&str, &str)]) -> Result<()> {
    let error = |message: String| Error::invalid_argument("policy", message);
    let policy: Value = serde_json::from_str(policy_json)
        .map_err(|cause| error(format!("is not JSON: line {}, column {}", cause.line(), cause.column())))?;
    if !policy.get("expiration").is_some_and(Value::is_string) {
        return Err(error("lacks `expiration`".to_owned())
            .with_hint("Write it as UTC, such as \"2030-12-01T12:00:00.000Z\""));
    }
    let Some(conditions) = policy.get("conditions").and_then(Value::as_array) else {
        return Err(error("lacks `conditions`, a list".to_owned()));
    };
    for (name, expected) in required {
        let values: Vec<&str> = conditions.iter().filter_map(|one| exact_value(one, name)).collect();
        if values.is_empty() {
            return Err(error(format!("lacks a condition for `{name}`, which signature V4 demands"))
                .with_hint("Take the conditions and their values from `policy_conditions`"));
        }
        if values.iter().any(|value| value != expected) {
            return Err(error(format!("demands another `{name}` than the one that is signed"))
                .with_hint("Sign with the time, region and credentials that the policy was written for"));
        }
    }
    Ok(())
}

/// The value that a condition demands of a field: `{"name": "value"}` or `["eq", "$name", "value"]`.
/// Fields are named in any case.
fn exact_value<'a>(condition: &'a Value, name: &str) -> Option<&'a str> {
    match condition {
        Value::Object(members) => {
            members.iter().find(|(member, _)| member.eq_ignore_ascii_case(name))?.1.as_str()
        }
        Value::Array(items) => match items.as_slice() {
            [Value::String(operator), Value::String(field), Value::String(value)]
                if operator.eq_ignore_ascii_case("eq")
                    && field.strip_prefix('$').is_some_and(|field| field.eq_ignore_ascii_case(name)) =>
            {
                Some(value)
            }
            _ => None,
        },
        _ => None,
    }
}

/// The `policy` field, which is also the string to sign.
pub(super) fn encode(policy_json: &str) -> String {
    STANDARD.encode(policy_json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(policy: &str, required: &[(&str, &str)]) -> String {
        let error = check(policy, required).unwrap_err();
        assert_eq!(error.field(), Some("policy"));
        error.to_string()
    }

    #[test]
    fn policies_that_oss_cannot_read_are_refused() {
        for (policy, part) in [
            ("", "not JSON"),
            ("{\"expiration\":\"2030\",\"conditions\":[],}", "not JSON"),
            ("[]", "expiration"),
            ("{\"conditions\":[]}", "expiration"),
            ("{\"expiration\":1,\"conditions\":[]}", "expiration"),
            ("{\"expiration\":\"2030\"}", "conditions"),
            ("{\"expiration\":\"2030\",\"conditions\":{}}", "conditions"),
        ] {
            assert!(message(policy, &[]).contains(part), "{policy}");
        }
        check("{\"expiration\":\"2030\",\"conditions\":[]}", &[]).unwrap();
    }

    #[test]
    fn conditions_that_v4_demands_must_be_there_and_agree() {
        let policy = |condition: &str| format!("{{\"expiration\":\"2030\",\"conditions\":[{condition}]}}");
        let required = [("x-oss-security-token", "t0ken")];
        assert!(message(&policy(""), &required).contains("lacks a condition"));
        let other = message(&policy("{\"x-oss-security-token\":\"0ther\"}"), &required);
        assert!(other.contains("demands another") && !other.contains("t0ken") && !other.contains("0ther"));
        for condition in
            ["{\"X-Oss-Security-Token\":\"t0ken\"}", "[\"eq\",\"$x-oss-security-token\",\"t0ken\"]"]
        {
            check(&policy(condition), &required).unwrap();
        }
    }
}
