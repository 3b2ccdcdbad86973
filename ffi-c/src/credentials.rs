//! Credentials from a function of the caller's.

use std::mem::MaybeUninit;
use std::os::raw::c_void;
use std::time::{Duration, UNIX_EPOCH};

use oss_callback_core::{Credentials, Error, Secret};

use crate::function::{Context, is_true, osscb_failure, osscb_release_function};
use crate::guard::{Failure, catching, guarded};
use crate::options::{osscb_client_options, set};
use crate::text::osscb_str;

/// Where a credentials function puts what it got. It is yours for the length of that call only.
#[derive(Debug, Default)]
pub struct osscb_credentials {
    given: Option<Result<Credentials, String>>,
}

/// Gets credentials, and hands them over by `osscb_credentials_set`. Returns false on failure, and then
/// may say why by `osscb_failure_set`.
pub type osscb_credentials_function = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        credentials: *mut osscb_credentials,
        failure: *mut osscb_failure,
    ) -> MaybeUninit<bool>,
>;

/// Hands credentials over, from within a credentials function. The texts are copied; your copies are
/// yours to wipe.
///
/// `security_token`: the STS token of temporary credentials, or `OSSCB_NO_STR`.
/// `expires_at`: when they end, in seconds since 1970 (UTC); the function is asked for new ones five
/// minutes before, or when three quarters of a shorter life are over. `OSSCB_NEVER` if they do not end, or
/// you do not know; those with a token are then asked for again every 15 minutes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_credentials_set(
    credentials: *mut osscb_credentials,
    access_key_id: osscb_str,
    access_key_secret: osscb_str,
    security_token: osscb_str,
    expires_at: i64,
) {
    guarded((), || {
        // SAFETY: NULL, or lent to the function that calls us.
        let Some(credentials) = (unsafe { credentials.as_mut() }) else { return };
        // SAFETY: the texts are lent for this call.
        let made = catching(|| unsafe {
            let id = access_key_id.check("access_key_id")?;
            let secret = Secret::from(access_key_secret.check("access_key_secret")?);
            let token = security_token.optional("security_token")?.map(Secret::from);
            made(id, secret, token, expires_at)
        });
        credentials.given = Some(made.map_err(|failure| match failure {
            Failure::Core(error) => error.message().to_owned(),
            Failure::Own(own) => {
                format!("{}: {}", own.field.as_deref().unwrap_or("credentials"), own.message)
            }
        }));
    });
}

fn made(id: &str, secret: Secret, token: Option<Secret>, expires_at: i64) -> Result<Credentials, Failure> {
    let mut credentials = Credentials::new(id, secret)?;
    if let Some(token) = token {
        credentials = credentials.with_security_token(token)?;
    }
    if expires_at == i64::MAX {
        return Ok(credentials);
    }
    let distance = Duration::from_secs(u64::try_from(expires_at).unwrap_or(0));
    let expires_at = UNIX_EPOCH.checked_add(distance);
    let expires_at =
        expires_at.ok_or_else(|| Failure::argument("expires_at", "is further away than any time"))?;
    Ok(credentials.with_expiry(expires_at))
}

struct Provider {
    provide:
        unsafe extern "C" fn(*mut c_void, *mut osscb_credentials, *mut osscb_failure) -> MaybeUninit<bool>,
    context: Context,
}

impl Provider {
    fn ask(&self) -> Result<Credentials, Error> {
        let (mut credentials, mut failure) = (osscb_credentials::default(), osscb_failure::default());
        // SAFETY: the function came with this context, and what it is given lives until it returns.
        let said = unsafe { (self.provide)(self.context.pointer, &raw mut credentials, &raw mut failure) };
        if !is_true(said) {
            return Err(Error::credentials(
                failure.or("the credentials function failed and did not say why"),
            ));
        }
        match credentials.given {
            Some(Ok(credentials)) => Ok(credentials),
            Some(Err(message)) => {
                Err(Error::credentials(format!("the credentials function gave: {message}")))
            }
            None => Err(Error::credentials(
                "the credentials function gave none: it must call osscb_credentials_set before it returns true",
            )),
        }
    }
}

/// Has a function of yours provide the credentials, in place of the options for them. It is asked by the
/// first call that needs them, and again before they expire; on a thread of the library's, one call at a
/// time, while other calls go on with those that they have. It may take a while. When it fails, calls
/// that need credentials end with `OSSCB_STATUS_CREDENTIALS` and its message.
///
/// `context`: passed to `provide`, and to `release`, which may be NULL, once these options and all
/// clients made of them are freed and `provide` is not called any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_client_options_set_credentials_function(
    options: *mut osscb_client_options,
    provide: osscb_credentials_function,
    release: osscb_release_function,
    context: *mut c_void,
) {
    // SAFETY: the caller's promise. Made first, as it is let go however this ends.
    let context = unsafe { Context::new(context, release) };
    let how = |builder: oss_callback_core::ClientBuilder| {
        let provide = provide.ok_or_else(|| Failure::argument("credentials_function", "is NULL"))?;
        let provider = Provider { provide, context };
        Ok(builder.credentials_provider(move || provider.ask()))
    };
    // SAFETY: NULL or a live handle.
    unsafe { set(options, how) };
}
