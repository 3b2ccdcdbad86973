//! Names of the lists as Go spells them, by themselves and in what documents them.

use super::GROUPS;
use crate::codegen::api::{Api, ApiOption};
use crate::codegen::c::snake;

/// What Go writes in capitals throughout.
const INITIALISMS: [&str; 18] = [
    "URL", "ID", "CA", "MD5", "ACL", "SNI", "EC", "KMS", "SM4", "IA", "JSON", "CRC64", "ECS", "URI", "STS",
    "OS", "OIDC", "CNAME",
];

/// `server_side_encryption_key_id` as `ServerSideEncryptionKeyID`, `public-read` as `PublicRead`.
pub fn go_name(name: &str) -> String {
    let word = |word: &str| {
        let capitals = word.to_ascii_uppercase();
        match capitals.as_str() {
            "ETAG" => "ETag".to_owned(),
            "AES256" => capitals,
            _ if INITIALISMS.contains(&capitals.as_str()) => capitals,
            _ => word[..1].to_ascii_uppercase() + &word[1..],
        }
    };
    name.split(['_', '-']).map(word).collect()
}

/// `ObjectAcl` as `ObjectACL`.
pub fn go_type(option: &ApiOption) -> String {
    go_name(&snake(option.enum_name.as_deref().expect("checked")))
}

/// The documentation of errors, beside those of groups of options.
pub const ERRORS: &str = "errors";

/// The lists call their entries by their names in the list, in backquotes; Go's readers look for Go's: fields
/// of the struct that is documented by their names, all else by links.
pub fn in_go(api: &Api, within: &str, text: &str) -> String {
    let option = |word: &str| {
        let has = |group: &str| api.group(group).any(|option| option.name == word);
        let ty = GROUPS.iter().find(|(group, ..)| has(group)).map(|(_, ty, ..)| ty)?;
        Some(if has(within) { go_name(word) } else { format!("[{ty}.{}]", go_name(word)) })
    };
    let error = |word: &str| {
        if api.facts.iter().any(|fact| fact.name == word) {
            return Some(if within == ERRORS { go_name(word) } else { format!("[Error.{}]", go_name(word)) });
        }
        api.kinds.iter().any(|kind| kind.name == word).then(|| format!("[Err{}]", go_name(word)))
    };
    let spelled = |word: &str| match within {
        ERRORS => error(word).or_else(|| option(word)),
        _ => option(word).or_else(|| error(word)),
    };
    let parts = text.split('`').enumerate().map(|(index, part)| match index % 2 {
        1 => spelled(part).unwrap_or_else(|| format!("`{part}`")),
        _ => part.to_owned(),
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_what_go_has() {
        let api = Api::load(&crate::root()).unwrap();
        let text = "`endpoint` or an endpoint, `none`, `callback_retry`, `ec` and `outcome_unknown`";
        for (within, expected) in [
            (
                "client",
                "Endpoint or an endpoint, `none`, [PutOptions.CallbackRetry], [Error.EC] and [ErrOutcomeUnknown]",
            ),
            (
                "upload",
                "[Options.Endpoint] or an endpoint, `none`, CallbackRetry, [Error.EC] and [ErrOutcomeUnknown]",
            ),
            (
                ERRORS,
                "[Options.Endpoint] or an endpoint, `none`, [PutOptions.CallbackRetry], EC and [ErrOutcomeUnknown]",
            ),
        ] {
            assert_eq!(in_go(&api, within, text), expected);
        }
    }

    #[test]
    fn names_are_as_go_writes_them() {
        let pairs = [
            ("server_side_encryption_key_id", "ServerSideEncryptionKeyID"),
            ("ca_certificates", "CACertificates"),
            ("content_md5", "ContentMD5"),
            ("public-read", "PublicRead"),
            ("object_acl", "ObjectACL"),
            ("AES256", "AES256"),
            ("etag", "ETag"),
            ("crc64", "CRC64"),
            ("ecs_role_name", "ECSRoleName"),
            ("credentials_uri", "CredentialsURI"),
            ("sts_endpoint", "STSEndpoint"),
            ("oidc", "OIDC"),
            ("cname", "CNAME"),
            ("DeepColdArchive", "DeepColdArchive"),
            ("virtual", "Virtual"),
        ];
        for (name, expected) in pairs {
            assert_eq!(go_name(name), expected);
        }
    }
}
