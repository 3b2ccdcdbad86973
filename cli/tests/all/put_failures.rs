use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

use super::support::{Serve, Server, oss_callback, outcome, response};

const SECRET: &str = "s3cret-of-the-test";
const TOKEN: &str = "t0ken-of-the-test";
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
const URL: [&str; 2] = ["--callback-url", "http://127.0.0.1:9/cb"];

/// An upload to `endpoint`, with credentials that no output may show.
fn put(endpoint: &str, args: &[&str]) -> Command {
    let mut command = oss_callback(["put", FILE, "oss://photos/k"].iter().chain(args).copied());
    command.env("OSS_ENDPOINT", endpoint).env("OSS_REGION", "cn-hangzhou");
    command.env("OSS_ACCESS_KEY_ID", "id-of-the-test").env("OSS_ACCESS_KEY_SECRET", SECRET);
    command
}

/// Standard error of a command that must fail with `code`, print nothing else and show no secret.
#[track_caller]
fn fails(command: &mut Command, code: i32) -> String {
    let (stdout, stderr) = outcome(command, code);
    assert_eq!(stdout, "");
    assert!(!stderr.contains(SECRET) && !stderr.contains(TOKEN), "{stderr}");
    stderr
}

/// The error as `--json` prints it.
#[track_caller]
fn fails_in_json(command: &mut Command, code: i32) -> Value {
    let (stdout, stderr) = outcome(command.arg("--json"), code);
    for secret in [SECRET, TOKEN] {
        assert!(!stdout.contains(secret) && !stderr.contains(secret), "{stdout}{stderr}");
    }
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["ok"], false);
    assert_eq!(json["error"]["exit_code"], code);
    json["error"].clone()
}

#[track_caller]
fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

#[test]
fn missing_arguments_are_named_and_nothing_is_sent() {
    let oss = Server::app("200 OK", "{}");
    let endpoint = format!("http://{}", oss.address);
    holds(&fails(&mut put(&endpoint, &[]), 2), &["--callback-url"]);
    let cases: [(&[&str], &[&str]); 7] = [
        (&["--callback-url", "not a url"], &["error: --callback-url: "]),
        (
            &["--callback-url", "http://a.example/", "--callback-body", "k=${nosuch}"],
            &["error: --callback-body: "],
        ),
        (&["--callback-url", "http://a.example/", "--var", "order"], &["--var", "NAME=VALUE"]),
        (&["--callback-url", "http://a.example/", "--timeout", "30"], &["--timeout", "30s"]),
        (&["--callback-url", "http://a.example/", "--acl", "publik"], &["--acl", "public-read-write"]),
        (&["--callback-url", "http://a.example/", "--traffic-limit", "1"], &["error: --traffic-limit: "]),
        (
            &["--callback-url", "http://a.example/", "--ca-certificates", "/nowhere.pem"],
            &["--ca-certificates", "/nowhere.pem"],
        ),
    ];
    for (args, parts) in cases {
        holds(&fails(&mut put(&endpoint, args), 2), parts);
    }
    assert_eq!(oss.requests(), Vec::<String>::new());
}

#[test]
fn a_target_that_is_no_address_is_answered_with_how_to_write_one() {
    let stderr = fails(oss_callback(["put", FILE, "photos/cat.jpg"]).args(URL), 2);
    holds(&stderr, &["photos/cat.jpg", "Write oss://BUCKET/KEY"]);
}

#[test]
fn a_missing_endpoint_is_told_by_its_flags() {
    let mut command = put("", &URL);
    command.env_remove("OSS_REGION");
    holds(&fails(&mut command, 2), &["--region", "--endpoint", "OSS_REGION"]);
}

