//! After the upload: the body is filled, and the URLs are tried in turn until one succeeds.

use std::time::Instant;

use bytes::Bytes;
use oss_callback::callback::CallbackUrl;
use oss_callback::callback::template::Value;

use super::exchange::{self, Received, Route};
use super::failure::Failure;
use super::image::{self, ImageFacts};
use super::request::Request;
use super::{CallbackAttempt, CallbackConfig, Outcome, Prepared, UploadFacts, oss_error};
use crate::fault::CallbackCause;

/// Calls the application server, and says how it went. Of several failures the last URL's is told. With a
/// `cause` it fails with that one, whatever the server answers.
pub(crate) async fn fire(
    config: &CallbackConfig,
    prepared: &Prepared,
    facts: &UploadFacts,
    cause: Option<CallbackCause>,
) -> Outcome {
    let forced = cause.map(CallbackCause::failure);
    if let Some(failure) = forced.as_ref().filter(|failure| !failure.is_of_answer()) {
        return failed(failure);
    }
    let Some(_place) = config.take_place() else { return failed(&Failure::TooMany) };
    let body = match body(config, prepared, facts) {
        Ok(body) => Bytes::from(body),
        Err(failure) => return failed(&failure),
    };
    let mut last = Failure::Unreachable;
    for url in &prepared.parameters.urls {
        let request = match Request::new(config, prepared, facts, url, body.clone()) {
            Ok(request) => request,
            Err(error) => {
                let message = format!("The emulator cannot sign the callback: {error}");
                return Outcome::Failed(oss_error(500, "InternalError", message, None));
            }
        };
        match attempt(config, prepared, facts, url, request, forced.as_ref()).await {
            Ok(outcome) => return outcome,
            Err(failure) => last = failure,
        }
    }
    failed(&last)
}

async fn attempt(
    config: &CallbackConfig,
    prepared: &Prepared,
    facts: &UploadFacts,
    url: &CallbackUrl,
    request: Request,
    forced: Option<&Failure>,
) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let route = Route { url, tls: prepared.tls.as_ref(), public_only: config.strict, limit: config.timeout };
    let (received, verdict) = exchange::run(&route, &request.to_bytes()).await;
    let verdict = forced.map_or(verdict, |failure| Err(failure.clone()));
    let Received { head, body } = received;
    let content_type = head.as_ref().and_then(|head| head.content_type()).map(str::to_owned);
    if let Some(observer) = &config.observer {
        let status = head.as_ref().map(|head| head.status);
        observer.tell(&CallbackAttempt {
            url: url.as_str().to_owned(),
            request_id: facts.request_id.clone(),
            bucket: facts.bucket.clone(),
            key: facts.key.clone(),
            request_line: request.line,
            headers: request.headers,
            body: request.body,
            status,
            answer_headers: head.map(|head| head.headers).unwrap_or_default(),
            answer_body: body.clone(),
            failure: verdict.as_ref().err().map(|why| (why.ec().to_owned(), why.message())),
            elapsed: started.elapsed(),
        });
    }
    verdict.map(|()| Outcome::Answered { content_type, body })
}

fn failed(failure: &Failure) -> Outcome {
    Outcome::Failed(oss_error(203, "CallbackFailed", failure.message(), Some(failure.ec())))
}

fn body(config: &CallbackConfig, prepared: &Prepared, facts: &UploadFacts) -> Result<String, Failure> {
    let parameters = &prepared.parameters;
    let wants_image = parameters.body.variables().any(|name| name.starts_with("imageInfo."));
    let image = facts.image_head.as_deref().filter(|_| wants_image).and_then(image::read);
    if wants_image && image.is_none() && config.image_info_fails {
        return Err(Failure::ImageInfo);
    }
    Ok(parameters.expand(|name| system_variable(name, facts, image)))
}

/// The value of a system variable (OSS, Callback).
fn system_variable<'f>(name: &str, facts: &'f UploadFacts, image: Option<ImageFacts>) -> Option<Value<'f>> {
    let of_image = |value: fn(ImageFacts) -> Value<'f>| image.map_or(Value::Empty, value);
    Some(match name {
        "bucket" => Value::text(facts.bucket.as_str()),
        "object" => Value::text(facts.key.as_str()),
        "etag" => Value::text(facts.etag.as_str()),
        "size" => Value::Number(facts.size),
        "mimeType" => Value::text(facts.mime_type.as_str()),
        "imageInfo.height" => of_image(|image| Value::Number(image.height)),
        "imageInfo.width" => of_image(|image| Value::Number(image.width)),
        "imageInfo.format" => of_image(|image| Value::text(image.format)),
        "crc64" => Value::text(facts.crc64.to_string()),
        "contentMd5" => Value::text(facts.content_md5.as_deref().unwrap_or_default()),
        // Nobody uploads to the emulator from within an Alibaba Cloud VPC.
        "vpcId" => Value::text(""),
        "clientIp" => Value::text(facts.client_ip.to_string()),
        "reqId" => Value::text(facts.request_id.as_str()),
        "operation" => Value::text(facts.operation),
        _ => return None,
    })
}
