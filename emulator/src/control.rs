//! The control API: what tests in other processes and languages ask and tell the emulator. It has a port of
//! its own on loopback, so that no bucket or key can be mistaken for it.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::Shared;
use crate::fault::Fault;
use crate::query::Query;
use crate::server::stopped;

const SCRIPT_BYTES_MAX: usize = 1024 * 1024;
const PATHS: &str = "GET /uploads, GET /callbacks, and GET, POST and DELETE /faults";

/// Serves one connection until its end, or the emulator's.
pub(crate) async fn connection(stream: TcpStream, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(respond(&shared, request).await) }
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        ended = serving => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to the control API ended early");
            }
        }
        () = stopped(&mut stop) => {}
    }
}

async fn respond(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, document) = match answer(shared, request).await {
        Ok(document) => (StatusCode::OK, document),
        Err((status, message)) => (status, json!({ "error": message })),
    };
    let mut response = Response::new(Full::new(Bytes::from(document.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response
}

type Refusal = (StatusCode, String);

async fn answer(shared: &Shared, request: Request<Incoming>) -> Result<Value, Refusal> {
    refuse_browsers(&request)?;
    let query = Query::parse(request.uri().query().unwrap_or_default(), true)
        .ok_or_else(|| (StatusCode::BAD_REQUEST, "the query is not UTF-8".to_owned()))?;
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/uploads") => Ok(uploads(shared, &query)),
        (&Method::GET, "/callbacks") => Ok(callbacks(shared, &query)),
        (&Method::GET, "/faults") => Ok(faults(shared)),
        (&Method::POST, "/faults") => {
            let script = script(request).await?;
            let ordered =
                Fault::parse_script(&script).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
            shared.faults.add(ordered);
            Ok(faults(shared))
        }
        (&Method::DELETE, "/faults") => {
            shared.faults.clear();
            Ok(faults(shared))
        }
        (method, path) => {
            Err((StatusCode::NOT_FOUND, format!("{method} {path} is nothing here; there are {PATHS}")))
        }
    }
}

/// A page that a browser shows must not reach what answers without a signature: neither from its own
/// origin nor by a name of its own that it has made to mean 127.0.0.1.
fn refuse_browsers(request: &Request<Incoming>) -> Result<(), Refusal> {
    let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let local = name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if local && !request.headers().contains_key("origin") {
        return Ok(());
    }
    Err((StatusCode::FORBIDDEN, "the control API is for programs on this machine".to_owned()))
}

fn uploads(shared: &Shared, query: &Query) -> Value {
    let mut all = Vec::new();
    for (bucket, _) in shared.store.buckets() {
        if !fits(query, "bucket", &bucket) {
            continue;
        }
        for upload in shared.store.uploads(&bucket).unwrap_or_default() {
            // One that ends between the two looks is no longer under way.
            let Ok((_, parts)) = shared.store.upload(&bucket, &upload.key, &upload.id) else { continue };
            let parts: Vec<Value> = parts
                .iter()
                .map(|part| json!({ "partNumber": part.number, "size": part.size, "etag": part.etag }))
                .collect();
            all.push(json!({
                "bucket": bucket, "key": upload.key, "uploadId": upload.id, "parts": parts,
            }));
        }
    }
    Value::Array(all)
}

fn callbacks(shared: &Shared, query: &Query) -> Value {
    let attempts = shared.journal.callbacks();
    let wanted = |(bucket, key): (&str, &str)| fits(query, "bucket", bucket) && fits(query, "key", key);
    let told = attempts.iter().filter(|attempt| wanted((&attempt.bucket, &attempt.key))).map(|attempt| {
        let outcome = match &attempt.failure {
            None => "answered".to_owned(),
            Some((ec, message)) => format!("{ec} {message}"),
        };
        json!({
            "bucket": attempt.bucket, "key": attempt.key, "url": attempt.url,
            "requestId": attempt.request_id, "status": attempt.status, "outcome": outcome,
        })
    });
    Value::Array(told.collect())
}

fn faults(shared: &Shared) -> Value {
    let states = shared.faults.states();
    let told = states
        .iter()
        .map(|state| json!({ "fault": state.fault.to_string(), "seen": state.seen, "hits": state.hits }));
    Value::Array(told.collect())
}

async fn script(request: Request<Incoming>) -> Result<String, Refusal> {
    let bad = |message: String| (StatusCode::BAD_REQUEST, message);
    let body = Limited::new(request.into_body(), SCRIPT_BYTES_MAX);
    let body = body.collect().await.map_err(|error| bad(format!("the script cannot be read: {error}")))?;
    String::from_utf8(body.to_bytes().to_vec()).map_err(|_| bad("the script is not UTF-8".to_owned()))
}

fn fits(query: &Query, name: &str, value: &str) -> bool {
    query.get(name).is_none_or(|wanted| wanted == value)
}
