//! Credentials from a function of JavaScript's: the core asks on a thread of its own, the function runs on
//! the event loop.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use napi::Unknown;
use napi::bindgen_prelude::{Either6, External};
use napi_derive::napi;
use oss_callback::{Credentials, CredentialsProvider, Error, Result};

use crate::channel::Listener;
use crate::convert::{moment, optional_text, text};
use crate::handles::Live;
use crate::outcome::{Outcome, guard};

/// A function that has not answered by then is asked anew by the next call. Calls do not wait that long
/// unless their own time allows it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The function, as the core sees it.
pub struct Provider(pub Listener);

/// Credentials that are wanted. When JavaScript lets it go, they will not come.
pub struct Question {
    answer: SyncSender<std::result::Result<Credentials, String>>,
    _live: Live,
}

impl CredentialsProvider for Provider {
    fn provide(&self) -> Result<Credentials> {
        let (answer, answered) = sync_channel(1);
        self.0.tell(Either6::D(External::new(Question { answer, _live: Live::new() })));
        match answered.recv_timeout(PATIENCE) {
            Ok(Ok(credentials)) => Ok(credentials),
            Ok(Err(message)) => {
                Err(Error::credentials(format!("the credentials provider failed: {message}")))
            }
            Err(RecvTimeoutError::Timeout) => Err(Error::credentials(format!(
                "the credentials provider has not answered within {} s",
                PATIENCE.as_secs()
            ))),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Error::credentials("the credentials provider will never answer"))
            }
        }
    }
}

/// Answers with credentials. Or gives a failure, when they are malformed: then the question is still open.
#[napi(catch_unwind)]
pub fn credentials_give(
    question: &External<Question>,
    access_key_id: Unknown<'_>,
    access_key_secret: Unknown<'_>,
    security_token: Option<Unknown<'_>>,
    expires_at: Option<Unknown<'_>>,
) -> Outcome<()> {
    guard(|| {
        let id = text("accessKeyId", &access_key_id)?;
        let mut credentials = Credentials::new(id, text("accessKeySecret", &access_key_secret)?)?;
        if let Some(token) = optional_text("securityToken", security_token)? {
            credentials = credentials.with_security_token(token)?;
        }
        if let Some(seconds) = expires_at {
            credentials = credentials.with_expiry(moment("expiresAt", Some(seconds))?);
        }
        tell(question, Ok(credentials));
        Ok(())
    })
}

/// Answers that there are none, and why.
#[napi(catch_unwind)]
pub fn credentials_refuse(question: &External<Question>, message: String) {
    tell(question, Err(message));
}

fn tell(question: &Question, answer: std::result::Result<Credentials, String>) {
    // Who asked may have lost patience.
    let _ = question.answer.try_send(answer);
}
