//! What a form's policy allows (OSS, PostObject).

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
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
    let field = |name: &str| match form.get(name) {
        None if name.eq_ignore_ascii_case("bucket") => Some(bucket),
        value => value,
    };
    for condition in conditions {
        let rule = Rule::parse(condition).ok_or_else(|| invalid(&format!("{condition} is no condition")))?;
        rule.check(&field, form.file.len() as u64, condition)?;
    }
    if form.get("x-oss-signature").is_some() {
        let names = |name: &str| conditions.iter().filter_map(Rule::parse).any(|rule| rule.is_about(name));
        let token = form.get("x-oss-security-token").map(|_| "x-oss-security-token");
        if let Some(name) = V4_CONDITIONS.iter().copied().chain(token).find(|name| !names(name)) {
            return Err(invalid(&format!("it lacks a condition for {name}")));
        }
    }
    Ok(())
}

/// One condition.
enum Rule<'p> {
    Field(&'p str, Test<'p>),
    Length(u64, u64),
}

enum Test<'p> {
    Is(&'p str),
    StartsWith(&'p str),
    In(Vec<&'p str>),
    NotIn(Vec<&'p str>),
}

impl<'p> Rule<'p> {
    fn parse(condition: &'p Value) -> Option<Rule<'p>> {
        if let Some(members) = condition.as_object() {
            let (name, value) = members.iter().next().filter(|_| members.len() == 1)?;
            return Some(Rule::Field(name, Test::Is(value.as_str()?)));
        }
        let [operator, first, second] = condition.as_array()?.as_slice() else { return None };
        let operator = operator.as_str()?.to_ascii_lowercase();
        if operator == "content-length-range" {
            return Some(Rule::Length(first.as_u64()?, second.as_u64()?));
        }
        let list = || second.as_array()?.iter().map(Value::as_str).collect::<Option<Vec<_>>>();
        let test = match operator.as_str() {
            "eq" => Test::Is(second.as_str()?),
            "starts-with" => Test::StartsWith(second.as_str()?),
            "in" => Test::In(list()?),
            "not-in" => Test::NotIn(list()?),
            _ => return None,
        };
        Some(Rule::Field(first.as_str()?.strip_prefix('$')?, test))
    }

    fn is_about(&self, wanted: &str) -> bool {
        matches!(self, Rule::Field(name, Test::Is(_)) if name.eq_ignore_ascii_case(wanted))
    }

    fn check<'f>(
        &self,
        field: &impl Fn(&str) -> Option<&'f str>,
        size: u64,
        condition: &Value,
    ) -> Result<(), OssError> {
        match self {
            Rule::Length(least, _) if size < *least => Err(OssError::new(
                400,
                "EntityTooSmall",
                "Your proposed upload smaller than the minimum allowed size.",
            )),
            Rule::Length(_, most) if size > *most => Err(OssError::new(
                400,
                "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed object size.",
            )),
            Rule::Length(..) => Ok(()),
            Rule::Field(name, test) => {
                let value = field(name);
                let holds = match test {
                    Test::Is(wanted) => value == Some(wanted),
                    Test::StartsWith(start) => value.is_some_and(|value| value.starts_with(start)),
                    Test::In(list) => value.is_some_and(|value| list.contains(&value)),
                    Test::NotIn(list) => value.is_none_or(|value| !list.contains(&value)),
                };
                let message = || format!("Invalid according to Policy: Policy Condition failed: {condition}");
                if holds { Ok(()) } else { Err(OssError::access_denied(message())) }
            }
        }
    }
}

fn invalid(why: &str) -> OssError {
    OssError::new(400, "InvalidPolicyDocument", format!("Invalid Policy: {why}."))
}
