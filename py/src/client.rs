//! The client's calls, each in two ways: one that waits, and one that does not.

use std::sync::{Arc, Mutex, PoisonError};

use oss_callback::{Client, ClientBuilder, PutOptions, PutRequest, UploadOptions, UploadRequest};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::call::{Call, Cancel, Settle, wait};
use crate::credentials::Provider;
use crate::errors::{invalid, raised};
use crate::handles::Live;
use crate::mailbox::Answers;
use crate::progress;
use crate::receive::{self, Confirmation};
use crate::reply::CallbackReply;
use crate::usercode::UserCode;
use crate::{callback, convert, credentials, options, source};

/// What the clients of `oss_callback` and `oss_callback.aio` are made of.
#[pyclass(frozen, name = "Client", module = "oss_callback._native")]
pub(crate) struct NativeClient {
    // Held for an instant and by attached threads only, so that no fork can catch it locked.
    inner: Mutex<Option<Client>>,
    region: Option<String>,
    endpoint: String,
    provider: Option<Arc<Provider>>,
    _live: Live,
}

impl NativeClient {
    fn get(&self) -> Option<Client> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn open(&self, py: Python<'_>) -> PyResult<Client> {
        self.get().ok_or_else(|| invalid(py, "client", "is closed", Some("Make a new one.")))
    }

    fn user_code(&self) -> UserCode {
        let credentials = self.provider.as_ref().map(|provider| {
            provider.called();
            Arc::downgrade(provider)
        });
        let credentials = credentials.unwrap_or_default();
        UserCode { credentials, ..UserCode::default() }
    }
}

#[pymethods]
impl NativeClient {
    #[new]
    #[pyo3(signature = (options, credentials_provider))]
    fn new(
        py: Python<'_>,
        options: Bound<'_, PyDict>,
        credentials_provider: Option<Bound<'_, PyAny>>,
    ) -> PyResult<NativeClient> {
        oss_callback::log_by_environment();
        let mut builder = ClientBuilder::default();
        options::apply(&options, ClientBuilder::OPTIONS, |name, value| builder.set(name, value))?;
        let provider = credentials_provider.map(Provider::new).transpose()?.map(Arc::new);
        if let Some(provider) = &provider {
            builder = builder.credentials_provider(credentials::asking(Arc::downgrade(provider)));
        }
        // The platform's certificates may have to be read from the disk.
        let client = py.detach(|| builder.build()).map_err(|error| raised(py, &error))?;
        Ok(NativeClient {
            region: client.region().map(str::to_owned),
            endpoint: client.endpoint().to_string(),
            inner: Mutex::new(Some(client)),
            provider,
            _live: Live::new(),
        })
    }

    /// Uploads in one request, and waits for the callback's answer.
    #[pyo3(signature = (bucket, key, data, callback, options, length, cancel))]
    fn put(
        &self,
        py: Python<'_>,
        bucket: Bound<'_, PyAny>,
        key: Bound<'_, PyAny>,
        data: Bound<'_, PyAny>,
        callback: Bound<'_, PyAny>,
        options: Bound<'_, PyDict>,
        length: Option<Bound<'_, PyAny>>,
        cancel: Option<Bound<'_, PyAny>>,
    ) -> PyResult<CallbackReply> {
        let user = self.user_code();
        let cancel = Cancel::given(cancel.as_ref())?;
        let mut request = put_request(&bucket, &key, &data, &callback, &options, length, &user)?;
        if let Some(cancel) = &cancel {
            request = request.cancel(cancel);
        }
        let client = self.open(py)?;
        let reply = wait(py, &user, |interrupt| client.send_while(request, interrupt))?;
        Ok(CallbackReply::from_core(py, &reply))
    }

    /// Starts an upload in one request. `settle(reply, error)` is called on a thread of the library's,
    /// with one of both None; or `settle` is a Mailbox, into which they are put, and what stands for the
    /// call there.
    #[pyo3(signature = (bucket, key, data, callback, options, length, settle))]
    fn start_put(
        &self,
        py: Python<'_>,
        bucket: Bound<'_, PyAny>,
        key: Bound<'_, PyAny>,
        data: Bound<'_, PyAny>,
        callback: Bound<'_, PyAny>,
        options: Bound<'_, PyDict>,
        length: Option<Bound<'_, PyAny>>,
        settle: Bound<'_, PyAny>,
    ) -> PyResult<Call> {
        let (user, cancel) = (self.user_code(), oss_callback::Cancel::new());
        let request = put_request(&bucket, &key, &data, &callback, &options, length, &user)?;
        let (request, client) = (request.cancel(&cancel), self.open(py)?);
        let (answers, settle) = (Answers::of(&settle), Settle::new(&settle, user)?);
        let done = move |outcome| settle.with(outcome, |py, reply| CallbackReply::from_core(py, &reply));
        py.detach(|| match &answers {
            Some(answers) => answers.start(&client, request, done),
            None => client.start(request, done),
        });
        Ok(Call::new(cancel, answers.as_ref()))
    }

