use std::process::Command;

use super::support::{oss_callback, outcome};

fn demo() -> Command {
    oss_callback(["demo"])
}

#[test]
fn demo_writes_the_callback_body_and_nothing_else_to_standard_output() {
    let (stdout, _) = outcome(&mut demo(), 0);
    assert_eq!(stdout, r#"{"Status":"OK","id":"1024"}"#);
}

#[test]
fn demo_tells_the_hops_in_their_order() {
    let (_, story) = outcome(&mut demo(), 0);
    let parts = [
        "1. The caller signs the upload",
        "PUT /examplebucket/exampledir/exampleobject.txt",
        "OSS4-HMAC-SHA256 Credential=",
        "| Hello OSS",
        "x-oss-callback, decoded",
        "\"callbackBodyType\": \"application/json\"",
        "\"x:order\": \"1024\"",
        "2. OSS checks the signature, stores the object",
        "POST /oss/uploaded HTTP/1.1",
        "x-oss-pub-key-url",
        "\"object\":\"exampledir/exampleobject.txt\",\"size\":9,",
        "3. The application server checks",
        "http://gosspublic.alicdn.com/",
        "the signature verifies",
        "4. The application server answers",
        "HTTP/1.1 200 OK",
        "{\"Status\":\"OK\",\"id\":\"1024\"}",
        "5. OSS hands the answer back",
        "ETag",
    ];
    let mut rest = story.as_str();
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("`{part}` is missing or too early in:\n{story}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn demo_shows_no_secret_no_whole_signature_and_no_colour_off_a_terminal() {
    let (_, story) = outcome(&mut demo(), 0);
    assert!(!story.contains("access-key-secret"), "{story}");
    assert!(!story.contains('\u{1b}'), "{story}");
    assert!(story.contains("Signature=*"), "{story}");
    let callback = story.split("2. OSS checks").nth(1).unwrap();
    let signature = callback
        .lines()
        .find_map(|line| {
            line.trim_start_matches([' ', '|'])
                .to_ascii_lowercase()
                .strip_prefix("authorization: ")
                .map(str::len)
        })
        .unwrap();
    assert!(signature < 50, "{callback}");
}

#[test]
fn demo_needs_no_environment_and_takes_none() {
    let mut command = demo();
    command
        .env("OSS_ENDPOINT", "http://127.0.0.1:1")
        .env("OSS_ACCESS_KEY_ID", "mine")
        .env("OSS_ACCESS_KEY_SECRET", "s3cret");
    command.env("HTTP_PROXY", "http://127.0.0.1:1").env("OSS_SESSION_TOKEN", "t0ken");
    let (_, story) = outcome(&mut command, 0);
    for taken in ["mine", "s3cret", "t0ken"] {
        assert!(!story.contains(taken), "{story}");
    }
}
