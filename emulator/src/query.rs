//! The query of a request, as sent and decoded.

use percent_encoding::percent_decode_str;

/// Names and values of a query string, decoded once.
///
/// A raw `+` is ambiguous: some clients (oss2) send it for a blank and sign `%20`, others mean a plus.
/// Both readings are kept until the signature has told which one the sender had.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, Option<String>)>,
}

impl Query {
    /// `None` when a name or value is not UTF-8 once decoded.
    pub fn parse(raw: &str, plus_is_blank: bool) -> Option<Query> {
        let decode = |text: &str| {
            let text = if plus_is_blank { text.replace('+', "%20") } else { text.to_owned() };
            percent_decode_str(&text).decode_utf8().ok().map(|text| text.into_owned())
        };
        let mut pairs = Vec::new();
        for piece in raw.split('&').filter(|piece| !piece.is_empty()) {
            let (name, value) = match piece.split_once('=') {
                Some((name, value)) => (name, Some(decode(value)?)),
                None => (piece, None),
            };
            pairs.push((decode(name)?, value));
        }
        Some(Query { pairs })
    }

    pub fn pairs(&self) -> &[(String, Option<String>)] {
        &self.pairs
    }

    pub fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(n, _)| n == name)
    }

    /// The first value of `name`; empty for a name without value (of repeated parameters the first
    /// counts: OSS, "Include a V1 signature in a URL").
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_deref().unwrap_or(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_has_two_readings() {
        let read = |blank| Query::parse("a+b=c+d%2B", blank).unwrap();
        assert_eq!(read(true).get("a b"), Some("c d+"));
        assert_eq!(read(false).get("a+b"), Some("c+d+"));
    }

    #[test]
    fn names_without_value_and_empty_values_are_told_apart() {
        let query = Query::parse("acl&x=&&y=1=2", false).unwrap();
        assert_eq!(query.pairs().len(), 3);
        assert_eq!(query.pairs()[0], ("acl".into(), None));
        assert_eq!(query.pairs()[1], ("x".into(), Some(String::new())));
        assert_eq!(query.get("y"), Some("1=2"));
    }

    #[test]
    fn a_query_that_is_not_utf8_is_refused() {
        assert!(Query::parse("a=%ff", false).is_none());
    }
}
