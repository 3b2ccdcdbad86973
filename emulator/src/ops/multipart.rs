//! Multipart uploads: initiate, complete, abort, and the list of those under way.
//!
//! A callback belongs to CompleteMultipartUpload. Some SDKs send one with the other requests of an upload;
//! those do not look at it, as OSS does not (protocol, "Upload operations").

use md5::{Digest, Md5};

use super::Exchange;
use super::delete::encoded;
use super::receive::hex_upper;
use crate::clock::{unix_ms, xml_time};
use crate::error::OssError;
use crate::reply::Reply;
use crate::request::upload_id;
use crate::store::{ObjectMeta, PartInfo, Properties, StoreError, UploadInfo};
use crate::xml::{self, CompletePart, CompleteUpload, XmlOut};

/// Every part but the last, in bytes (OSS, "Multipart upload").
const PART_MINIMUM: u64 = 100 * 1024;
/// 10,000 parts at some hundred bytes each.
const DOCUMENT_LIMIT: usize = 4 * 1024 * 1024;

impl Exchange {
    pub(super) fn initiate_multipart_upload(&mut self) -> Result<Reply, OssError> {
        let properties = self.properties()?;
        self.require_bucket()?;
        self.overwrite_condition()?;
        let info = UploadInfo {
            bucket: self.bucket().to_owned(),
            key: self.key().to_owned(),
            id: upload_id(),
            initiated_ms: unix_ms(self.request.now),
            properties,
        };
        let encode = self.url_encoding()?;
        let mut xml = XmlOut::new();
        xml.open("InitiateMultipartUploadResult");
        if encode {
            xml.leaf("EncodingType", "url");
        }
        xml.leaf("Bucket", self.bucket());
        xml.leaf("Key", &encoded(self.key(), encode));
        xml.leaf("UploadId", &info.id);
        xml.close("InitiateMultipartUploadResult");
        self.blocking(|| self.shared.store.create_upload(info)).map_err(|error| self.refused(error))?;
        Ok(Reply::xml(xml.finish()))
    }

    pub(super) async fn complete_multipart_upload(&mut self) -> Result<Reply, OssError> {
        let prepared = self.prepare_callback().await?;
        self.require_bucket()?;
        let condition = self.overwrite_condition()?;
        let chosen = self.chosen_parts().await?;
        let id = self.query_text("uploadId");
        let (info, _) =
            self.shared.store.upload(self.bucket(), self.key(), &id).map_err(|error| self.refused(error))?;
        let now_ms = unix_ms(self.request.now);
        let mut image_head = None;
        let check = |parts: &[PartInfo]| -> Result<(Vec<u32>, ObjectMeta), Refusal> {
            let parts = choose(parts, chosen.as_deref(), &id)?;
            let meta = whole(&parts, info.properties.clone(), now_ms);
            Ok((parts.iter().map(|part| part.number).collect(), meta))
        };
        let inspect = |draft: &mut crate::store::Draft| {
            if prepared.is_some() {
                image_head = Some(draft.head(super::put::IMAGE_HEAD)?);
            }
            Ok(())
        };
        let store = &self.shared.store;
        let completed = self
            .blocking(|| store.complete_upload(self.bucket(), self.key(), &id, condition, check, inspect));
        let meta = completed.map_err(|refusal| match refusal {
            Refusal::Store(error) => self.refused(error),
            Refusal::Oss(error) => error,
        })?;
        let mut reply = Reply::xml(self.completed(&meta)?);
        self.finish_upload(&mut reply, &meta, prepared, image_head).await;
        Ok(reply)
    }

    /// The parts that the request lists; none for all of them (`x-oss-complete-all: yes`).
    async fn chosen_parts(&mut self) -> Result<Option<Vec<CompletePart>>, OssError> {
        let document = self.body.read(DOCUMENT_LIMIT).await?;
        match self.request.header("x-oss-complete-all") {
            Some("yes") if document.is_empty() => Ok(None),
            Some("yes") => Err(OssError::invalid_argument(
                "The request must not list parts when x-oss-complete-all is yes.",
            )),
            Some(other) => Err(OssError::bad_argument("x-oss-complete-all", other, "It must be yes.")),
            None => Ok(Some(xml::read::<CompleteUpload>(&document)?.parts)),
        }
    }

    fn completed(&self, meta: &ObjectMeta) -> Result<String, OssError> {
        let encode = self.url_encoding()?;
        let mut xml = XmlOut::new();
        xml.open("CompleteMultipartUploadResult");
        if encode {
            xml.leaf("EncodingType", "url");
        }
        let location = format!("http://{}/{}", self.request.host, encoded(self.key(), true));
        xml.leaf("Location", &location);
        xml.leaf("Bucket", self.bucket());
        xml.leaf("Key", &encoded(self.key(), encode));
        xml.leaf("ETag", &format!("\"{}\"", meta.etag));
        xml.close("CompleteMultipartUploadResult");
        Ok(xml.finish())
    }

    pub(super) fn abort_multipart_upload(&mut self) -> Result<Reply, OssError> {
        self.require_bucket()?;
        let id = self.query_text("uploadId");
        self.blocking(|| self.shared.store.abort_upload(self.bucket(), self.key(), &id))
            .map_err(|error| self.refused(error))?;
        Ok(Reply::new(204))
    }

