//! The application server's side: is this callback request from OSS, and what does it say.

pub mod answer;
mod event;
mod fields;
mod key_url;
mod keys;
mod layout;
mod montgomery;
mod rsa;
pub mod seal;
pub mod signature;
#[cfg(test)]
mod testing;

pub use event::{CallbackEvent, ImageInfo, Number};
pub use fields::{Field, FieldKind};
pub use keys::{KeyFetcher, OFFICIAL_KEY_PEM};
pub use rsa::PublicKey;

use crate::options::BodyType;
