//! Where credentials come from, as a trait: everything else here implements it or calls it.

use std::fmt;
use std::sync::Arc;

use super::Credentials;
use crate::error::{Error, ErrorKind, Result};

/// A source of credentials.
///
/// A client asks it when it needs credentials and holds none, and again five minutes before those
/// that it holds expire ([`Credentials::with_expiry`]). It asks on a thread of the library's, one
/// call at a time, and never under a lock; so a provider may block, but should give up after some
/// seconds: uploads without valid credentials wait for it.
///
/// Closures are providers. Their errors are shown to the user and may be logged, so they must not
/// hold secrets.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use oss_callback::{Client, Credentials};
///
/// fn lease_from_vault() -> std::io::Result<[String; 3]> {
///     Ok(["STS.id", "secret", "token"].map(str::to_owned))
/// }
///
/// let client = Client::builder()
///     .region("cn-hangzhou")
///     .credentials_provider(|| {
///         let [id, secret, token] = lease_from_vault()?;
///         let until = SystemTime::now() + Duration::from_secs(3600);
///         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(
///             Credentials::new(id, secret)?.with_security_token(token)?.with_expiry(until),
///         )
///     })
///     .build()?;
/// # Ok::<(), oss_callback::Error>(())
/// ```
pub trait CredentialsProvider: Send + Sync {
    /// Gets credentials, which may take a while.
    ///
    /// # Errors
    /// [`Error::credentials`] with what went wrong and what to do about it.
    fn provide(&self) -> Result<Credentials>;
}

impl<F, E> CredentialsProvider for F
where
    F: Fn() -> std::result::Result<Credentials, E> + Send + Sync,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn provide(&self) -> Result<Credentials> {
        self().map_err(|error| {
            let error = error.into();
            match error.downcast::<Error>() {
                Ok(own) => *own,
                Err(error) => Error::new(ErrorKind::Credentials, error.to_string()).with_source(error),
            }
        })
    }
}

/// Always the same ones.
impl CredentialsProvider for Credentials {
    fn provide(&self) -> Result<Credentials> {
        Ok(self.clone())
    }
}

/// A provider in a builder, which can be cloned and shown.
#[derive(Clone)]
pub(crate) struct SharedProvider(Arc<dyn CredentialsProvider>);

impl SharedProvider {
    pub fn new(provider: impl CredentialsProvider + 'static) -> SharedProvider {
        SharedProvider(Arc::new(provider))
    }
}

impl CredentialsProvider for SharedProvider {
    fn provide(&self) -> Result<Credentials> {
        self.0.provide()
    }
}

impl fmt::Debug for SharedProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What it captured is the user's, and may be secret.
        f.write_str("CredentialsProvider")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closures_with_any_error_are_providers() {
        let provider = || Credentials::new("id", "secret");
        assert_eq!(provider.provide().unwrap().access_key_id(), "id");
        let provider = || Err::<Credentials, _>(std::io::Error::other("vault is sealed"));
        let error = provider.provide().unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Credentials, "vault is sealed"));
        let provider = || Err::<Credentials, _>(Error::credentials("none left").with_hint("ask"));
        let error = provider.provide().unwrap_err();
        assert_eq!((error.message(), error.hint()), ("none left", Some("ask")));
    }
}
