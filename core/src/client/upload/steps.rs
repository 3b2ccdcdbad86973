//! The requests of a multipart upload. The callback is with CompleteMultipartUpload, and nowhere else.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use http::Method;
use md5::{Digest, Md5};
use quick_xml::escape::escape;
use serde::Deserialize;
use sha2::Sha256;

use super::super::careful::{self, Terms, Trail};
use super::super::exchange::{Budget, Call, Parcel};
use super::super::reply::CallbackReply;
use super::super::{Inner, answer, put};
use crate::callback::Callback;
use crate::checksum::Combiner;
use crate::error::{Error, ErrorKind, Result};
use crate::options::{CallbackRetry, PutOptions};
use crate::transport::{Outgoing, Response, Transport};

/// A part that OSS has acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Done {
    pub etag: String,
    pub crc64: u64,
    pub size: u64,
}

/// Acknowledged parts by number.
pub(super) type DoneParts = BTreeMap<u32, Done>;

/// A part as ListParts shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listed {
    pub part_number: u32,
    #[serde(rename = "ETag")]
    pub etag: String,
    pub size: u64,
    #[serde(rename = "HashCrc64ecma")]
    pub crc64: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Initiated {
    upload_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listing {
    is_truncated: bool,
    /// Empty where there are no parts.
    next_part_number_marker: Option<String>,
    #[serde(default)]
    part: Vec<Listed>,
}

/// Where the requests of one upload go, and what they have in common.
pub(super) struct Steps {
    pub client: Arc<Inner>,
    pub transport: Arc<dyn Transport>,
    pub bucket: String,
    pub key: String,
    pub callback: Callback,
    pub options: PutOptions,
    /// Headers that describe the object.
    pub headers: Vec<(String, String)>,
}

impl Steps {
    fn call(
        &self,
        method: Method,
        query: Vec<(String, Option<String>)>,
        headers: Vec<(String, String)>,
    ) -> Result<Call> {
        Call::new(&self.client, method, (&self.bucket, &self.key), query, headers)
    }

    fn chosen(&self, wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
        self.headers.iter().filter(|(name, _)| wanted(name)).cloned().collect()
    }

    /// What every request needs where the requester pays.
    pub fn payer(&self) -> Vec<(String, String)> {
        self.chosen(|name| name == "x-oss-request-payer")
    }

    /// Tells whether another run would make the same object of the same data: a digest, as some headers are
    /// nobody's business.
    pub fn fingerprint(&self) -> String {
        let mut headers = self.chosen(|name| !matches!(name, "x-oss-traffic-limit" | "x-oss-request-payer"));
        headers.sort();
        let mut digest = Sha256::new();
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            digest.update(text.len().to_le_bytes());
            digest.update(text);
        }
        BASE64.encode(digest.finalize())
    }

    pub async fn initiate(&self, budget: &mut Budget) -> Result<String> {
        // The limit is one of a connection, and this one carries no data.
        let headers = self.chosen(|name| name != "x-oss-traffic-limit");
        let call = self.call(Method::POST, vec![("uploads".to_owned(), None)], headers)?;
        call.repeat(&self.client, &*self.transport, &Parcel::empty(), budget, |response, _| {
            let found: Initiated = document(response, "InitiateMultipartUpload")?;
            Ok(found.upload_id)
        })
        .await
    }

    /// Sends a part, by an engine of its own.
    pub async fn part(
        &self,
        transport: &dyn Transport,
        id: &str,
        number: u32,
        parcel: &Parcel,
        budget: &mut Budget,
    ) -> Result<Done> {
        let query = vec![pair("partNumber", &number.to_string()), pair("uploadId", id)];
        let mut headers = self.chosen(|name| matches!(name, "x-oss-traffic-limit" | "x-oss-request-payer"));
        if self.options.content_md5.is_some() {
            headers.push(("content-md5".to_owned(), md5_of(parcel)?));
        }
        let call = self.call(Method::PUT, query, headers)?;
        call.repeat(&self.client, transport, parcel, budget, |response, outgoing| {
            judge_part(&response, outgoing, number)
        })
        .await
    }

    /// The parts that OSS holds; `None` if the upload does not exist (any more).
    pub async fn list(&self, id: &str, budget: &mut Budget) -> Result<Option<Vec<Listed>>> {
        let (mut all, mut marker) = (Vec::new(), 0);
        loop {
            let mut query = vec![pair("uploadId", id), pair("max-parts", "1000")];
            if marker > 0 {
                query.push(pair("part-number-marker", &marker.to_string()));
            }
            let headers = self.payer();
            let call = self.call(Method::GET, query, headers)?;
            let judge = |response, _: &Outgoing| document::<Listing>(response, "ListParts");
            let parcel = Parcel::empty();
            let listing = call.repeat(&self.client, &*self.transport, &parcel, budget, judge).await;
            let listing = match listing {
                Err(error) if error.code() == Some("NoSuchUpload") => return Ok(None),
                listing => listing?,
            };
            all.extend(listing.part);
            match listing.next_part_number_marker.and_then(|marker| marker.parse::<u32>().ok()) {
                // A marker that does not move would make this endless.
                Some(next) if listing.is_truncated && next > marker => marker = next,
                _ => return Ok(Some(all)),
            }
        }
    }

    pub async fn complete(
        &self,
        id: &str,
        parts: &DoneParts,
        mode: CallbackRetry,
        trail: &mut Trail,
        budget: &mut Budget,
    ) -> Result<CallbackReply> {
        let mut query = vec![pair("uploadId", id)];
        let mut headers = self.chosen(|name| {
            matches!(name, "x-oss-forbid-overwrite" | "x-oss-object-acl" | "x-oss-request-payer")
        });
        headers.push(("content-type".to_owned(), "application/xml".to_owned()));
        put::attach(&self.callback, &self.options, &mut headers, &mut query);
        let call = self.call(Method::POST, query, headers)?;
        let parcel = Parcel::of_bytes(Bytes::from(part_list(parts)));
        let terms = Terms { crc64: Some(whole_crc64(parts)), mode, trail };
        careful::send(&self.client, &*self.transport, &call, &parcel, terms, budget).await
    }

    pub async fn abort(&self, id: &str, budget: &mut Budget) -> Result<()> {
        let headers = self.payer();
        let call = self.call(Method::DELETE, vec![pair("uploadId", id)], headers)?;
        let judge = |response: Response, _: &Outgoing| match response.status {
            200 | 204 | 404 => Ok(()),
            _ => Err(answer::service_error(&response)),
        };
        call.repeat(&self.client, &*self.transport, &Parcel::empty(), budget, judge).await
    }
}

