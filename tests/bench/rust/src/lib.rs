//! What the benchmarks' server and the driver for Rust are made of.

pub mod arguments;
pub mod measure;
pub mod sink;
pub mod tls;
