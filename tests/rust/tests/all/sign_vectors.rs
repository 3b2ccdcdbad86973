//! Signatures of both versions, by header, by URL and of POST policies, against what the official SDKs
//! and documents produce.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use oss_callback::sign::{Parts, PresignedRequest, SignRequest, Signed, Signer, v1, v4};
use oss_callback::{Addressing, Credentials, Endpoint};
use serde_json::Value;

use crate::vectors::{assert_all, read, same, text};

/// What a vector is used for.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    /// Must be met.
    Hard,
    /// An SDK's departure from the documented rule: must not be met.
    Trap,
    /// Repeated header lines: one SDK's habit, no document.
    Repeated,
}

fn use_of(vector: &Value) -> Use {
    match text(vector, "status") {
        _ if text(vector, "case").starts_with("rep-") => Use::Repeated,
        "disputed" => {
            assert_eq!(vector["follows_documented_rule"], false, "{}", vector["id"]);
            Use::Trap
        }
        "consensus" | "official-document" | "single-sdk" => Use::Hard,
        other => panic!("{}: unknown status {other}", vector["id"]),
    }
}

fn vectors(family: &str, wanted: Use) -> Vec<Value> {
    read(family).into_iter().filter(|vector| use_of(vector) == wanted).collect()
}

fn credentials(vector: &Value) -> Credentials {
    let given = &vector["credentials"];
    let pair = Credentials::new(text(given, "access_key_id"), text(given, "access_key_secret")).unwrap();
    match given["security_token"].as_str() {
        Some(token) => pair.with_security_token(token).unwrap(),
        None => pair,
    }
}

fn signer(vector: &Value, is_v4: bool) -> Signer {
    if !is_v4 {
        return Signer::v1(credentials(vector));
    }
    let signer = Signer::v4(credentials(vector), text(vector, "region")).unwrap();
    signer.with_product(text(vector, "product")).unwrap()
}

fn time(vector: &Value) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(vector["time"]["unix"].as_u64().unwrap())
}

fn pairs(list: &Value) -> Vec<(String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    list.as_array().unwrap().iter().map(|pair| (text(&pair[0]).unwrap(), text(&pair[1]))).collect()
}

fn header_pairs(list: &Value) -> Vec<(String, String)> {
    pairs(list).into_iter().map(|(name, value)| (name, value.unwrap())).collect()
}

fn request(vector: &Value) -> SignRequest {
    let given = &vector["request"];
    let additional = given["additional_headers"].as_array().unwrap();
    SignRequest {
        method: text(given, "method").to_owned(),
        bucket: given["bucket"].as_str().map(str::to_owned),
        key: given["key"].as_str().map(str::to_owned),
        query: pairs(&given["query"]),
        headers: header_pairs(&given["headers"]),
        additional_headers: additional.iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
    }
}

fn sign(vector: &Value, is_v4: bool) -> Result<Signed, String> {
    let signed = signer(vector, is_v4).sign(&request(vector), time(vector));
    signed.map_err(|error| format!("refused: {error}"))
}

fn presign(vector: &Value, is_v4: bool) -> Result<PresignedRequest, String> {
    let given = &vector["request"];
    let endpoint =
        Endpoint::parse(&format!("{}://{}", text(given, "scheme"), text(given, "endpoint"))).unwrap();
    let addressing: Addressing = text(given, "addressing").parse().unwrap();
    let expires = Duration::from_secs(vector["expires_seconds"].as_u64().unwrap());
    let presigned =
        signer(vector, is_v4).presign(&request(vector), &endpoint, addressing, expires, time(vector));
    presigned.map_err(|error| format!("refused: {error}"))
}

/// Names in lower case, as a set.
fn header_set(headers: &[(String, String)]) -> BTreeSet<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect()
}

/// `Authorization` of V4 as fields, as SDKs separate and order them differently.
fn v4_fields(authorization: &str) -> BTreeMap<&str, &str> {
    let (algorithm, rest) = authorization.split_once(' ').unwrap();
    let fields = rest.split(',').map(|field| field.trim().split_once('=').unwrap());
    fields.chain([("algorithm", algorithm)]).collect()
}

fn check_stages(
    expected: &Value,
    canonical_request: Option<&str>,
    string_to_sign: &str,
    signature: &str,
) -> Result<(), String> {
    if let Some(canonical) = expected["canonical_request"].as_str() {
        same("canonical request", canonical_request, Some(canonical))?;
    }
    same("string to sign", string_to_sign, text(expected, "string_to_sign"))?;
    same("signature", signature, text(expected, "signature"))
}

