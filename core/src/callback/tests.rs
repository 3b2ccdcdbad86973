//! The builder against OSS's rules and ours: what is sent, and what is refused with which words.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::*;
use crate::error::ErrorKind;

const URL: &str = "https://app.example.com/cb";

fn decoded(base64: &str) -> String {
    String::from_utf8(BASE64_STANDARD.decode(base64).unwrap()).unwrap()
}

fn refused(builder: CallbackBuilder) -> Error {
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    error
}

/// Refused about this field, with this EC, in words that hold this text.
fn refused_as(builder: CallbackBuilder, field: &str, ec: Option<&str>, text: &str) -> Error {
    let error = refused(builder);
    assert_eq!((error.field(), error.ec()), (Some(field), ec), "{error}");
    assert!(error.to_string().contains(text), "{error}");
    error
}

#[test]
fn members_are_written_in_their_order_and_defaults_left_out() {
    let callback = Callback::builder(URL)
        .url("http://203.0.113.7:8080/b")
        .body("a=1&b=${x:uid}")
        .body_type(BodyType::Form)
        .host("app.example.com:8443")
        .header("X-B", "2")
        .header("X-A", "1")
        .var("uid", "7")
        .var("x:b", "")
        .build()
        .unwrap();
    let expected = "{\"callbackUrl\":\"https://app.example.com/cb;http://203.0.113.7:8080/b\",\
        \"callbackHost\":\"app.example.com:8443\",\"callbackBody\":\"a=1&b=${x:uid}\",\
        \"callbackBodyType\":\"application/x-www-form-urlencoded\",\"callbackSNI\":true,\
        \"additionalHeaders\":{\"X-B\":\"2\",\"X-A\":\"1\"}}";
    assert_eq!(callback.json(), expected);
    assert_eq!(decoded(callback.encoded()), expected);
    assert_eq!(decoded(callback.encoded_vars().unwrap()), r#"{"x:uid":"7","x:b":""}"#);
    let plain = Callback::builder("http://a.example").body("constant").build().unwrap();
    assert_eq!(plain.json(), r#"{"callbackUrl":"http://a.example","callbackBody":"constant"}"#);
    assert_eq!((plain.encoded_vars(), plain.vars_json()), (None, None));
}

#[test]
fn server_name_indication_is_on_for_https_with_a_name() {
    let sni = |url: &str| Callback::new(url).unwrap().sni();
    assert!(sni("https://app.example.com/cb"));
    assert!(sni("http://a.example/1;https://b.example/2"));
    assert!(!sni("http://app.example.com/cb"));
    assert!(!sni("https://203.0.113.7/cb"));
    assert!(!sni("app.example.com/cb"));
    assert!(!Callback::builder(URL).sni(false).build().unwrap().json().contains("SNI"));
}

#[test]
fn urls_are_sent_as_they_were_given() {
    let url = "http://a.example/%E4%B8%AD?x=%2F&y=(a,b)*'!$@:+[2]";
    assert_eq!(Callback::new(url).unwrap().urls(), [url]);
}

#[test]
fn urls_that_oss_refuses_are_refused() {
    let six = ["http://a.example"; 6].join(";");
    refused_as(Callback::builder(six), "callback.url", Some("0007-00000005"), "holds 6 URLs");
    for (url, text) in [
        ("", "is missing"),
        ("http://a.example;", "(URL 2)"),
        (";http://a.example", "(URL 1)"),
        ("ftp://a.example", "scheme"),
        ("http://a.example:http", "port"),
        ("http://[::1]/", "IPv6"),
        ("http://a.example/名 x", "`http://a.example/%E5%90%8D%20x`"),
        ("http://user:hunter2@a.example", "user name"),
    ] {
        let error = refused_as(Callback::builder(url), "callback.url", Some("0007-00000004"), text);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    refused_as(Callback::builder("123.456"), "callback.url", Some("0007-00000007"), "neither a name");
    refused_as(Callback::builder("http://a.example/#x"), "callback.url", None, "fragment");
    refused_as(Callback::builder("http://a.example/100%"), "callback.url", None, "%25");
}

#[test]
fn private_urls_are_for_a_running_oss_to_refuse() {
    for url in ["http://127.0.0.1:8080/cb", "http://localhost:8080/cb", "10.0.0.1"] {
        assert!(Callback::new(url).is_ok(), "{url}");
    }
}

#[test]
fn bodies_that_oss_refuses_are_refused() {
    let body = |text: &str| Callback::builder(URL).body(text);
    refused_as(body(""), "callback.body", Some("0007-00000011"), "default body");
    for text in ["a=$x:my_var}", "price=5$", "$(object)", "${}", "${object"] {
        refused_as(body(text), "callback.body", Some("0007-00000105"), "`%24`");
    }
    let json = body("{\"a\":\"5$\"}").body_type(BodyType::Json);
    refused_as(json, "callback.body", Some("0007-00000105"), "`\\u0024`");
    let long = body(&"x".repeat(4000));
    refused_as(long, "callback", Some("0007-00000001"), "OSS allows 5120");
    assert!(body(&"x".repeat(3700)).build().is_ok());
}

#[test]
fn unknown_variables_are_refused_with_the_nearest_name() {
    for (text, advice) in [
        ("${Object}", "Write `${object}`"),
        ("${mimetype}", "Write `${mimeType}`"),
        ("${X:uid}", "Write `${x:uid}`"),
        ("${x:UID}", "Write `${x:uid}`"),
        ("${uid}", "Write `${x:uid}`"),
        ("${ bucket }", "Did you mean `${bucket}`?"),
        ("${imageInfo.widht}", "Did you mean `${imageInfo.width}`?"),
        ("${x:uidd}", "Did you mean `${x:uid}`?"),
        ("${x:something}", "`var(\"something\", …)`"),
        ("${something}", "OSS knows bucket, object"),
    ] {
        let builder = Callback::builder(URL).var("uid", "1").body(text);
        refused_as(builder, "callback.body", None, advice);
    }
    let fields = Callback::builder(URL).field("a", "${Object}");
    refused_as(fields, "callback.fields", None, "Write `${object}`");
}

#[test]
fn json_bodies_that_would_break_are_refused() {
    let body = |text: &str| Callback::builder(URL).body_type(BodyType::Json).var("a", "1").body(text);
    refused_as(body(r#"{"o":"${object}"}"#), "callback.body", None, "`\"name\":${object}`");
    refused_as(body(r#"{"o":"id ${x:a}"}"#), "callback.body", None, "inside quotes");
    refused_as(body("o=${object}"), "callback.body", None, "not JSON");
    refused_as(body(r#"{"o":${object},}"#), "callback.body", None, "With sample values it becomes");
    refused_as(body(r#"{"o":x${object}}"#), "callback.body", None, "not JSON");
    let fine =
        body(r#"{"o":${object},"a":${x:a},"s":"${size}","wh":"${imageInfo.width},${imageInfo.height}"}"#);
    assert!(fine.build().unwrap().warnings().is_empty());
}

#[test]
fn forms_that_were_meant_otherwise_are_refused() {
    let json = Callback::builder(URL).body(r#"{"o":${object}}"#);
    refused_as(json, "callback.body", None, "Set `body_type` to json");
    let encoded = Callback::builder(URL).body("o=%24%7Bobject%7d");
    refused_as(encoded, "callback.body", None, "encoded `${`");
    let both = Callback::builder(URL).body("a=1").field("a", "1");
    refused_as(both, "callback.body", None, "`fields`");
}

#[test]
fn variables_that_oss_refuses_are_refused() {
    let var = |name: &str| Callback::builder(URL).var(name, "v");
    for (name, text) in [
        ("Uid", "lowercase"),
        ("x:uId", "lowercase"),
        ("X:uid", "`x:`"),
        ("", "without a name"),
        ("x:", "without a name"),
        ("a b", "spell"),
        ("a}", "spell"),
        ("a\n", "spell"),
    ] {
        refused_as(var(name).body("a=1"), "callback.vars", None, text);
    }
    refused_as(var("a").var("x:a", "w"), "callback.vars", None, "`x:a` twice");
    refused_as(var("size"), "callback.vars", None, "default body");
    let long = Callback::builder(URL).var("a", "x".repeat(4000));
    refused_as(long, "callback.vars", Some("0007-00000101"), "OSS allows 5120");
}

#[test]
fn headers_that_oss_refuses_are_refused() {
    let headers = |pairs: &[(&str, &str)]| {
        pairs.iter().fold(Callback::builder(URL), |builder, (name, value)| builder.header(*name, *value))
    };
    let field = "callback.headers";
    refused_as(headers(&[("", "v")]), field, Some("0007-00000023"), "without a name");
    refused_as(headers(&[("a b", "v")]), field, Some("0007-00000024"), "no header name");
    refused_as(headers(&[("a", "v\r\nb: c")]), field, Some("0007-00000025"), "line break");
    refused_as(headers(&[("X-Oss-a", "v")]), field, Some("0007-00000026"), "x-oss-");
    refused_as(headers(&[("a", "v"), ("A", "w")]), field, None, "twice");
    refused_as(headers(&[("Host", "v")]), field, None, "Use `host`");
    refused_as(headers(&[("a", "名")]), field, None, "above ASCII");
    let names: Vec<String> = (0..11).map(|n| format!("a{n}")).collect();
    let eleven: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
    refused_as(headers(&eleven), field, Some("0007-00000022"), "holds 11");
    assert!(headers(&eleven[..10]).build().is_ok());
}

#[test]
fn hosts_that_oss_refuses_are_refused() {
    for host in ["a b", "a\r\nx: y", "a.example\t"] {
        refused_as(Callback::builder(URL).host(host), "callback.host", Some("0007-00000009"), "line break");
    }
    for host in ["", "http://a.example", "a.example/x", "a.example:port", "名.example"] {
        refused_as(Callback::builder(URL).host(host), "callback.host", None, "");
    }
}

#[test]
fn a_policy_stands_alone_but_for_variables() {
    let callback = Callback::from_policy("test_2").unwrap();
    assert_eq!(callback.json(), r#"{"callbackPolicy":"test_2"}"#);
    assert_eq!((callback.body(), callback.urls().len(), callback.policy()), (None, 0, Some("test_2")));
    assert!(callback.preview(&PreviewValues::new()).is_err());
    let with_vars = Callback::policy_builder("p").var("a", "1").build().unwrap();
    assert_eq!(with_vars.vars_json(), Some(r#"{"x:a":"1"}"#));
    // Other languages give the URL by position, empty when there is a policy.
    assert!(Callback::builder("").policy("p").build().is_ok());
    refused_as(Callback::policy_builder(""), "callback.policy", None, "name of a policy");
    for builder in [
        Callback::builder(URL).policy("p"),
        Callback::policy_builder("p").body("a=1"),
        Callback::policy_builder("p").field("a", "1"),
        Callback::policy_builder("p").body_type(BodyType::Json),
        Callback::policy_builder("p").host("a.example"),
        Callback::policy_builder("p").sni(true),
        Callback::policy_builder("p").header("a", "b"),
    ] {
        refused_as(builder, "callback.policy", None, "cannot stand beside");
    }
}

#[test]
fn unchecked_encodes_what_would_be_refused() {
    let callback = Callback::builder("gopher://[::1]/名#x")
        .body("{$\"${Object}\"")
        .body_type(BodyType::Json)
        .var("Uid", "1")
        .header("x-oss-a", "1")
        .unchecked(true)
        .build()
        .unwrap();
    let sent: serde_json::Value = serde_json::from_str(callback.json()).unwrap();
    let expected = json!({
        "callbackUrl": "gopher://[::1]/名#x", "callbackBody": "{$\"${Object}\"",
        "callbackBodyType": "application/json", "additionalHeaders": {"x-oss-a": "1"},
    });
    assert_eq!(sent, expected);
    assert_eq!(callback.vars_json(), Some(r#"{"x:Uid":"1"}"#));
    assert!(callback.preview(&PreviewValues::new()).is_err());
    let both = Callback::builder(URL).policy("p").body("").sni(false).unchecked(true).build().unwrap();
    assert_eq!(
        both.json(),
        r#"{"callbackUrl":"https://app.example.com/cb","callbackBody":"","callbackPolicy":"p"}"#
    );
    let fields = Callback::builder(URL).field("a", "${").body_type(BodyType::Json).unchecked(true);
    assert_eq!(fields.build().unwrap().body(), Some(r#"{"a":"\u0024{"}"#));
}

#[test]
fn what_is_seldom_meant_is_warned_of() {
    let warned = |builder: CallbackBuilder, text: &str| {
        let callback = builder.build().unwrap();
        assert!(
            callback.warnings().iter().any(|warning| warning.contains(text)),
            "{:?}",
            callback.warnings()
        );
    };
    warned(Callback::builder(URL).body("a=1").var("a", "1"), "`x:a` is never used");
    warned(Callback::builder(URL).body("a=1\n2"), "line breaks");
    warned(Callback::builder("http://a.example/a+b?token=t"), "`+`");
    let image = Callback::builder(URL).body_type(BodyType::Json).body("{\"w\":${imageInfo.width}}");
    warned(image, "not images");
    assert!(Callback::builder(URL).var("a", "1").build().unwrap().warnings().is_empty());
}

#[test]
fn preview_is_the_body_that_oss_would_send() {
    let values =
        PreviewValues::new().bucket("b").object("a \"q\" 名/+&=").etag("E").size(9).mime_type("text/plain");
    let form = Callback::builder(URL).var("uid", "1 2").build().unwrap();
    assert_eq!(
        form.preview(&values).unwrap(),
        "bucket=b&object=a%20%22q%22%20%E5%90%8D%2F%2B%26%3D&etag=E&size=9&mimeType=text%2Fplain&uid=1%202"
    );
    let json =
        Callback::builder(URL).body_type(BodyType::Json).var("uid", "1 2").field("w", "${imageInfo.width}");
    let json = json.field("o", "${object}").field("u", "${x:uid}").field("v", "${vpcId}").build().unwrap();
    assert_eq!(json.preview(&values).unwrap(), r#"{"w":"","o":"a \"q\" 名/+&=","u":"1 2","v":""}"#);
    assert_eq!(
        json.preview(&values.image(810, 539, "jpg")).unwrap(),
        r#"{"w":"810","o":"a \"q\" 名/+&=","u":"1 2","v":""}"#
    );
}

#[test]
fn debug_shows_no_values_and_no_query() {
    let builder =
        Callback::builder("https://a.example/cb?token=hunter2").var("a", "hunter2").header("b", "hunter2");
    let unbuilt = format!("{builder:?}");
    let shown = format!("{:?}", builder.build().unwrap());
    for part in ["https://a.example/cb?…", "x:a", "\"b\"", "${object}", "form"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    for shown in [unbuilt, shown] {
        assert!(!shown.contains("hunter2") && shown.contains("https://a.example/cb?…"), "{shown}");
    }
}

#[test]
fn clones_share_what_was_encoded() {
    let callback = Callback::new(URL).unwrap();
    assert!(std::ptr::eq(callback.encoded(), callback.clone().encoded()));
}

#[test]
fn words_that_oss_never_printed_are_not_ascribed_to_it() {
    let printed = refused(Callback::builder("http://a.example:x"));
    assert!(printed.message().contains("OSS would answer: The callback url configuration is invalid."));
    let ours = refused(Callback::builder(URL).header("x-oss-a", "b"));
    assert!(ours.message().ends_with("; OSS would refuse it"), "{ours}");
}
