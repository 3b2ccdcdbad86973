//! Buckets: create, describe, list, delete.

use super::Exchange;
use crate::clock::{unix_ms, xml_time};
use crate::error::{OssError, no_such_bucket};
use crate::reply::Reply;
use crate::store::BucketInfo;
use crate::xml::XmlOut;

const DOCUMENT_LIMIT: usize = 64 * 1024;
const ACLS: &[&str] = &["private", "public-read", "public-read-write"];

impl Exchange {
    pub(super) fn list_buckets(&mut self) -> Result<Reply, OssError> {
        let limit = self.number("max-keys", 1..=1000, 100)? as usize;
        let prefix = self.request.query.get("prefix").unwrap_or_default();
        let marker = self.request.query.get("marker").unwrap_or_default();
        let mut buckets = self.shared.store.buckets();
        buckets.retain(|(name, _)| name.starts_with(prefix) && name.as_str() > marker);
        let truncated = buckets.len() > limit;
        buckets.truncate(limit);

        let mut xml = XmlOut::new();
        xml.open("ListAllMyBucketsResult");
        xml.leaf("Prefix", prefix);
        xml.leaf("Marker", marker);
        xml.number("MaxKeys", limit);
        xml.leaf("IsTruncated", if truncated { "true" } else { "false" });
        if let Some((last, _)) = buckets.last().filter(|_| truncated) {
            xml.leaf("NextMarker", last);
        }
        self.owner(&mut xml);
        xml.open("Buckets");
        for (name, info) in &buckets {
            xml.open("Bucket");
            self.describe_bucket(&mut xml, name, info);
            xml.close("Bucket");
        }
        xml.close("Buckets");
        xml.close("ListAllMyBucketsResult");
        Ok(Reply::xml(xml.finish()))
    }

    /// Who owns everything here.
    pub(super) fn owner(&self, xml: &mut XmlOut) {
        xml.open("Owner");
        xml.leaf("ID", &self.shared.owner_id);
        xml.leaf("DisplayName", &self.shared.owner_id);
        xml.close("Owner");
    }

    fn describe_bucket(&self, xml: &mut XmlOut, name: &str, info: &BucketInfo) {
        xml.leaf("CreationDate", &xml_time(info.created_ms));
        xml.leaf("ExtranetEndpoint", &self.shared.address.to_string());
        xml.leaf("IntranetEndpoint", &self.shared.address.to_string());
        xml.leaf("Location", &format!("oss-{}", self.shared.region));
        xml.leaf("Name", name);
        xml.leaf("Region", &self.shared.region);
        xml.leaf("StorageClass", "Standard");
    }

    /// The bucket that must be there. Unless strict it comes into being here too: a client may look
    /// before its first upload.
    fn bucket_info(&self) -> Result<BucketInfo, OssError> {
        self.require_bucket()?;
        self.shared.store.bucket(self.bucket()).ok_or_else(|| no_such_bucket(self.bucket()))
    }

    pub(super) fn get_bucket_info(&mut self) -> Result<Reply, OssError> {
        let info = self.bucket_info()?;
        let mut xml = XmlOut::new();
        xml.open("BucketInfo");
        xml.open("Bucket");
        self.describe_bucket(&mut xml, self.bucket(), &info);
        xml.leaf("DataRedundancyType", "LRS");
        xml.leaf("AccessMonitor", "Disabled");
        xml.leaf("BlockPublicAccess", "false");
        xml.leaf("TransferAcceleration", "Disabled");
        xml.leaf("CrossRegionReplication", "Disabled");
        self.owner(&mut xml);
        xml.open("AccessControlList");
        xml.leaf("Grant", &info.acl);
        xml.close("AccessControlList");
        xml.open("ServerSideEncryptionRule");
        xml.leaf("SSEAlgorithm", "None");
        xml.close("ServerSideEncryptionRule");
        xml.leaf("Comment", "");
        xml.close("Bucket");
        xml.close("BucketInfo");
        Ok(Reply::xml(xml.finish()))
    }

