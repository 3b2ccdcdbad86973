//! What a watcher is told while the emulator works, and the log that tests read.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::callback::CallbackAttempt;

/// How many requests and how many callback attempts the log keeps; older ones are forgotten.
const KEPT: usize = 10_000;

/// Something that happened in the emulator.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The head of a request has arrived.
    Arrived(RequestHead),
    /// A callback was attempted; comes between the arrival and the answer of its upload.
    Callback(CallbackAttempt),
    /// A request was answered.
    Answered(RequestRecord),
}

/// The head of a request as it came over the wire, with signatures and tokens masked.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// The id under which it is answered: 24 upper-case hexadecimal digits.
    pub request_id: String,
    /// Who sent it.
    pub client: SocketAddr,
    /// `PUT`, `GET`, …
    pub method: String,
    /// The request target, not decoded.
    pub target: String,
    /// Headers in their order, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// A request and its answer.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    /// What arrived.
    pub head: RequestHead,
    /// OSS's name of the operation, such as `PutObject`; empty if it did not come that far.
    pub operation: &'static str,
    /// The bucket that was meant.
    pub bucket: Option<String>,
    /// The key that was meant, decoded.
    pub key: Option<String>,
    /// Bytes of the request's body that were read.
    pub received: u64,
    /// HTTP status of the answer.
    pub status: u16,
    /// OSS's code and message, of an error (203 `CallbackFailed` included).
    pub error: Option<(String, String)>,
    /// OSS's fine-grained error number.
    pub ec: Option<String>,
    /// From the head's arrival to the answer's head.
    pub elapsed: Duration,
}

/// A function that is told of events.
pub(crate) type Observer = Arc<dyn Fn(&Event) + Send + Sync>;

/// Passes events on, and remembers requests and callbacks.
#[derive(Default)]
pub(crate) struct Journal {
    observer: Option<Observer>,
    requests: Mutex<VecDeque<RequestRecord>>,
    callbacks: Mutex<VecDeque<CallbackAttempt>>,
}

impl Journal {
    pub fn new(observer: Option<Observer>) -> Journal {
        Journal { observer, ..Journal::default() }
    }

    pub fn record(&self, event: Event) {
        if let Some(observer) = &self.observer {
            observer(&event);
        }
        match event {
            Event::Arrived(_) => {}
            Event::Answered(record) => push(&self.requests, record),
            Event::Callback(attempt) => push(&self.callbacks, attempt),
        }
    }

    pub fn requests(&self) -> Vec<RequestRecord> {
        all(&self.requests)
    }

    pub fn callbacks(&self) -> Vec<CallbackAttempt> {
        all(&self.callbacks)
    }

    pub fn clear(&self) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.callbacks.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Journal(…)")
    }
}

fn push<T>(log: &Mutex<VecDeque<T>>, item: T) {
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    if log.len() == KEPT {
        log.pop_front();
    }
    log.push_back(item);
}

fn all<T: Clone>(log: &Mutex<VecDeque<T>>) -> Vec<T> {
    log.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
}

/// A header value that may be shown: without the signature in `authorization`, without tokens and keys.
pub(crate) fn masked_header(name: &str, value: &str) -> String {
    match name {
        "authorization" => masked_authorization(value),
        "x-oss-security-token" | "security-token" | "proxy-authorization" | "cookie" => "***".to_owned(),
        _ => value.to_owned(),
    }
}

fn masked_authorization(value: &str) -> String {
    let cut = match value.find("Signature=") {
        Some(at) => at.checked_add("Signature=".len()),
        None => value.find(':').map(|at| at.saturating_add(1)),
    };
    let Some((shown, hidden)) = cut.and_then(|cut| value.split_at_checked(cut)) else {
        return "***".to_owned();
    };
    // oss2 writes AdditionalHeaders behind the signature.
    let rest = hidden.find(',').and_then(|at| hidden.get(at..)).unwrap_or_default();
    format!("{shown}***{rest}")
}

/// A request target that may be shown.
pub(crate) fn masked_target(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let mask = |piece: &str| match piece.split_once('=') {
        Some((name @ ("Signature" | "x-oss-signature" | "security-token" | "x-oss-security-token"), _)) => {
            format!("{name}=***")
        }
        _ => piece.to_owned(),
    };
    format!("{path}?{}", query.split('&').map(mask).collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_and_tokens_are_masked_and_nothing_else() {
        for (value, shown) in [
            ("OSS ak:c2lnbg==", "OSS ak:***"),
            (
                "OSS4-HMAC-SHA256 Credential=ak/20240101/cn-hangzhou/oss/aliyun_v4_request,Signature=00ff",
                "OSS4-HMAC-SHA256 Credential=ak/20240101/cn-hangzhou/oss/aliyun_v4_request,Signature=***",
            ),
            (
                "OSS4-HMAC-SHA256 Credential=ak/x, Signature=00ff, AdditionalHeaders=host",
                "OSS4-HMAC-SHA256 Credential=ak/x, Signature=***, AdditionalHeaders=host",
            ),
            ("Bearer abc", "***"),
        ] {
            assert_eq!(masked_header("authorization", value), shown);
        }
        assert_eq!(masked_header("x-oss-security-token", "t"), "***");
        assert_eq!(masked_header("x-oss-callback", "e30="), "e30=");
        assert_eq!(
            masked_target("/b/k?a=1&Signature=xyz%3D&security-token=t&acl"),
            "/b/k?a=1&Signature=***&security-token=***&acl"
        );
        assert_eq!(masked_target("/Signature=1"), "/Signature=1");
    }

    #[test]
    fn the_log_forgets_the_oldest() {
        let log = Mutex::new(VecDeque::new());
        for number in 0..=KEPT {
            push(&log, number);
        }
        assert_eq!((all(&log).len(), all(&log)[0]), (KEPT, 1));
    }
}
