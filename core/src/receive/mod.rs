//! The application server's side: is this callback request from OSS, and what does it say.

mod montgomery;
mod rsa;
pub mod signature;

pub use rsa::PublicKey;
