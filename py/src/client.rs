//! The client's calls: one that waits, without the interpreter and open to Ctrl-C, and one that does not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use oss_callback::{Cancel, Client, ClientBuilder, PutOptions, PutRequest, Result};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::{bug, invalid, raised};
use crate::handles::Live;
use crate::receive::{self, Confirmation};
use crate::reply::CallbackReply;
use crate::{callback, convert, options};

/// What the clients of `oss_callback` and `oss_callback.aio` are made of.
#[pyclass(frozen, name = "Client", module = "oss_callback._native")]
pub(crate) struct NativeClient {
    // Held for an instant and by attached threads only, so that no fork can catch it locked.
    inner: Mutex<Option<Client>>,
    region: Option<String>,
    endpoint: String,
    _live: Live,
}

impl NativeClient {
    fn get(&self) -> Option<Client> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn open(&self, py: Python<'_>) -> PyResult<Client> {
        self.get().ok_or_else(|| invalid(py, "client", "is closed", Some("Make a new one.")))
    }
}

#[pymethods]
impl NativeClient {
    #[new]
    fn new(py: Python<'_>, options: Bound<'_, PyDict>) -> PyResult<NativeClient> {
        let mut builder = ClientBuilder::default();
        options::apply(&options, ClientBuilder::OPTIONS, |name, value| builder.set(name, value))?;
        // The platform's certificates may have to be read from the disk.
        let client = py.detach(|| builder.build()).map_err(|error| raised(py, &error))?;
        let (region, endpoint) = (client.region().map(str::to_owned), client.endpoint().to_string());
        Ok(NativeClient { inner: Mutex::new(Some(client)), region, endpoint, _live: Live::new() })
    }

    /// Uploads, and waits for the callback's answer.
    fn put(
        &self,
        py: Python<'_>,
        bucket: Bound<'_, PyAny>,
        key: Bound<'_, PyAny>,
        data: Bound<'_, PyAny>,
        callback: Bound<'_, PyAny>,
        options: Bound<'_, PyDict>,
    ) -> PyResult<CallbackReply> {
        let request = request(&bucket, &key, &data, &callback, &options)?;
        let client = self.open(py)?;
        let reply = waited(py, |signals| client.send_while(request, || signals.interrupt()))?;
        Ok(CallbackReply::from_core(py, &reply))
    }

    /// Starts an upload. `settle(reply, error)` is called on a thread of the library's, with one of both
    /// None.
    #[expect(clippy::too_many_arguments, reason = "Python's call, plus the interpreter and who is told")]
    fn start(
        &self,
        py: Python<'_>,
        bucket: Bound<'_, PyAny>,
        key: Bound<'_, PyAny>,
        data: Bound<'_, PyAny>,
        callback: Bound<'_, PyAny>,
        options: Bound<'_, PyDict>,
        settle: Py<PyAny>,
    ) -> PyResult<Call> {
        let cancel = Cancel::new();
        let request = request(&bucket, &key, &data, &callback, &options)?.cancel(&cancel);
        let client = self.open(py)?;
        let settle = Settle(Some(settle));
        py.detach(|| {
            client.start(request, move |outcome| {
                settle.with(outcome, |py, reply| CallbackReply::from_core(py, &reply));
            });
        });
        Ok(Call { cancel, _live: Live::new() })
    }

    /// Asks OSS whether a callback's object is there and is the one that it tells of.
    fn confirm(&self, py: Python<'_>, event: Bound<'_, PyAny>) -> PyResult<Confirmation> {
        let event = receive::given(&event)?;
        let client = self.open(py)?;
        waited(py, |signals| client.confirm_while(event, || signals.interrupt())).map(Confirmation::from)
    }

    /// Starts to ask. `settle(confirmation, error)` is called as by `start`.
    fn start_confirm(&self, py: Python<'_>, event: Bound<'_, PyAny>, settle: Py<PyAny>) -> PyResult<()> {
        let event = receive::given(&event)?;
        let client = self.open(py)?;
        let settle = Settle(Some(settle));
        py.detach(|| {
            client.start_confirm(event, move |outcome| {
                settle.with(outcome, |_, found| Confirmation::from(found));
            });
        });
        Ok(())
    }

