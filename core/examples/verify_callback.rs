//! Verifies a callback request and prints what it says. docs/verifying.md shows this file.
//!
//! The request is OSS's own worked example; a server hands over what it received.

use oss_callback::receive::CallbackVerifier;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let verifier = CallbackVerifier::builder().bucket("yonghu-test").build()?;

    let target = "/index.php?id=1&index=2";
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        (
            "Authorization",
            "kKQeGTRccDKyHB3H9vF+xYMSrmhMZjzzl2/kdD1ktNVgbWEfYTQG0G2SU/RaHBovRCE8OkQDjC3uG33esH2txA==",
        ),
        ("x-oss-pub-key-url", "aHR0cDovL2dvc3NwdWJsaWMuYWxpY2RuLmNvbS9jYWxsYmFja19wdWJfa2V5X3YxLnBlbQ=="),
    ];
    let event = verifier.verify("POST", target, headers, b"bucket=yonghu-test")?;
    println!("a callback about the bucket {}", event.bucket().unwrap_or_default());

    let error = verifier.verify("POST", "/index.php", headers, b"bucket=yonghu-test").unwrap_err();
    println!("without its query: {}", error.reason().map_or("", |reason| reason.name()));
    Ok(())
}