/// CRC-64 of all parts one after the other.
pub(super) fn whole_crc64(parts: &DoneParts) -> u64 {
    // Parts are nearly all of one size, whose power of x is worked out once.
    let mut combiner: Option<(u64, Combiner)> = None;
    parts.values().fold(0, |crc, part| {
        let fitting = combiner.filter(|(size, _)| *size == part.size);
        let (_, found) = *combiner.insert(fitting.unwrap_or_else(|| (part.size, Combiner::new(part.size))));
        found.combine(crc, part.crc64)
    })
}

pub(super) fn pair(name: &str, value: &str) -> (String, Option<String>) {
    (name.to_owned(), Some(value.to_owned()))
}

pub(super) fn document<T: serde::de::DeserializeOwned>(response: Response, what: &str) -> Result<T> {
    if response.status != 200 {
        return Err(answer::service_error(&response));
    }
    let text = String::from_utf8_lossy(&response.body);
    quick_xml::de::from_str(&text).map_err(|error| {
        Error::new(ErrorKind::Service, format!("OSS's answer to {what} cannot be understood: {error}"))
    })
}

fn judge_part(response: &Response, outgoing: &Outgoing, number: u32) -> Result<Done> {
    if response.status != 200 {
        return Err(answer::service_error(response));
    }
    let stored = answer::stored(&response.headers);
    let (Some(crc64), Some(etag)) = (outgoing.crc64(), stored.etag) else {
        return Err(Error::new(
            ErrorKind::Service,
            format!("OSS's answer to part {number} came too early, or without an ETag"),
        ));
    };
    match stored.crc64 {
        Some(theirs) if theirs != crc64 => Err(Error::new(
            ErrorKind::Integrity,
            format!("part {number} arrived damaged: its CRC-64 is {theirs}, that of the data {crc64}"),
        )),
        _ => Ok(Done { etag, crc64, size: outgoing.taken() }),
    }
}

