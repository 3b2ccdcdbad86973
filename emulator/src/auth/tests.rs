//! The golden vectors, seen from the server: what official SDKs sent must be accepted, their known
//! departures from the rules refused, and each refusal must come with the right code.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use super::{AccessKey, Judge, Reading};
use crate::address::readings;
use crate::error::OssError;
use crate::query::Query;
use crate::request::Request;

const SIGNED_AT: u64 = 1_702_743_657;

fn vectors(family: &str) -> Vec<Value> {
    let path = format!("{}/../tests/vectors/{family}.json", env!("CARGO_MANIFEST_DIR"));
    let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    document["vectors"].as_array().unwrap().clone()
}

/// A request as a server receives it, to be bent before it is judged.
#[derive(Clone)]
struct Sent {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    /// Seconds since the signature was made.
    age: i64,
    key: AccessKey,
    region: String,
}

impl Sent {
    fn of(vector: &Value) -> Sent {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (expected, request) = (&vector["expected"], &vector["request"]);
        let mut headers = Vec::new();
        for list in [&request["headers"], &expected["signer_added_headers"]] {
            for pair in list.as_array().into_iter().flatten() {
                let (name, value) = (text(&pair[0]), text(&pair[1]));
                // SDKs replace what they add themselves.
                headers.retain(|(old, _): &(String, String)| {
                    list == &request["headers"] || !old.eq_ignore_ascii_case(&name)
                });
                headers.push((name, value));
            }
        }
        if let Some(value) = expected["authorization"].as_str() {
            headers.push(("Authorization".to_owned(), value.to_owned()));
        }
        let credentials = &vector["credentials"];
        let (id, secret) = (text(&credentials["access_key_id"]), text(&credentials["access_key_secret"]));
        let key = match credentials["security_token"].as_str() {
            Some(token) => AccessKey::temporary(id, secret, token, None),
            None => AccessKey::new(id, secret),
        };
        Sent {
            method: text(&request["method"]),
            url: text(&expected["url"]),
            headers,
            age: vector["time"]["unix"].as_i64().unwrap() - SIGNED_AT as i64,
            key,
            region: text(&vector["region"]),
        }
    }

    fn judge(&self) -> Result<Reading, OssError> {
        let (_, rest) = self.url.split_once("://").unwrap();
        let (host, target) = rest.split_at(rest.find('/').unwrap());
        let mut builder = hyper::Request::builder().method(self.method.as_str()).uri(target);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            builder = builder.header("host", host);
        }
        for (name, value) in &self.headers {
            builder = builder
                .header(name, hyper::header::HeaderValue::from_bytes(value.trim().as_bytes()).unwrap());
        }
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        let now = UNIX_EPOCH + Duration::from_secs(SIGNED_AT.checked_add_signed(self.age).unwrap());
        let request = Request::new(parts, "127.0.0.1:1".parse().unwrap(), now);
        let cnames = [("static.example.com".to_owned(), "examplebucket".to_owned())];
        let mut all = Vec::new();
        for target in readings(&request.host, &request.raw_path, &cnames).unwrap() {
            for blank in [true, false] {
                all.push(Reading {
                    target: target.clone(),
                    query: Query::parse(&request.raw_query, blank).unwrap(),
                });
            }
        }
        let judge = Judge { keys: std::slice::from_ref(&self.key), region: &self.region };
        judge.check(&request, &all)
    }

    fn code(&self) -> String {
        self.judge().map(|_| "accepted".to_owned()).unwrap_or_else(|error| error.code)
    }

    fn header(mut self, name: &str, change: impl FnOnce(&str) -> Option<String>) -> Sent {
        let at = self.headers.iter().position(|(n, _)| n.eq_ignore_ascii_case(name)).unwrap();
        match change(&self.headers[at].1) {
            Some(value) => self.headers[at].1 = value,
            None => drop(self.headers.remove(at)),
        }
        self
    }
}

/// Whether a vector tells the whole request, and is one to OSS.
fn of_oss(vector: &Value) -> bool {
    vector["product"] == "oss" && vector["expected"]["url"].is_string()
}

