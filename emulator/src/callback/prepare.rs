//! Before anything is stored: is this callback one that OSS would take?

use std::sync::Arc;

use oss_callback::callback::check::{Parameters, Rejection, check_addresses, check_parameters};
use rustls::ClientConfig;
use tokio::time::timeout;

use super::resolve;
use super::{CallbackConfig, oss_error};
use crate::OssError;

/// A callback whose parameters are good, to be fired after the upload.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(super) parameters: Parameters,
    /// Made here where a URL is https, so that unreadable roots show before anything is stored.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

/// Checks the Base64 texts of a callback and its variables; without a callback there is nothing to do,
/// and variables alone are ignored.
///
/// # Errors
/// `400 InvalidArgument` with EC, `ArgumentName` and `ArgumentValue`: the core's rules, and in strict mode
/// those on the host's addresses (EC 0007-00000007 and 008).
pub(crate) async fn prepare(
    config: &CallbackConfig,
    callback: Option<&str>,
    callback_var: Option<&str>,
) -> Result<Option<Prepared>, OssError> {
    let Some(callback) = callback else { return Ok(None) };
    let parameters = check_parameters(callback, callback_var).map_err(refusal)?;
    if parameters.urls.is_empty() {
        return Err(unknown_policy(parameters.policy.as_deref().unwrap_or_default()));
    }
    if config.strict {
        check_hosts(config, &parameters).await?;
    }
    let https = parameters.urls.iter().any(|url| url.is_https());
    let tls = https.then(|| config.tls(parameters.sni)).transpose();
    // Not OSS's error, nor the uploader's: whoever started the emulator must see it.
    let tls = tls
        .map_err(|why| oss_error(500, "InternalError", format!("The emulator's TLS set-up: {why}"), None))?;
    Ok(Some(Prepared { parameters, tls }))
}

async fn check_hosts(config: &CallbackConfig, parameters: &Parameters) -> Result<(), OssError> {
    for url in &parameters.urls {
        let addresses = match timeout(config.timeout, resolve::resolve(url)).await {
            Ok(Ok(addresses)) => addresses.iter().map(|address| address.ip()).collect(),
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        check_addresses(url, &addresses).map_err(refusal)?;
    }
    Ok(())
}

/// OSS's answer to parameters that it does not take.
pub(crate) fn refusal(rejection: Rejection) -> OssError {
    if let Some(detail) = rejection.detail() {
        tracing::debug!(ec = rejection.ec, "callback refused: {} {detail}", rejection.argument_name);
    }
    let message = rejection.message.into_owned();
    let mut error = oss_error(rejection.http_status, rejection.code, message, rejection.ec);
    error.members = vec![
        ("ArgumentName".to_owned(), rejection.argument_name.to_owned()),
        ("ArgumentValue".to_owned(), rejection.argument_value),
    ];
    error
}

/// The emulator stores no bucket-level policies, so none of them exists. OSS's words are not documented.
fn unknown_policy(name: &str) -> OssError {
    let mut error = oss_error(400, "InvalidArgument", "The callback policy does not exist.".to_owned(), None);
    error.members = vec![
        ("ArgumentName".to_owned(), "callbackPolicy".to_owned()),
        ("ArgumentValue".to_owned(), name.to_owned()),
    ];
    error
}
