//! Tags of objects: given with an upload, or read and changed by themselves.

use super::Exchange;
use crate::error::OssError;
use crate::query::Query;
use crate::reply::Reply;
use crate::xml::{self, Tagging, XmlOut};

/// Tags of one object, and characters of a tag's key and value (OSS, "Object tagging").
const TAG_LIMIT: usize = 10;
const KEY_LIMIT: usize = 128;
const VALUE_LIMIT: usize = 256;
const DOCUMENT_LIMIT: usize = 64 * 1024;

pub(super) type Tags = Vec<(String, String)>;

/// `x-oss-tagging: k=v&k2=v2`, URL-encoded.
pub(super) fn of_header(text: &str) -> Result<Tags, OssError> {
    let pairs = Query::parse(text, true).ok_or_else(|| invalid("the tags are not UTF-8"))?;
    checked(
        pairs.pairs().iter().map(|(key, value)| (key.clone(), value.clone().unwrap_or_default())).collect(),
    )
}

fn checked(tags: Tags) -> Result<Tags, OssError> {
    if tags.len() > TAG_LIMIT {
        return Err(invalid("an object has at most 10 tags"));
    }
    let fits = |text: &str, limit: usize| {
        text.chars().count() <= limit && text.chars().all(|c| c.is_alphanumeric() || " +-=._:/".contains(c))
    };
    for (position, (key, value)) in tags.iter().enumerate() {
        if key.is_empty() || !fits(key, KEY_LIMIT) || !fits(value, VALUE_LIMIT) {
            return Err(invalid(
                "a tag's key or value is too long, empty, or has a character that is not allowed",
            ));
        }
        if tags.iter().take(position).any(|(other, _)| other == key) {
            return Err(invalid("a tag's key is given twice"));
        }
    }
    Ok(tags)
}

fn invalid(detail: &str) -> OssError {
    OssError::new(400, "InvalidTag", format!("The tagging is not valid: {detail}."))
}

impl Exchange {
    pub(super) fn get_object_tagging(&mut self) -> Result<Reply, OssError> {
        let meta = self.require_object()?;
        let mut xml = XmlOut::new();
        xml.open("Tagging");
        xml.open("TagSet");
        for (key, value) in &meta.properties.tags {
            xml.open("Tag");
            xml.leaf("Key", key);
            xml.leaf("Value", value);
            xml.close("Tag");
        }
        xml.close("TagSet");
        xml.close("Tagging");
        Ok(Reply::xml(xml.finish()))
    }

    pub(super) async fn put_object_tagging(&mut self) -> Result<Reply, OssError> {
        let document = self.body.read(DOCUMENT_LIMIT).await?;
        let tagging: Tagging = xml::read(&document)?;
        let tags = tagging.set.unwrap_or_default().tags;
        let tags = checked(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())?;
        self.change_object(|properties| properties.tags.clone_from(&tags)).await?;
        Ok(Reply::new(200))
    }

    pub(super) async fn delete_object_tagging(&mut self) -> Result<Reply, OssError> {
        self.change_object(|properties| properties.tags.clear()).await?;
        Ok(Reply::new(204))
    }
}
