//! One request, signed and sent as often as it takes: what is common to all operations.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::time::Instant;

use super::{Inner, answer};
use crate::body::{FileSource, Lease, PIECE_BYTES, Source, feed_stream};
use crate::encode::push_query;
use crate::endpoint::Target;
use crate::engine::Load;
use crate::error::{Error, ErrorKind, Result};
use crate::retry::{self, Fate, Step};
use crate::sign::SignRequest;
use crate::transport::{Failure, FailureCause, Gauge, Outgoing, Request, Response, Transport};

/// PutObject and UploadPart take at most 5 GB (OSS, PutObject).
pub(super) const REQUEST_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;

/// A checked request, ready to be signed.
pub(super) struct Call {
    method: Method,
    target: Target,
    pub sign: SignRequest,
}

/// An attempt without success, and what is known of it.
pub(super) struct Failed {
    pub error: Error,
    pub fate: Fate,
}

impl Failed {
    pub fn settled(error: Error) -> Failed {
        Failed { error, fate: Fate::Settled }
    }
}

/// When a call must have ended, and how long it was given.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    pub at: Instant,
    limit: Duration,
}

impl Deadline {
    pub fn within(limit: Duration) -> Deadline {
        Deadline { at: Instant::now() + limit, limit }
    }

    /// `work`, unless it takes too long.
    pub async fn bound<T>(self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::time::timeout_at(self.at, work).await.unwrap_or_else(|_| Err(self.missed()))
    }

    /// The call as a whole took too long.
    pub fn missed(self) -> Error {
        let limit = self.limit;
        Error::new(ErrorKind::Timeout, format!("the call took longer than its timeout of {limit:?}"))
    }
}

/// How long a call may go on, and how often it may try.
pub(super) struct Budget {
    pub deadline: Deadline,
    retries: u32,
    used: u32,
}

impl Budget {
    pub fn new(deadline: Deadline, retries: u32) -> Budget {
        Budget { deadline, retries, used: 0 }
    }

    /// Waits before another attempt; false, at once, if there is none left, or no time for it.
    pub async fn pause(&mut self) -> bool {
        if self.used >= self.retries {
            return false;
        }
        let pause = retry::pause(self.used, retry::random());
        self.used += 1;
        if Instant::now() + pause >= self.deadline.at {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }
}

/// The data of one request, however often it is sent.
pub(super) struct Parcel {
    data: Data,
    gauge: Gauge,
}

enum Data {
    Bytes(Bytes),
    /// Read ahead while it is sent.
    File(Arc<FileSource>),
    /// Read by the thread that sends it, and has nothing else to do.
    Range {
        file: Arc<FileSource>,
        offset: u64,
        length: u64,
    },
    /// Can be read once.
    Stream(Arc<Outgoing>),
}

impl Parcel {
    fn new(data: Data) -> Parcel {
        Parcel { data, gauge: Gauge::default() }
    }

    /// All of a source.
    pub fn whole(source: Source) -> Result<Parcel> {
        Ok(match source {
            Source::Bytes(bytes) => Parcel::of_bytes(bytes),
            Source::File(file) => Parcel::new(Data::File(file)),
            Source::Stream { reader, length } => {
                let feed = feed_stream(reader, length, REQUEST_BYTES_MAX)?;
                let gauge = Gauge::default();
                Parcel { data: Data::Stream(Outgoing::of_feed(feed, &gauge)), gauge }
            }
        })
    }

    pub fn of_bytes(bytes: Bytes) -> Parcel {
        Parcel::new(Data::Bytes(bytes))
    }

    /// A part of a file, to be sent by a thread of its own.
    pub fn of_range(file: Arc<FileSource>, offset: u64, length: u64) -> Parcel {
        Parcel::new(Data::Range { file, offset, length })
    }

    pub fn empty() -> Parcel {
        Parcel::of_bytes(Bytes::new())
    }

    /// The data, on its way out once more. `None` if it cannot be sent again.
    pub fn outgoing(&self) -> Result<Option<Arc<Outgoing>>> {
        let gauge = &self.gauge;
        Ok(Some(match &self.data {
            Data::Bytes(bytes) => Outgoing::new(bytes.clone(), gauge),
            Data::File(file) => Outgoing::of_feed(file.feed_ahead(0, file.length)?, gauge),
            Data::Range { file, offset, length } => {
                Outgoing::of_feed(file.feed_here(*offset, *length), gauge)
            }
            Data::Stream(outgoing) if outgoing.taken() == 0 => Arc::clone(outgoing),
            Data::Stream(_) => return Ok(None),
        }))
    }

    /// For whoever wants to see how far its sending is.
    pub fn gauge(&self) -> Gauge {
        self.gauge.clone()
    }

