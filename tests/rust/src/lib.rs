//! What the tests of every language lean on: an application server that behaves as its path says, an
//! OSS that misbehaves as the key says, one that misbehaves as a script says, and the `testbed` command that starts them beside the emulator.

pub mod app_server;
pub mod faulty_oss;
pub mod http;
pub mod scripted_oss;
