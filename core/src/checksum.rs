//! CRC-64 as OSS computes it (ECMA-182, reflected: CRC-64/XZ), and the combination of two.
//!
//! OSS prints the value as an unsigned decimal in `x-oss-hash-crc64ecma`.

use std::fmt;

use crc_fast::{CrcAlgorithm, Digest};

/// The polynomial of ECMA-182, 0x42F0E1EBA9EA3693, with its bits reversed: bit 63 is x^0.
const POLYNOMIAL: u64 = 0xC96C_5795_D787_0F42;
/// The polynomial 1 in that order of bits.
const ONE: u64 = 1 << 63;
/// x^(8 * 2^k) modulo the polynomial: what 2^k zero bytes do to a remainder.
const BYTE_POWERS: [u64; 64] = byte_powers();

/// A running CRC-64.
#[derive(Clone)]
pub struct Crc64(Digest);

impl Crc64 {
    /// Of no bytes yet.
    pub fn new() -> Crc64 {
        Crc64(Digest::new(CrcAlgorithm::Crc64Xz))
    }

    /// Goes on after bytes whose checksum is known; their number does not matter.
    pub fn resume(value: u64) -> Crc64 {
        Crc64(Digest::new_with_init_state(CrcAlgorithm::Crc64Xz, !value))
    }

    /// Takes further bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes so far.
    pub fn value(&self) -> u64 {
        self.0.finalize()
    }
}

impl Default for Crc64 {
    fn default() -> Crc64 {
        Crc64::new()
    }
}

impl fmt::Debug for Crc64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crc64({})", self.value())
    }
}

/// The checksum of some bytes.
pub fn crc64(bytes: &[u8]) -> u64 {
    let mut crc = Crc64::new();
    crc.update(bytes);
    crc.value()
}

/// The checksum of A followed by B, from theirs and B's length in bytes.
pub fn combine(a: u64, b: u64, b_length: u64) -> u64 {
    Combiner::new(b_length).combine(a, b)
}

/// Combines checksums where B always has the same length, such as the parts of one upload: the power
/// of x that belongs to the length is worked out once.
#[derive(Clone, Copy, Debug)]
pub struct Combiner {
    power: u64,
}

impl Combiner {
    /// For a second operand of `b_length` bytes.
    pub fn new(b_length: u64) -> Combiner {
        let mut power = ONE;
        let mut rest = b_length;
        while rest != 0 {
            power = multiply(power, BYTE_POWERS[rest.trailing_zeros() as usize]);
            rest &= rest - 1;
        }
        Combiner { power }
    }

    /// The checksum of A followed by B.
    pub fn combine(&self, a: u64, b: u64) -> u64 {
        // Start value and final complement cancel out: what is left is A * x^(8 * length) + B.
        multiply(self.power, a) ^ b
    }
}

/// The product of two polynomials modulo [`POLYNOMIAL`].
const fn multiply(a: u64, mut b: u64) -> u64 {
    let mut product = 0;
    let mut bit = 64;
    while bit > 0 {
        bit -= 1;
        // Masks instead of branches: the bits are random, and a mispredicted branch costs more.
        product ^= b & 0u64.wrapping_sub((a >> bit) & 1);
        b = (b >> 1) ^ (POLYNOMIAL & 0u64.wrapping_sub(b & 1));
    }
    product
}

const fn byte_powers() -> [u64; 64] {
    let mut powers = [ONE >> 8; 64];
    let mut k = 1;
    while k < 64 {
        powers[k] = multiply(powers[k - 1], powers[k - 1]);
        k += 1;
    }
    powers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: usize, mut seed: u64) -> Vec<u8> {
        let step = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed.to_le_bytes()[3]
        };
        std::iter::repeat_with(step).take(length).collect()
    }

    #[test]
    fn the_published_check_value_holds() {
        assert_eq!(crc64(b"123456789"), 0x995D_C9BB_DF19_39FA);
        assert_eq!(crc64(b""), 0);
    }

    #[test]
    fn combining_two_parts_equals_the_checksum_of_the_whole() {
        let whole = bytes(300_000, 42);
        for split in [0, 1, 7, 8, 255, 256, 4095, 65_536, 131_071, 299_999, 300_000] {
            let (a, b) = whole.split_at(split);
            assert_eq!(combine(crc64(a), crc64(b), b.len() as u64), crc64(&whole), "split at {split}");
        }
    }

    #[test]
    fn one_combiner_serves_many_equal_parts() {
        let whole = bytes(64 * 1024, 7);
        let combiner = Combiner::new(1024);
        let total = whole.chunks(1024).map(crc64).fold(0, |sum, part| combiner.combine(sum, part));
        assert_eq!(total, crc64(&whole));
    }

    #[test]
    fn a_resumed_checksum_goes_on_as_if_never_interrupted() {
        let whole = bytes(10_000, 3);
        for split in [0, 1, 5, 8, 9, 511, 512, 9_999, 10_000] {
            let (a, b) = whole.split_at(split);
            let mut crc = Crc64::resume(crc64(a));
            assert_eq!(crc.value(), crc64(a), "before further bytes, split at {split}");
            crc.update(b);
            assert_eq!(crc.value(), crc64(&whole), "split at {split}");
        }
        for value in [0, 1, u64::MAX, 0x8000_0000_0000_0000] {
            assert_eq!(Crc64::resume(value).value(), value);
        }
    }
}