#[test]
fn missing_credentials_name_the_variables_and_no_flag() {
    let mut command = put("http://127.0.0.1:1", &URL);
    command.env_remove("OSS_ACCESS_KEY_SECRET");
    let stderr = fails(&mut command, 2);
    holds(&stderr, &["OSS_ACCESS_KEY_SECRET", "in the environment"]);
    assert!(!stderr.contains("--access"), "{stderr}");
    let (_, stderr) = outcome(&mut put("http://127.0.0.1:1", &["--access-key-secret", "x"]), 2);
    holds(&stderr, &["unexpected argument"]);
}

#[test]
fn usage_errors_are_json_too_when_json_is_asked_for() {
    let error = fails_in_json(&mut put("http://127.0.0.1:1", &["--callback-url"]), 2);
    assert_eq!(error["kind"], "invalid_argument");
    let error = fails_in_json(&mut put("http://127.0.0.1:1", &["--callback-url", "ftp://a/"]), 2);
    assert_eq!(
        (&error["flag"], &error["field"]),
        (&Value::from("--callback-url"), &Value::from("callback.url"))
    );
}

#[test]
fn advice_speaks_of_flags() {
    let cases: [(&[&str], &[&str]); 4] = [
        (&["--callback-body", "o=${x:order}"], &["error: --callback-body: holds", "`--var order=VALUE`"]),
        (&["--callback-body", "a=b", "--callback-field", "a=b"], &["beside `--callback-field`"]),
        (&["--callback-policy", "p"], &["error: --callback-policy: ", "beside `--callback-url`"]),
        (
            &["--network", "internal", "--endpoint", "http://127.0.0.1:1"],
            &["error: --network: ", "`--endpoint`"],
        ),
    ];
    for (args, parts) in cases {
        holds(&fails(put("http://127.0.0.1:1", &URL).args(args), 2), parts);
    }
}

#[test]
fn a_variable_that_is_never_used_is_warned_of() {
    let mut command = put("http://127.0.0.1:1", &URL);
    let stderr = fails(command.args(["--var", "order=1", "--callback-body", "o=${object}"]), 5);
    holds(&stderr, &["warning: --var: `x:order` is never used"]);
    let stderr = fails(command.arg("-q"), 5);
    assert!(stderr.starts_with("error: "), "{stderr}");
}

#[test]
fn a_wrong_secret_is_refused_by_the_service() {
    let serve = Serve::start(&[]);
    let command = || {
        let mut command = put(serve.variable("OSS_ENDPOINT"), &URL);
        command.env("OSS_ACCESS_KEY_ID", serve.variable("OSS_ACCESS_KEY_ID"));
        command
    };
    let stderr = fails(&mut command(), 3);
    holds(&stderr, &["SignatureDoesNotMatch", "403", "request id"]);
    let error = fails_in_json(&mut command(), 3);
    assert_eq!(
        (&error["kind"], &error["code"]),
        (&Value::from("service"), &Value::from("SignatureDoesNotMatch"))
    );
    assert_eq!(error["stored"], false);
    holds(error["string_to_sign"].as_str().unwrap(), &["OSS4-HMAC-SHA256\n", "/cn-hangzhou/oss/"]);
    serve.logged("SignatureDoesNotMatch");
}

#[test]
fn a_token_that_the_service_repeats_is_not_shown() {
    let oss = Server::start(|request| {
        assert!(request.contains(TOKEN), "{request}");
        let body = format!(
            "<Error><Code>SignatureDoesNotMatch</Code><Message>m</Message>\
             <StringToSign>PUT\nx-oss-security-token:{TOKEN}\n/photos/k</StringToSign></Error>"
        );
        response("403 Forbidden", "", &body)
    });
    let mut command = put(&format!("http://{}", oss.address), &URL);
    command.env("OSS_SESSION_TOKEN", TOKEN).args(["--signature-version", "v1"]);
    fails(&mut command, 3);
    let error = fails_in_json(&mut command, 3);
    assert_eq!(error["string_to_sign"], "PUT\nx-oss-security-token:***\n/photos/k");
}

