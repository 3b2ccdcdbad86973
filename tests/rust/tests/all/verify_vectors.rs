//! `tests/vectors/callback_verify.json`: requests as they reach an application server, two of OSS's own
//! among them. In every `key-url-*` case the signature is valid under the key that a careless verifier
//! would fetch.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oss_callback::VerificationReason as Reason;
use oss_callback::receive::{CallbackVerifier, signature};
use serde_json::Value;

fn vectors() -> Vec<Value> {
    super::vectors::read("callback_verify")
}

struct Case<'a> {
    id: &'a str,
    target: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: Vec<u8>,
    vector: &'a Value,
}

impl<'a> Case<'a> {
    fn new(vector: &'a Value) -> Case<'a> {
        let request = &vector["request"];
        assert_eq!(request["method"], "POST");
        let headers = request["headers"].as_array().unwrap().iter();
        Case {
            id: vector["id"].as_str().unwrap(),
            target: request["request_target"].as_str().unwrap(),
            headers: headers.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap())).collect(),
            body: STANDARD.decode(request["body_base64"].as_str().unwrap()).unwrap(),
            vector,
        }
    }

    /// What is expected, `None` for acceptance. Where OSS's samples contradict each other we refuse what
    /// no honest key URL holds.
    fn expected(&self) -> Option<Reason> {
        if self.id == "key-url-dotdot-after-prefix" {
            return Some(Reason::KeyUrlRefused);
        }
        let expected = &self.vector["expected"];
        let reason = match expected["reason"].as_str().unwrap() {
            "ok" => None,
            "pub-key-url-not-allowed" => Some(Reason::KeyUrlRefused),
            "missing-pub-key-url" => Some(Reason::MissingKeyUrl),
            "bad-authorization" => Some(Reason::BadAuthorization),
            "signature-mismatch" => Some(Reason::WrongSignature),
            other => panic!("unheard-of reason {other}"),
        };
        assert_eq!(expected["accept"], reason.is_none());
        reason
    }

    /// Outcome, and the URLs that were fetched. Every key is served, also under a refused URL.
    fn verify(&self) -> (Option<Reason>, Vec<String>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, served) = (asked.clone(), self.vector["served_public_keys"].clone());
        let fetch = move |url: &str| {
            log.lock().unwrap().push(url.to_owned());
            let named = |key: &&Value| key["url"].as_str().unwrap().replacen("http:", "https:", 1) == url;
            let key = served.as_array().unwrap().iter().find(named).ok_or("404")?;
            Ok::<_, &str>(key["pem"].as_str().unwrap().as_bytes().to_vec())
        };
        let verifier = CallbackVerifier::builder().fetch_key(fetch).build().unwrap();
        let outcome = verifier.verify("POST", self.target, self.headers.iter().copied(), &self.body);
        let asked = asked.lock().unwrap().clone();
        (outcome.err().map(|error| error.reason().unwrap_or_else(|| panic!("{error:?}"))), asked)
    }
}

#[test]
fn every_callback_request_is_judged_as_expected() {
    let vectors = vectors();
    let mut wrong = Vec::new();
    for case in vectors.iter().map(Case::new) {
        let (outcome, asked) = case.verify();
        if outcome != case.expected() {
            wrong.push(format!("{}: {outcome:?} instead of {:?}", case.id, case.expected()));
        }
        if outcome == Some(Reason::KeyUrlRefused) && !asked.is_empty() {
            wrong.push(format!("{}: refused, but fetched {asked:?}", case.id));
        }
        if outcome.is_none() && asked.len() != 1 {
            wrong.push(format!("{}: fetched {asked:?}", case.id));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_string_to_sign_is_that_of_the_vectors() {
    for vector in &vectors() {
        let case = Case::new(vector);
        let expected =
            STANDARD.decode(vector["expected"]["string_to_sign_base64"].as_str().unwrap()).unwrap();
        let ours = signature::string_to_sign(case.target, &case.body);
        assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&expected), "{}", case.id);
    }
}

#[test]
fn what_the_real_oss_signed_verifies_without_any_setting() {
    let vectors = vectors();
    let real: Vec<Case> =
        vectors.iter().filter(|v| v["origin"].as_str().unwrap().starts_with("real")).map(Case::new).collect();
    assert!(!real.is_empty());
    let verifier = CallbackVerifier::builder().build().unwrap();
    for case in real {
        verifier.verify("POST", case.target, case.headers.iter().copied(), &case.body).unwrap();
    }
}
