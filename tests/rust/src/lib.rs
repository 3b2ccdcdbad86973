//! What the tests of every language lean on: an application server that behaves as its path says, an
//! OSS that misbehaves as the key says, a rig of the emulator and an application server, and the `testbed`
//! command that starts them all.

pub mod app_server;
pub mod faulty_oss;
pub mod hostile;
pub mod http;
pub mod rig;
