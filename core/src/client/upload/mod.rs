//! Uploads of any size: one PutObject for what is small, parts for what is large, and one callback either
//! way.

mod abandoned;
mod checkpoint;
mod lanes;
mod parts;
mod resume;
mod run;
mod sizes;
mod steps;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use self::sizes::Layout;
use super::exchange::Deadline;
use super::reply::CallbackReply;
use super::{Client, Inner, headers, opening, put};
use crate::body::{Body, Lease, Source};
use crate::callback::Callback;
use crate::engine::{Cancel, Load};
use crate::error::{Error, Result};
use crate::options::{UploadOptions, positive};

/// Two parts of the usual size: below, parts would only cost requests.
const THRESHOLD: u64 = 16 * 1024 * 1024;
const THRESHOLD_MAX: u64 = 5 * 1024 * 1024 * 1024;
const PARALLEL: u64 = 4;
const PARALLEL_MAX: u64 = 64;

/// How far an upload is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes handed to the network, and bytes that were there from an earlier run. Never goes back, even
    /// when a part is sent again.
    pub bytes_done: u64,
    /// Bytes of the whole, where that is known.
    pub bytes_total: Option<u64>,
    /// Parts that OSS has acknowledged; 0 for an upload in one request.
    pub parts_done: u32,
    /// Parts of the whole, where that is known; `None` for an upload in one request.
    pub parts_total: Option<u32>,
}

/// Whether to go on.
type Watch = Arc<dyn Fn(Progress) -> bool + Send + Sync>;

/// An upload to be made by [`Client::upload`] or [`Client::start_upload`].
#[derive(Clone)]
#[must_use]
pub struct UploadRequest {
    bucket: String,
    key: String,
    data: Body,
    callback: Callback,
    options: UploadOptions,
    cancel: Option<Cancel>,
    progress: Option<Watch>,
}

impl UploadRequest {
    /// An upload without options.
    pub fn new(
        bucket: impl Into<String>,
        key: impl Into<String>,
        source: impl Into<Body>,
        callback: &Callback,
    ) -> UploadRequest {
        UploadRequest {
            bucket: bucket.into(),
            key: key.into(),
            data: source.into(),
            callback: callback.clone(),
            options: UploadOptions::default(),
            cancel: None,
            progress: None,
        }
    }

    /// Sets the options.
    pub fn options(mut self, options: UploadOptions) -> UploadRequest {
        self.options = options;
        self
    }

    /// Has `cancel` end the upload. With a checkpoint it can be taken up again; without one, its parts
    /// are removed.
    pub fn cancel(mut self, cancel: &Cancel) -> UploadRequest {
        self.cancel = Some(cancel.clone());
        self
    }

    /// Has `watch` told how far the upload is: at its beginning, ten times a second while bytes move,
    /// and at its end. It is called on the thread that drives the upload, which for a blocking call is
    /// the caller's own, and should be quick.
    pub fn progress(self, watch: impl Fn(Progress) + Send + Sync + 'static) -> UploadRequest {
        self.progress_while(move |progress| {
            watch(progress);
            true
        })
    }

    /// As [`progress`](UploadRequest::progress); once `watch` says false, the upload ends with an error of
    /// kind `cancelled`, unless it is complete.
    pub fn progress_while(
        mut self,
        watch: impl Fn(Progress) -> bool + Send + Sync + 'static,
    ) -> UploadRequest {
        self.progress = Some(Arc::new(watch));
        self
    }
}

impl fmt::Debug for UploadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadRequest")
            .field("bucket", &self.bucket)
            .field("key", &self.key)
            .field("data", &self.data)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A checked upload, its source open.
struct Plan {
    object: (String, String),
    source: Source,
    callback: Callback,
    options: UploadOptions,
    headers: Vec<(String, String)>,
    layout: Layout,
    in_parts: bool,
    parallel: usize,
    checkpoint: Option<PathBuf>,
    deadline: Deadline,
    /// The caller's, and the one for an interrupted call.
    cancels: [Cancel; 2],
    watch: Option<Watch>,
}

impl Plan {
    fn new(client: &Inner, request: UploadRequest, interrupted: Cancel) -> Result<(Plan, Lease)> {
        let UploadRequest { bucket, key, data, callback, options, cancel, progress } = request;
        client.endpoint.target(client.addressing, Some(&bucket), Some(&key))?;
        let threshold = within("threshold", options.threshold, THRESHOLD, 0, THRESHOLD_MAX)?;
        let parallel = within("parallel", options.parallel, PARALLEL, 1, PARALLEL_MAX)?;
        let own_timeout = positive("timeout", options.timeout)?;
        // Refused for any source, lest an upload fail only when it has grown.
        Layout::choose(None, options.part_size)?;
        let checkpoint = options.checkpoint.as_ref().map(PathBuf::from);
        if checkpoint.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            return Err(Error::invalid_argument("checkpoint", "must not be empty"));
        }
        let (source, lease) = data.open()?.leased();
        let known_by_path = matches!(&source, Source::File(file) if file.path.is_some());
        if checkpoint.is_some() && !known_by_path {
            return Err(Error::invalid_argument("checkpoint", "needs a source that is the path of a file"));
        }
        let length = source.length();
        let begun = checkpoint.as_ref().is_some_and(|path| path.exists());
        let in_parts = match length {
            Some(length) => length > 0 && (length >= threshold || begun),
            None => true,
        };
        let mut object = options.of_object();
        if in_parts && length.is_some() && object.content_md5.as_deref().is_some_and(|md5| md5 != "auto") {
            return Err(md5_of_whole());
        }
        object.content_md5 = None;
        let plan = Plan {
            headers: headers::of_put(&key, &source, &object)?,
            layout: Layout::choose(length, options.part_size)?,
            deadline: Deadline::within(
                client.timeouts.call(own_timeout, length.unwrap_or(sizes::OBJECT_BYTES_MAX)),
            ),
            object: (bucket, key),
            source,
            callback,
            options,
            in_parts,
            parallel: usize::try_from(parallel).unwrap_or(1),
            checkpoint,
            cancels: [cancel.unwrap_or_default(), interrupted],
            watch: progress,
        };
        Ok((plan, lease))
    }

    /// The same as one request.
    fn as_put(&mut self, client: &Inner, source: Source) -> Result<put::Plan> {
        let (bucket, key) = &self.object;
        let options = self.options.of_object();
        put::Plan::of_source(client, (bucket, key), source, &self.callback, &options, self.deadline)
    }
}

