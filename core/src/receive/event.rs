//! What a verified callback says, typed.

use std::collections::BTreeMap;

use super::BodyType;
use super::fields::{self, Field, FieldKind};
use super::layout::{Claims, Layout, default_claims};
use super::seal::Seal;
use crate::error::{Error, Result, VerificationReason};

/// What a verified callback says of the upload.
///
/// An accessor returns `None` (or [`Number::Absent`]) if the body does not name the variable at all;
/// an empty text means that OSS had no value for it, such as `vpc_id` outside of a VPC.
///
/// How far each of these can be believed depends on the checks that were made: see the
/// [module's head](super).
#[derive(Clone, Debug)]
pub struct CallbackEvent {
    fields: Vec<Field>,
    claims: Claims,
    seal: Option<Seal>,
}

/// A number in a callback body, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number<'a> {
    /// The body does not name it.
    Absent,
    /// The body names it, but OSS had no value: image sizes of what is not an image.
    Empty,
    /// The body has something else than a number from 0 to 2^64 - 1.
    Invalid(&'a str),
    /// The number.
    Value(u64),
}

impl Number<'_> {
    /// The number, if there is one.
    pub fn value(self) -> Option<u64> {
        match self {
            Number::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// What the callback says of an image (`imageInfo`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageInfo<'a> {
    /// Width in pixels.
    pub width: Number<'a>,
    /// Height in pixels.
    pub height: Number<'a>,
    /// Format, such as `jpg`; empty for what is not an image.
    pub format: Option<&'a str>,
}

impl CallbackEvent {
    /// Understands a body, without verifying anything: for a body that was verified elsewhere.
    ///
    /// `template` is the callback body as it was given to OSS, with its `${…}`. Without it, fields go by
    /// OSS's own names (`bucket`, `object`, …), and all others are custom variables, as in this library's
    /// default callback body.
    ///
    /// # Errors
    /// `verification` with reason `malformed_body` for a body that is not of that type, does not fit the
    /// template, contradicts itself, or has more than 1024 fields or 16 levels of nesting;
    /// `invalid_argument` for a template that cannot be read backwards.
    pub fn parse(body: &[u8], body_type: BodyType, template: Option<&str>) -> Result<CallbackEvent> {
        let layout = template.map(|template| read_template(template, body_type)).transpose()?;
        CallbackEvent::with_layout(body, body_type, layout.as_ref())
    }

    /// An event of fields that were kept of one, by OSS's names (`bucket`, `object`, `etag`, …), without
    /// verifying anything: for [`confirm`](crate::Client::confirm), long after the callback or elsewhere.
    /// Fields of other names are custom variables.
    ///
    /// # Errors
    /// `invalid_argument` if there are two values for one name.
    pub fn from_fields<N: Into<String>, V: Into<String>>(
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Result<CallbackEvent> {
        let field =
            |(name, text): (N, V)| Field { name: name.into(), text: text.into(), kind: FieldKind::Text };
        let fields: Vec<Field> = fields.into_iter().map(field).collect();
        let claims = default_claims(&fields).map_err(|why| Error::invalid_argument("fields", why))?;
        Ok(CallbackEvent { claims, fields, seal: None })
    }

    pub(super) fn with_layout(
        body: &[u8],
        body_type: BodyType,
        layout: Option<&Layout>,
    ) -> Result<CallbackEvent> {
        let malformed =
            |why: String| Error::verification(VerificationReason::MalformedBody, format!("the body {why}"));
        let fields = fields::parse(body, body_type).map_err(malformed)?;
        let claims = match layout {
            Some(layout) => layout.claims(&fields),
            None => default_claims(&fields),
        };
        Ok(CallbackEvent { claims: claims.map_err(malformed)?, fields, seal: None })
    }

    pub(super) fn sealed_by(mut self, seal: Seal) -> CallbackEvent {
        self.seal = Some(seal);
        self
    }

    /// Name of the bucket.
    pub fn bucket(&self) -> Option<&str> {
        self.text("bucket")
    }

    /// The object's key, decoded.
    pub fn key(&self) -> Option<&str> {
        self.text("object")
    }

    /// The object's ETag, without quotes.
    pub fn etag(&self) -> Option<&str> {
        self.text("etag").map(|etag| etag.trim_matches('"'))
    }

    /// The object's size in bytes; of a multipart upload the whole.
    pub fn size(&self) -> Number<'_> {
        self.number("size")
    }

    /// The object's Content-Type.
    pub fn mime_type(&self) -> Option<&str> {
        self.text("mimeType")
    }

    /// The object's CRC-64.
    pub fn crc64(&self) -> Number<'_> {
        self.number("crc64")
    }

    /// Base64 of the object's MD5. OSS fills it in for PutObject and PostObject only.
    pub fn content_md5(&self) -> Option<&str> {
        self.text("contentMd5")
    }

    /// Size and format of an image.
    pub fn image(&self) -> ImageInfo<'_> {
        ImageInfo {
            width: self.number("imageInfo.width"),
            height: self.number("imageInfo.height"),
            format: self.text("imageInfo.format"),
        }
    }

    /// Address that the upload came from.
    pub fn client_ip(&self) -> Option<&str> {
        self.text("clientIp")
    }

    /// VPC that the upload came from; empty if it came from none.
    pub fn vpc_id(&self) -> Option<&str> {
        self.text("vpcId")
    }

    /// OSS's id of the upload request.
    pub fn request_id(&self) -> Option<&str> {
        self.text("reqId")
    }

    /// Name of the upload's API, such as `PutObject`.
    pub fn operation(&self) -> Option<&str> {
        self.text("operation")
    }

    /// A custom variable, by its name with or without `x:`.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let bare = name.strip_prefix("x:").unwrap_or(name);
        self.text(&format!("x:{bare}"))
    }

    /// All custom variables by their name without `x:`, sorted. The seal is not among them.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let custom = self
            .claims
            .iter()
            .filter_map(|(name, claim)| Some((name.strip_prefix("x:")?, claim.text.as_str())));
        custom.filter(|(name, _)| *name != super::seal::VARIABLE)
    }

    /// All custom variables, copied into a map.
    pub fn variable_map(&self) -> BTreeMap<String, String> {
        self.variables().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The first field of that name, as it stood in the body.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// All fields, as they stood in the body and in its order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The seal, if the verifier was given secrets and so has checked it.
    pub fn seal(&self) -> Option<&Seal> {
        self.seal.as_ref()
    }

    /// The value of the variable that carries the seal, checked or not.
    pub(super) fn seal_token(&self) -> Option<&str> {
        self.variable(super::seal::VARIABLE)
    }

    fn text(&self, variable: &str) -> Option<&str> {
        self.claims.get(variable).map(|claim| claim.text.as_str())
    }

    fn number(&self, variable: &str) -> Number<'_> {
        match self.claims.get(variable) {
            None => Number::Absent,
            Some(claim) if claim.text.is_empty() => Number::Empty,
            Some(claim) if matches!(claim.kind, FieldKind::Text | FieldKind::Number) => {
                // The parser of the standard library takes a plus sign; OSS writes none.
                let digits = claim.text.bytes().all(|byte| byte.is_ascii_digit());
                match claim.text.parse() {
                    Ok(value) if digits => Number::Value(value),
                    _ => Number::Invalid(&claim.text),
                }
            }
            Some(claim) => Number::Invalid(&claim.text),
        }
    }
}

