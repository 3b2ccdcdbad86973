//! CopyObject.

use percent_encoding::percent_decode_str;

use super::Exchange;
use super::receive::{PUT_LIMIT, too_large};
use crate::clock::{unix_ms, xml_time};
use crate::error::{OssError, no_such_bucket, no_such_key};
use crate::reply::Reply;
use crate::store::{Blob, Condition, ObjectMeta};
use crate::xml::XmlOut;

impl Exchange {
    pub(super) async fn copy_object(&mut self) -> Result<Reply, OssError> {
        self.operation = "CopyObject";
        let (source_bucket, source_key) = self.copy_source()?;
        let properties = self.properties()?;
        self.require_bucket()?;
        let condition = self.overwrite_condition()?;
        let found = self.blocking(|| self.shared.store.get(&source_bucket, &source_key));
        let (source, blob) = found.map_err(OssError::internal)?.ok_or_else(|| {
            match self.shared.store.bucket(&source_bucket) {
                Some(_) => no_such_key(&source_key),
                None => no_such_bucket(&source_bucket),
            }
        })?;
        if source.size > PUT_LIMIT {
            return Err(too_large());
        }
        let mut meta = ObjectMeta::clone(&source);
        meta.modified_ms = unix_ms(self.request.now);
        match self.request.header("x-oss-metadata-directive") {
            Some("REPLACE") => meta.properties = properties,
            None | Some("COPY") => meta.properties.acl = properties.acl,
            Some(other) => {
                return Err(OssError::bad_argument(
                    "x-oss-metadata-directive",
                    other,
                    "It must be COPY or REPLACE.",
                ));
            }
        }
        let meta = self.store_copy(blob, meta, self.bucket(), self.key(), condition)?;
        let mut xml = XmlOut::new();
        xml.open("CopyObjectResult");
        xml.leaf("ETag", &format!("\"{}\"", meta.etag));
        xml.leaf("LastModified", &xml_time(meta.modified_ms));
        xml.close("CopyObjectResult");
        Ok(Reply::xml(xml.finish())
            .header("etag", format!("\"{}\"", meta.etag))
            .header("x-oss-hash-crc64ecma", meta.crc64.to_string()))
    }

    /// `/bucket/key`, percent-encoded.
    fn copy_source(&self) -> Result<(String, String), OssError> {
        let text = self.request.header("x-oss-copy-source").unwrap_or_default();
        let invalid =
            || OssError::bad_argument("x-oss-copy-source", text, "It must be /bucket/key, URL-encoded.");
        if text.contains('?') {
            return Err(OssError::not_implemented("versions of objects"));
        }
        let plain = percent_decode_str(text).decode_utf8().map_err(|_| invalid())?;
        let (bucket, key) = plain.strip_prefix('/').unwrap_or(&plain).split_once('/').ok_or_else(invalid)?;
        if bucket.is_empty() || key.is_empty() {
            return Err(invalid());
        }
        Ok((bucket.to_owned(), key.to_owned()))
    }

    pub(super) fn store_copy(
        &self,
        blob: Blob,
        meta: ObjectMeta,
        bucket: &str,
        key: &str,
        condition: Condition,
    ) -> Result<std::sync::Arc<ObjectMeta>, OssError> {
        let copied = self.blocking(|| {
            let mut draft = self.shared.store.draft()?;
            let mut reader = blob.range(0, meta.size)?;
            while let Some(chunk) = reader.next_chunk()? {
                draft.write(chunk)?;
            }
            self.shared.store.put(bucket, key, meta, draft, condition)
        });
        copied.map_err(|error| self.refused(error))
    }
}
