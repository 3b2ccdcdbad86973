//! Runs the real `oss-callback` binary, as a user or a script would.

mod demo;
mod explain;
mod help;
mod listen;
mod put;
mod put_failures;
mod serve;
mod support;
