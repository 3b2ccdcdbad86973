//! UploadPart and ListParts.

use super::Exchange;
use super::delete::encoded;
use crate::clock::{unix_ms, xml_time};
use crate::error::OssError;
use crate::reply::Reply;
use crate::store::PartInfo;
use crate::xml::XmlOut;

/// Numbers of parts (OSS, "Multipart upload").
const NUMBERS: std::ops::RangeInclusive<u32> = 1..=10_000;

impl Exchange {
    pub(super) async fn upload_part(&mut self) -> Result<Reply, OssError> {
        let announced_md5 = self.check_body_head()?;
        let (number, id) = self.part_place()?;
        let received = self.receive(announced_md5).await?;
        let info = PartInfo {
            number,
            size: received.size,
            etag: received.etag(),
            crc64: received.crc64,
            modified_ms: unix_ms(self.request.now),
        };
        let reply = Reply::new(200)
            .header("etag", format!("\"{}\"", info.etag))
            .header("x-oss-hash-crc64ecma", info.crc64.to_string())
            .header("content-md5", received.content_md5());
        self.blocking(|| self.shared.store.put_part(self.bucket(), self.key(), &id, info, received.draft))
            .map_err(|error| self.refused(error))?;
        Ok(reply)
    }

    /// Number and upload id of a part to come. The upload is looked for now, to spare the body, and again
    /// when the part is stored.
    pub(super) fn part_place(&self) -> Result<(u32, String), OssError> {
        let number = self.number("partNumber", NUMBERS, 0)?;
        if number == 0 {
            return Err(OssError::bad_argument("partNumber", "", "The number of the part is missing."));
        }
        self.require_bucket()?;
        let id = self.query_text("uploadId");
        self.shared.store.upload(self.bucket(), self.key(), &id).map_err(|error| self.refused(error))?;
        Ok((number, id))
    }

    pub(super) fn list_parts(&mut self) -> Result<Reply, OssError> {
        let limit = self.number("max-parts", 1..=1000, 1000)? as usize;
        let marker = self.number("part-number-marker", 0..=10_000, 0)?;
        let encode = self.url_encoding()?;
        self.require_bucket()?;
        let id = self.query_text("uploadId");
        let (info, mut parts) =
            self.shared.store.upload(self.bucket(), self.key(), &id).map_err(|error| self.refused(error))?;
        let none_yet = parts.is_empty();
        parts.retain(|part| part.number > marker);
        let truncated = parts.len() > limit;
        parts.truncate(limit);

        let mut xml = XmlOut::new();
        xml.open("ListPartsResult");
        if encode {
            xml.leaf("EncodingType", "url");
        }
        xml.leaf("Bucket", self.bucket());
        xml.leaf("Key", &encoded(self.key(), encode));
        xml.leaf("UploadId", &id);
        xml.leaf("StorageClass", &info.properties.storage_class);
        if none_yet {
            // Empty, not 0: so OSS answers of an upload without parts.
            xml.leaf("PartNumberMarker", "");
            xml.leaf("NextPartNumberMarker", "");
        } else {
            xml.number("PartNumberMarker", marker);
            xml.number("NextPartNumberMarker", parts.last().map_or(0, |part| part.number));
        }
        xml.number("MaxParts", limit);
        xml.leaf("IsTruncated", if truncated { "true" } else { "false" });
        for part in &parts {
            xml.open("Part");
            xml.number("PartNumber", part.number);
            xml.leaf("LastModified", &xml_time(part.modified_ms));
            xml.leaf("ETag", &format!("\"{}\"", part.etag));
            xml.number("HashCrc64ecma", part.crc64);
            xml.number("Size", part.size);
            xml.close("Part");
        }
        xml.close("ListPartsResult");
        Ok(Reply::xml(xml.finish()))
    }
}
