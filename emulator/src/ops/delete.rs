//! DeleteObject and DeleteMultipleObjects.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Exchange;
use crate::address::check_key;
use crate::error::OssError;
use crate::reply::Reply;
use crate::xml::{self, DeleteMany, XmlOut};

/// Objects in one request, and bytes of its document (OSS, DeleteMultipleObjects).
const OBJECT_LIMIT: usize = 1000;
const DOCUMENT_LIMIT: usize = 2 * 1024 * 1024;

impl Exchange {
    pub(super) fn delete_object(&mut self) -> Result<Reply, OssError> {
        self.require_bucket()?;
        self.blocking(|| self.shared.store.delete(self.bucket(), self.key()))
            .map_err(|error| self.refused(error))?;
        Ok(Reply::new(204))
    }

    pub(super) async fn delete_multiple_objects(&mut self) -> Result<Reply, OssError> {
        self.require_bucket()?;
        let document = self.body.read(DOCUMENT_LIMIT).await?;
        let list: DeleteMany = xml::read(&document)?;
        if list.objects.is_empty() || list.objects.len() > OBJECT_LIMIT {
            return Err(OssError::new(
                400,
                "MalformedXML",
                "The XML you provided was not well-formed or did not validate against our published schema.",
            )
            .with("ErrorDetail", "between 1 and 1000 objects can be deleted at once"));
        }
        for object in &list.objects {
            check_key(&object.key)?;
        }
        for object in &list.objects {
            self.blocking(|| self.shared.store.delete(self.bucket(), &object.key))
                .map_err(|error| self.refused(error))?;
        }
        if list.quiet {
            return Ok(Reply::new(200));
        }
        let encode = self.url_encoding()?;
        let mut xml = XmlOut::new();
        xml.open("DeleteResult");
        if encode {
            xml.leaf("EncodingType", "url");
        }
        for object in &list.objects {
            xml.open("Deleted");
            xml.leaf("Key", &encoded(&object.key, encode));
            xml.close("Deleted");
        }
        xml.close("DeleteResult");
        Ok(Reply::xml(xml.finish()))
    }

    /// `encoding-type=url`, by query or (for uploads and deletions) by header.
    pub(super) fn url_encoding(&self) -> Result<bool, OssError> {
        let value = self.request.query.get("encoding-type").or(self.request.header("encoding-type"));
        match value {
            None | Some("") => Ok(false),
            Some("url") => Ok(true),
            Some(other) => {
                Err(OssError::bad_argument("encoding-type", other, "The encoding type must be url."))
            }
        }
    }
}

/// A key for a document that may have to hold it percent-encoded.
pub(super) fn encoded(key: &str, encode: bool) -> String {
    const PLAIN: &percent_encoding::AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    if encode { utf8_percent_encode(key, PLAIN).to_string() } else { key.to_owned() }
}