    pub(super) fn get_bucket_location(&mut self) -> Result<Reply, OssError> {
        self.bucket_info()?;
        let mut xml = XmlOut::new();
        xml.leaf("LocationConstraint", &format!("oss-{}", self.shared.region));
        Ok(Reply::xml(xml.finish()))
    }

    pub(super) fn get_bucket_acl(&mut self) -> Result<Reply, OssError> {
        let info = self.bucket_info()?;
        let mut xml = XmlOut::new();
        xml.open("AccessControlPolicy");
        self.owner(&mut xml);
        xml.open("AccessControlList");
        xml.leaf("Grant", &info.acl);
        xml.close("AccessControlList");
        xml.close("AccessControlPolicy");
        Ok(Reply::xml(xml.finish()))
    }

    pub(super) fn get_bucket_stat(&mut self) -> Result<Reply, OssError> {
        self.bucket_info()?;
        let (objects, bytes, uploads) =
            self.shared.store.stat(self.bucket()).map_err(|error| self.refused(error))?;
        let mut xml = XmlOut::new();
        xml.open("BucketStat");
        xml.number("Storage", bytes);
        xml.number("ObjectCount", objects);
        xml.number("MultipartUploadCount", uploads);
        xml.number("LiveChannelCount", 0);
        xml.close("BucketStat");
        Ok(Reply::xml(xml.finish()))
    }

    /// Versioning was never switched on, which OSS tells by an empty document.
    pub(super) fn get_bucket_versioning(&mut self) -> Result<Reply, OssError> {
        self.bucket_info()?;
        let mut xml = XmlOut::new();
        xml.leaf("VersioningConfiguration", "");
        Ok(Reply::xml(xml.finish()))
    }

    /// There are none, which clients that clean up after themselves want to hear.
    pub(super) fn list_live_channels(&mut self) -> Result<Reply, OssError> {
        self.bucket_info()?;
        let mut xml = XmlOut::new();
        xml.open("ListLiveChannelResult");
        xml.leaf("Prefix", &self.query_text("prefix"));
        xml.leaf("Marker", &self.query_text("marker"));
        xml.number("MaxKeys", self.number("max-keys", 1..=1000, 100)?);
        xml.leaf("IsTruncated", "false");
        xml.leaf("NextMarker", "");
        xml.close("ListLiveChannelResult");
        Ok(Reply::xml(xml.finish()))
    }

    /// A bucket that exists is the caller's own, so creating it again is no error.
    pub(super) async fn put_bucket(&mut self) -> Result<Reply, OssError> {
        // Storage class and redundancy make no difference here, so the document is read and not looked at.
        self.body.read(DOCUMENT_LIMIT).await?;
        let acl = self.bucket_acl()?;
        self.store_bucket(acl)?;
        Ok(Reply::new(200).header("location", format!("/{}", self.bucket())))
    }

    pub(super) fn put_bucket_acl(&mut self) -> Result<Reply, OssError> {
        let acl = self.bucket_acl()?;
        self.require_bucket()?;
        self.store_bucket(acl)?;
        Ok(Reply::new(200))
    }

    fn bucket_acl(&self) -> Result<Option<String>, OssError> {
        match self.request.header("x-oss-acl") {
            None => Ok(None),
            Some(acl) if ACLS.contains(&acl) => Ok(Some(acl.to_owned())),
            Some(acl) => Err(OssError::bad_argument(
                "x-oss-acl",
                acl,
                format!("It must be one of {}.", ACLS.join(", ")),
            )),
        }
    }

    fn store_bucket(&self, acl: Option<String>) -> Result<(), OssError> {
        let now = unix_ms(self.request.now);
        self.blocking(|| self.shared.store.put_bucket(self.bucket(), acl.as_deref(), now))
            .map_err(OssError::internal)
    }

    /// A bucket that was never used does not exist, strict or not.
    pub(super) fn delete_bucket(&mut self) -> Result<Reply, OssError> {
        self.blocking(|| self.shared.store.delete_bucket(self.bucket()))
            .map_err(|error| self.refused(error))?;
        Ok(Reply::new(204))
    }
}
