//! From options to a checked callback.

use std::fmt;
use std::sync::Arc;

use super::check::{Rejection, check_parameters};
use super::url::{self, SEPARATOR};
use super::{Callback, Idempotency, Inner, Sealing, advice, body, encode, names, names_of};
use crate::error::{Error, Result};
use crate::options::{BodyType, CallbackBuilder};

/// Without the values of variables and headers, and the queries of URLs: they may hold secrets.
impl fmt::Debug for CallbackBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackBuilder")
            .field("policy", &self.policy)
            .field("urls", &self.urls.iter().map(|text| url::shown(text)).collect::<Vec<_>>())
            .field("host", &self.host)
            .field("body", &self.body)
            .field("fields", &self.fields)
            .field("body_type", &self.body_type)
            .field("sni", &self.sni)
            .field("vars", &names_of(&self.vars))
            .field("headers", &names_of(&self.headers))
            .finish_non_exhaustive()
    }
}

impl CallbackBuilder {
    /// Adds a URL that is tried when those before it failed; up to five. One text may hold several,
    /// joined by `;`.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.urls.push(url.into());
        self
    }

    /// Checks all and encodes it, once for any number of uploads.
    ///
    /// # Errors
    /// `invalid_argument`, with the option as field (`callback.url`, `callback.body`, …), what is wrong
    /// and what to write instead; and with the EC where OSS would refuse it by itself.
    ///
    /// With `unchecked` only contradictions are refused, such as `body` together with `fields`.
    pub fn build(mut self) -> Result<Callback> {
        let checked = !self.unchecked.unwrap_or(false);
        if self.body.is_some() && !self.fields.is_empty() {
            return Err(Error::invalid_argument(advice::BODY, "cannot stand beside `fields`")
                .with_hint("Write the body out with `body`, or build it with `field`."));
        }
        let urls = self.joined_urls();
        if checked && self.policy.is_some() {
            self.refuse_options_beside_policy(&urls)?;
        }
        let vars = std::mem::take(&mut self.vars).into_iter();
        let vars: Vec<(String, String)> = vars.map(|(name, value)| (names::prefixed(name), value)).collect();
        let body_type = self.body_type.unwrap_or(BodyType::Form);
        let given_by = if self.fields.is_empty() { advice::BODY } else { "callback.fields" };
        let sealing = self.seal.take();
        let idempotency = self.idempotency_variable.take();
        let idempotency =
            idempotency.map(|name| Idempotency::new(name, &vars, sealing.is_some())).transpose()?;
        // All variables as they will travel, those with values that each upload makes for itself included.
        let mut all = vars.clone();
        if let Some(idempotency) = &idempotency {
            self.fields = idempotency.with_field(self.fields)?;
            all.push(idempotency.placeholder());
        }
        let to_seal = all.len();
        if let Some(sealing) = &sealing {
            sealing.check(&vars)?;
            self.fields = Sealing::with_field(self.fields)?;
            all.push(Sealing::placeholder());
        }
        let body = self.take_body(&all, body_type, checked)?;
        if let Some(body) = &body {
            if sealing.is_some() {
                Sealing::check_body(body, all.get(..to_seal).unwrap_or_default(), given_by)?;
            }
            idempotency.as_ref().map_or(Ok(()), |id| id.check_body(body, given_by))?;
        }
        let sni = self.sni.unwrap_or_else(|| urls.split(SEPARATOR).any(wants_sni));
        if checked {
            refuse_what_encoding_hides(self.host.as_deref(), &self.headers)?;
        }
        let members = encode::Members {
            callback_url: Some(urls.as_str()).filter(|urls| !urls.is_empty()),
            callback_host: self.host.as_deref(),
            callback_body: body.as_deref(),
            callback_body_type: self.body_type.map(BodyType::media_type),
            callback_sni: sni,
            additional_headers: encode::Pairs(&self.headers),
            callback_policy: self.policy.as_deref(),
        };
        let json = encode::json(&members)?;
        let vars_json = (!vars.is_empty()).then(|| encode::json(&encode::Pairs(&vars))).transpose()?;
        let encoded = encode::base64(&json);
        let encoded_vars = vars_json.as_deref().map(encode::base64);
        let mut warnings = Vec::new();
        if checked {
            let all = (!all.is_empty()).then(|| encode::json(&encode::Pairs(&all))).transpose()?;
            let all = all.as_deref().map(encode::base64);
            let parameters = check_parameters(&encoded, all.as_deref())
                .map_err(|rejection| explained(rejection, given_by, body_type))?;
            warnings = advice::review(&parameters, given_by)?;
        }
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        let urls = urls.split(SEPARATOR).filter(|url| !url.is_empty()).map(str::to_owned).collect();
        let (host, headers, policy) = (self.host, self.headers, self.policy);
        let inner = Inner {
            urls,
            host,
            body,
            body_type,
            sni,
            headers,
            vars,
            policy,
            json,
            vars_json,
            encoded,
            encoded_vars,
            warnings,
            sealing,
            idempotency,
        };
        Ok(Callback { inner: Arc::new(inner) })
    }

    /// The body's template: as written out, or of the fields, or the default one; none with a policy.
    fn take_body(
        &mut self,
        vars: &[(String, String)],
        body_type: BodyType,
        checked: bool,
    ) -> Result<Option<String>> {
        Ok(match self.body.take() {
            Some(body) => Some(body),
            None if !self.fields.is_empty() => Some(body::from_fields(&self.fields, body_type, checked)?),
            None if self.policy.is_some() => None,
            None => Some(body::default_body(vars, body_type, checked)?),
        })
    }

    /// All URLs as one text. A first URL that is empty counts as none when others, or a policy, follow:
    /// in other languages it is a positional argument.
    fn joined_urls(&self) -> String {
        let mut urls = self.urls.as_slice();
        if let [first, rest @ ..] = urls
            && first.is_empty()
            && (!rest.is_empty() || self.policy.is_some())
        {
            urls = rest;
        }
        urls.join(&SEPARATOR.to_string())
    }

    fn refuse_options_beside_policy(&self, urls: &str) -> Result<()> {
        let beside = [
            ("url", !urls.is_empty()),
            ("body", self.body.is_some()),
            ("fields", !self.fields.is_empty()),
            ("body_type", self.body_type.is_some()),
            ("host", self.host.is_some()),
            ("sni", self.sni.is_some()),
            ("headers", !self.headers.is_empty()),
        ];
        match beside.iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(Error::invalid_argument(
                "callback.policy",
                format!("cannot stand beside `{name}`: the policy stored with the bucket says all of it"),
            )
            .with_hint("Give the policy's name and variables only, or spell the callback out without it.")),
            None => Ok(()),
        }
    }
}

