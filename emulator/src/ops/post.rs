//! PostObject: an upload by a browser's form, that its policy allows and signs for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use md5::{Digest, Md5};
use oss_callback::checksum::crc64;
use serde_json::{Map, Value};

use super::form::Form;
use super::receive::{Received, too_large};
use super::{Exchange, policy};
use crate::address::check_key;
use crate::auth::Judge;
use crate::callback::{self, Prepared};
use crate::clock::unix_ms;
use crate::error::OssError;
use crate::reply::Reply;
use crate::store::ObjectMeta;
use crate::xml::XmlOut;

/// OSS takes forms of 5 GB; the emulator holds them in memory, and so takes less.
const FORM_LIMIT: usize = 1024 * 1024 * 1024;

/// Fields that say of the object what headers say in a PutObject.
const AS_HEADERS: &[&str] = &[
    "cache-control",
    "content-disposition",
    "content-encoding",
    "expires",
    "x-oss-object-acl",
    "x-oss-storage-class",
    "x-oss-server-side-encryption",
    "x-oss-server-side-encryption-key-id",
    "x-oss-server-side-data-encryption",
    "x-oss-forbid-overwrite",
];

impl Exchange {
    pub(super) async fn post_object(&mut self) -> Result<Reply, OssError> {
        if self.request.content_length().is_some_and(|length| length > FORM_LIMIT as u64) {
            return Err(too_large());
        }
        let body = self.body.read(FORM_LIMIT).await?;
        let form = Form::parse(self.request.header("content-type").unwrap_or_default(), &body)?;
        let judge = Judge { keys: &self.shared.keys, region: &self.shared.region };
        let policy = judge.check_form(&form, self.request.now)?;
        policy::check(policy, &form, self.bucket(), self.request.now)?;
        self.take_over(&form)?;
        let properties = self.properties()?;
        let prepared = self.form_callback(&form).await?;
        self.require_bucket()?;
        let condition = self.overwrite_condition()?;
        let mut received = self.receive_file(&form)?;
        let image_head = self.image_head(prepared.as_ref(), &mut received.draft)?;
        let meta = ObjectMeta {
            size: received.size,
            etag: received.etag(),
            crc64: received.crc64,
            content_md5: Some(received.content_md5()),
            modified_ms: unix_ms(self.request.now),
            multipart: false,
            properties,
        };
        let stored = self
            .blocking(|| self.shared.store.put(self.bucket(), self.key(), meta, received.draft, condition));
        let meta = stored.map_err(|error| self.refused(error))?;
        // How a callback's answer and `success_action_…` combine is not documented: the callback wins.
        let mut reply = match prepared {
            Some(_) => Reply::new(200),
            None => self.posted(&form, &meta.etag),
        };
        self.finish_upload(&mut reply, &meta, prepared, image_head).await;
        Ok(reply)
    }

    /// Key and headers, as if the object had come by PutObject.
    fn take_over(&mut self, form: &Form) -> Result<(), OssError> {
        let key =
            form.get("key").ok_or_else(|| OssError::invalid_argument("The form has no field `key`."))?;
        let key = key.replace("${filename}", &form.file_name);
        check_key(&key)?;
        self.request.target.key = Some(key);
        self.request.headers.remove(CONTENT_TYPE);
        let content_type =
            form.get("x-oss-content-type").or(form.get("content-type")).or(form.file_type.as_deref());
        let named = |name: &str| AS_HEADERS.contains(&name) || name.starts_with("x-oss-meta-");
        let fields = form.fields().iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()));
        let fields = fields.filter(|(name, _)| named(name));
        for (name, value) in fields.chain(content_type.map(|value| ("content-type".to_owned(), value))) {
            let bad = || OssError::bad_argument(&name, value, "The field cannot be kept with the object.");
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad())?;
            self.request.headers.insert(header, value);
        }
        Ok(())
    }

    /// The callback of the field `callback`, with its variables from the fields `x:…`. OSS limits the length
    /// of these fields one by one, where other uploads have one limit for all; that one is applied here too.
    async fn form_callback(&self, form: &Form) -> Result<Option<Prepared>, OssError> {
        let vars: Map<String, Value> = form
            .fields()
            .iter()
            .filter(|(name, _)| name.starts_with("x:"))
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        let vars = (!vars.is_empty()).then(|| STANDARD.encode(Value::Object(vars).to_string()));
        callback::prepare(&self.shared.callback, form.get("callback"), vars.as_deref()).await
    }

    fn receive_file(&self, form: &Form) -> Result<Received, OssError> {
        let mut draft = self.blocking(|| self.shared.store.draft()).map_err(OssError::internal)?;
        self.blocking(|| draft.write(form.file.clone())).map_err(OssError::internal)?;
        Ok(Received {
            draft,
            size: form.file.len() as u64,
            md5: Md5::digest(&form.file).into(),
            crc64: crc64(&form.file),
        })
    }

    fn posted(&self, form: &Form, etag: &str) -> Reply {
        if let Some(url) = form.get("success_action_redirect").filter(|url| !url.is_empty()) {
            let mut reply = Reply::new(303);
            reply.more_headers.push(("location".to_owned(), url.to_owned()));
            return reply;
        }
        match form.get("success_action_status") {
            Some("200") => Reply::new(200),
            Some("201") => {
                let mut xml = XmlOut::new();
                xml.open("PostResponse");
                xml.leaf("Bucket", self.bucket());
                let key = super::delete::encoded(self.key(), true);
                xml.leaf("Location", &format!("http://{}/{key}", self.request.host));
                xml.leaf("Key", self.key());
                xml.leaf("ETag", &format!("\"{etag}\""));
                xml.close("PostResponse");
                let mut reply = Reply::xml(xml.finish());
                reply.status = 201;
                reply
            }
            // Anything else counts as not given.
            _ => Reply::new(204),
        }
    }
}
