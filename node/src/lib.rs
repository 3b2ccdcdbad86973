//! The native half of the npm package `oss-callback`: arguments in, core called, outcome out.
//!
//! Nothing here is for users: `index.js` is their face, and the only caller. It hands options over as a
//! flat list (`[name, value, name, value, …]`) and an object in it as a list of pairs, and gets either what
//! it asked for or a [`Failure`], from which it makes the exception. Nothing throws.
//!
//! [`Failure`]: outcome::Failure

mod callback;
mod channel;
mod client;
mod confirm;
mod convert;
mod handles;
mod names;
mod options;
mod outcome;
mod pipe;
mod provider;
mod reply;
mod signer;
#[cfg(target_os = "linux")]
mod uv;
mod verifier;