/// What the JSON would not show any more: an empty host counts as none, repeated headers as one.
fn refuse_what_encoding_hides(host: Option<&str>, headers: &[(String, String)]) -> Result<()> {
    if host == Some("") {
        return Err(Error::invalid_argument("callback.host", "must not be empty")
            .with_hint("Leave it out to have the URL's host."));
    }
    for (index, (name, _)) in headers.iter().enumerate() {
        if headers.iter().take(index).any(|(earlier, _)| earlier.eq_ignore_ascii_case(name)) {
            return Err(Error::invalid_argument("callback.headers", format!("holds `{name}` twice")));
        }
    }
    Ok(())
}

/// Whether a URL is https with a name as its host: an address is never named in a TLS handshake.
fn wants_sni(url: &str) -> bool {
    super::CallbackUrl::parse(url).is_ok_and(|url| url.is_https() && url.ip().is_none())
}

/// OSS's refusal as our error: its EC and words, which option it is about, and what to write instead.
fn explained(rejection: Rejection, given_by: &'static str, body_type: BodyType) -> Error {
    let ec = rejection.ec;
    let (field, hint) = match (rejection.argument_name, ec) {
        ("callback", _) => {
            ("callback", Some("Shorten the body: constants can stay with the application server."))
        }
        ("callback-var", Some("0007-00000101")) => {
            ("callback.vars", Some("Send an id in place of long values."))
        }
        ("callback-var", _) => ("callback.vars", Some("Write the name in lowercase, such as `x:order_id`.")),
        ("callbackUrl", Some("0007-00000005")) => {
            ("callback.url", Some("Give fewer; a `;` inside a URL must be `%3B`."))
        }
        ("callbackUrl", _) => ("callback.url", Some("Write `https://app.example.com/callback`.")),
        ("callbackHost", _) => ("callback.host", Some("Write `app.example.com`.")),
        ("callbackBody", _) => {
            (given_by, Some("Leave it out for the default body, or write at least a constant."))
        }
        ("ReplaceKeyPrefix", _) => (given_by, Some(template_hint(body_type))),
        ("additionalHeaders", _) => ("callback.headers", None),
        ("callbackPolicy", _) => {
            ("callback.policy", Some("Give the name of a policy stored with the bucket."))
        }
        _ => ("callback", None),
    };
    let answer = match rejection.documented {
        true => format!("OSS would answer: {}", rejection.message),
        false => "OSS would refuse it".to_owned(),
    };
    let message = match rejection.detail() {
        Some(detail) => format!("{detail}; {answer}"),
        None => answer,
    };
    let mut error = Error::invalid_argument(field, message);
    if let Some(ec) = ec {
        error = error.with_ec(ec);
    }
    match rejection.hint().map(str::to_owned).or(hint.map(str::to_owned)) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn template_hint(body_type: BodyType) -> &'static str {
    match body_type {
        BodyType::Form => "Write variables as `${object}` or `${x:name}`; a `$` itself is `%24`.",
        BodyType::Json => "Write variables as `${object}` or `${x:name}`; a `$` itself is `\\u0024`.",
    }
}