    /// Uploads in as many requests as it takes, and waits for the callback's answer. `progress` is called
    /// on the same thread.
    #[pyo3(signature = (bucket, key, source, callback, options, length, progress, cancel))]
    fn upload(
        &self,
        py: Python<'_>,
        bucket: Bound<'_, PyAny>,
        key: Bound<'_, PyAny>,
        source: Bound<'_, PyAny>,
        callback: Bound<'_, PyAny>,
        options: Bound<'_, PyDict>,
        length: Option<Bound<'_, PyAny>>,
        progress: Option<Bound<'_, PyAny>>,
        cancel: Option<Bound<'_, PyAny>>,
    ) -> PyResult<CallbackReply> {
        let user = self.user_code();
        let cancel = Cancel::given(cancel.as_ref())?;
        let mut request = upload_request(&bucket, &key, &source, &callback, &options, length, &user)?;
        if let Some(cancel) = &cancel {
            request = request.cancel(cancel);
        }
        if let Some(function) = progress::function(progress)? {
            request = request.progress_while(progress::watch(function, user.progress.clone()));
        }
        let client = self.open(py)?;
        let reply = wait(py, &user, |interrupt| client.upload_while(request, interrupt))?;
        Ok(CallbackReply::from_core(py, &reply))
    }

    /// Starts an upload in as many requests as it takes. `progress` is called on a thread of
    /// the library's, `settle` is as for `start_put`.
    #[pyo3(signature = (bucket, key, source, callback, options, length, progress, settle))]
    fn start_upload(
        &self,
        py: Python<'_>,
        bucket: Bound<'_, PyAny>,
        key: Bound<'_, PyAny>,
        source: Bound<'_, PyAny>,
        callback: Bound<'_, PyAny>,
        options: Bound<'_, PyDict>,
        length: Option<Bound<'_, PyAny>>,
        progress: Option<Bound<'_, PyAny>>,
        settle: Bound<'_, PyAny>,
    ) -> PyResult<Call> {
        let (user, cancel) = (self.user_code(), oss_callback::Cancel::new());
        let request = upload_request(&bucket, &key, &source, &callback, &options, length, &user)?;
        let mut request = request.cancel(&cancel);
        if let Some(function) = progress::function(progress)? {
            request = request.progress_while(progress::watch(function, user.progress.clone()));
        }
        let client = self.open(py)?;
        let settle = Settle::new(&settle, user)?;
        let done = move |outcome| settle.with(outcome, |py, reply| CallbackReply::from_core(py, &reply));
        py.detach(|| client.start_upload(request, done));
        Ok(Call::new(cancel, None))
    }

    /// Asks OSS whether a callback's object is there and is the one that it tells of.
    #[pyo3(signature = (event, cancel))]
    fn confirm(
        &self,
        py: Python<'_>,
        event: Bound<'_, PyAny>,
        cancel: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Confirmation> {
        let (event, user) = (receive::given(&event)?, self.user_code());
        let cancel = Cancel::given(cancel.as_ref())?;
        let client = self.open(py)?;
        let found = wait(py, &user, |interrupt| match cancel {
            // The first look comes after a while.
            Some(cancel) if cancel.is_cancelled() => client.confirm_until(event, &cancel),
            Some(cancel) => client.confirm_while(event, || cancel.is_cancelled() || interrupt()),
            None => client.confirm_while(event, interrupt),
        })?;
        Ok(Confirmation::from(found))
    }

    /// Starts to ask. `settle` is as for `start_put`.
    fn start_confirm(
        &self,
        py: Python<'_>,
        event: Bound<'_, PyAny>,
        settle: Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let event = receive::given(&event)?;
        let client = self.open(py)?;
        let settle = Settle::new(&settle, self.user_code())?;
        let done = move |outcome| settle.with(outcome, |_, found| Confirmation::from(found));
        py.detach(|| client.start_confirm(event, done));
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

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.provider.as_ref().map_or(Ok(()), |provider| provider.traverse(visit))
    }
}

fn put_request(
    bucket: &Bound<'_, PyAny>,
    key: &Bound<'_, PyAny>,
    data: &Bound<'_, PyAny>,
    callback: &Bound<'_, PyAny>,
    keywords: &Bound<'_, PyDict>,
    length: Option<Bound<'_, PyAny>>,
    user: &UserCode,
) -> PyResult<PutRequest> {
    let mut options = PutOptions::default();
    options::apply(keywords, PutOptions::OPTIONS, |name, value| options.set(name, value))?;
    let (bucket, key) = (convert::text("bucket", bucket)?, convert::text("key", key)?);
    let body = source::body("data", data, length.as_ref(), user)?;
    Ok(PutRequest::new(bucket, key, body, callback::given(callback)?).options(options))
}

fn upload_request(
    bucket: &Bound<'_, PyAny>,
    key: &Bound<'_, PyAny>,
    source: &Bound<'_, PyAny>,
    callback: &Bound<'_, PyAny>,
    keywords: &Bound<'_, PyDict>,
    length: Option<Bound<'_, PyAny>>,
    user: &UserCode,
) -> PyResult<UploadRequest> {
    let mut options = UploadOptions::default();
    options::apply(keywords, UploadOptions::OPTIONS, |name, value| options.set(name, value))?;
    let (bucket, key) = (convert::text("bucket", bucket)?, convert::text("key", key)?);
    let body = source::body("source", source, length.as_ref(), user)?;
    Ok(UploadRequest::new(bucket, key, body, callback::given(callback)?).options(options))
}
