//! What the emulator can do, one file per group of operations, and which request means which.

mod bucket;
mod copy;
mod delete;
mod list;
mod multipart;
mod object;
mod parts;
mod properties;
mod put;
mod range;
mod receive;
mod tagging;

use std::sync::Arc;

use hyper::Method;

use crate::Shared;
use crate::address::{check_bucket_name, check_key};
use crate::error::{OssError, method_not_allowed, no_such_bucket, no_such_upload};
use crate::reply::Reply;
use crate::request::{Request, RequestBody};
use crate::store::StoreError;

/// One request on its way through the emulator.
pub(crate) struct Exchange {
    pub shared: Arc<Shared>,
    pub request: Request,
    pub body: RequestBody,
    /// OSS's name of the operation, once it is known.
    pub operation: &'static str,
}

/// Query names that choose an operation which OSS has and the emulator lacks. A request that names one must
/// not be taken for another operation.
const UNKNOWN_HERE: &[&str] = &[
    "accessPoint",
    "accessPointPolicy",
    "accessmonitor",
    "append",
    "asyncFetch",
    "bucketArchiveDirectRead",
    "bucketOverwriteConfig",
    "cname",
    "comp",
    "cors",
    "encryption",
    "httpsConfig",
    "img",
    "inventory",
    "inventoryId",
    "lifecycle",
    "logging",
    "metaQuery",
    "policy",
    "policyStatus",
    "processConfiguration",
    "publicAccessBlock",
    "qos",
    "qosInfo",
    "redundancyTransition",
    "referer",
    "regionList",
    "regions",
    "replication",
    "replicationLocation",
    "replicationProgress",
    "requestPayment",
    "requesterQosInfo",
    "resourceGroup",
    "resourcePool",
    "restore",
    "seal",
    "style",
    "symlink",
    "transferAcceleration",
    "versions",
    "vod",
    "website",
    "worm",
    "wormExtend",
    "wormId",
    "x-oss-async-process",
    "x-oss-process",
    "x-oss-rename",
    "x-oss-write-get-object-response",
];

impl Exchange {
    /// Finds the operation and carries it out.
    pub async fn run(&mut self) -> Result<Reply, OssError> {
        let query = &self.request.query;
        if let Some(name) = UNKNOWN_HERE.iter().find(|name| query.has(name)) {
            return Err(OssError::not_implemented(format_args!("the sub-resource {name:?}")));
        }
        let on_bucket = self.request.target.key.is_none();
        let changes = self.request.method != Method::GET;
        if on_bucket && query.has("tagging") || query.has("live") && (changes || !on_bucket) {
            return Err(OssError::not_implemented("tags of buckets and live channels"));
        }
        if query.get("versionId").is_some_and(|id| !id.is_empty() && id != "null") {
            return Err(OssError::not_implemented("versions of objects"));
        }
        if let Some(bucket) = &self.request.target.bucket {
            check_bucket_name(bucket)?;
        }
        if let Some(key) = &self.request.target.key {
            check_key(key)?;
        }
        match (self.request.target.bucket.is_some(), self.request.target.key.is_some()) {
            (true, true) => self.on_object().await,
            (true, false) => self.on_bucket().await,
            (false, _) => self.on_service(),
        }
    }

    fn on_service(&mut self) -> Result<Reply, OssError> {
        match self.request.method {
            Method::GET => self.list_buckets(),
            _ => Err(method_not_allowed(self.request.method.as_str())),
        }
    }

    async fn on_bucket(&mut self) -> Result<Reply, OssError> {
        let has = |name: &str| self.request.query.has(name);
        match self.request.method {
            Method::GET if has("bucketInfo") => self.get_bucket_info(),
            Method::GET if has("location") => self.get_bucket_location(),
            Method::GET if has("acl") => self.get_bucket_acl(),
            Method::GET if has("stat") => self.get_bucket_stat(),
            Method::GET if has("versioning") => self.get_bucket_versioning(),
            Method::GET if has("live") => self.list_live_channels(),
            Method::GET if has("uploads") => self.list_multipart_uploads(),
            Method::GET if self.request.query.get("list-type") == Some("2") => self.list_objects_v2(),
            Method::GET => self.list_objects(),
            Method::PUT if has("acl") => self.put_bucket_acl(),
            Method::PUT if !has("versioning") => self.put_bucket().await,
            Method::DELETE => self.delete_bucket(),
            Method::POST if has("delete") => self.delete_multiple_objects().await,
            Method::POST if self.is_form() => Err(OssError::not_implemented("PostObject")),
            _ => Err(method_not_allowed(self.request.method.as_str())),
        }
    }