    /// The same, and a lease that tells whether its bytes are still held when it is gone.
    pub fn leased(self) -> (Parcel, Lease) {
        match self.data {
            Data::Bytes(bytes) => {
                let (bytes, lease) = Lease::on(bytes);
                (Parcel { data: Data::Bytes(bytes), ..self }, lease)
            }
            data => (Parcel { data, ..self }, Lease::default()),
        }
    }

    /// How much work sending it is.
    pub fn load(&self) -> Load {
        match &self.data {
            Data::Bytes(bytes) if bytes.len() <= PIECE_BYTES => Load::Small,
            _ => Load::Large,
        }
    }

    /// The data, if it is in memory.
    pub fn bytes(&self) -> Option<Bytes> {
        match &self.data {
            Data::Bytes(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }

    /// Gives `take` the data, where it can be read more than once.
    pub fn scan(&self, mut take: impl FnMut(&[u8])) -> Result<()> {
        let mut take = |piece: &[u8]| {
            take(piece);
            Ok(())
        };
        match &self.data {
            Data::Bytes(bytes) => take(bytes),
            Data::File(file) => file.scan(0, file.length, take),
            Data::Range { file, offset, length } => file.scan(*offset, *length, take),
            Data::Stream(_) => Err(Error::new(ErrorKind::Bug, "a stream cannot be read twice")),
        }
    }
}

/// What to say of data that would have to be sent again and cannot be.
pub(super) const ONCE_ONLY: &str =
    "It was not tried again, as the source is a stream that can be read only once.";

impl Call {
    pub fn new(
        client: &Inner,
        method: Method,
        (bucket, key): (&str, &str),
        query: Vec<(String, Option<String>)>,
        headers: Vec<(String, String)>,
    ) -> Result<Call> {
        Call::on(client, method, (bucket, Some(key)), query, headers)
    }

    /// A request for a bucket as a whole.
    pub fn on_bucket(
        client: &Inner,
        method: Method,
        bucket: &str,
        query: Vec<(String, Option<String>)>,
    ) -> Result<Call> {
        Call::on(client, method, (bucket, None), query, Vec::new())
    }

    fn on(
        client: &Inner,
        method: Method,
        (bucket, key): (&str, Option<&str>),
        query: Vec<(String, Option<String>)>,
        headers: Vec<(String, String)>,
    ) -> Result<Call> {
        let target = client.endpoint.target(client.addressing, Some(bucket), key)?;
        let sign = SignRequest {
            method: method.as_str().to_owned(),
            bucket: Some(bucket.to_owned()),
            key: key.map(str::to_owned),
            query,
            headers,
            additional_headers: Vec::new(),
        };
        Ok(Call { method, target, sign })
    }

    /// Signs, sends once, and has `judge` look at the answer.
    pub async fn attempt<T>(
        &self,
        client: &Inner,
        transport: &dyn Transport,
        outgoing: &Arc<Outgoing>,
        idle_timeout: Duration,
        judge: impl FnOnce(Response, &Outgoing) -> Result<T>,
    ) -> Result<T, Failed> {
        outgoing.check_emptiness().await.map_err(Failed::settled)?;
        let signer = client.signers.current().await.map_err(Failed::settled)?;
        let signed = signer.sign(&self.sign, client.clock.now()).map_err(Failed::settled)?;
        let request = Request {
            method: self.method.clone(),
            scheme: self.target.scheme,
            authority: self.target.authority.clone(),
            path: path_and_query(&self.target, &self.sign.query),
            headers: header_map(&[&self.sign.headers, &signed.headers]).map_err(Failed::settled)?,
            body: Arc::clone(outgoing),
            idle_timeout,
        };
        outgoing.note_emptiness();
        let response = match transport.send(request).await {
            Ok(response) => response,
            Err(failure) => return Err(self.unanswered(failure, outgoing)),
        };
        let date = answer::text(&response.headers, "date");
        judge(response, outgoing).map_err(|error| {
            let fate = match retry::fate_of_answer(&error) {
                // Credentials that have expired early; asked again, their source may have others.
                Fate::Settled if is_expired(&error) && client.signers.refused(&signer) => Fate::NotDone,
                Fate::Skewed if !date.is_some_and(|date| client.clock.learn(&date)) => Fate::Settled,
                fate => fate,
            };
            Failed { error, fate }
        })
    }

    /// Sends until it is answered for good. For requests that can be repeated freely.
    pub async fn repeat<T>(
        &self,
        client: &Inner,
        transport: &dyn Transport,
        parcel: &Parcel,
        budget: &mut Budget,
        mut judge: impl FnMut(Response, &Outgoing) -> Result<T>,
    ) -> Result<T> {
        let mut before: Option<Error> = None;
        loop {
            let outgoing = match (parcel.outgoing()?, before.take()) {
                (Some(outgoing), _) => outgoing,
                (None, error) => return Err(error.unwrap_or_else(used_up).and_hint(ONCE_ONLY)),
            };
            let attempt = self.attempt(client, transport, &outgoing, client.timeouts.read, &mut judge);
            // Before it is wrapped, which would move it: it is large.
            let attempt = pin!(attempt);
            let failed = match tokio::time::timeout_at(budget.deadline.at, attempt).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(failed)) => failed,
                Err(_) => return Err(budget.deadline.missed()),
            };
            // A damaged part is simply sent again.
            let damaged = failed.error.kind() == ErrorKind::Integrity;
            let again = damaged || retry::step(failed.fate, None) == Step::Again;
            if !again || !budget.pause().await {
                return Err(failed.error);
            }
            tracing::debug!(error = %failed.error, "trying again");
            before = Some(failed.error);
        }
    }

