use ::rsa::pkcs8::{DecodePrivateKey, EncodePublicKey, LineEnding};
use ::rsa::rand_core::{CryptoRng, RngCore};
use ::rsa::traits::{PrivateKeyParts, PublicKeyParts};
use ::rsa::{BigUint, Pkcs1v15Sign, RsaPrivateKey, RsaPublicKey};

use super::super::testing::Random;
use super::*;

/// The crate's random numbers as `rsa` wants them.
struct Rng(Random);

impl RngCore for Rng {
    fn next_u32(&mut self) -> u32 {
        (self.0.next() >> 32) as u32
    }
    fn next_u64(&mut self) -> u64 {
        self.0.next()
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.0.bytes(bytes.len()));
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), ::rsa::rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

/// Not true of it, but good enough to make keys for tests.
impl CryptoRng for Rng {}

fn rng() -> Rng {
    Rng(Random::new(1))
}

/// The invented keys of the vectors: 512, 1024 and 2048 bits.
fn vector_keys() -> Vec<RsaPrivateKey> {
    let text = include_str!("../../../../tests/vectors/test_keys.json");
    let keys: serde_json::Value = serde_json::from_str(text).unwrap();
    let keys = keys["keys"].as_object().unwrap().values();
    keys.map(|key| RsaPrivateKey::from_pkcs8_pem(key["private_pem"].as_str().unwrap()).unwrap()).collect()
}

fn key_pair(bits: usize) -> RsaPrivateKey {
    let known = vector_keys().into_iter().find(|key| key.n().bits() == bits);
    known.unwrap_or_else(|| RsaPrivateKey::new(&mut rng(), bits).unwrap())
}

fn public(key: &RsaPrivateKey) -> PublicKey {
    let pem = key.to_public_key().to_public_key_pem(LineEnding::LF).unwrap();
    PublicKey::from_pem(pem).unwrap()
}

fn scheme() -> Pkcs1v15Sign {
    Pkcs1v15Sign { hash_len: Some(16), prefix: MD5_DIGEST_INFO.into() }
}

/// Raw RSA with the private key: a "signature" over any encoded message.
fn raw_sign(key: &RsaPrivateKey, message: &[u8]) -> Vec<u8> {
    let signed = BigUint::from_bytes_be(message).modpow(key.d(), key.n()).to_bytes_be();
    [vec![0; key.size() - signed.len()], signed].concat()
}

#[test]
fn valid_tampered_and_random_signatures_are_judged_as_by_the_rsa_crate() {
    for (bits, rounds) in [(512, 60), (768, 30), (1024, 20), (2048, 6)] {
        let (private, mut rng) = (key_pair(bits), rng());
        assert_eq!(private.n().bits(), bits);
        let (ours, theirs) = (public(&private), private.to_public_key());
        assert_eq!(ours.bits(), bits);
        let agree = |digest: &[u8; 16], signature: &[u8], case: &str| {
            let expected = theirs.verify(scheme(), digest, signature).is_ok();
            assert_eq!(ours.verify_md5(digest, signature), expected, "{bits} bits, {case}: {signature:x?}");
            expected
        };
        for _ in 0..rounds {
            let mut digest = [0; 16];
            rng.fill_bytes(&mut digest);
            let signature = private.sign(scheme(), &digest).unwrap();
            assert!(agree(&digest, &signature, "valid"));
            assert_eq!(ours.signed_md5(&signature), Some(digest));
            let mut tampered = signature.clone();
            let position = rng.next_u32() as usize % tampered.len();
            tampered[position] ^= 1 << (rng.next_u32() % 8);
            assert!(!agree(&digest, &tampered, "tampered"));
            let mut random = vec![0; signature.len()];
            rng.fill_bytes(&mut random);
            assert!(!agree(&digest, &random, "random"));
            digest[0] ^= 1;
            assert!(!agree(&digest, &signature, "other digest"));
        }
    }
}

#[test]
fn moduli_that_do_not_fill_their_limbs_verify() {
    for bits in [513, 520, 575, 1000] {
        let private = RsaPrivateKey::new(&mut rng(), bits).unwrap();
        let signature = private.sign(scheme(), &[7; 16]).unwrap();
        assert!(public(&private).verify_md5(&[7; 16], &signature), "{bits} bits");
    }
}