fn md5_of_whole() -> Error {
    Error::invalid_argument(
        "content_md5",
        "is that of the whole, which OSS does not check for an upload in parts",
    )
    .with_hint("Leave it out (the CRC-64 is checked anyway), or write `auto` to have each part's checked.")
}

fn within(name: &'static str, value: Option<u64>, default: u64, least: u64, most: u64) -> Result<u64> {
    let value = value.unwrap_or(default);
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Error::invalid_argument(name, format!("is {value}, but must be from {least} to {most}")))
}

impl Client {
    /// Uploads a file or stream of any size: in one request below `threshold`, in parts above it. OSS
    /// calls the application server once, when the object is whole, and its answer is returned.
    ///
    /// A file is a [`Path`](std::path::Path), `PathBuf` or [`File`](std::fs::File); see [`Body`].
    ///
    /// ```no_run
    /// # use oss_callback::{Callback, Client, UploadOptions};
    /// # let client = Client::builder().region("cn-hangzhou").build()?;
    /// # let callback = Callback::new("https://app.example.com/cb")?;
    /// let options = UploadOptions::default().checkpoint("film.mp4.checkpoint");
    /// let path = std::path::Path::new("film.mp4");
    /// let reply = client.upload_file_with_callback("examplebucket", "film.mp4", path, &callback, &options)?;
    /// # Ok::<(), oss_callback::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`put_object_with_callback`](Client::put_object_with_callback). An upload in parts that ends
    /// with an error is aborted, so that OSS keeps no parts, unless it has a `checkpoint`: then the same
    /// call goes on where this one ended.
    pub fn upload_file_with_callback(
        &self,
        bucket: &str,
        key: &str,
        source: impl Into<Body>,
        callback: &Callback,
        options: &UploadOptions,
    ) -> Result<CallbackReply> {
        self.upload(UploadRequest::new(bucket, key, source, callback).options(options.clone()))
    }

    /// Makes a prepared upload and waits for it.
    ///
    /// # Errors
    /// As [`upload_file_with_callback`](Client::upload_file_with_callback); `cancelled` once the
    /// request's token is.
    pub fn upload(&self, request: UploadRequest) -> Result<CallbackReply> {
        let (plan, lease) = Plan::new(&self.inner, request, Cancel::new())?;
        let inner = Arc::clone(&self.inner);
        self.inner.engines.block_on(None, None, &lease, |transport| run::run(inner, transport, plan))
    }

    /// [`upload`](Client::upload) that calls `interrupt` on this thread every 50 ms while it waits, and
    /// ends with kind `cancelled` once it returns true, when it has left things in order.
    ///
    /// # Errors
    /// As [`upload`](Client::upload).
    pub fn upload_while(
        &self,
        request: UploadRequest,
        mut interrupt: impl FnMut() -> bool,
    ) -> Result<CallbackReply> {
        let interrupted = Cancel::new();
        let (plan, lease) = Plan::new(&self.inner, request, interrupted.clone())?;
        let inner = Arc::clone(&self.inner);
        // The engine would drop the upload where it stands; it shall end by itself instead.
        let mut ask = || {
            if !interrupted.is_cancelled() && interrupt() {
                interrupted.cancel();
            }
            false
        };
        self.inner
            .engines
            .block_on(None, Some(&mut ask), &lease, |transport| run::run(inner, transport, plan))
    }

    /// Starts an upload and returns at once; `done` is called with its outcome on a thread of the
    /// library's, and should be quick. What is refused at once, `done` hears at once, on this thread. A path is
    /// opened on a thread of its own.
    pub fn start_upload(
        &self,
        request: UploadRequest,
        done: impl FnOnce(Result<CallbackReply>) + Send + 'static,
    ) {
        let inner = Arc::clone(&self.inner);
        // No digest: each part's, if wanted, is computed when it is sent.
        if request.data.takes_long(false) {
            let (opener, cancel) = (Arc::clone(&self.inner), request.cancel.clone());
            let call = |transport| async move {
                let open = move || Plan::new(&opener, request, Cancel::new());
                let (plan, _lease) = opening::aside(cancel, open).await?;
                run::run(inner, transport, plan).await
            };
            return self.inner.engines.start(Load::Large, None, Lease::default(), call, done);
        }
        let (plan, lease) = match Plan::new(&self.inner, request, Cancel::new()) {
            Ok(planned) => planned,
            Err(error) => return done(Err(error)),
        };
        let run = |transport| run::run(inner, transport, plan);
        self.inner.engines.start(Load::Large, None, lease, run, done);
    }
}