#[test]
fn a_failed_callback_says_that_the_object_is_stored_and_why() {
    let (serve, app) = (Serve::start(&[]), Server::app("500 Internal Server Error", "{}"));
    let args = [FILE, "oss://photos/k", "--callback-url", &app.url()];
    let stderr = fails(&mut serve.put(&args), 4);
    holds(&stderr, &["the object is stored", "bad_status", "0007-00000203", "ETag", "status 200 exactly"]);
    holds(&serve.logged("callback POST"), &["500", "0007-00000203"]);
    let error = fails_in_json(&mut serve.put(&args), 4);
    assert_eq!((&error["cause"], &error["callback_status"]), (&Value::from("bad_status"), &Value::from(500)));
    assert_eq!((&error["stored"], &error["status"]), (&Value::from(true), &Value::from(203)));
    assert!(error["etag"].is_string() && error["crc64"].is_string(), "{error}");
}

#[test]
fn an_endpoint_that_refuses_connections_is_a_network_error() {
    // Bound and dropped: nothing listens there.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{address}");
    holds(&fails(&mut put(&endpoint, &URL), 5), &["cannot connect", &address.to_string()]);
    let error = fails_in_json(&mut put(&endpoint, &URL), 5);
    assert_eq!((&error["kind"], &error["retryable"]), (&Value::from("network"), &Value::from(true)));
}

#[test]
fn a_server_that_never_answers_is_a_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let stderr = fails(put(&endpoint, &URL).args(["--timeout", "300ms"]), 5);
    holds(&stderr, &["300ms", "may or may not be stored"]);
}

#[test]
fn other_bytes_than_were_sent_are_told_apart() {
    let oss = Server::start(|_| response("200 OK", "x-oss-hash-crc64ecma: 1\r\n", "{}"));
    let stderr = fails(&mut put(&format!("http://{}", oss.address), &URL), 6);
    holds(&stderr, &["CRC-64", "Upload it again"]);
}

#[test]
fn what_the_server_says_cannot_steer_the_terminal() {
    let body = "<Error><Code>Evil</Code><Message>a&#27;[2Jb\u{1b}]0;c\u{7}</Message></Error>";
    let oss = Server::start(move |_| response("400 Bad Request", "", body));
    let stderr = fails(&mut put(&format!("http://{}", oss.address), &URL), 3);
    assert!(!stderr.contains(['\u{1b}', '\u{7}']), "{stderr:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_told_by_its_name() {
    let serve = Serve::start(&[]);
    let missing = |path: &str| serve.put(&[path, "oss://photos/k", URL[0], URL[1]]);
    holds(&fails(&mut missing("/no/such/file"), 7), &["/no/such/file"]);
    holds(&fails(&mut missing(env!("CARGO_MANIFEST_DIR")), 7), &["is a directory"]);
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_printed_is_no_failed_upload() {
    let (serve, app) = (Serve::start(&[]), Server::app("200 OK", "{}"));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = serve.put(&[FILE, "oss://photos/k", "--callback-url", &app.url()]);
    let child = command.stdout(full).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    holds(&String::from_utf8_lossy(&output.stderr), &["standard output", "do not repeat it"]);
}

#[test]
fn the_environment_asks_for_a_log() {
    let (serve, app) = (Serve::start(&[]), Server::app("200 OK", "{}"));
    let log = |level: &str| {
        let mut command = serve.put(&[FILE, "oss://photos/k", "--callback-url", &app.url()]);
        outcome(command.env("OSS_CALLBACK_LOG", level), 0).1
    };
    let (quiet, log) = (log("off"), log("debug"));
    holds(&log, &["Z DEBUG oss_callback::client", ": uploaded bucket=\"photos\" key=\"k\""]);
    assert!(!log.contains(serve.variable("OSS_ACCESS_KEY_SECRET")), "{log}");
    assert!(!quiet.contains("DEBUG"), "{quiet}");
}
