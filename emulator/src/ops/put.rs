//! PutObject, and what every upload ends with: its headers, its callback, its answer.

use std::sync::Arc;

use bytes::Bytes;
use oss_callback::callback::check::{Parameter, one_place};

use super::{Exchange, file_already_exists};
use crate::callback::{self, Outcome, Prepared, UploadFacts};
use crate::clock::unix_ms;
use crate::error::OssError;
use crate::reply::Reply;
use crate::store::{Condition, Draft, ObjectMeta};

/// What of an object is looked at for image information.
pub(super) const IMAGE_HEAD: usize = 1024 * 1024;

impl Exchange {
    pub(super) async fn put_object(&mut self) -> Result<Reply, OssError> {
        let properties = self.properties()?;
        let announced_md5 = self.check_body_head()?;
        let prepared = self.prepare_callback().await?;
        self.require_bucket()?;
        let condition = self.overwrite_condition()?;
        let mut received = self.receive(announced_md5).await?;
        let (etag, content_md5) = (received.etag(), received.content_md5());
        let image_head = self.image_head(prepared.as_ref(), &mut received.draft)?;
        let meta = ObjectMeta {
            size: received.size,
            etag,
            crc64: received.crc64,
            content_md5: Some(content_md5),
            modified_ms: unix_ms(self.request.now),
            multipart: false,
            properties,
        };
        let stored = self
            .blocking(|| self.shared.store.put(self.bucket(), self.key(), meta, received.draft, condition));
        let meta = stored.map_err(|error| self.refused(error))?;
        let mut reply = Reply::new(200);
        self.finish_upload(&mut reply, &meta, prepared, image_head).await;
        Ok(reply)
    }

    /// Checks the callback's parameters; nothing is stored yet. Each may come as a header or in the query,
    /// but not as both.
    pub(super) async fn prepare_callback(&self) -> Result<Option<Prepared>, OssError> {
        let value = |parameter: Parameter| {
            let header = self.request.header(parameter.header_name());
            one_place(parameter, header, self.request.query.get(parameter.query_name()))
                .map_err(callback::refusal)
        };
        let (callback, variables) = (value(Parameter::Callback)?, value(Parameter::Vars)?);
        callback::prepare(&self.shared.callback, callback, variables).await
    }

    /// `x-oss-forbid-overwrite: true`, checked now to spare the body and again when the object is stored.
    pub(super) fn overwrite_condition(&self) -> Result<Condition, OssError> {
        let forbids = |value: &str| value.eq_ignore_ascii_case("true");
        if !self.request.header("x-oss-forbid-overwrite").is_some_and(forbids) {
            return Ok(Condition::Any);
        }
        match self.shared.store.meta(self.bucket(), self.key()) {
            Some(_) => Err(file_already_exists(self.key())),
            None => Ok(Condition::Absent),
        }
    }

    pub(super) fn image_head(
        &self,
        prepared: Option<&Prepared>,
        draft: &mut Draft,
    ) -> Result<Option<Bytes>, OssError> {
        match prepared {
            None => Ok(None),
            Some(_) => self.blocking(|| draft.head(IMAGE_HEAD)).map(Some).map_err(OssError::internal),
        }
    }

    /// Adds the headers of a finished upload, fires its callback, and lets the callback decide the answer.
    pub(super) async fn finish_upload(
        &self,
        reply: &mut Reply,
        meta: &Arc<ObjectMeta>,
        prepared: Option<Prepared>,
        image_head: Option<Bytes>,
    ) {
        reply.headers.push(("etag", format!("\"{}\"", meta.etag)));
        reply.headers.push(("x-oss-hash-crc64ecma", meta.crc64.to_string()));
        reply.headers.extend(meta.content_md5.clone().map(|md5| ("content-md5", md5)));
        let Some(prepared) = prepared else { return };
        let facts = UploadFacts {
            bucket: self.bucket().to_owned(),
            key: self.key().to_owned(),
            etag: meta.etag.clone(),
            size: meta.size,
            mime_type: meta.properties.content_type.clone(),
            crc64: meta.crc64,
            content_md5: meta.content_md5.clone(),
            client_ip: self.request.client.ip().to_canonical(),
            request_id: self.request.id.clone(),
            operation: self.operation,
            requester: self.shared.owner_id.clone(),
            image_head,
        };
        match callback::fire(&self.shared.callback, &prepared, &facts, self.callback_cause).await {
            Outcome::Answered { content_type, body } => {
                reply.headers.retain(|(name, _)| *name != "content-type");
                reply.set_body(content_type.as_deref().unwrap_or("application/json"), body);
            }
            Outcome::Failed(error) => {
                reply.headers.retain(|(name, _)| *name != "content-type");
                reply.set_error(error, &self.request);
            }
        }
    }
}
