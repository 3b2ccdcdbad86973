//! The application server's side: is this callback request from OSS, and what does it say.
//!
//! # What each layer proves
//!
//! 1. **The signature** ([`CallbackVerifier`]) proves that OSS sent this body to this path. It does not
//!    cover the host, the bucket's owner or the time: any customer of OSS can let OSS sign a body of his
//!    choice for a path of his choice, by naming a server of his own as callback URL, and send the result
//!    to you, as often as he likes. And OSS's present key is a 512-bit RSA key with MD5, which can be
//!    factored with modest means. So it keeps out strangers and accidents, not an attacker.
//! 2. **The seal** ([`CallbackBuilder::seal`](crate::CallbackBuilder::seal), [`seal`]) proves that whoever started the upload held your secret, or got the sealed
//!    callback from you, for this very bucket, key and set of variables, not long ago, and with
//!    [`first_use`](CallbackVerifierBuilder::first_use) once only. It is a full second factor. It does not
//!    cover what nobody knew before the upload: ETag, size, type, CRC-64.
//! 3. **Asking OSS** ([`Client::confirm`](crate::Client::confirm), a HEAD of the object with your
//!    credentials) proves what is stored now.
//!
//! Act on a callback that matters, such as a payment or a publication, only with layer 2, and on its
//! size or ETag only with layer 3. The longer story: docs/verifying.md.

pub mod answer;
#[cfg(feature = "axum")]
mod axum;
mod diagnose;
mod event;
mod fields;
mod http;
mod key_url;
mod keys;
mod layout;
mod montgomery;
mod request;
mod rsa;
pub mod seal;
pub mod signature;
#[cfg(test)]
mod testing;
mod verdict;
mod verifier;

#[cfg(feature = "axum")]
pub use self::axum::Verified;
pub use crate::options::CallbackVerifierBuilder;
pub use event::{CallbackEvent, ImageInfo, Number};
pub use fields::{Field, FieldKind};
pub(crate) use keys::SharedFetcher;
pub use keys::{KeyFetcher, OFFICIAL_KEY_PEM};
pub use rsa::PublicKey;
pub use verdict::{KeyFetch, Verdict};
pub use verifier::CallbackVerifier;
pub(crate) use verifier::SharedFirstUse;

use crate::options::BodyType;
