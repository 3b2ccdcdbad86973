//! What is uploaded.

use std::fmt;

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
