//! An extractor of verified callbacks, and answers, for axum.

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
/// target that arrived, also within nested routers. What does not verify never reaches the handler: it is
/// logged by `tracing` with its reason, and answered with status 403 that tells nothing. To bound the time
/// in which a body arrives, put a timeout layer around the router.
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
    match Limited::new(body, verifier.max_body()).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(verifier.body_too_large()),
        Err(error) => Err(Error::new(ErrorKind::Network, "the body of the callback did not arrive whole")
            .with_source(error)),
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        ::http::Response::<Bytes>::from(self).map(Body::from)
    }
}

/// Logs the error, and answers without telling it: 403 for what does not verify, else 500.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if self.kind() == ErrorKind::Verification {
            let reason = self.reason().map(VerificationReason::name);
            tracing::warn!(reason, error = %self, "a callback is refused");
            return answer::refusal().into_response();
        }
        tracing::error!(kind = self.kind().name(), error = %self, "a callback could not be answered");
        answer::failure().into_response()
    }
}
