//! Why a callback failed, in OSS's numbers and words (OSS, "203 error"; the EC pages 0007-00000201 to 303).

use std::time::Duration;

/// One cause of `203 CallbackFailed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// More callbacks under way than `max_concurrent` allows.
    TooMany,
    /// Connected, but no whole answer within the limit.
    TooSlow,
    /// No connection within the limit. `peer` is `address:port`.
    ConnectTimeout { peer: String, elapsed: Duration, limit: Duration },
    /// No connection, a connection that broke, or an answer that is no HTTP.
    Unreachable,
    /// The TLS handshake failed: a certificate that does not fit, or no TLS at all. Users see a status
    /// of 502 then (OSS, Callback, `callbackSNI`).
    Tls,
    /// A status other than 200.
    Status(u16),
    /// No Content-Length.
    LengthMissing,
    /// A Content-Length that is no positive integer.
    LengthInvalid,
    /// A Content-Length over the limit.
    LengthTooLong,
    /// A body that is neither JSON nor announced and well-formed XML.
    NotJson,
    /// The template asks for imageInfo, and the object is no image that OSS can read.
    ImageInfo,
}

impl Failure {
    /// Whether the application server is called before the callback fails so.
    pub(super) fn is_of_answer(&self) -> bool {
        match self {
            Failure::TooSlow
            | Failure::Status(_)
            | Failure::LengthMissing
            | Failure::LengthInvalid
            | Failure::LengthTooLong
            | Failure::NotJson => true,
            Failure::TooMany
            | Failure::ConnectTimeout { .. }
            | Failure::Unreachable
            | Failure::Tls
            | Failure::ImageInfo => false,
        }
    }

    /// The whole EC.
    pub(super) fn ec(&self) -> &'static str {
        match self {
            Failure::TooMany => "0007-00000201",
            Failure::TooSlow => "0007-00000202",
            Failure::ConnectTimeout { .. } | Failure::Unreachable | Failure::Tls | Failure::Status(_) => {
                "0007-00000203"
            }
            // Inferred: 204 is the one number in the row that no page explains.
            Failure::LengthMissing | Failure::LengthInvalid | Failure::LengthTooLong => "0007-00000204",
            Failure::NotJson => "0007-00000205",
            Failure::ImageInfo => "0007-00000302",
        }
    }

    /// OSS's message, its capitals and misspellings included: clients match on them.
    pub(super) fn message(&self) -> String {
        match self {
            Failure::TooMany => "Too many callback requests.".to_owned(),
            Failure::TooSlow => "Cost too long time.".to_owned(),
            // errno 115 is EINPROGRESS, a connection still being made; so this text, of the two that OSS
            // has for "too late", is the one for connections that never came about.
            Failure::ConnectTimeout { peer, elapsed, limit } => format!(
                "Error status : -1 {peer} reply timeout, cost:{}ms, timeout:{}ms (err -4, errno115)",
                elapsed.as_millis(),
                limit.as_millis()
            ),
            Failure::Unreachable => {
                "Error status : -1.OSS can not connect to your callbackUrl, please check it.".to_owned()
            }
            Failure::Tls => "Error status : 502.".to_owned(),
            Failure::Status(status) => format!("Error status : {status}."),
            Failure::LengthMissing => "Error Status : 400.User server missing content-length.".to_owned(),
            Failure::LengthInvalid => {
                "Error Status : 400.User server return invalid conent-length value.".to_owned()
            }
            Failure::LengthTooLong => {
                "Error Status : 400.User server return too long content-length value.".to_owned()
            }
            Failure::NotJson => "Response body is not valid json format.".to_owned(),
            Failure::ImageInfo => "Get image info failed.".to_owned(),
        }
    }
}