fn check_header(vector: &Value, is_v4: bool) -> Result<(), String> {
    let expected = &vector["expected"];
    let signed = sign(vector, is_v4)?;
    let canonical = signed.canonical_request.as_deref();
    check_stages(expected, canonical, &signed.string_to_sign, &signed.signature)?;
    let ((name, ours), added) = signed.headers.split_last().unwrap();
    same("last header", name.as_str(), "Authorization")?;
    let theirs = text(expected, "authorization");
    if is_v4 {
        same("authorization", v4_fields(ours), v4_fields(theirs))?;
    } else {
        same("authorization", ours.as_str(), theirs)?;
    }
    same("added headers", header_set(added), header_set(&header_pairs(&expected["signer_added_headers"])))
}

fn check_url(vector: &Value, is_v4: bool) -> Result<(), String> {
    let expected = &vector["expected"];
    let presigned = presign(vector, is_v4)?;
    let canonical = presigned.canonical_request.as_deref();
    check_stages(expected, canonical, &presigned.string_to_sign, &presigned.signature)?;
    let ours = url::Url::parse(&presigned.url).unwrap();
    same("URL, as a parser leaves it", ours.as_str(), presigned.url.as_str())?;
    let query: BTreeSet<(String, String)> = ours.query_pairs().into_owned().collect();
    let expected_query = pairs(&expected["query_pairs_decoded"])
        .into_iter()
        .map(|(name, value)| (name, value.unwrap_or_default()));
    same("query", query, expected_query.collect())?;
    same("method", presigned.method.as_str(), text(&vector["request"], "method"))?;
    if let Some(theirs) = expected["url"].as_str() {
        let theirs = url::Url::parse(theirs).unwrap();
        same("origin", ours.origin(), theirs.origin())?;
        // SDKs escape `/` and `!'()*` differently; what OSS decodes is the same.
        let decoded = |url: &url::Url| percent_decode(url.path());
        same("path", decoded(&ours), decoded(&theirs))?;
    }
    Ok(())
}

fn percent_decode(path: &str) -> String {
    let query = format!("k={}", path.replace('+', "%2B").replace('&', "%26").replace(';', "%3B"));
    let url = url::Url::parse(&format!("http://x/?{query}")).unwrap();
    url.query_pairs().next().unwrap().1.into_owned()
}

/// The one vector that gives the day's key instead of a secret: the steps without a [`Signer`].
fn check_from_key(vector: &Value) -> Result<(), String> {
    let given = request(vector);
    let date_time = text(&vector["time"], "iso8601");
    let mut parts = Parts::from(&given);
    parts.headers.push(("x-oss-content-sha256", v4::UNSIGNED_PAYLOAD));
    parts.headers.push(("x-oss-date", date_time));
    let additional =
        v4::additional_headers(given.additional_headers.iter().map(String::as_str), &parts.headers);
    let canonical = v4::canonical_request(&parts, &additional);
    let scope = v4::scope(&date_time[..8], text(vector, "region"), text(vector, "product"));
    let string_to_sign = v4::string_to_sign(date_time, &scope, &canonical);
    let hex = text(&vector["credentials"], "signing_key_hex");
    let key: [u8; 32] = std::array::from_fn(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap());
    let signature = v4::signature(&v4::SigningKey::from_bytes(key), &string_to_sign);
    check_stages(&vector["expected"], Some(&canonical), &string_to_sign, &signature)
}

fn has_signing_key(vector: &Value) -> bool {
    vector["credentials"]["signing_key_hex"].is_string()
}

#[test]
fn v1_header_vectors_are_met() {
    let vectors = vectors("v1_header", Use::Hard);
    assert_eq!(vectors.len(), 123);
    assert_all(&vectors, |vector| check_header(vector, false));
}

#[test]
fn v4_header_vectors_are_met() {
    let (from_key, rest): (Vec<_>, Vec<_>) =
        vectors("v4_header", Use::Hard).into_iter().partition(has_signing_key);
    assert_eq!((from_key.len(), rest.len()), (1, 75));
    assert_all(&rest, |vector| check_header(vector, true));
    assert_all(&from_key, check_from_key);
}

