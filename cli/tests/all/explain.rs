use std::io::Write;
use std::process::Stdio;

use super::support::{oss_callback, outcome, text};

/// OSS's own worked example (OSS, Callback).
const REAL: &str = "POST /index.php?id=1&index=2 HTTP/1.0\r\nHost: 121.43.113.8\r\nContent-Length: 18\r\n\
    authorization: kKQeGTRccDKyHB3H9vF+xYMSrmhMZjzzl2/kdD1ktNVgbWEfYTQG0G2SU/RaHBovRCE8OkQDjC3uG33esH2txA==\r\n\
    content-type: application/x-www-form-urlencoded\r\n\
    x-oss-pub-key-url: aHR0cDovL2dvc3NwdWJsaWMuYWxpY2RuLmNvbS9jYWxsYmFja19wdWJfa2V5X3YxLnBlbQ==\r\n\r\n\
    bucket=yonghu-test";

#[track_caller]
fn explained(args: &[&str], stdin: &str, code: i32) -> (String, String) {
    let mut command = oss_callback(["explain"].iter().chain(args).copied());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{stdout}\n{stderr}");
    (stdout, stderr)
}

#[track_caller]
fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

#[test]
fn explain_tells_what_a_callback_asks_and_what_oss_would_send() {
    let json = r#"{"callbackUrl":"https://app.example.com/cb","callbackBody":"k=${object}&o=${x:order}","callbackSNI":true}"#;
    let (stdout, stderr) = explained(&[json], "", 0);
    assert_eq!(stderr, "");
    let parts = [
        "POST to         https://app.example.com/cb",
        "variables used  object, x:order",
        "Would OSS take it?\n  Yes",
        "uses x:order: the upload must give them",
        "| k=dir%2Fexample%20object.txt&o=%28x%3Aorder%29",
    ];
    holds(&stdout, &parts);
    // With its variables, as headers of a request; nothing is missing any more.
    let headers = "x-oss-callback: eyJjYWxsYmFja1VybCI6Imh0dHBzOi8vYXBwLmV4YW1wbGUvY2IiLCJjYWxsYmFja0JvZHkiOiJvPSR7eDpvcmRlcn0iLCJjYWxsYmFja1NOSSI6dHJ1ZX0=\n\
        x-oss-callback-var: eyJ4Om9yZGVyIjoiNDIifQ==\n";
    let (stdout, _) = explained(&[], headers, 0);
    holds(&stdout, &["| o=42", "\"x:order\": \"42\""]);
    assert!(!stdout.contains("It needs custom variables"), "{stdout}");
}

#[test]
fn explain_tells_what_oss_would_refuse_by_its_number_and_what_to_write_instead() {
    for (input, parts) in [
        (
            r#"{"callbackUrl":"http://a.example/","callbackBody":""}"#,
            ["EC 0007-00000011", "The callback body is empty"],
        ),
        (r#"{"callbackUrl":"http://a.example:x/","callbackBody":"b"}"#, ["EC 0007-00000004", "callbackUrl"]),
        ("{\"callbackUrl\":\"http://a.example/\",", ["EC 0007-00000003", "not json format"]),
        (r#"{"x:Order":"1"}"#, ["lowercase", "custom variables of a callback"]),
    ] {
        let (stdout, stderr) = explained(&[input], "", 1);
        holds(&stdout, &parts);
        assert!(stderr.contains("OSS would refuse"), "{stderr}");
    }
    // Legal, but not what is meant: text within quotes.
    let doubled = r#"{"callbackUrl":"http://a.example/","callbackBody":"{\"k\":\"${object}\"}","callbackBodyType":"application/json"}"#;
    let (stdout, _) = explained(&[doubled], "", 1);
    holds(&stdout, &["would not do what is meant", "hint:"]);
}

#[test]
fn explain_reads_a_presigned_url_and_hides_its_signature() {
    let url = "https://photos.oss-cn-hangzhou.aliyuncs.com/dir/a%20b.jpg?x-oss-signature-version=OSS4-HMAC-SHA256\
        &x-oss-credential=LTAIexample%2F20240101%2Fcn-hangzhou%2Foss%2Faliyun_v4_request&x-oss-date=20240101T000000Z\
        &x-oss-expires=3600&x-oss-security-token=t0ken&x-oss-signature=c0ffee\
        &callback=eyJjYWxsYmFja1VybCI6Imh0dHBzOi8vYXBwLmV4YW1wbGUvY2IiLCJjYWxsYmFja0JvZHkiOiJrPSR7b2JqZWN0fSIsImNhbGxiYWNrU05JIjp0cnVlfQ%3D%3D";
    let (stdout, stderr) = explained(&[url], "", 1);
    holds(
        &stdout,
        &[
            "/dir/a b.jpg",
            "LTAIexample",
            "cn-hangzhou",
            "2024-01-01 1:00",
            "EXPIRED",
            "https://app.example/cb",
        ],
    );
    assert!(stderr.contains("expired"), "{stderr}");
    assert!(!stdout.contains("c0ffee") && !stdout.contains("t0ken"), "{stdout}");
    let plain = "https://b.oss-cn-hangzhou.aliyuncs.com/k?Expires=4102444800&OSSAccessKeyId=ak&Signature=x";
    let (stdout, _) = explained(&[plain], "", 0);
    holds(&stdout, &["V1", "2100-01-01", "There is none in it"]);
}

#[test]
fn explain_knows_how_long_a_url_may_hold() {
    for (expires, token, fine) in [
        ("604800", "", true),
        ("604801", "", false),
        ("0", "", false),
        ("43200", "&x-oss-security-token=t0ken", true),
        ("43201", "&x-oss-security-token=t0ken", false),
    ] {
        let url = format!(
            "https://b.oss-cn-hangzhou.aliyuncs.com/k?x-oss-signature-version=OSS4-HMAC-SHA256\
             &x-oss-credential=ak%2F29990101%2Fcn-hangzhou%2Foss%2Faliyun_v4_request\
             &x-oss-date=29990101T000000Z&x-oss-expires={expires}{token}&x-oss-signature=x"
        );
        let (stdout, stderr) = explained(&[&url], "", if fine { 0 } else { 1 });
        assert_eq!(stdout.contains("x-oss-expires must be from 1 to"), !fine, "{stdout}");
        assert_eq!(stderr.contains("OSS would refuse this URL"), !fine, "{stderr}");
    }
}

#[test]
fn explain_puts_a_policy_into_words() {
    let policy = |callback: &str| {
        format!(
            r#"{{"expiration":"2999-01-01T00:00:00.000Z","conditions":[{{"bucket":"photos"}},
            ["starts-with","$key","user/1/"],["content-length-range",1,1024]{callback}]}}"#
        )
    };
    let (stdout, _) = explained(&["-"], &policy(""), 0);
    holds(
        &stdout,
        &[
            "bucket          must be `photos`",
            "key             must start with `user/1/`",
            "from 1 to 1024 bytes",
            "may change or drop it",
        ],
    );
    let pinned = r#",{"callback":"eyJjYWxsYmFja1VybCI6Imh0dHBzOi8vYXBwLmV4YW1wbGUvY2IiLCJjYWxsYmFja0JvZHkiOiJrPSR7b2JqZWN0fSIsImNhbGxiYWNrU05JIjp0cnVlfQ=="}"#;
    let (stdout, _) = explained(&["--as", "policy"], &policy(pinned), 0);
    holds(&stdout, &["the callback below, exactly", "POST to         https://app.example/cb"]);
    let (stdout, _) = explained(&[&policy("").replace("2999", "2001")], "", 1);
    holds(&stdout, &["EXPIRED"]);
    for unknown in [r#"["like","$key","x"]"#, r#"["eq","key","a"]"#, r#"["STARTS-WITH","$key","a"]"#] {
        let (stdout, _) = explained(&[&policy(&format!(",{unknown}"))], "", 1);
        holds(&stdout, &[&format!("{unknown}: not a condition that OSS knows")]);
    }
}

