//! The application server's side: is this callback request from OSS, and what does it say.

mod key_url;
mod keys;
mod montgomery;
mod rsa;
pub mod signature;
#[cfg(test)]
mod testing;

pub use keys::{KeyFetcher, OFFICIAL_KEY_PEM};
pub use rsa::PublicKey;
