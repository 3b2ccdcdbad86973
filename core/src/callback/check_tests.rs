//! OSS's own rules: each wrong parameter and its answer.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::check::*;
use super::template::Value;
use super::{BodyType, Callback};

fn check(callback: serde_json::Value) -> Result<Parameters, Rejection> {
    check_callback(&BASE64_STANDARD.encode(callback.to_string()))
}

#[test]
fn parameters_are_read_back_as_they_were_built() {
    let callback = Callback::builder("https://a.example/1;b.example:81/2?x")
        .body_type(BodyType::Json)
        .host("h.example")
        .header("x-a", "1")
        .var("a", "va")
        .field("o", "${object}")
        .field("a", "${x:a}")
        .build()
        .unwrap();
    let parameters = check_parameters(callback.encoded(), callback.encoded_vars()).unwrap();
    let targets: Vec<(&str, u16, &str)> =
        parameters.urls.iter().map(|url| (url.host(), url.port(), url.target())).collect();
    assert_eq!(targets, [("a.example", 443, "/1"), ("b.example", 81, "/2?x")]);
    assert_eq!(parameters.host.as_deref(), Some("h.example"));
    assert!(parameters.sni && parameters.body_type == BodyType::Json && parameters.policy.is_none());
    assert_eq!((parameters.headers.len(), parameters.vars.len()), (1, 1));
    let body = parameters.expand(|name| (name == "object").then(|| Value::text("k")));
    assert_eq!(body, r#"{"o":"k","a":"va"}"#);
    assert_eq!(check(json!({"callbackPolicy": "p"})).unwrap().policy.as_deref(), Some("p"));
}

#[test]
fn every_wrong_member_has_its_own_answer() {
    let with = |name: &str, value: serde_json::Value| {
        let mut callback = json!({"callbackUrl": "http://203.0.113.7", "callbackBody": "a"});
        callback[name] = value;
        check(callback).unwrap_err()
    };
    for (name, value, ec) in [
        ("callbackUrl", json!(null), "0007-00000004"),
        ("callbackUrl", json!(""), "0007-00000004"),
        ("callbackHost", json!(1), "0007-00000009"),
        ("callbackHost", json!("a\r\nb"), "0007-00000009"),
        ("callbackBody", json!(1), "0007-00000010"),
        ("callbackBodyType", json!(1), "0007-00000012"),
        ("callbackBodyType", json!("text/plain"), "0007-00000013"),
        ("additionalHeaders", json!([]), "0007-00000021"),
        ("additionalHeaders", json!({"a": 1}), "0007-00000025"),
    ] {
        let rejection = with(name, value);
        assert_eq!((rejection.ec, rejection.argument_name), (Some(ec), name));
        assert_eq!((rejection.http_status, rejection.code), (400, "InvalidArgument"));
    }
    assert_eq!(with("callbackSNI", json!("yes")).argument_name, "callbackSNI");
    assert_eq!(with("callbackPolicy", json!("")).argument_name, "callbackPolicy");
}

#[test]
fn encoding_faults_have_their_own_answers() {
    for (text, ec) in [("x123-*&", "0007-00000002"), ("e30", "0007-00000002"), ("W10=", "0007-00000003")] {
        assert_eq!(check_callback(text).unwrap_err().ec, Some(ec), "{text}");
    }
    let rejection = check_callback(&BASE64_STANDARD.encode([b'{', 0xff])).unwrap_err();
    assert_eq!((rejection.ec, rejection.argument_value.as_str()), (Some("0007-00000003"), "{\u{fffd}"));
    assert_eq!(check_vars("x123-*&").unwrap_err().ec, Some("0007-00000102"));
    assert_eq!(check_vars(&BASE64_STANDARD.encode(r#"{"a":"b"}"#)).unwrap_err().ec, None);
    assert_eq!(check_callback(&"A".repeat(5121)).unwrap_err().ec, Some("0007-00000001"));
    assert_eq!(check_callback(&"A".repeat(5120)).unwrap_err().ec, Some("0007-00000003"));
}

#[test]
fn addresses_that_oss_does_not_call_are_refused() {
    let url = check(json!({"callbackUrl": "http://a.example", "callbackBody": "a"})).unwrap().urls.remove(0);
    let answer = |addresses: &[&str]| {
        let addresses: Vec<std::net::IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        check_addresses(&url, &addresses).err().and_then(|rejection| rejection.ec)
    };
    assert_eq!(answer(&["203.0.113.7"]), None);
    assert_eq!(answer(&["2001:db8::1", "203.0.113.7"]), None);
    for none in [[].as_slice(), &["2001:db8::1"]] {
        assert_eq!(answer(none), Some("0007-00000007"));
    }
    for private in [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.1.1",
        "100.100.100.200",
        "0.0.0.0",
        "::1",
        "::ffff:10.0.0.1",
    ] {
        assert_eq!(answer(&[private]), Some("0007-00000008"), "{private}");
    }
    assert_eq!(answer(&["203.0.113.7", "10.0.0.1"]), Some("0007-00000008"));
}

#[test]
fn a_parameter_comes_by_one_way_only() {
    assert_eq!(one_place(Parameter::Callback, Some("h"), None).unwrap(), Some("h"));
    assert_eq!(one_place(Parameter::Vars, None, Some("q")).unwrap(), Some("q"));
    assert_eq!(one_place(Parameter::Vars, None, None).unwrap(), None);
    assert!(one_place(Parameter::Vars, Some("a"), Some("a")).is_err());
}
