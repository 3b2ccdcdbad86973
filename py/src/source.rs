//! What is uploaded, as the core takes it. `_sources.py` tells what a value is; here it is opened, and
//! read while it is sent.
//!
//! A source is read on a thread of the core's, which holds the interpreter only while the user's code
//! runs. What that raises is kept for the caller; see `usercode`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use bytes::{Buf, Bytes};
use oss_callback::Body;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyFunction, PyIterator, PyString};

use crate::convert;
use crate::errors::{invalid, wrong_type};
use crate::gate;
use crate::handles::Live;
use crate::usercode::UserCode;

/// How much a file-like object is asked for at a time; the core's own measure.
const READ_BYTES: usize = 256 * 1024;

/// The source of an upload. `bytes` cannot change and are shared with Python; other buffers are copied,
/// once, so that what is sent is what was there when the call was made.
pub(crate) fn body(
    field: &'static str,
    value: &Bound<'_, PyAny>,
    length: Option<&Bound<'_, PyAny>>,
    user: &UserCode,
) -> PyResult<Body> {
    let wanted = length.map(|length| length_of(length)).transpose()?;
    let py = value.py();
    if let Some(bytes) = convert::bytes_like(value)? {
        agrees(py, wanted, bytes.len() as u64)?;
        return Ok(bytes.into());
    }
    let (kind, thing, known) = described(value)?;
    if let Some(known) = known {
        agrees(py, wanted, known)?;
    }
    let pull = match &*kind {
        "path" => return of_path(py, thing.extract()?, wanted),
        "file" => {
            let (file, position) = thing.extract::<(Bound<'_, PyAny>, u64)>()?;
            match reopened(&file, position)? {
                Some(file) => return Ok(file.into()),
                None => Pull::Read(file.getattr("read")?.unbind()),
            }
        }
        "bytes" => {
            let (whole, position) = thing.extract::<(Bound<'_, PyBytes>, usize)>()?;
            let bytes = Bytes::from_owner(PyBackedBytes::from(whole));
            return Ok(bytes.slice(position.min(bytes.len())..).into());
        }
        "read" => Pull::Read(thing.unbind()),
        "iterator" => Pull::Next(thing.cast_into::<PyIterator>()?.unbind()),
        _ => {
            let hint = thing.extract::<String>()?;
            return Err(wrong_type(
                field,
                "bytes, a path, a binary file or an iterable of bytes",
                value,
                Some(&hint),
            ));
        }
    };
    let reader = PyReader {
        field,
        pull: Some(pull),
        rest: Bytes::new(),
        failed: false,
        user: user.clone(),
        _live: Live::new(),
    };
    Ok(Body::reader(reader, wanted.or(known)))
}

fn of_path(py: Python<'_>, path: PathBuf, wanted: Option<u64>) -> PyResult<Body> {
    // Looked at only where there is a length to compare: on a network's drive that can take long.
    let file =
        wanted.and_then(|_| py.detach(|| std::fs::metadata(&path)).ok()).filter(std::fs::Metadata::is_file);
    if let Some(file) = file {
        agrees(py, wanted, file.len())?;
    }
    Ok(path.into())
}

fn length_of(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    let length = convert::integer("length", value)?;
    u64::try_from(length).map_err(|_| invalid(value.py(), "length", "must not be below 0", None))
}

fn agrees(py: Python<'_>, wanted: Option<u64>, known: u64) -> PyResult<()> {
    match wanted {
        Some(wanted) if wanted != known => {
            let message = format!("is {wanted}, but the source has {known} bytes");
            Err(invalid(
                py,
                "length",
                &message,
                Some("Leave it out: it is for streams, whose end is not known."),
            ))
        }
        _ => Ok(()),
    }
}

fn described<'py>(value: &Bound<'py, PyAny>) -> PyResult<(String, Bound<'py, PyAny>, Option<u64>)> {
    static DESCRIBE: PyOnceLock<Py<PyFunction>> = PyOnceLock::new();
    let describe = DESCRIBE.import(value.py(), "oss_callback._sources", "describe")?;
    describe.call1((value,))?.extract()
}

/// The same file under a descriptor of its own, so that parts can be read at once, and the position of
/// Python's is left alone. `None` where the system does not give it a second time.
#[cfg(unix)]
fn reopened(file: &Bound<'_, PyAny>, position: u64) -> PyResult<Option<File>> {
    use std::os::unix::fs::MetadataExt;

    let py = file.py();
    let descriptor = file.call_method0("fileno")?.extract::<i32>()?;
    let status = py.import("os")?.call_method1("fstat", (descriptor,))?;
    let identity = (status.getattr("st_dev")?.extract()?, status.getattr("st_ino")?.extract()?);
    // The name may lead elsewhere by now; a descriptor may not be opened again without /proc.
    let name = file.getattr("name")?.extract::<PathBuf>().unwrap_or_default();
    for path in [PathBuf::from(format!("/proc/self/fd/{descriptor}")), name] {
        let opened = py.detach(|| {
            let mut file = File::open(&path).ok()?;
            let metadata = file.metadata().ok()?;
            let same = metadata.is_file() && (metadata.dev(), metadata.ino()) == identity;
            (same && file.seek(SeekFrom::Start(position)).is_ok()).then_some(file)
        });
        if opened.is_some() {
            return Ok(opened);
        }
    }
    Ok(None)
}

#[cfg(not(unix))]
fn reopened(_file: &Bound<'_, PyAny>, _position: u64) -> PyResult<Option<File>> {
    Ok(None)
}

/// Where the next bytes come from.
enum Pull {
    /// A `read(size)`.
    Read(Py<PyAny>),
    Next(Py<PyIterator>),
}

/// A source that only Python can read.
struct PyReader {
    field: &'static str,
    /// Let go when it has ended.
    pull: Option<Pull>,
    /// What was given beyond what was asked for.
    rest: Bytes,
    failed: bool,
    user: UserCode,
    _live: Live,
}

impl Read for PyReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.rest.is_empty() && !buffer.is_empty() {
            self.refill()?;
        }
        let taken = self.rest.len().min(buffer.len());
        self.rest.copy_to_slice(&mut buffer[..taken]);
        Ok(taken)
    }
}