    fn unanswered(&self, failure: Failure, outgoing: &Outgoing) -> Failed {
        if let Some(error) = outgoing.take_failure() {
            return Failed::settled(error);
        }
        let host = &self.target.authority;
        let Failure { cause, message, os_error } = failure;
        let error = match cause {
            FailureCause::Connect | FailureCause::Untrusted => {
                Error::new(ErrorKind::Network, format!("cannot connect to {host}: {message}"))
            }
            FailureCause::ConnectTimeout => {
                Error::new(ErrorKind::Timeout, format!("connecting to {host} took too long: {message}"))
            }
            FailureCause::Idle => {
                Error::new(ErrorKind::Timeout, format!("{host} does not respond: {message}"))
            }
            FailureCause::Broken | FailureCause::TooLong => {
                Error::new(ErrorKind::Network, format!("the exchange with {host} broke: {message}"))
            }
            FailureCause::Malformed => Error::new(ErrorKind::InvalidArgument, message),
        };
        let error = match os_error {
            Some(number) => error.with_source(std::io::Error::from_raw_os_error(number)),
            None => error,
        };
        Failed { error, fate: retry::fate_of_failure(cause, outgoing.is_handed_over()) }
    }
}

/// The outcome of a call that may have been broken off, by a cancellation or a panic.
pub(super) fn known_to<T>(gauge: &Gauge, outcome: Result<T>) -> Result<T> {
    outcome.map_err(|error| match error.kind() {
        ErrorKind::Cancelled | ErrorKind::Bug => as_far_as(gauge, error),
        _ => error,
    })
}

/// The error of a call that was broken off: before all was handed over there can be no object.
pub(super) fn as_far_as(gauge: &Gauge, error: Error) -> Error {
    if gauge.was_handed_over() { error.undecided() } else { error.not_stored() }
}

/// Whoever is cancelled before the last request was sent has made no object.
pub(super) fn without_object(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Cancelled => error.not_stored(),
        _ => error,
    }
}

fn is_expired(error: &Error) -> bool {
    matches!(error.code(), Some("SecurityTokenExpired" | "InvalidSecurityToken"))
}

fn used_up() -> Error {
    Error::new(ErrorKind::Source, "the stream was read in part")
}

fn path_and_query(target: &Target, query: &[(String, Option<String>)]) -> String {
    let mut path = target.path.clone();
    if !query.is_empty() {
        path.push('?');
        push_query(&mut path, query.iter().map(|(name, value)| (name.as_str(), value.as_deref())));
    }
    path
}

/// Headers that every upload has, and that need not be read anew each time.
static USUAL_HEADERS: [HeaderName; 5] = [
    HeaderName::from_static("x-oss-callback"),
    HeaderName::from_static("x-oss-callback-var"),
    HeaderName::from_static("x-oss-content-sha256"),
    HeaderName::from_static("x-oss-date"),
    HeaderName::from_static("x-oss-security-token"),
];

fn header_map(groups: &[&[(String, String)]]) -> Result<HeaderMap> {
    let mut map = HeaderMap::with_capacity(16);
    for (name, value) in groups.iter().copied().flatten() {
        let bad = || {
            Error::invalid_argument("headers", format!("`{name}` is not a header that can be sent"))
                .with_hint("Names are letters, digits and `-`; values are visible ASCII and blanks, without line breaks.")
        };
        let usual = USUAL_HEADERS.iter().find(|usual| usual.as_str() == name);
        let parsed = match usual {
            Some(usual) => usual.clone(),
            None => HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?,
        };
        let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
        // Keeps them out of the HTTP client's own debug output.
        value.set_sensitive(matches!(parsed.as_str(), "authorization" | "x-oss-security-token"));
        map.append(parsed, value);
    }
    Ok(map)
}