#[test]
fn what_official_sdks_sign_is_accepted_and_their_departures_are_not() {
    let mut wrong = Vec::new();
    let (mut accepted, mut refused) = (0, 0);
    for family in ["v1_header", "v4_header", "v1_presign", "v4_presign"] {
        for vector in vectors(family).iter().filter(|vector| of_oss(vector)) {
            let verdict = Sent::of(vector).judge();
            // A client that forgets its additional headers still signs what it sends.
            let forgets = vector["case"].as_str().unwrap().starts_with("addl-");
            let disputed = vector["status"] == "disputed" && !forgets;
            match (&verdict, disputed) {
                (Ok(reading), false) => {
                    accepted += 1;
                    assert_eq!(
                        reading.target.key.as_deref(),
                        vector["request"]["key"].as_str(),
                        "{}",
                        vector["id"]
                    );
                }
                (Err(_), true) => refused += 1,
                _ => wrong.push((
                    vector["id"].to_string(),
                    verdict.map(|reading| reading.target).map_err(|error| (error.code, error.members)),
                )),
            }
        }
    }
    assert!(wrong.is_empty(), "{accepted} accepted, {refused} refused, but: {wrong:#?}");
    assert!(accepted > 270 && refused > 0, "{accepted} and {refused}");
}

/// One good request of each kind.
fn samples() -> [(&'static str, Sent); 4] {
    ["v1_header", "v4_header", "v1_presign", "v4_presign"].map(|family| {
        let usable = |vector: &&Value| {
            vector["status"] == "consensus"
                && of_oss(vector)
                && vector["credentials"]["security_token"].is_null()
                && vector["request"]["key"] == "exampleobject"
                && vector["time"]["unix"] == SIGNED_AT
                && (!family.ends_with("presign") || vector["expires_seconds"] == 3600)
                && vector["request"]["query"].as_array().unwrap().is_empty()
        };
        (family, Sent::of(vectors(family).iter().find(usable).unwrap()))
    })
}

#[test]
fn another_method_key_secret_or_signature_does_not_match() {
    for (family, sent) in samples() {
        let method = Sent { method: "OPTIONS".to_owned(), ..sent.clone() };
        let key = Sent { url: sent.url.replace("exampleobject", "exampleobjecT"), ..sent.clone() };
        let secret = Sent { key: AccessKey::new(sent.key.id.clone(), "x"), ..sent.clone() };
        for bent in [method, key, secret] {
            let error = bent.judge().unwrap_err();
            assert_eq!((error.status, error.code.as_str()), (403, "SignatureDoesNotMatch"), "{family}");
            let member =
                |name: &str| error.members.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
            assert!(member("StringToSign").is_some() && member("SignatureProvided").is_some(), "{family}");
            assert_eq!(member("CanonicalRequest").is_some(), family.starts_with("v4"), "{family}");
        }
        let stranger = Sent { key: AccessKey::new("other", "x"), ..sent.clone() };
        assert_eq!(stranger.code(), "InvalidAccessKeyId", "{family}");
    }
}

#[test]
fn times_are_judged_to_the_second() {
    for (family, sent) in samples() {
        let at = |age: i64| Sent { age, ..sent.clone() }.code();
        if family.ends_with("header") {
            assert_eq!((at(900), at(-900)), ("accepted".into(), "accepted".into()), "{family}");
            assert_eq!(at(901), "RequestTimeTooSkewed", "{family}");
            assert_eq!(at(-901), "RequestTimeTooSkewed", "{family}");
        } else {
            assert_eq!(at(3600), "accepted", "{family}");
            assert_eq!(at(3601), "AccessDenied", "{family}");
        }
        if family == "v4_presign" {
            assert_eq!((at(-900), at(-901)), ("accepted".into(), "RequestTimeTooSkewed".into()));
        }
    }
}

#[test]
fn a_request_without_a_piece_of_its_signature_is_denied() {
    let [v1_header, v4_header, v1_url, v4_url] = samples().map(|(_, sent)| sent);
    for sent in [&v1_header, &v4_header] {
        assert_eq!(sent.clone().header("authorization", |_| None).code(), "AccessDenied");
    }
    let undated = |sent: &Sent| {
        let headers = sent.headers.iter().filter(|(name, _)| !name.to_lowercase().ends_with("date"));
        Sent { headers: headers.cloned().collect(), ..sent.clone() }
    };
    assert_eq!(undated(&v1_header).code(), "AccessDenied");
    assert_eq!(undated(&v4_header).code(), "AccessDenied");
    for sent in [&v1_url, &v4_url] {
        let (path, query) = sent.url.split_once('?').unwrap();
        let pieces: Vec<&str> = query.split('&').collect();
        for left_out in 0..pieces.len() {
            let mut rest = pieces.clone();
            rest.remove(left_out);
            let bent = Sent { url: format!("{path}?{}", rest.join("&")), ..sent.clone() };
            assert_eq!(bent.code(), "AccessDenied", "{}", bent.url);
        }
    }
}

#[test]
fn malformed_and_mixed_signatures_are_invalid_arguments() {
    let [v1_header, v4_header, v1_url, v4_url] = samples().map(|(_, sent)| sent);
    for value in ["OSS", "OSS ", "OSS ak", "Bearer x", "OSS2 AccessKeyId:a,Signature:b", ""] {
        let bent = v1_header.clone().header("authorization", |_| Some(value.to_owned()));
        assert_eq!(bent.code(), "InvalidArgument", "{value:?}");
    }
    let bend =
        |change: fn(&str) -> String| v4_header.clone().header("authorization", |value| Some(change(value)));
    for bent in [
        bend(|value| value.replace("Credential=", "Credentials=")),
        bend(|value| value.replace("/oss/", "/s3/")),
        bend(|value| value.replace("20231216", "20231217")),
        bend(|value| value.replace("Signature=", "AdditionalHeaders=,Signature=")),
        bend(|value| value.replace("Signature=", "AdditionalHeaders=host;,Signature=")),
        bend(|value| value.replace("Signature=", "AdditionalHeaders=x-oss-date,Signature=")),
        bend(|value| value.replace("Signature=", "AdditionalHeaders=if-match,Signature=")),
        v4_header.clone().header("x-oss-content-sha256", |_| Some("abc".to_owned())),
        v4_header.clone().header("x-oss-content-sha256", |_| None),
    ] {
        assert_eq!(bent.code(), "InvalidArgument", "{:?}", bent.headers);
    }
    let elsewhere = Sent { region: "cn-beijing".to_owned(), ..v4_header.clone() };
    assert_eq!(elsewhere.judge().unwrap_err().ec.as_deref(), Some("0002-00000226"));
    for url in [&v1_url, &v4_url] {
        for header in [&v1_header, &v4_header] {
            let mixed = Sent { headers: header.headers.clone(), ..url.clone() };
            assert_eq!(mixed.code(), "InvalidArgument");
        }
    }
    for seconds in ["0", "604801"] {
        let bent = Sent {
            url: v4_url.url.replace("x-oss-expires=3600", &format!("x-oss-expires={seconds}")),
            ..v4_url.clone()
        };
        assert_eq!(bent.code(), "InvalidArgument", "{seconds}");
    }
}

#[test]
fn temporary_credentials_need_their_own_token_and_end() {
    for family in ["v1_header", "v4_header", "v1_presign", "v4_presign"] {
        let usable = |vector: &&Value| {
            vector["status"] == "consensus"
                && of_oss(vector)
                && vector["credentials"]["security_token"].is_string()
        };
        let sent = Sent::of(vectors(family).iter().find(usable).unwrap());
        let with = |token: &str, expires| Sent {
            key: AccessKey::temporary(sent.key.id.clone(), sent.key.secret.clone(), token, expires),
            ..sent.clone()
        };
        let token = sent.key.security_token.as_deref().unwrap();
        assert_eq!(with("other", None).code(), "InvalidSecurityToken", "{family}");
        let at = |seconds| Some(UNIX_EPOCH + Duration::from_secs(SIGNED_AT + seconds));
        assert_eq!(with(token, at(0)).code(), "SecurityTokenExpired", "{family}");
        assert_eq!(with(token, at(1)).code(), "accepted", "{family}");
        let lasting =
            Sent { key: AccessKey::new(sent.key.id.clone(), sent.key.secret.clone()), ..sent.clone() };
        assert_eq!(lasting.code(), "InvalidSecurityToken", "{family}");
        let [v1_header, .., v4_url] = samples().map(|(_, sent)| sent);
        let tokenless =
            Sent { key: AccessKey::temporary(v1_header.key.id.clone(), "x", "t", None), ..v1_header };
        assert_eq!(tokenless.code(), "InvalidAccessKeyId");
        if family == "v4_presign" {
            let url = sent.url.replace("x-oss-expires=3600", "x-oss-expires=43201");
            assert_eq!(Sent { url, ..sent.clone() }.code(), "InvalidArgument");
            let url = v4_url.url.replace("x-oss-expires=3600", "x-oss-expires=43201");
            assert_eq!(
                Sent { url, ..v4_url }.code(),
                "SignatureDoesNotMatch",
                "only STS is limited to 12 hours"
            );
        }
    }
}

#[test]
fn a_parameter_that_contradicts_a_signed_header_is_refused() {
    let [.., mut v4_url] = samples().map(|(_, sent)| sent);
    v4_url.headers.push(("x-oss-date".to_owned(), "20231216T162058Z".to_owned()));
    assert_eq!(v4_url.code(), "InvalidArgument");
}
