//! An upload that a killed run has begun without learning its id: killed between OSS's answer to
//! InitiateMultipartUpload and the checkpoint. It holds no parts, and would stay for ever.
//!
//! OSS keeps nothing with an upload by which its owner could tell it. So only one that cannot well be
//! anybody else's is aborted: under exactly this key, without parts, initiated in the very seconds in which
//! the killed run asked for one, and the only such one. When in doubt all are left alone: an upload without
//! parts costs nothing, and somebody else's may be about to get its first.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Method;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::run::Upload;
use super::steps::{document, pair};
use crate::client::answer;
use crate::client::exchange::{Budget, Call, Parcel};
use crate::error::Result;

/// How long after the request OSS may have begun the upload.
const WINDOW: Duration = Duration::from_secs(10);

/// OSS's times have whole seconds.
const RESOLUTION: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Uploads {
    is_truncated: bool,
    #[serde(default)]
    upload: Vec<Begun>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Begun {
    /// Percent-encoded.
    key: String,
    upload_id: String,
    initiated: String,
}

impl Upload {
    /// Aborts the upload that an earlier run began at this time, if there is one and it is certain which.
    /// Failing to is no reason to fail: what would stay is empty.
    pub(super) async fn sweep(&self, asked_at: SystemTime) {
        let mut budget = self.budget();
        if let Err(error) = self.try_sweep(asked_at, &mut budget).await {
            tracing::debug!(%error, "an upload that an earlier run may have begun is left alone");
        }
    }

    async fn try_sweep(&self, asked_at: SystemTime, budget: &mut Budget) -> Result<()> {
        let steps = &self.steps;
        let query = vec![
            ("uploads".to_owned(), None),
            pair("prefix", &steps.key),
            pair("encoding-type", "url"),
            pair("max-uploads", "1000"),
        ];
        let call = Call::on_bucket(&steps.client, Method::GET, &steps.bucket, query)?;
        let (uploads, now) = call
            .repeat(&steps.client, &*steps.transport, &Parcel::empty(), budget, |response, _| {
                let date = answer::text(&response.headers, "date");
                let now = date.and_then(|date| httpdate::parse_http_date(&date).ok());
                Ok((document::<Uploads>(response, "ListMultipartUploads")?, now))
            })
            .await?;
        // This machine's clock may be off, but was as much so when it wrote the time down.
        let Some(age) = SystemTime::now().duration_since(asked_at).ok() else { return Ok(()) };
        let Some(asked_at) = now.and_then(|now| now.checked_sub(age)) else { return Ok(()) };
        let mut empty = Vec::new();
        for id in candidates(&uploads, &steps.key, asked_at) {
            if steps.list(id, budget).await?.is_some_and(|parts| parts.is_empty()) {
                empty.push(id);
            }
        }
        match empty.as_slice() {
            [] => Ok(()),
            [id] => {
                tracing::info!(id, "aborting the empty upload of a run that was killed");
                steps.abort(id, budget).await
            }
            several => {
                tracing::debug!(count = several.len(), "which upload an earlier run began cannot be told");
                Ok(())
            }
        }
    }
}

/// Ids of the uploads that may have been begun by a request of that time, by OSS's clock. None if not all
/// could be seen.
fn candidates<'u>(uploads: &'u Uploads, key: &str, asked_at: SystemTime) -> Vec<&'u str> {
    if uploads.is_truncated {
        return Vec::new();
    }
    let earliest = asked_at.checked_sub(RESOLUTION * 2).unwrap_or(UNIX_EPOCH);
    let latest = asked_at.checked_add(WINDOW).unwrap_or(asked_at);
    let fits = |upload: &&Begun| {
        let initiated = OffsetDateTime::parse(&upload.initiated, &Rfc3339).map(SystemTime::from);
        percent_decode_str(&upload.key).decode_utf8().is_ok_and(|theirs| theirs == key)
            && initiated.is_ok_and(|at| at >= earliest && at <= latest)
    };
    uploads.upload.iter().filter(fits).map(|upload| upload.upload_id.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_uploads_of_that_key_and_those_seconds_are_candidates() {
        let upload = |key: &str, id: &str, time: &str| {
            format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>{time}</Initiated></Upload>")
        };
        let list = |truncated: bool| {
            let uploads = [
                upload("a%20b", "before", "2026-11-22T11:59:57.000Z"),
                upload("a%20b", "at once", "2026-11-22T11:59:59.000Z"),
                upload("a%20b", "late", "2026-11-22T12:00:10.000Z"),
                upload("a%20b", "after", "2026-11-22T12:00:11.000Z"),
                upload("a%20b", "rubbish", "yesterday"),
                upload("a%20bc", "longer", "2026-11-22T12:00:01.000Z"),
            ];
            let xml = format!(
                "<ListMultipartUploadsResult><IsTruncated>{truncated}</IsTruncated>{}\
                 </ListMultipartUploadsResult>",
                uploads.concat()
            );
            quick_xml::de::from_str::<Uploads>(&xml).unwrap()
        };
        let asked_at = httpdate::parse_http_date("Sun, 22 Nov 2026 12:00:00 GMT").unwrap();
        assert_eq!(candidates(&list(false), "a b", asked_at), ["at once", "late"]);
        assert_eq!(candidates(&list(true), "a b", asked_at), [""; 0]);
        let none =
            "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>";
        assert!(quick_xml::de::from_str::<Uploads>(none).unwrap().upload.is_empty());
    }
}
