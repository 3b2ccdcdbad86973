//! The emulator as clients see it, over real sockets.

mod addressing;
mod buckets;
mod callbacks;
mod client;
mod control;
mod durability;
mod faults;
mod http;
mod multipart;
mod objects;
mod signatures;
