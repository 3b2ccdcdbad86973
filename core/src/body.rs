//! What is uploaded.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// The data of an upload.
///
/// Made from `Vec<u8>`, `String`, `Bytes` without a copy, and from borrowed slices and text with one.
#[derive(Clone, Default)]
pub struct Body(pub(crate) Bytes);

impl Body {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes; an empty object is fine.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same data, and a lease that tells whether any part of it is still held somewhere.
    pub(crate) fn leased(self) -> (Body, Lease) {
        let lease = Lease(Arc::new(()));
        let bytes = Bytes::from_owner(Leased { bytes: self.0, _lease: Arc::clone(&lease.0) });
        (Body(bytes), lease)
    }
}

/// Tells whether the data of a call is still held once the call has ended. The connection may hold it:
/// OSS may answer before it has read all, and then the rest of the request is still on its way out.
#[derive(Debug)]
pub(crate) struct Lease(Arc<()>);

impl Lease {
    pub fn is_held(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

struct Leased {
    bytes: Bytes,
    _lease: Arc<()>,
}

impl AsRef<[u8]> for Leased {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.len())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        Body(bytes)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Body(bytes.into())
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        Body(text.into())
    }
}

impl From<&[u8]> for Body {
    fn from(bytes: &[u8]) -> Body {
        Body(Bytes::copy_from_slice(bytes))
    }
}

impl<const N: usize> From<&[u8; N]> for Body {
    fn from(bytes: &[u8; N]) -> Body {
        Body(Bytes::copy_from_slice(bytes))
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Body {
        Body(Bytes::copy_from_slice(text.as_bytes()))
    }
}
