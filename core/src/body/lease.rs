//! Whether data that was lent for a call is let go when the call ends.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;

use super::{Reader, Source};

/// Tells whether the data of a call is still held once the call has ended. The connection may hold it:
/// OSS may answer before it has read all, and then the rest of the request is still on its way out.
#[derive(Debug, Default)]
pub(crate) struct Lease(Arc<()>);

impl Lease {
    /// A lease on bytes.
    pub fn on(bytes: Bytes) -> (Bytes, Lease) {
        let lease = Lease::default();
        (Bytes::from_owner(Leased { bytes, _lease: Arc::clone(&lease.0) }), lease)
    }

    pub fn is_held(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

impl Source {
    /// The same data, and a lease that tells whether any part of it is still held somewhere: bytes, or a
    /// stream that is not read to its end. Pieces of a file are the library's own, and never held.
    pub fn leased(self) -> (Source, Lease) {
        match self {
            Source::Bytes(bytes) => {
                let (bytes, lease) = Lease::on(bytes);
                (Source::Bytes(bytes), lease)
            }
            Source::Stream { reader, length } => {
                let lease = Lease::default();
                let reader = Box::new(LeasedReader { reader, _lease: Arc::clone(&lease.0) });
                (Source::Stream { reader, length }, lease)
            }
            file => (file, Lease::default()),
        }
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

struct LeasedReader {
    reader: Reader,
    _lease: Arc<()>,
}

impl Read for LeasedReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.reader.read(buffer)
    }
}
