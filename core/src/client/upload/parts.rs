//! Where parts come from: ranges of what can be read by position, or portions of a stream.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::sizes::{Layout, PARTS_MAX};
use super::steps::DoneParts;
use crate::body::{FileSource, Reader, Source, other_length, read_some, too_long};
use crate::client::exchange::Parcel;
use crate::error::{Error, ErrorKind, Result};

/// One part, ready to be sent.
pub(super) struct Part {
    pub number: u32,
    pub parcel: Parcel,
    /// A stream has been found to end with it.
    pub is_last: bool,
}

/// The parts that are still to be sent, in order.
pub(super) enum Supply {
    Ranges {
        source: Ranged,
        layout: Layout,
        next: u32,
    },
    /// Read ahead by a thread, one part at a time.
    Stream(mpsc::Receiver<Result<Part>>),
}

/// What can be read from anywhere.
#[derive(Clone)]
pub(super) enum Ranged {
    Bytes(Bytes),
    File(Arc<FileSource>),
}

impl Supply {
    /// # Errors
    /// `source` if a stream's thread cannot be started.
    pub fn of(source: Source, layout: Layout) -> Result<Supply> {
        let source = match source {
            Source::Bytes(bytes) => Ranged::Bytes(bytes),
            Source::File(file) => Ranged::File(file),
            Source::Stream { reader, .. } => return Ok(Supply::Stream(read_parts(reader, layout)?)),
        };
        Ok(Supply::Ranges { source, layout, next: 1 })
    }

    /// The next part that is not done. `None` at the end.
    pub async fn next(&mut self, done: &DoneParts) -> Option<Result<Part>> {
        match self {
            Supply::Stream(parts) => parts.recv().await,
            Supply::Ranges { source, layout, next } => loop {
                let number = *next;
                let (offset, length) = layout.part(number)?;
                *next += 1;
                if !done.contains_key(&number) {
                    return Some(source.part(offset, length).map(|parcel| Part {
                        number,
                        parcel,
                        is_last: false,
                    }));
                }
            },
        }
    }
}

impl Ranged {
    fn part(&self, offset: u64, length: u64) -> Result<Parcel> {
        match self {
            Ranged::File(file) => Ok(Parcel::of_range(Arc::clone(file), offset, length)),
            Ranged::Bytes(bytes) => {
                let end = usize::try_from(offset + length).unwrap_or(usize::MAX).min(bytes.len());
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(end);
                Ok(Parcel::of_bytes(bytes.slice(start..end)))
            }
        }
    }
}

/// Reads a stream part by part into memory, so that each can be sent again by itself. One lies ready and
/// one is being read, beside those under way.
fn read_parts(reader: Reader, layout: Layout) -> Result<mpsc::Receiver<Result<Part>>> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::Builder::new()
        .name("oss-callback-read".to_owned())
        .spawn(move || {
            // A reader that panics must not look like one that has come to its end.
            let read = std::panic::AssertUnwindSafe(|| read_all(reader, layout, &sender));
            let outcome = std::panic::catch_unwind(read)
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Source, "reading the source panicked")));
            if let Err(error) = outcome {
                let _ = sender.blocking_send(Err(error));
            }
        })
        .map_err(|e| Error::new(ErrorKind::Source, format!("no thread could be started: {e}")))?;
    Ok(receiver)
}

fn read_all(mut reader: Reader, layout: Layout, sender: &mpsc::Sender<Result<Part>>) -> Result<()> {
    let (mut done, mut number) = (0_u64, 1_u32);
    loop {
        let wanted = match layout.length {
            Some(length) => (length - done).min(layout.part_size),
            None => layout.grown(number),
        };
        let bytes = read_some(&mut *reader, wanted, done)?;
        let got = bytes.len() as u64;
        done += got;
        let ends = match layout.length {
            Some(length) if got < wanted => {
                return Err(other_length(length, done));
            }
            Some(length) if done == length => {
                if !read_some(&mut *reader, 1, done)?.is_empty() {
                    return Err(too_long(length));
                }
                true
            }
            Some(_) => false,
            None => got < wanted,
        };
        // A stream that ends where a part ends leaves nothing behind it; one part there must be.
        if got > 0 || number == 1 {
            if number > PARTS_MAX {
                let message = format!("the source does not fit into {PARTS_MAX} parts");
                return Err(Error::new(ErrorKind::Source, message).with_hint("Make part_size larger."));
            }
            let parcel = Parcel::of_bytes(Bytes::from(bytes));
            let part = Part { number, parcel, is_last: ends };
            if sender.blocking_send(Ok(part)).is_err() {
                return Ok(());
            }
            number += 1;
        }
        if ends {
            return Ok(());
        }
    }
}
