//! Option values as they come from other languages, and the errors for wrong ones.

use std::fmt;
use std::time::Duration;

use crate::error::{Error, Result};

/// A value for an option that is set by name.
#[derive(Clone)]
#[non_exhaustive]
pub enum OptionValue {
    /// Text; also for secrets and for enums, by the value's name.
    Text(String),
    /// A yes or no.
    Bool(bool),
    /// A whole number. Negative ones are refused with a message rather than by the type.
    Integer(i64),
    /// A length of time.
    Duration(Duration),
    /// Pairs of text, in order.
    Map(Vec<(String, String)>),
    /// Texts, in order; also for secrets.
    List(Vec<String>),
}

/// What kind of value an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionType {
    /// Text.
    Text,
    /// Text that is never shown.
    Secret,
    /// A yes or no.
    Bool,
    /// A whole number from 0.
    Integer,
    /// A length of time.
    Duration,
    /// Pairs of text.
    Map,
    /// Texts.
    List,
    /// Texts that are never shown.
    SecretList,
    /// One of the listed values.
    Enum,
}

/// An option as `api/options.toml` lists it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OptionInfo {
    /// Name, in `snake_case`.
    pub name: &'static str,
    /// What it takes.
    pub ty: OptionType,
    /// The allowed values of an enum; empty otherwise.
    pub values: &'static [&'static str],
    /// What it is for.
    pub doc: &'static str,
    /// What holds when it is not set.
    pub default: &'static str,
}

impl fmt::Debug for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It may be a secret's.
        write!(f, "OptionValue({})", self.type_name())
    }
}

impl OptionValue {
    fn type_name(&self) -> &'static str {
        match self {
            OptionValue::Text(_) => "text",
            OptionValue::Bool(_) => "a boolean",
            OptionValue::Integer(_) => "an integer",
            OptionValue::Duration(_) => "a duration",
            OptionValue::Map(_) => "a map",
            OptionValue::List(_) => "a list",
        }
    }

    fn mismatch(&self, name: &'static str, wanted: &str) -> Error {
        Error::invalid_argument(name, format!("must be {wanted}, not {}", self.type_name()))
    }

    pub(super) fn text(self, name: &'static str) -> Result<String> {
        match self {
            OptionValue::Text(text) => Ok(text),
            other => Err(other.mismatch(name, "text")),
        }
    }

    pub(super) fn boolean(self, name: &'static str) -> Result<bool> {
        match self {
            OptionValue::Bool(value) => Ok(value),
            other => Err(other.mismatch(name, "a boolean")),
        }
    }

    pub(super) fn integer(self, name: &'static str) -> Result<u64> {
        match self {
            OptionValue::Integer(value) => u64::try_from(value)
                .map_err(|_| Error::invalid_argument(name, format!("must not be negative, but is {value}"))),
            other => Err(other.mismatch(name, "an integer")),
        }
    }

    pub(super) fn duration(self, name: &'static str) -> Result<Duration> {
        match self {
            OptionValue::Duration(value) => Ok(value),
            other => Err(other.mismatch(name, "a duration")),
        }
    }

    pub(super) fn map(self, name: &'static str) -> Result<Vec<(String, String)>> {
        match self {
            OptionValue::Map(pairs) => Ok(pairs),
            other => Err(other.mismatch(name, "a map of text to text")),
        }
    }

    /// One text is a list of one. An empty list is a mistake, and not a way to say nothing: what a secret that
    /// was not found was meant to check would go unchecked.
    pub(super) fn list(self, name: &'static str) -> Result<Vec<String>> {
        match self {
            OptionValue::List(texts) if texts.is_empty() => {
                Err(Error::invalid_argument(name, "must not be an empty list")
                    .with_hint("Name at least one, or leave it out."))
            }
            OptionValue::List(texts) => Ok(texts),
            OptionValue::Text(text) => Ok(vec![text]),
            other => Err(other.mismatch(name, "a list of texts")),
        }
    }
}

pub(super) fn parse_enum<T: Copy>(
    name: &'static str,
    text: &str,
    all: &'static [T],
    as_str: fn(T) -> &'static str,
) -> Result<T> {
    all.iter().copied().find(|value| as_str(*value) == text).ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|value| as_str(*value)).collect();
        Error::invalid_argument(name, format!("`{text}` is not one of: {}", known.join(", ")))
    })
}

/// A timeout as `build()` takes it.
pub(crate) fn positive(name: &'static str, value: Option<Duration>) -> Result<Option<Duration>> {
    match value {
        Some(Duration::ZERO) => Err(Error::invalid_argument(name, "must be longer than 0")),
        // Beyond this, instants overflow; and a year is no timeout.
        Some(value) if value > Duration::from_secs(365 * 86_400) => {
            Err(Error::invalid_argument(name, "must be at most a year"))
        }
        value => Ok(value),
    }
}

pub(super) fn unknown(name: &str, known: &[OptionInfo]) -> Error {
    let known: Vec<&str> = known.iter().map(|option| option.name).collect();
    unknown_option(name, &known)
}

/// The error for an option that does not exist, with the nearest of those that do. For languages that
/// spell the options in a way of their own: `known` holds the names in that spelling.
pub fn unknown_option(name: &str, known: &[&str]) -> Error {
    let nearest = known
        .iter()
        .map(|option| (distance(name, option), *option))
        .min()
        .filter(|(distance, nearest)| *distance <= 1 + nearest.len() / 3);
    let message = match nearest {
        Some((_, nearest)) => format!("there is no option `{name}`; did you mean `{nearest}`?"),
        None => format!("there is no option `{name}`; the options are {}", known.join(", ")),
    };
    Error::invalid_argument(name.to_owned(), message)
}

/// Levenshtein distance without regard to case and underscores, so that `contentType` and
/// `content_typ` both find `content_type`.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let fold = |text: &str| -> Vec<char> {
        text.chars().filter(|c| *c != '_' && *c != '-').map(|c| c.to_ascii_lowercase()).collect()
    };
    let (a, b) = (fold(a), fold(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let cost = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::super::PutOptions;
    use super::*;

    #[test]
    fn a_typo_is_refused_with_the_nearest_name() {
        let error = PutOptions::default().set("content_typ", OptionValue::Text("a/b".into())).unwrap_err();
        assert!(error.to_string().contains("did you mean `content_type`?"), "{error}");
        let error = PutOptions::default().set("zzzzzz", OptionValue::Bool(true)).unwrap_err();
        assert!(error.to_string().contains("the options are content_type"), "{error}");
    }

    #[test]
    fn names_in_another_spelling_are_suggested_in_that_spelling() {
        let error = unknown_option("content_type", &["contentType", "timeoutMs"]);
        assert_eq!(error.field(), Some("content_type"));
        assert!(error.message().ends_with("did you mean `contentType`?"), "{error}");
    }

    #[test]
    fn values_of_another_type_are_refused() {
        for option in PutOptions::OPTIONS {
            let wrong = match option.ty {
                OptionType::Bool => OptionValue::Text("yes".into()),
                _ => OptionValue::Bool(true),
            };
            let error = PutOptions::default().set(option.name, wrong).unwrap_err();
            assert_eq!(error.field(), Some(option.name));
        }
    }

    #[test]
    fn an_unknown_enum_value_names_the_known_ones() {
        let error = PutOptions::default().set("acl", OptionValue::Text("publik".into())).unwrap_err();
        assert!(error.to_string().contains("public-read-write"), "{error}");
    }
}