impl PyReader {
    fn refill(&mut self) -> std::io::Result<()> {
        if self.failed {
            // Must not look like the end.
            return Err(std::io::Error::other("reading it has failed before"));
        }
        let pulled = gate::attach(|py| {
            let pulled = self.pull(py);
            if let Ok(None) = pulled {
                self.pull = None;
            }
            pulled.map_err(|error| {
                let text = error.to_string();
                self.user.source.keep(error);
                text
            })
        });
        let failure = match pulled {
            Some(Ok(bytes)) => {
                self.rest = bytes.unwrap_or_default();
                return Ok(());
            }
            Some(Err(text)) => text,
            None => "the interpreter is shutting down".to_owned(),
        };
        self.failed = true;
        Err(std::io::Error::other(failure))
    }

    /// The next bytes, at least one. `None` at the end.
    fn pull(&self, py: Python<'_>) -> PyResult<Option<Bytes>> {
        match &self.pull {
            None => Ok(None),
            Some(Pull::Read(read)) => {
                let given = read.bind(py).call1((READ_BYTES,))?;
                Ok(Some(self.checked("from read()", &given)?).filter(|bytes| !bytes.is_empty()))
            }
            Some(Pull::Next(iterator)) => {
                let mut iterator = iterator.bind(py).clone();
                loop {
                    let Some(given) = iterator.next() else { return Ok(None) };
                    let bytes = self.checked("from the iterator", &given?)?;
                    if !bytes.is_empty() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    fn checked(&self, whence: &str, given: &Bound<'_, PyAny>) -> PyResult<Bytes> {
        if let Some(bytes) = convert::bytes_like(given)? {
            return Ok(bytes);
        }
        let hint = if given.is_instance_of::<PyString>() {
            "Encode the text, or open the file with mode \"rb\"."
        } else if given.is_none() {
            "A source that does not block has None for `nothing yet`: make it block."
        } else if given.hasattr("__await__")? {
            "Use oss_callback.aio for sources that are awaited."
        } else {
            "Give bytes, a bytearray or a memoryview."
        };
        self.user.misfit.keep(wrong_type(self.field, &format!("bytes {whence}"), given, Some(hint)));
        Err(PyRuntimeError::new_err(format!("it did not give bytes {whence}")))
    }
}