#[test]
fn small_and_large_exponents_verify() {
    let bits = 512;
    for exponent in [3u64, 17, 257, MAX_EXPONENT] {
        let Ok(private) = RsaPrivateKey::new_with_exp(&mut rng(), bits, &BigUint::from(exponent)) else {
            panic!("no key with exponent {exponent}");
        };
        let signature = private.sign(scheme(), &[7; 16]).unwrap();
        assert!(public(&private).verify_md5(&[7; 16], &signature), "{exponent}");
    }
}

#[test]
fn a_message_that_is_padded_or_encoded_otherwise_is_refused() {
    let private = key_pair(1024);
    let (ours, length, digest) = (public(&private), private.size(), [0x5a; 16]);
    let good = encoded_message(&digest, length).unwrap();
    assert!(ours.verify_md5(&digest, &raw_sign(&private, &good)));
    let separator = length - 16 - MD5_DIGEST_INFO.len() - 1;
    let changed = |position: usize, byte: u8| {
        let mut message = good.clone();
        message[position] = byte;
        message
    };
    // Bleichenbacher's forgery: short padding, and free bytes where a lax parser does not look.
    let mut garbage_after = vec![0, 1];
    garbage_after.resize(2 + 8, 0xff);
    garbage_after.push(0);
    garbage_after.extend_from_slice(MD5_DIGEST_INFO);
    garbage_after.extend_from_slice(&digest);
    garbage_after.resize(length, 0x41);
    let mut without_null = vec![0, 1];
    let mut info = MD5_DIGEST_INFO.to_vec();
    info.drain(14..16);
    (info[1], info[3]) = (0x1e, 0x0a);
    without_null.resize(length - 1 - info.len() - 16, 0xff);
    without_null.push(0);
    without_null.extend_from_slice(&info);
    without_null.extend_from_slice(&digest);
    let mut short_hash = vec![0, 1];
    short_hash.resize(length - 1 - MD5_DIGEST_INFO.len() - 15, 0xff);
    short_hash.push(0);
    short_hash.extend_from_slice(MD5_DIGEST_INFO);
    short_hash.extend_from_slice(&digest[..15]);
    let mut bare = vec![0, 1];
    bare.resize(length - 17, 0xff);
    bare.push(0);
    bare.extend_from_slice(&digest);
    for (case, message) in [
        ("block type 0", changed(1, 0)),
        ("block type 2", changed(1, 2)),
        ("a zero in the padding", changed(5, 0)),
        ("no separator", changed(separator, 0xff)),
        ("another digest algorithm", changed(separator + 14, 2)),
        ("garbage after the digest", garbage_after),
        ("no NULL parameters", without_null),
        ("a short hash", short_hash),
        ("a bare digest", bare),
        ("zero", vec![0; length]),
        ("one", changed(0, 0).iter().map(|_| 0).take(length - 1).chain([1]).collect()),
    ] {
        assert_eq!(message.len(), length, "{case}");
        assert!(!ours.verify_md5(&digest, &raw_sign(&private, &message)), "{case}");
    }
}

#[test]
fn a_signature_of_another_length_or_not_below_the_modulus_is_refused() {
    let private = key_pair(512);
    let (ours, digest) = (public(&private), [1; 16]);
    let signature = private.sign(scheme(), &digest).unwrap();
    let number = BigUint::from_bytes_be(&signature);
    let modulus = private.n().to_bytes_be();
    for (case, bytes) in [
        ("a leading zero", [&[0], signature.as_slice()].concat()),
        ("a trailing zero", [signature.as_slice(), &[0]].concat()),
        ("one byte less", signature[1..].to_vec()),
        ("empty", Vec::new()),
        ("the modulus", modulus.clone()),
        ("the modulus minus one", (private.n() - 1u8).to_bytes_be()),
        ("all ones", vec![0xff; 64]),
        ("zero", vec![0; 64]),
        ("twice as long", [vec![0; 64], signature.clone()].concat()),
        ("an older residue", (number.clone() + private.n()).to_bytes_be()),
    ] {
        assert!(!ours.verify_md5(&digest, &bytes), "{case}");
    }
    // signature + n is the same residue; where it fits into the modulus' length it must fall all the same.
    let mut rng = rng();
    let overflowing = (0..200).find_map(|_| {
        let mut digest = [0; 16];
        rng.fill_bytes(&mut digest);
        let sum = BigUint::from_bytes_be(&private.sign(scheme(), &digest).unwrap()) + private.n();
        (sum.bits() <= 512).then(|| (digest, sum.to_bytes_be()))
    });
    let (digest, bytes) = overflowing.expect("one of 200 signatures is small enough");
    assert_eq!(bytes.len(), 64);
    assert!(!ours.verify_md5(&digest, &bytes));
}

