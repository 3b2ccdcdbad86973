//! XML as OSS writes and reads it. What goes out is always well-formed, whatever a key holds.

use std::borrow::Cow;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use serde::Deserialize;

use crate::error::OssError;

/// A document in the making.
pub(crate) struct XmlOut {
    writer: Writer<Vec<u8>>,
}

impl XmlOut {
    pub fn new() -> XmlOut {
        let mut out = XmlOut { writer: Writer::new(Vec::with_capacity(512)) };
        out.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        out
    }

    pub fn open(&mut self, name: &str) {
        self.event(Event::Start(BytesStart::new(name)));
    }

    pub fn close(&mut self, name: &str) {
        self.event(Event::End(BytesEnd::new(name)));
    }

    pub fn leaf(&mut self, name: &str, text: &str) {
        self.open(name);
        self.event(Event::Text(BytesText::new(&without_forbidden(text))));
        self.close(name);
    }

    pub fn number(&mut self, name: &str, number: impl std::fmt::Display) {
        self.leaf(name, &number.to_string());
    }

    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.writer.into_inner()).into_owned()
    }

    fn event(&mut self, event: Event<'_>) {
        // Writing into memory does not fail.
        let written = self.writer.write_event(event);
        debug_assert!(written.is_ok());
    }
}

/// XML 1.0 has no way to write most control characters, so a document that held one could not be read
/// at all. Lists offer `encoding-type=url` for such keys.
fn without_forbidden(text: &str) -> Cow<'_, str> {
    let forbidden = |c: char| match c {
        '\t' | '\n' | '\r' => false,
        '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => true,
        _ => false,
    };
    if text.contains(forbidden) {
        Cow::Owned(text.replace(forbidden, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Reads a request's document.
pub(crate) fn read<'d, T: Deserialize<'d>>(document: &'d [u8]) -> Result<T, OssError> {
    let malformed = |detail: String| {
        OssError::new(
            400,
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema.",
        )
        .with("ErrorDetail", detail)
    };
    let text = std::str::from_utf8(document).map_err(|error| malformed(error.to_string()))?;
    quick_xml::de::from_str(text).map_err(|error| malformed(error.to_string()))
}

/// `<CompleteMultipartUpload>`.
#[derive(Debug, Deserialize)]
pub(crate) struct CompleteUpload {
    #[serde(rename = "Part", default)]
    pub parts: Vec<CompletePart>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CompletePart {
    #[serde(rename = "PartNumber")]
    pub number: u32,
    #[serde(rename = "ETag")]
    pub etag: String,
}

/// `<Delete>`.
#[derive(Debug, Deserialize)]
pub(crate) struct DeleteMany {
    #[serde(rename = "Quiet", default)]
    pub quiet: bool,
    #[serde(rename = "Object", default)]
    pub objects: Vec<DeleteOne>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DeleteOne {
    #[serde(rename = "Key")]
    pub key: String,
}

/// `<Tagging>`.
#[derive(Debug, Deserialize)]
pub(crate) struct Tagging {
    #[serde(rename = "TagSet")]
    pub set: Option<TagSet>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct TagSet {
    #[serde(rename = "Tag", default)]
    pub tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Tag {
    #[serde(rename = "Key")]
    pub key: String,
    #[serde(rename = "Value", default)]
    pub value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_list_is_read_with_its_entities() {
        let document = br#"<?xml version="1.0"?><CompleteMultipartUpload>
            <Part><PartNumber>1</PartNumber><ETag>&quot;AB&quot;</ETag></Part>
            <Part><PartNumber>7</PartNumber><ETag>"CD"</ETag></Part></CompleteMultipartUpload>"#;
        let list: CompleteUpload = read(document).unwrap();
        assert_eq!(list.parts[0].etag, "\"AB\"");
        assert_eq!((list.parts[1].number, list.parts[1].etag.as_str()), (7, "\"CD\""));
    }

    #[test]
    fn broken_documents_are_malformed_xml_and_no_panic() {
        for document in
            [&b"<a"[..], b"", b"\xff\xfe", b"<CompleteMultipartUpload><Part></CompleteMultipartUpload>"]
        {
            let error = read::<CompleteUpload>(document).map(|_| ()).unwrap_err();
            assert_eq!(error.code, "MalformedXML", "{document:?}");
        }
    }

    #[test]
    fn keys_to_delete_keep_their_entities_and_blanks() {
        let list: DeleteMany =
            read(b"<Delete><Quiet>true</Quiet><Object><Key>a&amp;b c&lt;</Key></Object></Delete>").unwrap();
        assert!(list.quiet);
        assert_eq!(list.objects[0].key, "a&b c<");
    }

    #[test]
    fn control_characters_cannot_break_a_document() {
        let mut xml = XmlOut::new();
        xml.leaf("Key", "a\u{1}b\n");
        assert!(xml.finish().ends_with("<Key>a\u{fffd}b\n</Key>"));
    }
}
