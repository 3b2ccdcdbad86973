//! Takes a body in: into the store as it comes, with its checksums computed in the same pass.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use oss_callback::checksum::Crc64;

use super::Exchange;
use crate::error::OssError;
use crate::store::Draft;

/// One PUT or part, in bytes (OSS, "Limits").
pub(super) const PUT_LIMIT: u64 = 5 * 1024 * 1024 * 1024;

/// A body that came whole.
pub(super) struct Received {
    pub draft: Draft,
    /// Bytes.
    pub size: u64,
    pub md5: [u8; 16],
    pub crc64: u64,
}

impl Received {
    /// The ETag of an object or part that came in one piece: its MD5 in upper-case hexadecimal.
    pub fn etag(&self) -> String {
        hex_upper(&self.md5)
    }

    pub fn content_md5(&self) -> String {
        STANDARD.encode(self.md5)
    }
}

pub(super) fn hex_upper(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

impl Exchange {
    /// Everything about the body that its head tells.
    pub(super) fn check_body_head(&self) -> Result<Option<[u8; 16]>, OssError> {
        if !self.request.announces_body() {
            return Err(OssError::new(
                411,
                "MissingContentLength",
                "You must provide the Content-Length HTTP header, or send the body chunked.",
            ));
        }
        if self.request.content_length().is_some_and(|length| length > PUT_LIMIT) {
            return Err(too_large());
        }
        let Some(md5) = self.request.header("content-md5") else { return Ok(None) };
        match STANDARD.decode(md5).ok().and_then(|md5| md5.try_into().ok()) {
            Some(md5) => Ok(Some(md5)),
            None => Err(invalid_digest(md5)),
        }
    }

    pub(super) async fn receive(&mut self, announced_md5: Option<[u8; 16]>) -> Result<Received, OssError> {
        let mut draft = self.blocking(|| self.shared.store.draft()).map_err(OssError::internal)?;
        let (mut md5, mut crc64, mut size) = (Md5::new(), Crc64::new(), 0_u64);
        while let Some(chunk) = self.body.chunk().await? {
            size += chunk.len() as u64;
            if size > PUT_LIMIT {
                return Err(too_large());
            }
            md5.update(&chunk);
            crc64.update(&chunk);
            self.blocking(|| draft.write(chunk)).map_err(OssError::internal)?;
        }
        let md5: [u8; 16] = md5.finalize().into();
        if announced_md5.is_some_and(|announced| announced != md5) {
            return Err(invalid_digest(self.request.header("content-md5").unwrap_or_default()));
        }
        Ok(Received { draft, size, md5, crc64: crc64.value() })
    }
}

fn invalid_digest(md5: &str) -> OssError {
    OssError::new(400, "InvalidDigest", "The Content-MD5 you specified was invalid.").with("Content-MD5", md5)
}

pub(super) fn too_large() -> OssError {
    OssError::new(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.")
        .with("MaxSizeAllowed", PUT_LIMIT.to_string())
}
