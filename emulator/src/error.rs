//! Errors as OSS tells them: status, code, message, EC, and further members of the error XML.

use crate::xml::XmlOut;

/// What OSS answers when it does not do what was asked.
#[derive(Clone, Debug)]
pub(crate) struct OssError {
    /// HTTP status.
    pub status: u16,
    /// OSS's error code, such as `NoSuchKey`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// OSS's fine-grained error number.
    pub ec: Option<String>,
    /// Further members of the error XML, such as `ArgumentName`.
    pub members: Vec<(String, String)>,
}

impl OssError {
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> OssError {
        OssError { status, code: code.into(), message: message.into(), ec: None, members: Vec::new() }
    }

    pub fn invalid_argument(message: impl Into<String>) -> OssError {
        OssError::new(400, "InvalidArgument", message)
    }

    /// An `InvalidArgument` that names the argument and repeats its value, as OSS does.
    pub fn bad_argument(name: &str, value: &str, message: impl Into<String>) -> OssError {
        OssError::invalid_argument(message).with("ArgumentName", name).with("ArgumentValue", value)
    }

    pub fn access_denied(message: impl Into<String>) -> OssError {
        OssError::new(403, "AccessDenied", message)
    }

    /// The emulator's own trouble: a full disk, say. Clients may try again.
    pub fn internal(message: impl std::fmt::Display) -> OssError {
        OssError::new(500, "InternalError", format!("The emulator met an internal error: {message}."))
    }

    /// Something that OSS can do and the emulator cannot.
    pub fn not_implemented(what: impl std::fmt::Display) -> OssError {
        OssError::new(501, "NotImplemented", format!("The OSS emulator does not implement {what}."))
    }

    pub fn with_ec(mut self, ec: impl Into<String>) -> OssError {
        self.ec = Some(ec.into());
        self
    }

    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> OssError {
        self.members.push((name.into(), value.into()));
        self
    }

    /// The document that goes into the body, or Base64-encoded into `x-oss-err` where there is no body.
    pub fn to_xml(&self, request_id: &str, host_id: &str) -> String {
        let mut xml = XmlOut::new();
        xml.open("Error");
        xml.leaf("Code", &self.code);
        xml.leaf("Message", &self.message);
        xml.leaf("RequestId", request_id);
        xml.leaf("HostId", host_id);
        for (name, value) in &self.members {
            xml.leaf(name, value);
        }
        if let Some(ec) = &self.ec {
            xml.leaf("EC", ec);
            xml.leaf("RecommendDoc", &format!("https://api.alibabacloud.com/troubleshoot?q={ec}"));
        }
        xml.close("Error");
        xml.finish()
    }
}

pub(crate) fn no_such_bucket(bucket: &str) -> OssError {
    OssError::new(404, "NoSuchBucket", "The specified bucket does not exist.")
        .with("BucketName", bucket)
        .with_ec("0015-00000101")
}

pub(crate) fn no_such_key(key: &str) -> OssError {
    OssError::new(404, "NoSuchKey", "The specified key does not exist.")
        .with("Key", key)
        .with_ec("0026-00000001")
}

pub(crate) fn no_such_upload(upload_id: &str) -> OssError {
    OssError::new(
        404,
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been \
         aborted or completed.",
    )
    .with("UploadId", upload_id)
}

pub(crate) fn method_not_allowed(method: &str) -> OssError {
    OssError::new(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        .with("Method", method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_xml_holds_every_member_and_escapes_it() {
        let error = OssError::bad_argument("callback", "<a&b>", "Bad \"thing\".").with_ec("0007-00000003");
        let xml = error.to_xml("5C3D9175B6FC201293AD4890", "b.localhost");
        assert!(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"), "{xml}");
        assert!(xml.contains("<Code>InvalidArgument</Code>"), "{xml}");
        assert!(xml.contains("<RequestId>5C3D9175B6FC201293AD4890</RequestId>"), "{xml}");
        assert!(xml.contains("<HostId>b.localhost</HostId>"), "{xml}");
        assert!(xml.contains("<ArgumentValue>&lt;a&amp;b&gt;</ArgumentValue>"), "{xml}");
        assert!(xml.contains("<EC>0007-00000003</EC>"), "{xml}");
        assert!(xml.contains("q=0007-00000003</RecommendDoc>"), "{xml}");
    }

    #[test]
    fn an_error_without_ec_has_no_empty_member() {
        let xml = OssError::access_denied("No.").to_xml("R", "H");
        assert!(!xml.contains("<EC>") && !xml.contains("RecommendDoc"), "{xml}");
    }
}
