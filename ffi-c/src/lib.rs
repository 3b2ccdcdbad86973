//! The C interface: converts arguments, calls the core, converts the outcome. It knows nothing of OSS.
//!
//! `include/oss_callback.h` is generated from this crate's sources (`cargo xtask header`); the rules
//! that every function keeps are printed at its head, and `guard.rs` is where they are enforced. The
//! only `unsafe` code of the project lies here.

// The names are C's.
#![allow(non_camel_case_types)]
// What a caller must heed is the same for every function and stands at the head of the header.
#![allow(clippy::missing_safety_doc)]

mod answer;
mod callback;
mod cancel;
mod client;
mod completions;
mod confirm;
mod credentials;
mod error;
mod event;
mod function;
mod generated;
mod guard;
mod in_flight;
mod library;
mod loan;
mod options;
mod pairs;
mod progress;
mod reply;
mod sealing;
mod signed;
mod signer;
mod signer_options;
mod source;
mod start;
mod text;
mod time;
mod upload;
mod verifier;
mod verifier_options;
