//! Bytes at rest and on their way: drafts being written, places where they lie, blobs being read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tempfile::NamedTempFile;

use super::disk::{self, Record};

/// How much is read from a file at a time.
const CHUNK: u64 = 256 * 1024;

/// Bytes that arrive and may yet be given up; dropping it leaves nothing behind.
pub(crate) enum Draft {
    Memory(Vec<Bytes>),
    File(NamedTempFile),
}

impl Draft {
    pub fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        match self {
            Draft::Memory(chunks) => chunks.push(bytes),
            Draft::File(file) => file.write_all(&bytes)?,
        }
        Ok(())
    }

    /// Its first bytes, at most `limit`.
    pub fn head(&mut self, limit: usize) -> io::Result<Bytes> {
        match self {
            Draft::Memory(chunks) => {
                let length = chunks.iter().map(Bytes::len).sum::<usize>().min(limit) as u64;
                BlobReader { source: Source::memory(Arc::new(chunks.clone())), left: length }.read_all()
            }
            Draft::File(file) => {
                let mut head = Vec::new();
                let mut reader = file.reopen()?;
                (&mut reader).take(limit as u64).read_to_end(&mut head)?;
                Ok(head.into())
            }
        }
    }
}

/// A draft that is whole and, on disk, synced; a rename away from being visible.
pub(super) enum Sealed {
    Memory(Vec<Bytes>),
    File(NamedTempFile),
}

impl Sealed {
    pub fn new(draft: Draft, record: impl FnOnce() -> Record) -> io::Result<Sealed> {
        match draft {
            Draft::Memory(chunks) => Ok(Sealed::Memory(chunks)),
            Draft::File(mut file) => {
                disk::seal(file.as_file_mut(), &record())?;
                Ok(Sealed::File(file))
            }
        }
    }

    pub fn publish(self, path: impl FnOnce() -> PathBuf) -> io::Result<Place> {
        match self {
            Sealed::Memory(chunks) => Ok(Place::Memory(Arc::new(chunks))),
            Sealed::File(file) => {
                let path = path();
                disk::publish(file, &path)?;
                Ok(Place::File(path))
            }
        }
    }
}

/// Where finished bytes lie.
#[derive(Clone)]
pub(super) enum Place {
    Memory(Arc<Vec<Bytes>>),
    File(PathBuf),
}

impl Place {
    pub fn open(&self, size: u64) -> io::Result<Blob> {
        let source = match self {
            Place::Memory(chunks) => Source::memory(Arc::clone(chunks)),
            Place::File(path) => Source::File(File::open(path)?),
        };
        Ok(Blob { source, size })
    }

    pub fn remove(&self) -> io::Result<()> {
        match self {
            Place::Memory(_) => Ok(()),
            Place::File(path) => disk::remove(path),
        }
    }
}

/// The bytes of one object or part.
pub(crate) struct Blob {
    source: Source,
    size: u64,
}

enum Source {
    Memory { chunks: Arc<Vec<Bytes>>, next: usize, skip: usize },
    File(File),
}

impl Source {
    fn memory(chunks: Arc<Vec<Bytes>>) -> Source {
        Source::Memory { chunks, next: 0, skip: 0 }
    }
}

impl Blob {
    pub fn read_all(self) -> io::Result<Bytes> {
        let size = self.size;
        self.range(0, size)?.read_all()
    }

    /// `length` bytes from `start`, or as many as there are.
    pub fn range(mut self, start: u64, length: u64) -> io::Result<BlobReader> {
        let start = start.min(self.size);
        match &mut self.source {
            Source::Memory { chunks, next, skip } => {
                let mut before = start;
                while let Some(chunk) = chunks.get(*next).filter(|chunk| chunk.len() as u64 <= before) {
                    before -= chunk.len() as u64;
                    *next += 1;
                }
                *skip = before as usize;
            }
            Source::File(file) => {
                file.seek(SeekFrom::Start(start))?;
            }
        }
        Ok(BlobReader { source: self.source, left: length.min(self.size - start) })
    }
}

/// Hands out a blob piece by piece.
pub(crate) struct BlobReader {
    source: Source,
    left: u64,
}

impl BlobReader {
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Whether reading may wait for the disk.
    pub fn on_disk(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    /// The next piece; `None` at the end. A file that is shorter than it should be is an error.
    pub fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        if self.left == 0 {
            return Ok(None);
        }
        let chunk = match &mut self.source {
            Source::Memory { chunks, next, skip } => {
                let chunk = chunks.get(*next).map(|chunk| chunk.slice((*skip).min(chunk.len())..));
                (*next, *skip) = (*next + 1, 0);
                chunk.ok_or(io::ErrorKind::UnexpectedEof)?
            }
            Source::File(file) => {
                let wanted = usize::try_from(self.left.min(CHUNK)).unwrap_or(usize::MAX);
                let mut buffer = vec![0; wanted];
                file.read_exact(&mut buffer)?;
                buffer.into()
            }
        };
        let chunk = match usize::try_from(self.left) {
            Ok(left) if left < chunk.len() => chunk.slice(..left),
            _ => chunk,
        };
        self.left -= chunk.len() as u64;
        Ok(Some(chunk))
    }

    fn read_all(mut self) -> io::Result<Bytes> {
        let mut all = Vec::with_capacity(usize::try_from(self.left).unwrap_or(0));
        while let Some(chunk) = self.next_chunk()? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob() -> Blob {
        let chunks: Vec<Bytes> = ["ab", "", "cde", "f"].into_iter().map(Bytes::from).collect();
        Place::Memory(Arc::new(chunks)).open(6).unwrap()
    }

    #[test]
    fn every_range_of_a_chunked_blob_is_right() {
        for start in 0..=7_u64 {
            for length in 0..=7_u64 {
                let wanted: String = "abcdef".chars().skip(start as usize).take(length as usize).collect();
                let got = blob().range(start, length).unwrap().read_all().unwrap();
                assert_eq!(got, wanted, "{start}+{length}");
            }
        }
    }

    #[test]
    fn the_head_of_a_draft_is_what_was_written_first() {
        let mut draft = Draft::Memory(vec![Bytes::from("abc"), Bytes::from("def")]);
        assert_eq!(draft.head(4).unwrap(), "abcd");
        assert_eq!(draft.head(100).unwrap(), "abcdef");
        let mut draft = Draft::File(NamedTempFile::new().unwrap());
        draft.write("abcdef".into()).unwrap();
        assert_eq!(draft.head(4).unwrap(), "abcd");
    }
}