fn der(modulus: &BigUint, exponent: &BigUint) -> Vec<u8> {
    RsaPublicKey::new_unchecked(modulus.clone(), exponent.clone()).to_public_key_der().unwrap().into_vec()
}

#[test]
fn unfit_keys_are_refused_with_the_reason() {
    let private = key_pair(512);
    let (n, e) = (private.n(), private.e());
    let number = |value: u64| BigUint::from(value);
    for (wanted, bytes) in [
        ("even modulus", der(&(n - 1u8), e)),
        ("not the DER", der(&number(0), e)),
        ("1 bits", der(&number(1), e)),
        ("511 bits", der(&(n >> 1), e)),
        ("8193 bits", der(&((number(1) << 8192) + 1u8), e)),
        ("exponent", der(n, &number(1))),
        ("exponent", der(n, &number(2))),
        ("exponent", der(n, &number(65536))),
        ("not the DER", der(n, &number(0))),
        ("exponent", der(n, &number(MAX_EXPONENT + 2))),
        ("too large", der(n, &(number(1) << 64))),
        ("too large", der(n, n)),
    ] {
        let error = PublicKey::from_der(&bytes).unwrap_err();
        assert!(error.to_string().contains(wanted), "{wanted}: {error}");
    }
    assert!(PublicKey::from_der(&der(n, &number(MAX_EXPONENT))).is_ok());
    assert!(PublicKey::from_der(&der(&((number(1) << 8191) + 1u8), &number(3))).is_ok());
}

#[test]
fn der_that_is_cut_short_lengthened_or_altered_never_panics_nor_passes_for_another_key() {
    let private = key_pair(512);
    let good = der(private.n(), private.e());
    assert!(PublicKey::from_der(&good).is_ok());
    for length in 0..good.len() {
        assert!(PublicKey::from_der(&good[..length]).is_err(), "{length}");
    }
    assert!(PublicKey::from_der(&[good.as_slice(), &[0]].concat()).is_err());
    // Tags, lengths, algorithm: all bytes before the modulus count.
    for position in 0..24 {
        for bit in 0..8 {
            let mut altered = good.clone();
            altered[position] ^= 1 << bit;
            assert!(PublicKey::from_der(&altered).is_err(), "byte {position}, bit {bit}");
        }
    }
    let mut rng = rng();
    for _ in 0..20_000 {
        let mut altered = good.clone();
        for _ in 0..1 + rng.next_u32() % 4 {
            let position = rng.next_u32() as usize % altered.len();
            altered[position] = rng.next_u32() as u8;
        }
        altered.truncate(rng.next_u32() as usize % (2 * altered.len()));
        let _ = PublicKey::from_der(&altered);
    }
}

#[test]
fn text_that_is_not_a_public_key_is_refused() {
    let private = ::rsa::pkcs8::EncodePrivateKey::to_pkcs8_pem(&key_pair(512), LineEnding::LF).unwrap();
    let huge = "A".repeat(MAX_PEM + 1);
    for text in ["", "-----BEGIN PUBLIC KEY-----", "<html>404</html>", private.as_str(), &huge] {
        assert!(PublicKey::from_pem(text).is_err(), "{text:.60}");
    }
    let empty = "-----BEGIN PUBLIC KEY-----\n\n-----END PUBLIC KEY-----\n";
    assert!(PublicKey::from_pem(empty).is_err());
}

#[test]
fn windows_line_ends_and_text_around_the_key_are_read() {
    let pem = key_pair(512).to_public_key().to_public_key_pem(LineEnding::CRLF).unwrap();
    assert!(PublicKey::from_pem(&pem).is_ok());
    assert!(PublicKey::from_pem(format!("OSS callback key\n\n{pem}\n")).is_ok());
}
