//! What is asked of OSS: the callback, its body and variables, checked and encoded.
//!
//! A [`Callback`] is built once, checked by OSS's own rules ([`check`]) and by ours on top, and then sent
//! with any number of uploads. [`template`] is how OSS fills a body in; an emulator of OSS uses both.

mod advice;
mod body;
mod builder;
pub mod check;
#[cfg(test)]
mod check_tests;
mod encode;
mod idempotency;
mod names;
mod preview;
#[cfg(test)]
mod properties;
mod rejection;
mod sealing;
pub mod template;
#[cfg(test)]
mod tests;
mod url;

use std::fmt;
use std::sync::Arc;

pub use preview::PreviewValues;
pub(crate) use sealing::Sealing;
pub use url::CallbackUrl;

use crate::error::{Error, Result};
use crate::options::{BodyType, CallbackBuilder};
use idempotency::Idempotency;
use template::{SYSTEM_VARIABLES, Template, Value};

/// A checked callback, ready to be sent with any number of uploads. Cloning it is cheap.
///
/// ```
/// use oss_callback::Callback;
///
/// let callback = Callback::builder("https://app.example.com/callback").var("order", "42").build()?;
/// let body = "bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mimeType=${mimeType}&order=${x:order}";
/// assert_eq!(callback.body(), Some(body));
/// # Ok::<(), oss_callback::Error>(())
/// ```
#[derive(Clone)]
pub struct Callback {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    urls: Vec<String>,
    host: Option<String>,
    body: Option<String>,
    body_type: BodyType,
    sni: bool,
    headers: Vec<(String, String)>,
    vars: Vec<(String, String)>,
    policy: Option<String>,
    json: String,
    vars_json: Option<String>,
    encoded: String,
    encoded_vars: Option<String>,
    warnings: Vec<String>,
    sealing: Option<Sealing>,
    idempotency: Option<Idempotency>,
}

impl Callback {
    /// A callback to one URL (or up to five, joined by `;`) with the default body.
    ///
    /// # Errors
    /// `invalid_argument` for a URL that OSS would refuse.
    pub fn new(url: impl Into<String>) -> Result<Callback> {
        Callback::builder(url).build()
    }

    /// A callback to be filled in; [`url`](CallbackBuilder::url) is called for each further URL, up to five.
    pub fn builder(url: impl Into<String>) -> CallbackBuilder {
        CallbackBuilder::default().url(url)
    }

    /// A callback by the name of a policy that is stored with the bucket and says URL, body and the rest.
    ///
    /// # Errors
    /// `invalid_argument` for an empty name.
    pub fn from_policy(name: impl Into<String>) -> Result<Callback> {
        Callback::policy_builder(name).build()
    }

    /// A callback by the name of a stored policy, to which variables can be added.
    pub fn policy_builder(name: impl Into<String>) -> CallbackBuilder {
        CallbackBuilder::default().policy(name)
    }

    /// Base64 of the callback's JSON: the value of `x-oss-callback` or of the query's `callback`.
    pub fn encoded(&self) -> &str {
        &self.inner.encoded
    }

    /// Base64 of the variables' JSON, where there are any: `x-oss-callback-var` or `callback-var`.
    pub fn encoded_vars(&self) -> Option<&str> {
        self.inner.encoded_vars.as_deref()
    }

    /// The JSON that [`encoded`](Callback::encoded) holds.
    pub fn json(&self) -> &str {
        &self.inner.json
    }

    /// The JSON that [`encoded_vars`](Callback::encoded_vars) holds.
    pub fn vars_json(&self) -> Option<&str> {
        self.inner.vars_json.as_deref()
    }

    /// The URLs, in the order in which OSS tries them. None with a policy.
    pub fn urls(&self) -> &[String] {
        &self.inner.urls
    }

    /// The body's template. None with a policy.
    pub fn body(&self) -> Option<&str> {
        self.inner.body.as_deref()
    }

    /// Media type of the body.
    pub fn body_type(&self) -> BodyType {
        self.inner.body_type
    }

    /// The `Host` header, where it is not that of the URL.
    pub fn host(&self) -> Option<&str> {
        self.inner.host.as_deref()
    }

    /// Whether OSS names the server in the TLS handshake.
    pub fn sni(&self) -> bool {
        self.inner.sni
    }

    /// Additional headers of the callback request.
    pub fn headers(&self) -> &[(String, String)] {
        &self.inner.headers
    }

    /// Custom variables, names with `x:`. A form upload sends them as fields of these names. The seal is
    /// among them once the callback is [sealed](Callback::sealed_for).
    pub fn vars(&self) -> &[(String, String)] {
        &self.inner.vars
    }

    /// Name of the policy that is stored with the bucket.
    pub fn policy(&self) -> Option<&str> {
        self.inner.policy.as_deref()
    }

    /// What was logged when the callback was built: legal, but seldom meant, such as a variable that the
    /// body never uses.
    pub fn warnings(&self) -> &[String] {
        &self.inner.warnings
    }

    /// The exact body that OSS would send for an upload with these values.
    ///
    /// # Errors
    /// `invalid_argument` for a policy, whose body lies with the bucket, and for a malformed template that
    /// was built unchecked.
    pub fn preview(&self, values: &PreviewValues) -> Result<String> {
        let Some(body) = self.body() else {
            return Err(Error::invalid_argument(
                "callback.policy",
                "keeps its body with the bucket, not here",
            ));
        };
        let template = Template::parse(body).map_err(|error| {
            Error::invalid_argument("callback.body", error.to_string()).with_source(error)
        })?;
        Ok(template.expand(self.body_type(), |name| {
            let var = self.vars().iter().rev().find(|(var, _)| var == name);
            var.map(|(_, value)| Value::text(value.as_str())).or_else(|| values.get(name))
        }))
    }
}

/// Without what may be secret: the values of variables and headers, and the URLs' queries.
impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Callback");
        if let Some(policy) = self.policy() {
            out.field("policy", &policy);
        }
        out.field("urls", &self.urls().iter().map(|text| url::shown(text)).collect::<Vec<_>>());
        if let Some(host) = self.host() {
            out.field("host", &host);
        }
        if let Some(body) = self.body() {
            out.field("body", &body).field("body_type", &self.body_type().as_str());
        }
        if self.is_to_be_sealed() {
            out.field("seal", &"***");
        }
        out.field("sni", &self.sni());
        out.field("headers", &names_of(self.headers())).field("vars", &names_of(self.vars())).finish()
    }
}

/// The names of pairs, whose values are not to be shown.
fn names_of(pairs: &[(String, String)]) -> Vec<&str> {
    pairs.iter().map(|(name, _)| name.as_str()).collect()
}

impl BodyType {
    /// The media type, as `callbackBodyType` has it.
    pub const fn media_type(self) -> &'static str {
        match self {
            BodyType::Form => "application/x-www-form-urlencoded",
            BodyType::Json => "application/json",
        }
    }

    /// The body type of that media type, in exactly OSS's spelling (EC 0007-00000013).
    pub fn from_media_type(name: &str) -> Option<BodyType> {
        BodyType::ALL.iter().copied().find(|body_type| body_type.media_type() == name)
    }
}
