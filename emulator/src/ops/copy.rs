//! CopyObject and UploadPartCopy.

use std::sync::Arc;

use md5::{Digest, Md5};
use oss_callback::checksum::Crc64;
use percent_encoding::percent_decode_str;

use super::Exchange;
use super::range::parse_range;
use super::receive::{PUT_LIMIT, hex_upper, too_large};
use crate::clock::{unix_ms, xml_time};
use crate::error::{OssError, no_such_bucket, no_such_key};
use crate::reply::Reply;
use crate::store::{Blob, Condition, ObjectMeta, PartInfo, Properties, StoreError};
use crate::xml::XmlOut;

impl Exchange {
    pub(super) async fn copy_object(&mut self) -> Result<Reply, OssError> {
        let (source_bucket, source_key) = self.copy_source()?;
        let properties = self.properties()?;
        let tags = properties.tags.clone();
        self.require_bucket()?;
        let condition = self.overwrite_condition()?;
        let (source, blob) = self.open_source(&source_bucket, &source_key)?;
        if source.size > PUT_LIMIT {
            return Err(too_large());
        }
        let mut meta = ObjectMeta::clone(&source);
        meta.modified_ms = unix_ms(self.request.now);
        // Properties and tags come from the source or from this request, each by its own header.
        if self.replaces("x-oss-metadata-directive")? {
            let tags = std::mem::take(&mut meta.properties.tags);
            meta.properties = Properties { tags, ..properties };
        } else {
            meta.properties.acl = properties.acl;
        }
        if self.replaces("x-oss-tagging-directive")? {
            meta.properties.tags = tags;
        }
        let copied = self.store_copy(blob, meta, self.bucket(), self.key(), condition);
        let meta = copied.map_err(|error| self.refused(error))?;
        let mut xml = XmlOut::new();
        xml.open("CopyObjectResult");
        xml.leaf("ETag", &format!("\"{}\"", meta.etag));
        xml.leaf("LastModified", &xml_time(meta.modified_ms));
        xml.close("CopyObjectResult");
        Ok(Reply::xml(xml.finish())
            .header("etag", format!("\"{}\"", meta.etag))
            .header("x-oss-hash-crc64ecma", meta.crc64.to_string()))
    }

    /// Whether a directive says `REPLACE` (in any case; SDKs differ) and not `COPY`, the default.
    fn replaces(&self, directive: &'static str) -> Result<bool, OssError> {
        match self.request.header(directive) {
            None => Ok(false),
            Some(value) if value.eq_ignore_ascii_case("copy") => Ok(false),
            Some(value) if value.eq_ignore_ascii_case("replace") => Ok(true),
            Some(value) => Err(OssError::bad_argument(directive, value, "It must be COPY or REPLACE.")),
        }
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

    fn open_source(&self, bucket: &str, key: &str) -> Result<(Arc<ObjectMeta>, Blob), OssError> {
        let found = self.blocking(|| self.shared.store.get(bucket, key));
        found.map_err(OssError::internal)?.ok_or_else(|| match self.shared.store.bucket(bucket) {
            Some(_) => no_such_key(key),
            None => no_such_bucket(bucket),
        })
    }

    /// UploadPartCopy: a part out of another object, or out of a range of it.
    pub(super) fn upload_part_copy(&mut self) -> Result<Reply, OssError> {
        let (source_bucket, source_key) = self.copy_source()?;
        let (number, id) = self.part_place()?;
        let (source, blob) = self.open_source(&source_bucket, &source_key)?;
        let (start, length) = self.copy_range(source.size)?;
        let copied = self.blocking(|| {
            let (mut draft, mut md5, mut crc64) = (self.shared.store.draft()?, Md5::new(), Crc64::new());
            let mut reader = blob.range(start, length)?;
            while let Some(chunk) = reader.next_chunk()? {
                md5.update(&chunk);
                crc64.update(&chunk);
                draft.write(chunk)?;
            }
            Ok::<_, std::io::Error>((draft, hex_upper(&md5.finalize()), crc64.value()))
        });
        let (draft, etag, crc64) = copied.map_err(OssError::internal)?;
        let modified_ms = unix_ms(self.request.now);
        let info = PartInfo { number, size: length, etag, crc64, modified_ms };
        let mut xml = XmlOut::new();
        xml.open("CopyPartResult");
        xml.leaf("LastModified", &xml_time(modified_ms));
        xml.leaf("ETag", &format!("\"{}\"", info.etag));
        xml.close("CopyPartResult");
        let reply = Reply::xml(xml.finish()).header("etag", format!("\"{}\"", info.etag));
        self.blocking(|| self.shared.store.put_part(self.bucket(), self.key(), &id, info, draft))
            .map_err(|error| self.refused(error))?;
        Ok(reply)
    }

    fn copy_range(&self, size: u64) -> Result<(u64, u64), OssError> {
        let Some(text) = self.request.header("x-oss-copy-source-range") else { return Ok((0, size)) };
        parse_range(text).and_then(|range| range.within(size)).ok_or_else(|| {
            OssError::new(416, "InvalidRange", "The requested range cannot be satisfied.")
                .with("RangeRequested", text)
        })
    }

    pub(super) fn store_copy(
        &self,
        blob: Blob,
        meta: ObjectMeta,
        bucket: &str,
        key: &str,
        condition: Condition,
    ) -> Result<Arc<ObjectMeta>, StoreError> {
        self.blocking(|| {
            let mut draft = self.shared.store.draft()?;
            let mut reader = blob.range(0, meta.size)?;
            while let Some(chunk) = reader.next_chunk()? {
                draft.write(chunk)?;
            }
            self.shared.store.put(bucket, key, meta, draft, condition)
        })
    }
}
