//! GetObject, HeadObject, and an object's ACL.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Exchange;
use super::range::parse_range;
use crate::clock::http_time;
use crate::error::{OssError, no_such_bucket, no_such_key};
use crate::reply::{Content, Reply};
use crate::store::{Condition, ObjectMeta, Properties, StoreError};
use crate::xml::XmlOut;

/// Query parameters that replace a header of the answer.
const OVERRIDES: &[(&str, &str)] = &[
    ("response-content-type", "content-type"),
    ("response-content-language", "content-language"),
    ("response-expires", "expires"),
    ("response-cache-control", "cache-control"),
    ("response-content-disposition", "content-disposition"),
    ("response-content-encoding", "content-encoding"),
];

impl Exchange {
    pub(super) fn get_object(&mut self) -> Result<Reply, OssError> {
        self.require_bucket()?;
        let found = self.blocking(|| self.shared.store.get(self.bucket(), self.key()));
        let (meta, blob) = found.map_err(OssError::internal)?.ok_or_else(|| self.missing_object())?;
        let mut reply = Reply::new(200);
        if self.unchanged(&meta)? {
            reply.status = 304;
            self.describe(&mut reply, &meta)?;
            return Ok(reply);
        }
        let range = self.range(meta.size)?;
        self.describe(&mut reply, &meta)?;
        let (start, length) = match range {
            Some((start, length)) => {
                reply.status = 206;
                let last = start + length - 1;
                reply.headers.push(("content-range", format!("bytes {start}-{last}/{}", meta.size)));
                (start, length)
            }
            None => (0, meta.size),
        };
        let reader = self.blocking(|| blob.range(start, length)).map_err(OssError::internal)?;
        reply.content = Content::Blob(reader);
        Ok(reply)
    }

    pub(super) fn head_object(&mut self) -> Result<Reply, OssError> {
        let meta = self.require_object()?;
        let mut reply = Reply::new(200);
        if self.unchanged(&meta)? {
            reply.status = 304;
        }
        self.describe(&mut reply, &meta)?;
        reply.content = Content::Length(meta.size);
        Ok(reply)
    }

    fn missing_object(&self) -> OssError {
        match self.shared.store.bucket(self.bucket()) {
            Some(_) => no_such_key(self.key()),
            None => no_such_bucket(self.bucket()),
        }
    }

    pub(super) fn require_object(&self) -> Result<Arc<ObjectMeta>, OssError> {
        self.require_bucket()?;
        self.shared.store.meta(self.bucket(), self.key()).ok_or_else(|| self.missing_object())
    }

    fn describe(&self, reply: &mut Reply, meta: &ObjectMeta) -> Result<(), OssError> {
        let mut put = |name: &'static str, value: String| reply.headers.push((name, value));
        put("etag", format!("\"{}\"", meta.etag));
        put("last-modified", http_time(meta.modified_ms));
        put("accept-ranges", "bytes".to_owned());
        put("content-type", meta.properties.content_type.clone());
        put("x-oss-hash-crc64ecma", meta.crc64.to_string());
        put("x-oss-object-type", if meta.multipart { "Multipart" } else { "Normal" }.to_owned());
        put("x-oss-storage-class", meta.properties.storage_class.clone());
        if let Some(md5) = &meta.content_md5 {
            put("content-md5", md5.clone());
        }
        if !meta.properties.tags.is_empty() {
            put("x-oss-tagging-count", meta.properties.tags.len().to_string());
        }
        reply.more_headers.extend(meta.properties.headers.iter().cloned());
        for (parameter, header) in OVERRIDES {
            let Some(value) = self.request.query.get(parameter) else { continue };
            if hyper::header::HeaderValue::from_bytes(value.as_bytes()).is_err() {
                return Err(OssError::bad_argument(
                    parameter,
                    value,
                    "The value cannot be sent as a header.",
                ));
            }
            reply.more_headers.push(((*header).to_owned(), value.to_owned()));
        }
        Ok(())
    }

    /// Start and length of the part that is asked for. A range that does not lie within the object is not
    /// looked at, and the whole object comes with 200, unless `x-oss-range-behavior: standard` asks for
    /// what HTTP says (OSS, GetObject).
    fn range(&self, size: u64) -> Result<Option<(u64, u64)>, OssError> {
        let Some(range) = self.request.header("range").and_then(parse_range) else { return Ok(None) };
        let standard = self.request.header("x-oss-range-behavior").is_some_and(|value| value == "standard");
        let found = if standard { range.clipped(size) } else { range.within(size) };
        if found.is_some() || !standard {
            return Ok(found);
        }
        Err(OssError::new(416, "InvalidRange", "The requested range cannot be satisfied.")
            .with("ActualObjectSize", size.to_string())
            .with("RangeRequested", self.request.header("range").unwrap_or_default()))
    }

    /// Whether the answer is 304; that a precondition fails is an error.
    fn unchanged(&self, meta: &ObjectMeta) -> Result<bool, OssError> {
        let header = |name: &str| self.request.header(name);
        let names_it = |list: &str| {
            list.split(',').map(|tag| tag.trim().trim_matches('"')).any(|tag| tag == "*" || tag == meta.etag)
        };
        // HTTP times know no fractions.
        let modified = UNIX_EPOCH + Duration::from_secs(u64::try_from(meta.modified_ms / 1000).unwrap_or(0));
        let time = |name: &str| -> Option<SystemTime> { httpdate::parse_http_date(header(name)?).ok() };
        let failed = |condition: &str| {
            OssError::new(
                412,
                "PreconditionFailed",
                "At least one of the pre-conditions you specified did not hold.",
            )
            .with("Condition", condition)
        };
        if header("if-match").is_some_and(|list| !names_it(list)) {
            return Err(failed("If-Match"));
        }
        if time("if-unmodified-since").is_some_and(|time| modified > time) {
            return Err(failed("If-Unmodified-Since"));
        }
        if let Some(list) = header("if-none-match") {
            return Ok(names_it(list));
        }
        Ok(time("if-modified-since").is_some_and(|time| modified <= time))
    }

    pub(super) fn get_object_acl(&mut self) -> Result<Reply, OssError> {
        let meta = self.require_object()?;
        let mut xml = XmlOut::new();
        xml.open("AccessControlPolicy");
        self.owner(&mut xml);
        xml.open("AccessControlList");
        xml.leaf("Grant", &meta.properties.acl);
        xml.close("AccessControlList");
        xml.close("AccessControlPolicy");
        Ok(Reply::xml(xml.finish()))
    }

    pub(super) async fn put_object_acl(&mut self) -> Result<Reply, OssError> {
        let acl = self.properties()?.acl;
        self.change_object(|properties| properties.acl.clone_from(&acl)).await?;
        Ok(Reply::new(200))
    }

    /// Changes what is said of an object, but not its bytes.
    pub(super) async fn change_object(&self, change: impl Fn(&mut Properties)) -> Result<(), OssError> {
        loop {
            self.require_object()?;
            let found = self.blocking(|| self.shared.store.get(self.bucket(), self.key()));
            let (old, blob) = found.map_err(OssError::internal)?.ok_or_else(|| self.missing_object())?;
            let mut meta = ObjectMeta::clone(&old);
            change(&mut meta.properties);
            match self.store_copy(blob, meta, self.bucket(), self.key(), Condition::Unchanged(old)) {
                // Somebody else wrote the object meanwhile: the change belongs on theirs.
                Err(StoreError::Conflict) => tokio::task::yield_now().await,
                other => return other.map(drop).map_err(|error| self.refused(error)),
            }
        }
    }
}