fn part_list(parts: &DoneParts) -> String {
    let mut xml = "<CompleteMultipartUpload>".to_owned();
    for (number, part) in parts {
        let etag = escape(&*part.etag);
        // Writing to a string cannot fail.
        let _ = write!(xml, "<Part><PartNumber>{number}</PartNumber><ETag>\"{etag}\"</ETag></Part>");
    }
    xml.push_str("</CompleteMultipartUpload>");
    xml
}

fn md5_of(parcel: &Parcel) -> Result<String> {
    let mut md5 = Md5::new();
    parcel.scan(|piece| md5.update(piece))?;
    Ok(BASE64.encode(md5.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::crc64;

    fn done(bytes: &[u8]) -> Done {
        Done { etag: "A<B".to_owned(), crc64: crc64(bytes), size: bytes.len() as u64 }
    }

    #[test]
    fn the_checksum_of_the_whole_comes_out_of_the_parts() {
        let parts =
            DoneParts::from([(1, done(b"Hello")), (2, done(b" OSS,")), (5, done(b" hello")), (6, done(b""))]);
        assert_eq!(whole_crc64(&parts), crc64(b"Hello OSS, hello"));
        assert_eq!(whole_crc64(&DoneParts::new()), 0);
    }

    #[test]
    fn the_list_of_parts_ascends_and_is_escaped() {
        let parts = DoneParts::from([(10, done(b"b")), (2, done(b"a"))]);
        let part =
            |number: u32| format!("<Part><PartNumber>{number}</PartNumber><ETag>\"A&lt;B\"</ETag></Part>");
        let list = format!("<CompleteMultipartUpload>{}{}</CompleteMultipartUpload>", part(2), part(10));
        assert_eq!(part_list(&parts), list);
    }

    #[test]
    fn a_listing_of_no_parts_is_read() {
        let xml = "<ListPartsResult><PartNumberMarker></PartNumberMarker>\
            <NextPartNumberMarker></NextPartNumberMarker><IsTruncated>false</IsTruncated></ListPartsResult>";
        let listing: Listing = quick_xml::de::from_str(xml).unwrap();
        assert!(listing.part.is_empty() && !listing.is_truncated);
    }

    #[test]
    fn a_listing_is_read_whatever_else_it_holds() {
        let xml = "<?xml version=\"1.0\"?><ListPartsResult><Bucket>b</Bucket><IsTruncated>true</IsTruncated>\
            <NextPartNumberMarker>5</NextPartNumberMarker><Part><PartNumber>1</PartNumber><Weather>fine</Weather>\
            <ETag>\"E\"</ETag><HashCrc64ecma>18446744073709551615</HashCrc64ecma><Size>7</Size></Part>\
            <Part><PartNumber>5</PartNumber><ETag>F</ETag><Size>8</Size></Part></ListPartsResult>";
        let listing: Listing = quick_xml::de::from_str(xml).unwrap();
        assert!(listing.is_truncated);
        let parts: Vec<_> = listing.part.iter().map(|p| (p.part_number, &*p.etag, p.size, p.crc64)).collect();
        assert_eq!(parts, [(1, "\"E\"", 7, Some(u64::MAX)), (5, "F", 8, None)]);
    }
}