#[test]
fn explain_shows_no_token_of_a_policy() {
    let policy = r#"{"expiration":"2999-01-01T00:00:00.000Z","conditions":[
        {"x-oss-security-token":"t0ken"},{"X-Oss-Security-Token":["t0ken"]},
        ["eq","$x-oss-security-token","t0ken"],["in","$x-oss-security-token",["t0ken"]],
        ["like","$X-OSS-SECURITY-TOKEN","t0ken"],{"x-oss-signature-version":"OSS4-HMAC-SHA256"}]}"#;
    for (input, parts) in [
        (policy, &["x-oss-security-token must be", "x-oss-signature-version must be `OSS4-HMAC-SHA256`"][..]),
        (&policy[..policy.len() - 1], &["This is a POST policy", "not the Base64 of a JSON object"]),
    ] {
        let (stdout, stderr) = explained(&[], input, 1);
        holds(&stdout, parts);
        assert!(!format!("{stdout}{stderr}").contains("t0ken"), "{stdout}{stderr}");
    }
}

#[test]
fn explain_verifies_a_captured_callback_and_finds_what_was_altered() {
    for captured in [REAL.to_owned(), REAL.replace("\r\n", "\n"), format!("{REAL}\n")] {
        let (stdout, _) = explained(&[], &captured, 0);
        holds(&stdout, &["Yes: the signature fits", "bucket        yonghu-test"]);
    }
    let dropped = REAL.replace("?id=1&index=2", "");
    let (stdout, stderr) = explained(&[], &dropped, 1);
    holds(&stdout, &["No: wrong_signature", "hint:", "What it claims, unproven", "yonghu-test"]);
    assert!(stderr.contains("does not verify: wrong_signature"), "{stderr}");
    let swapped = REAL.replace("id=1&index=2", "index=2&id=1");
    holds(&explained(&[], &swapped, 1).0, &["another order"]);
    let foreign = REAL.replace(
        "aHR0cDovL2dvc3NwdWJsaWMuYWxpY2RuLmNvbS9jYWxsYmFja19wdWJfa2V5X3YxLnBlbQ==",
        "aHR0cDovL2V2aWwuZXhhbXBsZS9r",
    );
    holds(&explained(&[], &foreign, 1).0, &["No: key_url_refused", "evil.example"]);
    holds(&explained(&["--bucket", "mine"], REAL, 1).0, &["No: wrong_bucket"]);
}

#[test]
fn explain_says_so_when_it_does_not_understand() {
    let (_, stderr) = outcome(&mut oss_callback(["explain", "hello"]), 2);
    holds(&stderr, &["neither a callback", "--as"]);
    let (_, stderr) = explained(&[], "  \n", 2);
    holds(&stderr, &["nothing to explain"]);
    let (_, stderr) = explained(&["--as", "request"], "a b\nc\n", 2);
    holds(&stderr, &["cannot be read"]);
}
