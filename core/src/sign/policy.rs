//! POST policies: what a browser form may upload, signed (OSS, "PostObject").

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::error::{Error, Result};

/// What a policy demands of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Of a field.
    Field {
        /// Its name, in any case.
        name: String,
        /// What its value must be.
        test: Test,
    },
    /// Of the size of the file, in bytes.
    Length {
        /// So many, or more.
        least: u64,
        /// So many, or fewer.
        most: u64,
    },
}

/// What a field's value must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// This text.
    Is(String),
    /// A text that begins so.
    StartsWith(String),
    /// One of these.
    In(Vec<String>),
    /// None of these.
    NotIn(Vec<String>),
}

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
    let known: Vec<Condition> = conditions.iter().filter_map(Condition::of).collect();
    for (name, expected) in required {
        let values: Vec<&str> = known.iter().filter_map(|condition| condition.exact_value(name)).collect();
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

impl Condition {
    /// Reads a condition from its JSON; none if OSS would not know it.
    ///
    /// Its documents have `{"name": "value"}`, `["eq", "$name", "value"]`, `["starts-with", …]`,
    /// `["in", "$name", [values]]`, `["not-in", …]` and `["content-length-range", least, most]` (OSS,
    /// PostObject; the two with lists in "PostObject with signature V4"). Of what they leave open the stricter
    /// reading is taken: operators in lower case, `$` before the name in a list and nowhere else, one member
    /// in an object, nothing behind the last word. Names of fields are in any case, as the form's are.
    pub fn parse(json: &str) -> Option<Condition> {
        Condition::of(&serde_json::from_str(json).ok()?)
    }

    fn of(condition: &Value) -> Option<Condition> {
        let text = |value: &Value| Some(value.as_str()?.to_owned());
        if let Some(members) = condition.as_object() {
            let (name, value) = members.iter().next().filter(|_| members.len() == 1)?;
            let name = Some(name).filter(|name| !name.starts_with('$'))?;
            return Some(Condition::Field { name: name.clone(), test: Test::Is(text(value)?) });
        }
        let [operator, first, second] = condition.as_array()?.as_slice() else { return None };
        let list = || second.as_array()?.iter().map(text).collect::<Option<Vec<_>>>();
        let test = match operator.as_str()? {
            "content-length-range" => {
                return Some(Condition::Length { least: first.as_u64()?, most: second.as_u64()? });
            }
            "eq" => Test::Is(text(second)?),
            "starts-with" => Test::StartsWith(text(second)?),
            "in" => Test::In(list()?),
            "not-in" => Test::NotIn(list()?),
            _ => return None,
        };
        Some(Condition::Field { name: first.as_str()?.strip_prefix('$')?.to_owned(), test })
    }

    /// The one value that it leaves to this field; none if it is another condition.
    pub fn exact_value(&self, field: &str) -> Option<&str> {
        match self {
            Condition::Field { name, test: Test::Is(value) } if name.eq_ignore_ascii_case(field) => {
                Some(value)
            }
            _ => None,
        }
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
    fn conditions_are_read_as_strictly_as_they_are_documented() {
        let field = |test| Some(Condition::Field { name: "key".to_owned(), test });
        let texts = || vec!["a".to_owned(), "b".to_owned()];
        for (json, condition) in [
            (r#"{"key":"a"}"#, field(Test::Is("a".to_owned()))),
            (r#"["eq","$key","a"]"#, field(Test::Is("a".to_owned()))),
            (r#"["starts-with","$key",""]"#, field(Test::StartsWith(String::new()))),
            (r#"["in","$key",["a","b"]]"#, field(Test::In(texts()))),
            (r#"["not-in","$key",["a","b"]]"#, field(Test::NotIn(texts()))),
            (r#"["content-length-range",1,5]"#, Some(Condition::Length { least: 1, most: 5 })),
        ] {
            assert_eq!(Condition::parse(json), condition, "{json}");
        }
        for json in [
            r#"["eq","key","a"]"#,
            r#"["STARTS-WITH","$key","a"]"#,
            r#"["eq","$key","a","b"]"#,
            r#"["eq","$key",1]"#,
            r#"["in","$key","a"]"#,
            r#"["content-length-range","1","5"]"#,
            r#"["content-length-range",-1,5]"#,
            r#"{"$key":"a"}"#,
            r#"{"key":"a","bucket":"b"}"#,
            "{}",
            "\"key\"",
            "",
        ] {
            assert_eq!(Condition::parse(json), None, "{json}");
        }
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
