//! An extractor of verified callbacks, and answers, for axum.

use ::axum::BoxError;
use ::axum::body::Body;
use ::axum::extract::{FromRef, FromRequest, OriginalUri, Request};
use ::axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::answer::{self, Reply};
use super::http::{pairs, target};
use super::{CallbackEvent, CallbackVerifier};
use crate::error::{Error, ErrorKind, Result, VerificationReason};

/// A callback that was verified, as an argument of an axum handler. The router's state is a
/// [`CallbackVerifier`], or has one (`FromRef`).
///
/// It reads the raw body, at most [`max_body`](super::CallbackVerifierBuilder::max_body), and takes the
/// target that arrived, also within nested routers. What does not verify never reaches the handler, nor does a
/// body that breaks off or takes longer than [`body_timeout`](super::CallbackVerifierBuilder::body_timeout): it
/// is logged by `tracing` with its reason, and answered with status 403 that tells nothing. The runtime needs
/// its timer, as by `enable_all`.
///
/// Needs the feature `axum`.
#[derive(Clone, Debug)]
pub struct Verified(pub CallbackEvent);

impl<S: Send + Sync> FromRequest<S> for Verified
where
    CallbackVerifier: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Verified> {
        let verifier = CallbackVerifier::from_ref(state);
        let (parts, body) = request.into_parts();
        let body = read(body, &verifier).await?;
        // A key that is not known yet is waited for, and first_use may ask a database.
        let verify = move || {
            let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
            verifier.verify(parts.method.as_str(), target(uri), pairs(&parts.headers), &body)
        };
        let event = tokio::task::spawn_blocking(verify)
            .await
            .map_err(|error| Error::new(ErrorKind::Bug, format!("the verification broke: {error}")))?;
        Ok(Verified(event?))
    }
}

async fn read(body: Body, verifier: &CallbackVerifier) -> Result<Bytes> {
    let timeout = verifier.body_timeout();
    let lost = |kind, message: String, cause| Error::new(kind, message).with_source(NotArrived(cause));
    match tokio::time::timeout(timeout, Limited::new(body, verifier.max_body()).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(verifier.body_too_large()),
        Ok(Err(error)) => {
            Err(lost(ErrorKind::Network, "the body of the callback did not arrive whole".to_owned(), error))
        }
        Err(elapsed) => {
            let message = format!("the body of the callback did not arrive within {timeout:?}");
            Err(lost(ErrorKind::Timeout, message, elapsed.into()))
        }
    }
}

/// Marks the error of a body that did not arrive as the sender's doing, as far as one can tell: a handler's own
/// errors may be of the same kinds.
#[derive(Debug)]
struct NotArrived(BoxError);

impl std::fmt::Display for NotArrived {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for NotArrived {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// Whether the answer is a refusal.
fn is_refused(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    error.kind() == ErrorKind::Verification || source.is_some_and(|source| source.is::<NotArrived>())
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        ::http::Response::<Bytes>::from(self).map(Body::from)
    }
}

/// Logs the error, and answers without telling it: 403 for what does not verify or did not arrive, else 500.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if is_refused(&self) {
            let reason = self.reason().map_or(self.kind().name(), VerificationReason::name);
            tracing::warn!(reason, error = %self, "a callback is refused");
            return answer::refusal().into_response();
        }
        tracing::error!(kind = self.kind().name(), error = %self, "a callback could not be answered");
        answer::failure().into_response()
    }
}
