//! The strictest application server: own bucket, seal, no replays, and OSS confirms what it holds.
//! docs/verifying.md shows this file.

use std::collections::HashSet;
use std::sync::Mutex;

use oss_callback::receive::answer::{self, Reply};
use oss_callback::receive::{CallbackVerifier, CallbackVerifierBuilder};
use oss_callback::{Client, Result, Secret};

/// `builder` is `CallbackVerifier::builder()`; a test adds the emulator's key to it.
pub fn strict(builder: CallbackVerifierBuilder, secret: Secret) -> Result<CallbackVerifier> {
    // With several servers: a table that all of them share, in which nonces are unique.
    let used = Mutex::new(HashSet::new());
    builder
        .bucket("photos")
        .seal_secret(secret)
        .first_use(move |nonce, _expires_at| used.lock().unwrap().insert(nonce.to_owned()))
        .build()
}

pub fn accept(
    verifier: &CallbackVerifier,
    client: &Client,
    request: &http::Request<Vec<u8>>,
) -> Result<Reply> {
    let event = verifier.verify_request(request)?;
    let stored = client.confirm(&event)?;
    // Now bucket, key and variables are the uploader's, and ETag and size are those that OSS holds.
    let answer = serde_json::json!({ "order": event.variable("order"), "size": stored.size });
    answer::reply(answer.to_string())
}