    pub(super) fn list_multipart_uploads(&mut self) -> Result<Reply, OssError> {
        let limit = self.number("max-uploads", 1..=1000, 1000)? as usize;
        let encode = self.url_encoding()?;
        self.require_bucket()?;
        let [prefix, delimiter, key_marker, id_marker] =
            ["prefix", "delimiter", "key-marker", "upload-id-marker"].map(|name| self.query_text(name));
        let uploads = self.shared.store.uploads(self.bucket()).map_err(|error| self.refused(error))?;
        let after = |upload: &UploadInfo| {
            upload.key > key_marker
                || upload.key == key_marker && !id_marker.is_empty() && upload.id > id_marker
        };
        let (mut items, mut prefixes, mut last, mut truncated) =
            (Vec::new(), Vec::<String>::new(), None, false);
        for upload in uploads.iter().filter(|upload| upload.key.starts_with(&prefix) && after(upload)) {
            let rest = upload.key.get(prefix.len()..).unwrap_or_default();
            let rolled_up = rest
                .split_once(delimiter.as_str())
                .filter(|_| !delimiter.is_empty())
                .map(|(head, _)| format!("{prefix}{head}{delimiter}"));
            if rolled_up.is_some() && (prefixes.last() == rolled_up.as_ref()) {
                last = Some(upload);
                continue;
            }
            if items.len() + prefixes.len() == limit {
                truncated = true;
                break;
            }
            match rolled_up {
                Some(prefix) => prefixes.push(prefix),
                None => items.push(upload),
            }
            last = Some(upload);
        }

        let mut xml = XmlOut::new();
        xml.open("ListMultipartUploadsResult");
        xml.leaf("Bucket", self.bucket());
        if encode {
            xml.leaf("EncodingType", "url");
        }
        xml.leaf("KeyMarker", &encoded(&key_marker, encode));
        xml.leaf("UploadIdMarker", &id_marker);
        let (next_key, next_id) = last.map_or(("", ""), |upload| (&upload.key, &upload.id));
        xml.leaf("NextKeyMarker", &encoded(next_key, encode));
        xml.leaf("NextUploadIdMarker", next_id);
        xml.leaf("Delimiter", &encoded(&delimiter, encode));
        xml.leaf("Prefix", &encoded(&prefix, encode));
        xml.number("MaxUploads", limit);
        xml.leaf("IsTruncated", if truncated { "true" } else { "false" });
        for upload in items {
            xml.open("Upload");
            xml.leaf("Key", &encoded(&upload.key, encode));
            xml.leaf("UploadId", &upload.id);
            xml.leaf("StorageClass", &upload.properties.storage_class);
            xml.leaf("Initiated", &xml_time(upload.initiated_ms));
            xml.close("Upload");
        }
        for prefix in prefixes {
            xml.open("CommonPrefixes");
            xml.leaf("Prefix", &encoded(&prefix, encode));
            xml.close("CommonPrefixes");
        }
        xml.close("ListMultipartUploadsResult");
        Ok(Reply::xml(xml.finish()))
    }
}

/// Why an upload could not be completed.
enum Refusal {
    Store(StoreError),
    Oss(OssError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        Refusal::Store(error)
    }
}

impl From<OssError> for Refusal {
    fn from(error: OssError) -> Refusal {
        Refusal::Oss(error)
    }
}

/// The parts that make the object, in order. `list` must be ascending, may have gaps, and must name parts
/// that are there with their ETags.
fn choose<'p>(
    parts: &'p [PartInfo],
    list: Option<&[CompletePart]>,
    upload_id: &str,
) -> Result<Vec<&'p PartInfo>, OssError> {
    let chosen: Vec<&PartInfo> = match list {
        None => parts.iter().collect(),
        Some(list) => {
            if list.windows(2).any(|pair| matches!(pair, [a, b] if a.number >= b.number)) {
                return Err(OssError::new(
                    400,
                    "InvalidPartOrder",
                    "The list of parts was not in ascending order. Parts list must be specified in order by \
                     part number.",
                ));
            }
            list.iter().map(|wanted| find(parts, wanted, upload_id)).collect::<Result<_, _>>()?
        }
    };
    let Some((_, all_but_last)) = chosen.split_last() else {
        return Err(OssError::new(400, "InvalidArgument", "The upload has no parts to complete it with.")
            .with("UploadId", upload_id));
    };
    match all_but_last.iter().find(|part| part.size < PART_MINIMUM) {
        None => Ok(chosen),
        Some(small) => Err(OssError::new(
            400,
            "EntityTooSmall",
            "Your proposed upload smaller than the minimum allowed size.",
        )
        .with("MinSizeAllowed", PART_MINIMUM.to_string())
        .with("ProposedSize", small.size.to_string())
        .with("PartNumber", small.number.to_string())),
    }
}

fn find<'p>(parts: &'p [PartInfo], wanted: &CompletePart, upload_id: &str) -> Result<&'p PartInfo, OssError> {
    let etag = wanted.etag.trim().trim_matches('"');
    let fits = |part: &&PartInfo| part.number == wanted.number && part.etag.eq_ignore_ascii_case(etag);
    parts.iter().find(fits).ok_or_else(|| {
        OssError::new(
            400,
            "InvalidPart",
            "One or more of the specified parts could not be found or the specified entity tag might not have \
             matched the part's entity tag.",
        )
        .with("ETag", &*wanted.etag)
        .with("PartNumber", wanted.number.to_string())
        .with("UploadId", upload_id)
    })
}

/// The object that the parts make. Its ETag is not its MD5, but is made of theirs.
fn whole(parts: &[&PartInfo], properties: Properties, now_ms: i64) -> ObjectMeta {
    let mut md5 = Md5::new();
    let (mut crc64, mut size) = (0, 0_u64);
    for part in parts {
        md5.update(part.etag.as_bytes());
        crc64 = oss_callback::checksum::combine(crc64, part.crc64, part.size);
        size += part.size;
    }
    ObjectMeta {
        size,
        etag: format!("{}-{}", hex_upper(&md5.finalize()), parts.len()),
        crc64,
        content_md5: None,
        modified_ms: now_ms,
        multipart: true,
        properties,
    }
}
