//! Sealing a callback: what a seal asks of the callback, and the sealed copy for one upload.
//!
//! A seal names bucket and key, which a callback does not know. So a callback only holds how to seal,
//! and every upload gets a copy with a seal of its own. What a seal is stands in [`crate::receive::seal`].

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::template::Template;
use super::{Callback, Inner, advice, encode, names};
use crate::credentials::Secret;
use crate::error::{Error, Result};
use crate::options::CallbackBuilder;
use crate::receive::seal::{self, VARIABLE};

const OPTION: &str = "callback.seal";
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// How to seal.
#[derive(Clone, Debug)]
pub(crate) struct Sealing {
    secret: Secret,
    expires_in: Duration,
}

impl CallbackBuilder {
    /// Seals every upload with a secret that your application server shares, so that it can tell your
    /// uploads from a forger's: see [`receive`](crate::receive). `expires_in` counts from the upload's
    /// start (or the signing of a URL or form) to the arrival of the callback: 1 s to 365 days, in whole
    /// seconds.
    ///
    /// A seal belongs to one bucket and key. [`Client`](crate::Client) makes one for each upload, and
    /// keeps it when it sends the upload again; for a presigned URL or a form, use
    /// [`Callback::sealed_for`]. The seal travels as the variable `x:seal`, which the default body and
    /// one built from fields carry by themselves. A body that is written out must hold `${x:seal}`,
    /// `${bucket}`, `${object}` and every variable.
    ///
    /// Default: none.
    pub fn seal(mut self, secret: impl Into<Secret>, expires_in: Duration) -> Self {
        self.seal = Some(Sealing { secret: secret.into(), expires_in });
        self
    }
}

impl Callback {
    /// Whether each upload gets a seal; false for a callback that is sealed already.
    pub fn is_to_be_sealed(&self) -> bool {
        self.inner.sealing.is_some()
    }

    /// The callback for one upload, with a new seal among its variables; expiry counts from `now`. The
    /// [`idempotency_variable`](CallbackBuilder::idempotency_variable) gets its id here too. Without
    /// either it is the callback itself.
    ///
    /// Uploads by [`Client`](crate::Client) do this by themselves. Use it for presigned URLs and forms,
    /// whose signature fixes bucket and key: with `${filename}` in a form's key there is nothing to seal.
    ///
    /// # Errors
    /// `invalid_argument` for an empty bucket or key; `bug` if the system has no random numbers.
    pub fn sealed_for(&self, bucket: &str, key: &str, now: SystemTime) -> Result<Callback> {
        let Inner { sealing, idempotency, .. } = &*self.inner;
        if sealing.is_none() && idempotency.is_none() {
            return Ok(self.clone());
        }
        let mut vars = self.vars().to_vec();
        if let Some(idempotency) = idempotency {
            vars.push(idempotency.drawn()?);
        }
        if let Some(sealing) = sealing {
            let token = sealing.token(bucket, key, &vars, &seal::new_nonce()?, now)?;
            vars.push(variable(token));
        }
        let vars_json = encode::json(&encode::Pairs(&vars))?;
        let encoded_vars = Some(encode::base64(&vars_json));
        let vars_json = Some(vars_json);
        let inner = Inner {
            vars,
            vars_json,
            encoded_vars,
            sealing: None,
            idempotency: None,
            ..Inner::clone(&self.inner)
        };
        Ok(Callback { inner: Arc::new(inner) })
    }
}

impl Sealing {
    fn token(
        &self,
        bucket: &str,
        key: &str,
        vars: &[(String, String)],
        nonce: &str,
        now: SystemTime,
    ) -> Result<String> {
        let expires_at = now
            .checked_add(self.expires_in)
            .ok_or_else(|| Error::invalid_argument(OPTION, "expires later than time can be told"))?;
        let pairs = vars.iter().map(|(name, value)| (name, value));
        seal::seal(&self.secret, bucket, key, pairs, nonce, expires_at)
    }

    /// Refuses what could never be sealed.
    pub(super) fn check(&self, vars: &[(String, String)]) -> Result<()> {
        seal::check_secret(OPTION, &self.secret)?;
        if !(Duration::from_secs(1)..=LONGEST).contains(&self.expires_in) {
            return Err(Error::invalid_argument(OPTION, "must expire after 1 second to 365 days"));
        }
        let own = variable(String::new()).0;
        if vars.iter().any(|(name, _)| *name == own) {
            let message = format!("hold `{own}`, which `seal` adds");
            return Err(Error::invalid_argument("callback.vars", message).with_hint("Rename the variable."));
        }
        Ok(())
    }

    /// The fields with that of the seal, unless there are none or one of them has it.
    pub(super) fn with_field(fields: Vec<(String, String)>) -> Result<Vec<(String, String)>> {
        names::with_field(fields, VARIABLE, "seal")
    }

    /// Refuses a body that lacks something that the verifier needs to check the seal.
    pub(super) fn check_body(body: &str, vars: &[(String, String)], given_by: &'static str) -> Result<()> {
        // A malformed one gets its own refusal, unless checks were waived.
        let Ok(template) = Template::parse(body) else { return Ok(()) };
        let own = variable(String::new()).0;
        let needed = [own.as_str(), "bucket", "object"];
        let mut needed = needed.into_iter().chain(vars.iter().map(|(name, _)| name.as_str()));
        let missing = needed.find(|name| !template.variables().any(|used| used == *name));
        let Some(missing) = missing else { return Ok(()) };
        let hint = match given_by == advice::BODY {
            true => format!("Add `${{{missing}}}` to the body, or leave `body` out for the default one."),
            false => format!("Add a field whose value is `${{{missing}}}`."),
        };
        let message = format!("does not hold `${{{missing}}}`, which the seal needs");
        Err(Error::invalid_argument(given_by, message).with_hint(hint))
    }