    /// Closes the connections. Calls under way end as they would have.
    fn close(&self, py: Python<'_>) {
        let client = self.inner.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(client));
    }

    /// Whether close() was called.
    #[getter]
    fn closed(&self) -> bool {
        self.get().is_none()
    }

    /// The region that requests are signed for, if one is known.
    #[getter]
    fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Where requests go.
    #[getter]
    fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

/// Makes a call without the interpreter, which Ctrl-C ends.
fn waited<T: Send>(py: Python<'_>, call: impl FnOnce(&mut Signals) -> Result<T> + Send) -> PyResult<T> {
    let mut signals = Signals::default();
    let waited = py.detach(|| catch_unwind(AssertUnwindSafe(|| call(&mut signals))));
    match (signals.raised, waited) {
        (Some(raised), _) => Err(raised),
        (None, Ok(outcome)) => outcome.map_err(|error| raised(py, &error)),
        (None, Err(panic)) => Err(bug(py, &*panic)),
    }
}

/// Looks for Ctrl-C while a call waits.
#[derive(Default)]
struct Signals {
    /// Python handles signals on its main thread alone. Others look once, and then do not wait for the
    /// interpreter again while they move data.
    elsewhere: bool,
    /// What a handler raised.
    raised: Option<PyErr>,
}

impl Signals {
    fn interrupt(&mut self) -> bool {
        if self.elsewhere {
            return false;
        }
        let looked = Python::try_attach(|py| {
            self.elsewhere = !is_main_thread(py)?;
            py.check_signals()
        });
        match looked {
            Some(Ok(())) => false,
            Some(Err(raised)) => {
                self.raised = Some(raised);
                true
            }
            // The interpreter is shutting down.
            None => true,
        }
    }
}

fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    threading.call_method0("get_ident")?.eq(main)
}

fn request(
    bucket: &Bound<'_, PyAny>,
    key: &Bound<'_, PyAny>,
    data: &Bound<'_, PyAny>,
    callback: &Bound<'_, PyAny>,
    keywords: &Bound<'_, PyDict>,
) -> PyResult<PutRequest> {
    let mut options = PutOptions::default();
    options::apply(keywords, PutOptions::OPTIONS, |name, value| options.set(name, value))?;
    let (bucket, key) = (convert::text("bucket", bucket)?, convert::text("key", key)?);
    let request = PutRequest::new(bucket, key, convert::data(data)?, callback::given(callback)?);
    Ok(request.options(options))
}

/// An upload under way.
#[pyclass(frozen, module = "oss_callback._native")]
pub(crate) struct Call {
    cancel: Cancel,
    _live: Live,
}

#[pymethods]
impl Call {
    /// Ends the call, if it is still under way, with an error of kind `cancelled`.
    fn cancel(&self) {
        self.cancel.cancel();
    }
}

/// Calls Python exactly once: a call that is lost, because its code panicked, is told as a bug and
/// leaves nobody waiting.
struct Settle(Option<Py<PyAny>>);

impl Settle {
    fn with<T, P>(mut self, outcome: Result<T>, python: impl FnOnce(Python<'_>, T) -> P)
    where
        P: for<'py> IntoPyObject<'py>,
    {
        self.tell(|py| match outcome {
            Ok(value) => python(py, value).into_py_any(py),
            Err(error) => Err(raised(py, &error)),
        });
    }

    fn tell(&mut self, outcome: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>>) {
        let Some(settle) = self.0.take() else { return };
        // Where the interpreter is gone, so is whoever waited.
        Python::try_attach(|py| {
            let told = match outcome(py) {
                Ok(value) => settle.call1(py, (value, py.None())),
                Err(error) => settle.call1(py, (py.None(), error)),
            };
            if let Err(error) = told {
                error.write_unraisable(py, Some(settle.bind(py)));
            }
            drop(settle);
        });
    }
}

impl Drop for Settle {
    fn drop(&mut self) {
        self.tell(|py| Err(bug(py, &"the call was lost")));
    }
}
