//! Signature V1, step by step (OSS, "Include a V1 signature in the Authorization header" and "… in a URL").
//!
//! Servers that judge a request use the same steps as [`Signer`](super::Signer): take the request apart,
//! leave out the signature itself, and compare in constant time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::canonical::{self, Parts};

/// Query names that are signed beside every `x-oss-*`, sorted: those of the V1 page, of the Java and Go SDKs
/// and of oss2 together.
const SUB_RESOURCES: &[&str] = &[
    "accessPoint",
    "accessPointPolicy",
    "acl",
    "append",
    "asyncFetch",
    "bucketArchiveDirectRead",
    "bucketInfo",
    "callback",
    "callback-var",
    "cloudboxes",
    "cname",
    "comp",
    "continuation-token",
    "cors",
    "delete",
    "encryption",
    "endTime",
    "family",
    "group",
    "httpsConfig",
    "img",
    "inventory",
    "inventoryId",
    "lifecycle",
    "link",
    "live",
    "location",
    "logging",
    "metaQuery",
    "objectMeta",
    "partNumber",
    "policy",
    "policyStatus",
    "position",
    "processConfiguration",
    "publicAccessBlock",
    "qos",
    "qosInfo",
    "qosRequester",
    "redundancyTransition",
    "referer",
    "regionList",
    "replication",
    "replicationLocation",
    "replicationProgress",
    "requestPayment",
    "requesterQosInfo",
    "resourceGroup",
    "resourcePool",
    "resourcePoolBuckets",
    "resourcePoolInfo",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "seal",
    "security-token",
    "sequential",
    "startTime",
    "stat",
    "status",
    "style",
    "styleName",
    "symlink",
    "tagging",
    "transferAcceleration",
    "udf",
    "udfApplication",
    "udfApplicationLog",
    "udfImage",
    "udfImageDesc",
    "udfName",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "vip",
    "vod",
    "vpcip",
    "website",
    "worm",
    "wormExtend",
    "wormId",
];

/// Whether a query name is a sub-resource, which V1 signs.
pub fn is_sub_resource(name: &str) -> bool {
    name.starts_with("x-oss-") || SUB_RESOURCES.binary_search(&name).is_ok()
}

/// The date that a request signed by header goes by: `x-oss-date` where it is given, else `Date`.
pub fn date_line<'a>(parts: &'a Parts<'_>) -> Option<&'a str> {
    parts.header("x-oss-date").or_else(|| parts.header("date"))
}

/// The string to sign. `date` is [`date_line`] by header, and the value of `Expires` by URL.
pub fn string_to_sign(parts: &Parts<'_>, date: &str) -> String {
    let headers: usize = parts.headers.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let mut out = String::with_capacity(headers + parts.key.map_or(0, str::len) + 192);
    let md5 = parts.header("content-md5").unwrap_or("");
    let content_type = parts.header("content-type").unwrap_or("");
    for line in [parts.method, md5, content_type, date] {
        out.push_str(line);
        out.push('\n');
    }
    parts.push_headers(&mut out, canonical::is_oss_header);
    parts.push_resource(&mut out, |out, key| out.push_str(key));
    push_sub_resources(&mut out, &parts.query);
    out
}

fn push_sub_resources(out: &mut String, query: &[(&str, Option<&str>)]) {
    let mut signed: Vec<(&str, &str)> = query
        .iter()
        .filter(|(name, _)| is_sub_resource(name))
        .map(|(name, value)| (*name, value.unwrap_or("")))
        .collect();
    signed.sort_unstable();
    for (index, (name, value)) in signed.into_iter().enumerate() {
        out.push(if index == 0 { '?' } else { '&' });
        out.push_str(name);
        if !value.is_empty() {
            out.push('=');
            out.push_str(value);
        }
    }
}

/// The signature, in Base64.
pub fn signature(access_key_secret: &str, string_to_sign: &str) -> String {
    let mut mac =
        Hmac::<Sha1>::new_from_slice(access_key_secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(string_to_sign.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_sub_resources_is_sorted_for_its_search() {
        assert!(SUB_RESOURCES.is_sorted());
        for name in SUB_RESOURCES {
            assert!(is_sub_resource(name), "{name}");
        }
        assert!(is_sub_resource("x-oss-process") && is_sub_resource("x-oss-anything"));
        assert!(!is_sub_resource("prefix") && !is_sub_resource("ACL") && !is_sub_resource("x-os"));
    }

    #[test]
    fn the_date_line_prefers_x_oss_date() {
        let mut parts = Parts { headers: vec![("DATE", " a ")], ..Parts::default() };
        assert_eq!(date_line(&parts), Some("a"));
        parts.headers.push(("X-Oss-Date", "b"));
        assert_eq!(date_line(&parts), Some("b"));
        assert_eq!(date_line(&Parts::default()), None);
    }

    #[test]
    fn the_example_of_the_v1_page_is_reproduced() {
        let parts = Parts {
            method: "PUT",
            bucket: Some("oss-example"),
            key: Some("nelson"),
            headers: vec![
                ("Content-MD5", "ODBGOERFMDMzQTczRUY3NUE3NzA5QzdFNUYzMDQxNEM="),
                ("Content-Type", "text/html"),
                ("X-OSS-Meta-Author", "foo@bar.com"),
                ("X-OSS-Magic", "abracadabra"),
            ],
            ..Parts::default()
        };
        let text = string_to_sign(&parts, "Thu, 17 Nov 2005 18:49:58 GMT");
        assert_eq!(
            signature("OtxrzxIsfpFjA7SwPzILwy8Bw21TLhquhboDYROV", &text),
            "26NBxoKdsyly4EDv6inkoDft/yA="
        );
    }
}
