//! A variable by which the application server knows a callback that it has had before: an id that is drawn
//! for every upload and stays the same however often the upload is sent.

use super::template::Template;
use super::{advice, names};
use crate::error::{Error, Result};
use crate::receive::seal;

const OPTION: &str = "callback.idempotency_variable";

/// The variable, by its name with `x:`.
#[derive(Clone, Debug)]
pub(crate) struct Idempotency(String);

impl Idempotency {
    /// # Errors
    /// `invalid_argument` for a name that is empty or taken.
    pub(super) fn new(name: String, vars: &[(String, String)], is_sealed: bool) -> Result<Idempotency> {
        let name = names::prefixed(name);
        let bare = name.get(2..).unwrap_or_default();
        if bare.is_empty() {
            return Err(Error::invalid_argument(OPTION, "must not be empty")
                .with_hint("Write a name in lowercase, such as `upload_id`."));
        }
        if vars.iter().any(|(known, _)| *known == name) {
            return Err(Error::invalid_argument(OPTION, format!("is `{bare}`, which `vars` hold already")));
        }
        if is_sealed && bare == seal::VARIABLE {
            return Err(Error::invalid_argument(OPTION, format!("is `{bare}`, which `seal` adds")));
        }
        Ok(Idempotency(name))
    }

    /// The variable with an id for one upload.
    ///
    /// # Errors
    /// `bug` if the system has no random numbers.
    pub(super) fn drawn(&self) -> Result<(String, String)> {
        Ok((self.0.clone(), seal::new_nonce()?))
    }

    /// The variable with a value that is as long as a real one: for OSS's own checks.
    pub(super) fn placeholder(&self) -> (String, String) {
        (self.0.clone(), "i".repeat(22))
    }

    /// The fields with that of the id, unless there are none or one of them has it.
    pub(super) fn with_field(&self, fields: Vec<(String, String)>) -> Result<Vec<(String, String)>> {
        names::with_field(fields, self.0.get(2..).unwrap_or_default(), "id")
    }

    /// Refuses a body that would keep the id to itself.
    pub(super) fn check_body(&self, body: &str, given_by: &'static str) -> Result<()> {
        let name = &self.0;
        // A malformed one gets its own refusal, unless checks were waived.
        if Template::parse(body).is_ok_and(|body| !body.variables().any(|used| used == name)) {
            let message = format!("does not hold `${{{name}}}`, so the id would not arrive");
            let hint = match given_by == advice::BODY {
                true => format!("Add `${{{name}}}` to the body, or leave `body` out for the default one."),
                false => format!("Add a field whose value is `${{{name}}}`."),
            };
            return Err(Error::invalid_argument(given_by, message).with_hint(hint));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use crate::options::{BodyType, CallbackBuilder};
    use crate::{Callback, receive::seal};

    fn builder() -> CallbackBuilder {
        Callback::builder("https://app.example.com/cb").var("order", "42").idempotency_variable("upload_id")
    }

    fn id_of(callback: &Callback) -> &str {
        let found = callback.vars().iter().find(|(name, _)| name == "x:upload_id");
        found.map_or("", |(_, value)| value.as_str())
    }

    #[test]
    fn each_upload_has_an_id_of_its_own() {
        let callback = builder().build().unwrap();
        assert!(callback.body().unwrap().ends_with("&order=${x:order}&upload_id=${x:upload_id}"));
        assert_eq!(id_of(&callback), "", "the callback itself has none");
        let of_upload = || callback.sealed_for("b", "k", SystemTime::now()).unwrap();
        let (one, two) = (of_upload(), of_upload());
        assert!(id_of(&one).len() == 22 && id_of(&one) != id_of(&two));
        assert_eq!(one.encoded(), callback.encoded());
        let again = one.sealed_for("b", "k", SystemTime::now()).unwrap();
        assert_eq!(again.encoded_vars(), one.encoded_vars());
    }

    #[test]
    fn the_seal_covers_the_id() {
        let secret = "0123456789abcdef0123456789abcdef";
        let callback = builder().seal(secret, Duration::from_secs(60)).build().unwrap();
        assert!(callback.body().unwrap().ends_with("&upload_id=${x:upload_id}&seal=${x:seal}"));
        let now = SystemTime::now();
        let sealed = callback.sealed_for("b", "k", now).unwrap();
        let (token, vars) = sealed.vars().split_last().unwrap();
        let check = |vars: &[(String, String)]| {
            let pairs = vars.iter().map(|(name, value)| (name, value));
            seal::verify(&[secret.into()], "b", "k", pairs, &token.1, now)
        };
        assert!(check(vars).is_ok());
        let mut other = vars.to_vec();
        other[1].1 = "another".to_owned();
        assert!(check(&other).is_err());
        let error = builder().idempotency_variable("seal").seal(secret, Duration::from_secs(60)).build();
        assert!(error.unwrap_err().message().contains("which `seal` adds"));
    }

    #[test]
    fn bodies_that_are_built_carry_the_id_and_others_must() {
        let json = builder().body_type(BodyType::Json).build().unwrap();
        assert!(json.body().unwrap().ends_with(r#","upload_id":${x:upload_id}}"#));
        let fields = builder().field("k", "${object}").build().unwrap();
        assert_eq!(fields.body(), Some("k=${object}&upload_id=${x:upload_id}"));
        let named = builder().field("id", "${x:upload_id}").build().unwrap();
        assert_eq!(named.body(), Some("id=${x:upload_id}"));
        assert!(builder().body("o=${x:order}&i=${x:upload_id}").build().is_ok());
        let error = builder().body("o=${x:order}").build().unwrap_err();
        assert_eq!(error.field(), Some("callback.body"));
        assert!(error.hint().unwrap().contains("${x:upload_id}"), "{error}");
    }

    #[test]
    fn names_that_oss_refuses_or_that_are_taken_are_refused() {
        let error = builder().idempotency_variable("").build().unwrap_err();
        assert_eq!(error.field(), Some("callback.idempotency_variable"));
        let error = builder().idempotency_variable("x:order").build().unwrap_err();
        assert_eq!(error.field(), Some("callback.idempotency_variable"));
        assert_eq!(
            builder().idempotency_variable("Upper").build().unwrap_err().field(),
            Some("callback.vars")
        );
    }

    #[test]
    fn the_limit_on_variables_counts_the_id() {
        let fits = |length: usize| builder().var("v", "a".repeat(length)).build();
        let longest = (3600..3900).rev().find(|length| fits(*length).is_ok()).unwrap();
        let filled = fits(longest).unwrap().sealed_for("b", "k", SystemTime::now()).unwrap();
        let length = filled.encoded_vars().unwrap().len();
        assert!((5116..=5120).contains(&length), "{length}");
    }
}
