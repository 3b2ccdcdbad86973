//! RSA public keys of any usual size, and what a PKCS#1 v1.5 signature with MD5 was made over.
//!
//! OSS signs callbacks with a 512-bit key and MD5. The audited libraries refuse one or the other
//! (ring, aws-lc-rs) or are eight times slower (`rsa`), so this is our own: a fixed-width Montgomery
//! exponentiation over public data only. It holds no secret, so it need not be constant in time.

use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;

use super::montgomery::Modulus;
use crate::error::{Error, Result};

/// Below 512 bits a key is broken by a laptop; above 8192 bits it only costs time.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 512..=8192;
/// The bound that most libraries set, against keys made to be slow.
const MAX_EXPONENT: u64 = (1 << 33) - 1;
/// An 8192-bit key in PEM takes 1.5 KB.
pub(super) const MAX_PEM: usize = 16 * 1024;
/// OID 1.2.840.113549.1.1.1 (rsaEncryption) with its NULL parameters: RFC 8017, A.1.
const RSA_ALGORITHM: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
/// DER of DigestInfo for MD5, up to the digest: RFC 8017, 9.2, note 1.
const MD5_DIGEST_INFO: &[u8] =
    &[0x30, 0x20, 0x30, 0x0c, 6, 8, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 5, 5, 0, 4, 0x10];

/// An RSA public key that can check callback signatures.
#[derive(Clone)]
pub struct PublicKey {
    modulus: Modulus,
    exponent: u64,
    bits: usize,
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo in PEM (`-----BEGIN PUBLIC KEY-----`), as OSS publishes it.
    ///
    /// # Errors
    /// `invalid_argument` for anything else than one RSA key with an odd modulus of 512 to 8192 bits
    /// and an odd exponent from 3 to 2^33 - 1.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<PublicKey> {
        let pem = pem.as_ref();
        if pem.len() > MAX_PEM {
            return Err(refuse(format!("is {} bytes long; at most {MAX_PEM} are read", pem.len())));
        }
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem)
            .map_err(|_| refuse("is not a public key in PEM (`-----BEGIN PUBLIC KEY-----`)"))?;
        PublicKey::from_der(&der)
    }

    /// Reads a SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// As [`from_pem`](PublicKey::from_pem).
    pub fn from_der(der: &[u8]) -> Result<PublicKey> {
        let (modulus, exponent) =
            parse_spki(der).ok_or_else(|| refuse("is not the DER of an RSA public key"))?;
        let bits = modulus.len() * 8 - modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
        if !MODULUS_BITS.contains(&bits) {
            return Err(refuse(format!("has a modulus of {bits} bits; 512 to 8192 are accepted")));
        }
        if exponent.len() > 8 {
            return Err(refuse("has an exponent that is too large"));
        }
        let exponent = exponent.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        if !(3..=MAX_EXPONENT).contains(&exponent) || exponent % 2 == 0 {
            return Err(refuse("has an exponent that is not an odd number from 3 to 2^33 - 1"));
        }
        let modulus = Modulus::from_be_bytes(modulus).ok_or_else(|| refuse("has an even modulus"))?;
        Ok(PublicKey { modulus, exponent, bits })
    }

    /// Length of the modulus in bits.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// Whether `signature` is this key's PKCS#1 v1.5 signature over the MD5 `digest`.
    pub fn verify_md5(&self, digest: &[u8; 16], signature: &[u8]) -> bool {
        self.signed_md5(signature).is_some_and(|signed| signed == *digest)
    }

    /// The MD5 digest that `signature` was made over, if it is a signature by this key at all.
    ///
    /// Strict: the signature is exactly as long as the modulus and smaller than it, and the encoded
    /// message equals, byte for byte, the one that RFC 8017 (9.2) builds from the digest.
    pub(super) fn signed_md5(&self, signature: &[u8]) -> Option<[u8; 16]> {
        let length = self.bits.div_ceil(8);
        if signature.len() != length {
            return None;
        }
        let encoded = self.modulus.power(signature, self.exponent, length)?;
        let digest: [u8; 16] = *encoded.last_chunk()?;
        (encoded == encoded_message(&digest, length)?).then_some(digest)
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({} bits)", self.bits)
    }
}

/// EMSA-PKCS1-v1_5: `00 01 FF…FF 00 DigestInfo digest`, with at least eight `FF`.
fn encoded_message(digest: &[u8; 16], length: usize) -> Option<Vec<u8>> {
    let tail = 1 + MD5_DIGEST_INFO.len() + digest.len();
    let padding = length.checked_sub(2 + tail).filter(|padding| *padding >= 8)?;
    let mut message = Vec::with_capacity(length);
    message.extend_from_slice(&[0, 1]);
    message.resize(2 + padding, 0xff);
    message.push(0);
    message.extend_from_slice(MD5_DIGEST_INFO);
    message.extend_from_slice(digest);
    Some(message)
}

fn refuse(message: impl Into<String>) -> Error {
    Error::invalid_argument("public key", message)
}

/// Modulus and exponent, without their leading zero, of a SubjectPublicKeyInfo (RFC 5280, 4.1).
fn parse_spki(der: &[u8]) -> Option<(&[u8], &[u8])> {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    let (spki, rest) = element(der, SEQUENCE)?;
    let (algorithm, key) = element(spki, SEQUENCE)?;
    let (key, after_key) = element(key, BIT_STRING)?;
    // The first byte of a bit string counts the unused bits of its last byte.
    let (0, key) = key.split_first().map(|(unused, key)| (*unused, key))? else { return None };
    let (key, after_numbers) = element(key, SEQUENCE)?;
    let (modulus, exponent) = positive_integer(key)?;
    let (exponent, after_exponent) = positive_integer(exponent)?;
    let trailing = [rest, after_key, after_numbers, after_exponent].iter().any(|rest| !rest.is_empty());
    (algorithm == RSA_ALGORITHM && !trailing).then_some((modulus, exponent))
}

/// Content of the DER element at the start of `input`, and what follows it.
fn element(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, input) = input.split_first()?;
    let (first, input) = input.split_first()?;
    let (length, input) = match *first {
        short @ 0..=0x7f => (usize::from(short), input),
        0x81 => {
            let (length, input) = input.split_first()?;
            (usize::from(*length).checked_sub(0x80)? + 0x80, input)
        }
        0x82 => {
            let (length, input) = input.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)).checked_sub(0x100)? + 0x100, input)
        }
        _ => return None,
    };
    (*found == tag).then(|| input.split_at_checked(length))?
}

fn positive_integer(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (bytes, rest) = element(input, 0x02)?;
    let bytes = match bytes {
        [0, more @ ..] if more.first().is_some_and(|byte| *byte >= 0x80) => more,
        [1..=0x7f, ..] => bytes,
        // Negative, zero, or not in its shortest form.
        _ => return None,
    };
    Some((bytes, rest))
}

#[cfg(test)]
mod tests;
