//! OSS's operations, and which request means which.

use std::fmt;
use std::str::FromStr;

use hyper::Method;

use crate::address::Target;
use crate::query::Query;
use crate::request::Request;

macro_rules! operations {
    ($($name:ident),+ $(,)?) => {
        /// An operation of OSS that the emulator knows, under OSS's own name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[allow(missing_docs)]
        pub enum Operation {
            $($name),+
        }

        impl Operation {
            /// All of them, by name.
            pub const ALL: &[Operation] = &[$(Operation::$name),+];

            /// Such as `PutObject`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Operation::$name => stringify!($name)),+
                }
            }
        }
    };
}

operations! {
    AbortMultipartUpload,
    CompleteMultipartUpload,
    CopyObject,
    DeleteBucket,
    DeleteMultipleObjects,
    DeleteObject,
    DeleteObjectTagging,
    GetBucketAcl,
    GetBucketInfo,
    GetBucketLocation,
    GetBucketStat,
    GetBucketVersioning,
    GetObject,
    GetObjectACL,
    GetObjectMeta,
    GetObjectTagging,
    HeadObject,
    InitiateMultipartUpload,
    ListBuckets,
    ListLiveChannel,
    ListMultipartUploads,
    ListObjects,
    ListObjectsV2,
    ListParts,
    PostObject,
    PutBucket,
    PutBucketAcl,
    PutObject,
    PutObjectACL,
    PutObjectTagging,
    UploadPart,
    UploadPartCopy,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Operation {
    type Err = String;

    fn from_str(text: &str) -> Result<Operation, String> {
        let known = Operation::ALL.iter().find(|known| known.name().eq_ignore_ascii_case(text));
        known.copied().ok_or_else(|| {
            let names: Vec<&str> = Operation::ALL.iter().map(|known| known.name()).collect();
            format!("`{text}` is no operation; there are {}", names.join(", "))
        })
    }
}

impl Operation {
    /// What the request asks for; `None` if OSS has no such thing there.
    pub(crate) fn of(request: &Request, target: &Target, query: &Query) -> Option<Operation> {
        match (target.bucket.is_some(), target.key.is_some()) {
            (true, true) => Operation::on_object(request, query),
            (true, false) => Operation::on_bucket(request, query),
            (false, _) => (request.method == Method::GET).then_some(Operation::ListBuckets),
        }
    }

    fn on_bucket(request: &Request, query: &Query) -> Option<Operation> {
        let has = |name: &str| query.has(name);
        let is_form = || {
            let content_type = request.header("content-type").unwrap_or_default();
            let media_type = content_type.split(';').next().unwrap_or_default().trim();
            media_type.eq_ignore_ascii_case("multipart/form-data")
        };
        Some(match request.method {
            Method::GET if has("bucketInfo") => Operation::GetBucketInfo,
            Method::GET if has("location") => Operation::GetBucketLocation,
            Method::GET if has("acl") => Operation::GetBucketAcl,
            Method::GET if has("stat") => Operation::GetBucketStat,
            Method::GET if has("versioning") => Operation::GetBucketVersioning,
            Method::GET if has("live") => Operation::ListLiveChannel,
            Method::GET if has("uploads") => Operation::ListMultipartUploads,
            Method::GET if query.get("list-type") == Some("2") => Operation::ListObjectsV2,
            Method::GET => Operation::ListObjects,
            Method::PUT if has("acl") => Operation::PutBucketAcl,
            Method::PUT if !has("versioning") => Operation::PutBucket,
            Method::DELETE => Operation::DeleteBucket,
            Method::POST if has("delete") => Operation::DeleteMultipleObjects,
            Method::POST if is_form() => Operation::PostObject,
            _ => return None,
        })
    }

    fn on_object(request: &Request, query: &Query) -> Option<Operation> {
        let has = |name: &str| query.has(name);
        let copies = request.headers.contains_key("x-oss-copy-source");
        Some(match request.method {
            Method::PUT if has("uploadId") && copies => Operation::UploadPartCopy,
            Method::PUT if has("uploadId") => Operation::UploadPart,
            Method::PUT if has("acl") => Operation::PutObjectACL,
            Method::PUT if has("tagging") => Operation::PutObjectTagging,
            Method::PUT if copies => Operation::CopyObject,
            Method::PUT => Operation::PutObject,
            Method::GET if has("uploadId") => Operation::ListParts,
            Method::GET if has("acl") => Operation::GetObjectACL,
            Method::GET if has("tagging") => Operation::GetObjectTagging,
            Method::GET => Operation::GetObject,
            Method::HEAD if has("objectMeta") => Operation::GetObjectMeta,
            Method::HEAD => Operation::HeadObject,
            Method::DELETE if has("uploadId") => Operation::AbortMultipartUpload,
            Method::DELETE if has("tagging") => Operation::DeleteObjectTagging,
            Method::DELETE => Operation::DeleteObject,
            Method::POST if has("uploads") => Operation::InitiateMultipartUpload,
            Method::POST if has("uploadId") => Operation::CompleteMultipartUpload,
            _ => return None,
        })
    }
}