    /// The variable with a seal that is as long as a real one: for OSS's own checks.
    pub(super) fn placeholder() -> (String, String) {
        variable(format!("1.9999999999.{}.{}", "n".repeat(22), "m".repeat(43)))
    }
}

fn variable(token: String) -> (String, String) {
    (format!("x:{VARIABLE}"), token)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::options::BodyType;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const HOUR: Duration = Duration::from_secs(3600);

    fn builder() -> CallbackBuilder {
        Callback::builder("https://app.example.com/cb").seal(SECRET, HOUR)
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn seal_of(callback: &Callback) -> &str {
        let (name, value) = callback.vars().last().unwrap();
        assert_eq!(name, "x:seal");
        value
    }

    #[test]
    fn each_upload_has_its_own_seal_over_its_bucket_key_and_variables() {
        let callback = builder().var("order", "42").build().unwrap();
        assert!(callback.is_to_be_sealed());
        assert_eq!(callback.vars().len(), 1);
        let one = callback.sealed_for("photos", "a.jpg", at(1000)).unwrap();
        let two = callback.sealed_for("photos", "a.jpg", at(1000)).unwrap();
        assert_ne!(seal_of(&one), seal_of(&two));
        assert!(!one.is_to_be_sealed());
        assert_eq!(one.sealed_for("x", "y", at(0)).unwrap().encoded_vars(), one.encoded_vars());
        let secrets = [Secret::from(SECRET)];
        let check = |bucket, key, order| {
            seal::verify(&secrets, bucket, key, [("order", order)], seal_of(&one), at(1001))
        };
        assert_eq!(check("photos", "a.jpg", "42").unwrap().expires_at, at(4600));
        for (bucket, key, order) in
            [("other", "a.jpg", "42"), ("photos", "b", "42"), ("photos", "a.jpg", "43")]
        {
            assert!(check(bucket, key, order).is_err(), "{bucket} {key} {order}");
        }
        let vars = one.vars_json().unwrap();
        assert_eq!(vars, format!(r#"{{"x:order":"42","x:seal":"{}"}}"#, seal_of(&one)));
        assert_eq!(one.encoded_vars(), Some(encode::base64(vars).as_str()));
        assert_eq!(one.encoded(), callback.encoded());
    }

    #[test]
    fn bodies_that_are_built_carry_the_seal_by_themselves() {
        let default = builder().var("order", "42").build().unwrap();
        assert!(default.body().unwrap().ends_with("&order=${x:order}&seal=${x:seal}"));
        let json = builder().body_type(BodyType::Json).build().unwrap();
        assert!(json.body().unwrap().ends_with(r#","seal":${x:seal}}"#));
        let fields = || builder().field("b", "${bucket}").field("k", "${object}");
        assert_eq!(fields().build().unwrap().body(), Some("b=${bucket}&k=${object}&seal=${x:seal}"));
        let named = fields().field("s", "${x:seal}").build().unwrap();
        assert_eq!(named.body(), Some("b=${bucket}&k=${object}&s=${x:seal}"));
    }

    #[test]
    fn a_body_that_the_seal_could_not_be_checked_with_is_refused() {
        for (body, missing) in [
            ("bucket=${bucket}&object=${object}&o=${x:o}", "x:seal"),
            ("object=${object}&o=${x:o}&s=${x:seal}", "bucket"),
            ("bucket=${bucket}&o=${x:o}&s=${x:seal}", "object"),
            ("bucket=${bucket}&object=${object}&s=${x:seal}", "x:o"),
        ] {
            let error = builder().var("o", "1").body(body).build().unwrap_err();
            assert_eq!(error.field(), Some("callback.body"));
            assert!(error.message().contains(&format!("`${{{missing}}}`")), "{error}");
        }
        let whole = "b=${bucket}&k=${object}&o=${x:o}&s=${x:seal}";
        assert!(builder().var("o", "1").body(whole).build().is_ok());
        let error = builder().field("k", "${object}").build().unwrap_err();
        assert_eq!(error.field(), Some("callback.fields"), "{error}");
        let taken = builder().field("seal", "mine").field("k", "${object}").field("b", "${bucket}");
        assert!(taken.build().unwrap_err().message().contains("which is the seal's"));
        assert!(builder().var("seal", "mine").build().unwrap_err().message().contains("which `seal` adds"));
    }

    #[test]
    fn weak_secrets_and_odd_expiries_are_refused_and_the_secret_is_never_shown() {
        let new = || Callback::builder("https://app.example.com/cb");
        let error = new().seal("short", HOUR).build().unwrap_err();
        assert_eq!(error.field(), Some("callback.seal"));
        assert!(!error.to_string().contains("short"), "{error}");
        for wrong in [Duration::ZERO, Duration::from_millis(999), Duration::MAX] {
            assert!(new().seal(SECRET, wrong).build().is_err(), "{wrong:?}");
        }
        let callback = builder().build().unwrap();
        for shown in [format!("{:?}", builder()), format!("{callback:?}")] {
            assert!(!shown.contains(SECRET), "{shown}");
        }
    }

    #[test]
    fn the_limit_on_variables_counts_the_seal() {
        let fits = |length: usize| builder().var("v", "a".repeat(length)).build();
        let longest = (3600..3900).rev().find(|length| fits(*length).is_ok()).unwrap();
        let sealed = fits(longest).unwrap().sealed_for("b", "k", SystemTime::now()).unwrap();
        let length = sealed.encoded_vars().unwrap().len();
        assert!((5116..=5120).contains(&length), "{length}");
    }
}
