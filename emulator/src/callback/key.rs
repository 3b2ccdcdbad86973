//! The key that signs callbacks. The one that is built in is printed in this repository: it serves to
//! exercise a verifier, and proves nothing about who sent a callback.

use std::fmt;
use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePublicKey, LineEnding};
use rsa::{Pkcs1v15Sign, RsaPrivateKey};

/// Size of OSS's own callback key, and of the keys made here.
const BITS: usize = 512;

/// ASN.1 `DigestInfo` of MD5, which PKCS #1 v1.5 puts before the digest (RFC 8017, 9.2 note 1). Spelt
/// out because `rsa` 0.9 and `md-5` 0.11 live on different versions of the digest traits.
pub(super) const MD5_DIGEST_INFO: [u8; 18] = [
    0x30, 0x20, 0x30, 0x0c, 0x06, 0x08, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05, 0x05, 0x00, 0x04,
    0x10,
];

static BUILT_IN: LazyLock<SigningKey> = LazyLock::new(|| {
    SigningKey::from_pem(include_str!("emulator_key.pem")).expect("the key in the source tree is a good one")
});

/// An RSA key that signs callbacks as OSS does: MD5 with RSA, PKCS #1 v1.5.
///
/// The default is a 512-bit key that is the same in every copy of the emulator, so that its public half
/// can stand in an application server's test configuration. Its private half is public knowledge.
#[derive(Clone)]
pub struct SigningKey(Arc<Inner>);

struct Inner {
    key: RsaPrivateKey,
    public_pem: String,
}

impl SigningKey {
    /// A key from PEM text, PKCS #8 or PKCS #1, of at least 368 bits and not encrypted.
    pub fn from_pem(pem: &str) -> Result<SigningKey, SigningKeyError> {
        let key = RsaPrivateKey::from_pkcs8_pem(pem)
            .or_else(|_| RsaPrivateKey::from_pkcs1_pem(pem))
            .map_err(|error| SigningKeyError(format!("not an RSA private key in PEM form: {error}")))?;
        SigningKey::new(key)
    }

    /// A fresh 512-bit key: the size of OSS's own, far too small to protect anything.
    pub fn generate() -> Result<SigningKey, SigningKeyError> {
        let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, BITS)
            .map_err(|error| SigningKeyError(format!("no key could be made: {error}")))?;
        SigningKey::new(key)
    }

    fn new(key: RsaPrivateKey) -> Result<SigningKey, SigningKeyError> {
        let public_pem = key
            .to_public_key()
            .to_public_key_pem(LineEnding::LF)
            .map_err(|error| SigningKeyError(format!("its public half cannot be written: {error}")))?;
        let key = SigningKey(Arc::new(Inner { key, public_pem }));
        // A key too small for the padding would otherwise show at the first callback only.
        key.sign(b"").map_err(|error| SigningKeyError(format!("it cannot sign: {error}")))?;
        Ok(key)
    }

    /// The public half as PEM (SubjectPublicKeyInfo), the form in which OSS serves its own.
    pub fn public_key_pem(&self) -> &str {
        &self.0.public_pem
    }

    /// Base64 of the signature over `text`: the value of a callback's Authorization header.
    pub(super) fn sign(&self, text: &[u8]) -> Result<String, rsa::Error> {
        let scheme = Pkcs1v15Sign { hash_len: Some(16), prefix: MD5_DIGEST_INFO.into() };
        Ok(STANDARD.encode(self.0.key.sign(scheme, &Md5::digest(text))?))
    }
}

impl Default for SigningKey {
    fn default() -> SigningKey {
        BUILT_IN.clone()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// Why text is no usable signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyError(String);

impl fmt::Display for SigningKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "signing key: {}", self.0)
    }
}

impl std::error::Error for SigningKeyError {}

#[cfg(test)]
mod tests {
    use super::*;
    use rsa::RsaPublicKey;
    use rsa::pkcs1::EncodeRsaPrivateKey;
    use rsa::pkcs8::DecodePublicKey;

    fn verifies(public_pem: &str, text: &[u8], signature: &str) -> bool {
        let scheme = Pkcs1v15Sign { hash_len: Some(16), prefix: MD5_DIGEST_INFO.into() };
        let signature = STANDARD.decode(signature).unwrap();
        let key = RsaPublicKey::from_public_key_pem(public_pem).unwrap();
        key.verify(scheme, &Md5::digest(text), &signature).is_ok()
    }

    #[test]
    fn the_built_in_key_reproduces_the_signatures_of_the_vectors() {
        // Case `ver-query-second-question-mark` of tests/vectors/callback_verify.json.
        let text = b"/cb?a=1?b=2\nbucket=examplebucket&object=photos%2Fcat.jpg&size=5";
        let expected =
            "Kj2FiwRuu46xWeUrO4hYDCNtIgEC6w1xqppBa0I5gy10Uwu/UPWXI2b1KEiBuR3W8j2QkEfKa3MK+G/4udrP6A==";
        assert_eq!(SigningKey::default().sign(text).unwrap(), expected);
    }

    #[test]
    fn a_signature_verifies_with_the_public_half_and_with_no_other_key_or_text() {
        let (one, other) = (SigningKey::generate().unwrap(), SigningKey::default());
        let signature = one.sign(b"/cb\nbody").unwrap();
        assert!(verifies(one.public_key_pem(), b"/cb\nbody", &signature));
        assert!(!verifies(one.public_key_pem(), b"/cb\nBody", &signature));
        assert!(!verifies(other.public_key_pem(), b"/cb\nbody", &signature));
    }

    #[test]
    fn pkcs1_pem_is_read_and_rubbish_is_refused() {
        let default = SigningKey::default();
        let pem = default.0.key.to_pkcs1_pem(LineEnding::LF).unwrap();
        assert_eq!(SigningKey::from_pem(&pem).unwrap().public_key_pem(), default.public_key_pem());
        for rubbish in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            SigningKey::from_pem(rubbish).unwrap_err();
        }
    }

    #[test]
    fn debug_shows_nothing_of_the_key() {
        assert_eq!(format!("{:?}", SigningKey::default()), "SigningKey(…)");
    }
}