    async fn on_object(&mut self) -> Result<Reply, OssError> {
        let has = |name: &str| self.request.query.has(name);
        let copies = self.request.headers.contains_key("x-oss-copy-source");
        match self.request.method {
            Method::PUT if has("uploadId") && copies => self.upload_part_copy(),
            Method::PUT if has("uploadId") => self.upload_part().await,
            Method::PUT if has("acl") => self.put_object_acl().await,
            Method::PUT if has("tagging") => self.put_object_tagging().await,
            Method::PUT if copies => self.copy_object().await,
            Method::PUT => self.put_object().await,
            Method::GET if has("uploadId") => self.list_parts(),
            Method::GET if has("acl") => self.get_object_acl(),
            Method::GET if has("tagging") => self.get_object_tagging(),
            Method::GET => self.get_object(),
            Method::HEAD => self.head_object(),
            Method::DELETE if has("uploadId") => self.abort_multipart_upload(),
            Method::DELETE if has("tagging") => self.delete_object_tagging().await,
            Method::DELETE => self.delete_object(),
            Method::POST if has("uploads") => self.initiate_multipart_upload(),
            Method::POST if has("uploadId") => self.complete_multipart_upload().await,
            _ => Err(method_not_allowed(self.request.method.as_str())),
        }
    }

    fn is_form(&self) -> bool {
        self.request.header("content-type").is_some_and(|value| value.starts_with("multipart/form-data"))
    }

    /// The bucket that the request names; there is one wherever this is called.
    fn bucket(&self) -> &str {
        self.request.target.bucket.as_deref().unwrap_or_default()
    }

    fn key(&self) -> &str {
        self.request.target.key.as_deref().unwrap_or_default()
    }

    /// Unless strict, a bucket comes into being at its first use.
    fn require_bucket(&self) -> Result<(), OssError> {
        if self.shared.store.bucket(self.bucket()).is_some() {
            return Ok(());
        }
        if self.shared.strict {
            return Err(no_such_bucket(self.bucket()));
        }
        let now = crate::clock::unix_ms(self.request.now);
        self.blocking(|| self.shared.store.put_bucket(self.bucket(), None, now)).map_err(OssError::internal)
    }

    /// Runs what may wait for the disk without holding up other requests.
    fn blocking<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.shared.store.on_disk() { tokio::task::block_in_place(work) } else { work() }
    }

    /// The store's refusal in OSS's words.
    fn refused(&self, error: StoreError) -> OssError {
        match error {
            StoreError::NoSuchBucket => no_such_bucket(self.bucket()),
            StoreError::NoSuchUpload => {
                no_such_upload(self.request.query.get("uploadId").unwrap_or_default())
            }
            StoreError::BucketNotEmpty => {
                OssError::new(409, "BucketNotEmpty", "The bucket you tried to delete is not empty.")
                    .with("BucketName", self.bucket())
            }
            StoreError::Conflict => file_already_exists(self.key()),
            StoreError::Io(error) => OssError::internal(error),
        }
    }

    /// A number in the query, within its range.
    fn number(
        &self,
        name: &'static str,
        range: std::ops::RangeInclusive<u32>,
        default: u32,
    ) -> Result<u32, OssError> {
        let Some(text) = self.request.query.get(name) else { return Ok(default) };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => Err(OssError::bad_argument(
                name,
                text,
                format!("Argument {name} must be an integer between {} and {}.", range.start(), range.end()),
            )),
        }
    }
}

fn file_already_exists(key: &str) -> OssError {
    OssError::new(
        409,
        "FileAlreadyExists",
        "The object you specified already exists and can not be overwritten.",
    )
    .with("Key", key)
}