pub(super) fn read_template(template: &str, body_type: BodyType) -> Result<Layout> {
    Layout::new(template, body_type)
        .map_err(|why| Error::invalid_argument("template", why))
        .map_err(|error| error.with_hint("Give it exactly as it was given to OSS, and with its body type."))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Random;
    use super::*;

    fn form(body: &str) -> CallbackEvent {
        CallbackEvent::parse(body.as_bytes(), BodyType::Form, None).unwrap()
    }

    #[test]
    fn a_form_and_a_json_body_of_the_same_upload_say_the_same() {
        let json = r#"{"bucket":"photos","object":"a b/猫.jpg",
            "etag":"\"E1\"","size":9,"mimeType":"image/jpeg",
            "crc64":"11051210869376104954","contentMd5":"",
            "imageInfo":{"width":8,"height":"6","format":"jpg"},
            "clientIp":"1.2.3.4","vpcId":"","reqId":"R","operation":"PutObject","order":"42"}"#;
        let form_body = "bucket=photos&object=a+b%2F%E7%8C%AB.jpg&etag=%22E1%22&size=9&mimeType=image%2Fjpeg\
            &crc64=11051210869376104954&contentMd5=&imageInfo.width=8&imageInfo.height=6&imageInfo.format=jpg\
            &clientIp=1.2.3.4&vpcId=&reqId=R&operation=PutObject&order=42";
        for event in [form(form_body), CallbackEvent::parse(json.as_bytes(), BodyType::Json, None).unwrap()] {
            assert_eq!(event.bucket(), Some("photos"));
            assert_eq!(event.key(), Some("a b/猫.jpg"));
            assert_eq!(event.etag(), Some("E1"));
            assert_eq!(event.size(), Number::Value(9));
            assert_eq!(event.mime_type(), Some("image/jpeg"));
            assert_eq!(event.crc64(), Number::Value(11_051_210_869_376_104_954));
            assert_eq!(event.content_md5(), Some(""));
            let image = ImageInfo { width: Number::Value(8), height: Number::Value(6), format: Some("jpg") };
            assert_eq!(event.image(), image);
            assert_eq!(event.client_ip(), Some("1.2.3.4"));
            assert_eq!(event.vpc_id(), Some(""));
            assert_eq!(event.request_id(), Some("R"));
            assert_eq!(event.operation(), Some("PutObject"));
            assert_eq!(event.variables().collect::<Vec<_>>(), [("order", "42")]);
            assert_eq!(event.variable("x:order"), Some("42"));
            assert_eq!(event.variable("order"), Some("42"));
            assert_eq!(event.seal(), None);
        }
    }

    #[test]
    fn absent_empty_and_senseless_numbers_are_told_apart() {
        assert_eq!(form("a=1").size(), Number::Absent);
        assert_eq!(form("size=").size(), Number::Empty);
        for text in ["abc", "-1", "%2B1", "1.0", "0x10", "1e3", "18446744073709551616", "1%00", "%20"] {
            let event = form(&format!("size={text}"));
            assert!(matches!(event.size(), Number::Invalid(_)), "{text}: {:?}", event.size());
            assert_eq!(event.size().value(), None);
        }
        let json = |text: &str| CallbackEvent::parse(text.as_bytes(), BodyType::Json, None).unwrap();
        assert_eq!(json(r#"{"size":null}"#).size(), Number::Empty);
        assert_eq!(json(r#"{"size":true}"#).size(), Number::Invalid("true"));
        assert_eq!(json(r#"{"size":-1}"#).size(), Number::Invalid("-1"));
        assert_eq!(json(r#"{"size":{}}"#).size(), Number::Absent);
        assert_eq!(form("b=").bucket(), None);
        assert_eq!(form("bucket=").bucket(), Some(""));
    }

    #[test]
    fn a_template_gives_own_names_a_meaning() {
        let template = r#"{"file":${object},"meta":{"bytes":${size}},"who":${x:user},"source":"web"}"#;
        let body = br#"{"file":"k","meta":{"bytes":3},"who":"u","source":"web"}"#;
        let event = CallbackEvent::parse(body, BodyType::Json, Some(template)).unwrap();
        assert_eq!((event.key(), event.size()), (Some("k"), Number::Value(3)));
        assert_eq!(event.variables().collect::<Vec<_>>(), [("user", "u")]);
        assert_eq!(event.variable("source"), None, "a constant is not a variable");
        assert_eq!(event.field("meta.bytes").map(Field::text), Some("3"));
        assert_eq!(event.fields().len(), 4);
        let error = CallbackEvent::parse(b"", BodyType::Form, Some("a=${nonsense}")).unwrap_err();
        assert_eq!((error.kind(), error.field()), (crate::ErrorKind::InvalidArgument, Some("template")));
    }

    #[test]
    fn an_event_of_kept_fields_says_what_its_body_said() {
        let body = form("bucket=photos&object=a%20b&etag=%22E1%22&size=six&crc64=&order=42");
        let kept = body.fields().iter().map(|field| (field.name(), field.text()));
        let event = CallbackEvent::from_fields(kept).unwrap();
        assert_eq!(event.fields(), body.fields());
        assert_eq!((event.bucket(), event.key(), event.etag()), (Some("photos"), Some("a b"), Some("E1")));
        assert_eq!((event.size(), event.crc64()), (Number::Invalid("six"), Number::Empty));
        assert_eq!((event.mime_type(), event.variable("order")), (None, Some("42")));
        let twice = CallbackEvent::from_fields([("etag", "E1"), ("etag", "E2")]).unwrap_err();
        assert_eq!((twice.kind(), twice.field()), (crate::ErrorKind::InvalidArgument, Some("fields")));
        assert!(twice.message().contains("`etag`"), "{twice}");
        assert!(CallbackEvent::from_fields([("etag", "E1"), ("etag", "E1")]).is_ok());
    }

    #[test]
    fn bodies_that_cannot_be_understood_say_why() {
        let error = CallbackEvent::parse(br#"{"h":,}"#, BodyType::Json, None).unwrap_err();
        assert_eq!(error.reason(), Some(VerificationReason::MalformedBody));
        assert!(error.hint().unwrap().contains("imageInfo"), "{error}");
        let error = CallbackEvent::parse(b"object=a&object=b", BodyType::Form, None).unwrap_err();
        assert!(error.message().contains("`object`"), "{error}");
    }

    #[test]
    fn no_body_and_no_template_make_it_panic() {
        let mut random = Random::new(11);
        let pieces = [
            "size",
            "object",
            "x:",
            "=",
            "&",
            "{",
            "}",
            "\"",
            ":",
            ",",
            "${size}",
            "${object}",
            "${x:a}",
            "${",
            "%",
            "%ff",
            "+",
            "1",
            "\u{fdd0}",
            "\\",
        ];
        for _ in 0..50_000 {
            let mut text =
                || -> String { (0..random.below(14)).map(|_| pieces[random.below(pieces.len())]).collect() };
            let (body, template) = (text(), text());
            for body_type in [BodyType::Form, BodyType::Json] {
                if let Ok(event) = CallbackEvent::parse(body.as_bytes(), body_type, Some(&template)) {
                    let _ = (event.size(), event.variable_map(), event.image());
                }
            }
        }
    }
}
