//! An application server with axum; docs/verifying.md shows this file.

use axum::{Router, routing::post};
use oss_callback::receive::answer::{self, Reply};
use oss_callback::receive::{CallbackVerifier, Verified};

async fn uploaded(Verified(event): Verified) -> oss_callback::Result<Reply> {
    // Act on event.bucket(), event.key(), event.variable("order"), …; the answer goes to the uploader.
    let key = event.key().unwrap_or_default();
    answer::reply(serde_json::json!({ "Status": "OK", "key": key }).to_string())
}

pub fn app(verifier: CallbackVerifier) -> Router {
    Router::new().route("/oss/uploaded", post(uploaded)).with_state(verifier)
}
