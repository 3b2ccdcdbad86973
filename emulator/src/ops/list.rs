//! ListObjects, V1 and V2.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Exchange;
use super::delete::encoded;
use crate::clock::xml_time;
use crate::error::OssError;
use crate::reply::Reply;
use crate::store::{ListQuery, Listing, ObjectMeta};
use crate::xml::XmlOut;

/// Keys on a page when the request does not say.
const PAGE: u32 = 100;

impl Exchange {
    pub(super) fn list_objects(&mut self) -> Result<Reply, OssError> {
        let marker = self.query_text("marker");
        let (listing, limit) = self.listing(&marker)?;
        let encode = self.url_encoding()?;
        let mut xml = XmlOut::new();
        xml.open("ListBucketResult");
        self.page_head(&mut xml, limit, &listing, encode);
        xml.leaf("Marker", &encoded(&marker, encode));
        if let Some(next) = &listing.next {
            xml.leaf("NextMarker", &encoded(next, encode));
        }
        self.page_items(&mut xml, &listing, encode, true);
        xml.close("ListBucketResult");
        Ok(Reply::xml(xml.finish()))
    }

    pub(super) fn list_objects_v2(&mut self) -> Result<Reply, OssError> {
        let start_after = self.query_text("start-after");
        let token = self.query_text("continuation-token");
        let after = match token.as_str() {
            "" => start_after.clone(),
            token => decode_token(token).ok_or_else(|| {
                OssError::bad_argument("continuation-token", token, "The continuation token is not valid.")
            })?,
        };
        let (listing, limit) = self.listing(&after)?;
        let encode = self.url_encoding()?;
        let mut xml = XmlOut::new();
        xml.open("ListBucketResult");
        self.page_head(&mut xml, limit, &listing, encode);
        xml.leaf("StartAfter", &encoded(&start_after, encode));
        xml.number("KeyCount", listing.objects.len() + listing.common_prefixes.len());
        if !token.is_empty() {
            xml.leaf("ContinuationToken", &token);
        }
        if let Some(next) = &listing.next {
            xml.leaf("NextContinuationToken", &URL_SAFE_NO_PAD.encode(next));
        }
        self.page_items(&mut xml, &listing, encode, self.query_text("fetch-owner") == "true");
        xml.close("ListBucketResult");
        Ok(Reply::xml(xml.finish()))
    }

    pub(super) fn query_text(&self, name: &str) -> String {
        self.request.query.get(name).unwrap_or_default().to_owned()
    }

    fn listing(&self, after: &str) -> Result<(Listing, u32), OssError> {
        let limit = self.number("max-keys", 1..=1000, PAGE)?;
        self.require_bucket()?;
        let query = ListQuery {
            prefix: self.request.query.get("prefix").unwrap_or_default(),
            delimiter: self.request.query.get("delimiter").unwrap_or_default(),
            after,
            limit: limit as usize,
        };
        let listing = self.shared.store.list(self.bucket(), &query).map_err(|error| self.refused(error))?;
        Ok((listing, limit))
    }

    fn page_head(&self, xml: &mut XmlOut, limit: u32, listing: &Listing, encode: bool) {
        xml.leaf("Name", self.bucket());
        xml.leaf("Prefix", &encoded(&self.query_text("prefix"), encode));
        xml.number("MaxKeys", limit);
        xml.leaf("Delimiter", &encoded(&self.query_text("delimiter"), encode));
        xml.leaf("IsTruncated", if listing.next.is_some() { "true" } else { "false" });
        if encode {
            xml.leaf("EncodingType", "url");
        }
    }

    fn page_items(&self, xml: &mut XmlOut, listing: &Listing, encode: bool, with_owner: bool) {
        for (key, meta) in &listing.objects {
            self.item(xml, key, meta, encode, with_owner);
        }
        for prefix in &listing.common_prefixes {
            xml.open("CommonPrefixes");
            xml.leaf("Prefix", &encoded(prefix, encode));
            xml.close("CommonPrefixes");
        }
    }

    fn item(&self, xml: &mut XmlOut, key: &str, meta: &ObjectMeta, encode: bool, with_owner: bool) {
        xml.open("Contents");
        xml.leaf("Key", &encoded(key, encode));
        xml.leaf("LastModified", &xml_time(meta.modified_ms));
        xml.leaf("ETag", &format!("\"{}\"", meta.etag));
        xml.leaf("Type", if meta.multipart { "Multipart" } else { "Normal" });
        xml.number("Size", meta.size);
        xml.leaf("StorageClass", &meta.properties.storage_class);
        if with_owner {
            self.owner(xml);
        }
        xml.close("Contents");
    }
}

fn decode_token(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}
