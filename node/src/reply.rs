//! What a call gives back, and what is told of one under way.

use bytes::Bytes;
use napi::bindgen_prelude::Buffer;
use napi_derive::napi;
use oss_callback::{CallbackReply, Progress};

/// What an upload returns.
#[napi(object, object_from_js = false)]
pub struct Reply {
    pub body: Buffer,
    pub content_type: Option<String>,
    pub etag: Option<String>,
    /// Decimal: a number of JavaScript holds 53 bits.
    pub crc64: Option<String>,
    pub version_id: Option<String>,
    pub request_id: Option<String>,
    pub server_time_ms: Option<f64>,
}

impl From<CallbackReply> for Reply {
    fn from(reply: CallbackReply) -> Reply {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Reply {
            content_type: owned(reply.content_type()),
            etag: owned(reply.etag()),
            crc64: reply.crc64().map(|crc| crc.to_string()),
            version_id: owned(reply.version_id()),
            request_id: owned(reply.request_id()),
            server_time_ms: reply.server_time().map(|time| time.as_secs_f64() * 1000.0),
            body: exactly(reply.into_body()).into(),
        }
    }
}

/// The bytes in memory of just their size. They come as a part of what was read from the connection: V8,
/// which sees the part alone, would let kilobytes lie about for each small reply. Large ones are not copied.
fn exactly(body: Bytes) -> Vec<u8> {
    const LARGE: usize = 64 * 1024;
    if body.len() < LARGE { body.to_vec() } else { Vec::from(body) }
}

/// How far an upload is. Numbers of JavaScript: an object holds at most 2^46 bytes.
#[napi(object, object_from_js = false)]
pub struct ProgressFacts {
    pub bytes_done: f64,
    pub bytes_total: Option<f64>,
    pub parts_done: u32,
    pub parts_total: Option<u32>,
}

impl From<Progress> for ProgressFacts {
    fn from(progress: Progress) -> ProgressFacts {
        ProgressFacts {
            bytes_done: progress.bytes_done as f64,
            bytes_total: progress.bytes_total.map(|bytes| bytes as f64),
            parts_done: progress.parts_done,
            parts_total: progress.parts_total,
        }
    }
}
