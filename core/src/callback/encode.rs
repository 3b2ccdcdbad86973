//! The JSON of callback and variables, and its Base64, which is what travels.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::error::{Error, ErrorKind, Result};

/// The members of a callback, in the order in which they are written.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Members<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_body_type: Option<&'static str>,
    /// Written only when true: false is OSS's default.
    #[serde(rename = "callbackSNI", skip_serializing_if = "std::ops::Not::not")]
    pub callback_sni: bool,
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub additional_headers: Pairs<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_policy: Option<&'a str>,
}

/// Pairs of text as a JSON object, in the order given.
pub(super) struct Pairs<'a>(pub &'a [(String, String)]);

impl Pairs<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

pub(super) fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| {
        Error::new(ErrorKind::Bug, "the callback could not be written as JSON").with_source(error)
    })
}

pub(super) fn base64(json: &str) -> String {
    BASE64_STANDARD.encode(json)
}
