//! CRC-64 as OSS computes it (ECMA-182, reflected: CRC-64/XZ), and the combination of two.

/// A running CRC-64.
#[derive(Clone)]
pub struct Crc64(());

impl Crc64 {
    /// Of no bytes yet.
    pub fn new() -> Crc64 {
        todo!()
    }
    /// Of `length` bytes whose checksum is known.
    pub fn resume(_value: u64) -> Crc64 {
        todo!()
    }
    /// Takes further bytes in.
    pub fn update(&mut self, _bytes: &[u8]) {
        todo!()
    }
    /// The checksum of all bytes so far.
    pub fn value(&self) -> u64 {
        todo!()
    }
}

/// The checksum of some bytes.
pub fn crc64(_bytes: &[u8]) -> u64 {
    todo!()
}

/// The checksum of A followed by B, from theirs and B's length.
pub fn combine(_a: u64, _b: u64, _b_length: u64) -> u64 {
    todo!()
}