#[test]
fn v1_presign_vectors_are_met() {
    let vectors = vectors("v1_presign", Use::Hard);
    assert_eq!(vectors.len(), 42);
    assert_all(&vectors, |vector| check_url(vector, false));
}

#[test]
fn v4_presign_vectors_are_met() {
    let vectors = vectors("v4_presign", Use::Hard);
    assert_eq!(vectors.len(), 41);
    assert_all(&vectors, |vector| check_url(vector, true));
}

#[test]
fn post_policy_vectors_are_met() {
    let vectors = read("post_policy");
    assert_eq!(vectors.len(), 22);
    assert_all(&vectors, |vector| {
        same("status", text(vector, "status"), "consensus")?;
        let signer = signer(vector, text(vector, "signature_version") == "v4");
        let fields = signer
            .sign_policy(text(vector, "policy_text"), time(vector))
            .map_err(|error| format!("refused: {error}"))?;
        let expected: BTreeMap<&str, &str> = vector["expected"]["form_fields"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let ours: BTreeMap<&str, &str> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        same("policy, which is the string to sign", ours.get("policy"), expected.get("policy"))?;
        same("fields", ours, expected)?;
        same("number of fields", fields.len(), vector["expected"]["form_fields"].as_object().unwrap().len())
    });
}

/// Departures of single SDKs: our signature is another one, and that of the vector with the same inputs
/// which follows the documented rule. Returns how many have such a sibling.
fn assert_traps_avoided(
    family: &str,
    expected_count: usize,
    sign: impl Fn(&Value) -> Result<String, String>,
) -> usize {
    let (traps, hard) = (vectors(family, Use::Trap), vectors(family, Use::Hard));
    assert_eq!(traps.len(), expected_count);
    let inputs = ["request", "time", "credentials", "expires_seconds", "region", "product"];
    let sibling =
        |trap: &Value| hard.iter().find(|other| inputs.iter().all(|name| other[name] == trap[name]));
    assert_all(&traps, |trap| {
        let ours = sign(trap)?;
        if ours == text(&trap["expected"], "signature") {
            return Err("falls into the trap".to_owned());
        }
        match sibling(trap) {
            Some(rule) => same("documented rule", ours.as_str(), text(&rule["expected"], "signature")),
            None => Ok(()),
        }
    });
    traps.iter().filter(|trap| sibling(trap).is_some()).count()
}

#[test]
fn departures_of_single_sdks_are_not_copied() {
    let header = |is_v4| move |vector: &Value| sign(vector, is_v4).map(|signed| signed.signature);
    let by_url = |is_v4| move |vector: &Value| presign(vector, is_v4).map(|presigned| presigned.signature);
    // Only V1's untrimmed header value has no sibling with a `Date` header.
    assert_eq!(assert_traps_avoided("v1_header", 5, header(false)), 4);
    assert_eq!(assert_traps_avoided("v4_header", 6, header(true)), 6);
    assert_eq!(assert_traps_avoided("v1_presign", 2, by_url(false)), 2);
    assert_eq!(assert_traps_avoided("v4_presign", 5, by_url(true)), 5);
}

#[test]
fn repeated_headers_are_joined_by_the_steps_and_refused_by_the_signer() {
    for (family, is_v4) in [("v1_header", false), ("v4_header", true)] {
        let vectors = vectors(family, Use::Repeated);
        assert_eq!(vectors.len(), 1);
        assert_all(&vectors, |vector| {
            let refusal = signer(vector, is_v4).sign(&request(vector), time(vector));
            same(
                "field of the error",
                refusal.err().and_then(|error| error.field().map(str::to_owned)).as_deref(),
                Some("headers"),
            )?;
            let given = request(vector);
            let mut parts = Parts::from(&given);
            let ours = if is_v4 {
                let date_time = text(&vector["time"], "iso8601");
                parts.headers.push(("x-oss-content-sha256", v4::UNSIGNED_PAYLOAD));
                parts.headers.push(("x-oss-date", date_time));
                let scope = v4::scope(&date_time[..8], text(vector, "region"), text(vector, "product"));
                v4::string_to_sign(date_time, &scope, &v4::canonical_request(&parts, &[""; 0]))
            } else {
                v1::string_to_sign(&parts, text(&vector["time"], "http"))
            };
            same("string to sign", ours.as_str(), text(&vector["expected"], "string_to_sign"))
        });
    }
}
