//! What the emulator can do, one file per group of operations, and which request means which.

mod bucket;
mod copy;
mod delete;
mod form;
mod list;
mod multipart;
mod object;
mod parts;
mod policy;
mod post;
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
use crate::fault::CallbackCause;
use crate::operation::Operation;
use crate::reply::Reply;
use crate::request::{Request, RequestBody};
use crate::store::StoreError;

pub(crate) use form::Form;

/// One request on its way through the emulator.
pub(crate) struct Exchange {
    pub shared: Arc<Shared>,
    pub request: Request,
    pub body: RequestBody,
    /// OSS's name of the operation, once it is known.
    pub operation: &'static str,
    /// How its callback is to fail.
    pub callback_cause: Option<CallbackCause>,
    /// The connection ends here: nothing more is to be read from it.
    pub is_cut: bool,
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
        let operation = Operation::of(&self.request, &self.request.target, &self.request.query)
            .ok_or_else(|| method_not_allowed(self.request.method.as_str()))?;
        self.operation = operation.name();
        match operation {
            Operation::AbortMultipartUpload => self.abort_multipart_upload(),
            Operation::CompleteMultipartUpload => self.complete_multipart_upload().await,
            Operation::CopyObject => self.copy_object().await,
            Operation::DeleteBucket => self.delete_bucket(),
            Operation::DeleteMultipleObjects => self.delete_multiple_objects().await,
            Operation::DeleteObject => self.delete_object(),
            Operation::DeleteObjectTagging => self.delete_object_tagging().await,
            Operation::GetBucketAcl => self.get_bucket_acl(),
            Operation::GetBucketInfo => self.get_bucket_info(),
            Operation::GetBucketLocation => self.get_bucket_location(),
            Operation::GetBucketStat => self.get_bucket_stat(),
            Operation::GetBucketVersioning => self.get_bucket_versioning(),
            Operation::GetObject => self.get_object(),
            Operation::GetObjectACL => self.get_object_acl(),
            Operation::GetObjectTagging => self.get_object_tagging(),
            Operation::HeadObject | Operation::GetObjectMeta => self.head_object(),
            Operation::InitiateMultipartUpload => self.initiate_multipart_upload(),
            Operation::ListBuckets => self.list_buckets(),
            Operation::ListLiveChannel => self.list_live_channels(),
            Operation::ListMultipartUploads => self.list_multipart_uploads(),
            Operation::ListObjects => self.list_objects(),
            Operation::ListObjectsV2 => self.list_objects_v2(),
            Operation::ListParts => self.list_parts(),
            Operation::PostObject => self.post_object().await,
            Operation::PutBucket => self.put_bucket().await,
            Operation::PutBucketAcl => self.put_bucket_acl(),
            Operation::PutObject => self.put_object().await,
            Operation::PutObjectACL => self.put_object_acl().await,
            Operation::PutObjectTagging => self.put_object_tagging().await,
            Operation::UploadPart => self.upload_part().await,
            Operation::UploadPartCopy => self.upload_part_copy(),
        }
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
