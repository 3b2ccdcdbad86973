//! What the library itself costs: signing, encoding, checksums. Run: `cargo bench -p oss-callback --bench cpu`.

use std::time::SystemTime;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use oss_callback::receive::CallbackVerifier;
use oss_callback::sign::SignRequest;
use oss_callback::{Callback, Credentials, Signer, checksum};

fn main() {
    divan::main();
}

fn credentials() -> Credentials {
    Credentials::new("LTAI5tExampleKeyId0001", "ExampleSecretKey/for+tests=0001").expect("well formed")
}

fn request(callback: &Callback) -> SignRequest {
    SignRequest {
        method: "PUT".to_owned(),
        bucket: Some("examplebucket".to_owned()),
        key: Some("exampledir/exampleobject.txt".to_owned()),
        query: Vec::new(),
        headers: vec![
            ("content-type".to_owned(), "text/plain".to_owned()),
            ("x-oss-callback".to_owned(), callback.encoded().to_owned()),
            ("x-oss-callback-var".to_owned(), callback.encoded_vars().unwrap_or_default().to_owned()),
        ],
        additional_headers: Vec::new(),
    }
}

fn callback() -> Callback {
    Callback::builder("https://app.example.com/cb").var("order", "42").build().expect("well formed")
}

#[divan::bench]
fn sign_v4(bencher: Bencher<'_, '_>) {
    let signer = Signer::v4(credentials(), "cn-hangzhou").expect("well formed");
    let request = request(&callback());
    let time = SystemTime::now();
    bencher.bench_local(|| signer.sign(black_box(&request), time).expect("signs"));
}

#[divan::bench]
fn sign_v1(bencher: Bencher<'_, '_>) {
    let signer = Signer::v1(credentials());
    let request = request(&callback());
    let time = SystemTime::now();
    bencher.bench_local(|| signer.sign(black_box(&request), time).expect("signs"));
}

#[divan::bench]
fn encode_callback(bencher: Bencher<'_, '_>) {
    bencher.bench_local(callback);
}

#[divan::bench(args = [4 << 10, 256 << 10, 8 << 20])]
fn crc64(bencher: Bencher<'_, '_>, bytes: usize) {
    let data = vec![0x5a; bytes];
    bencher.counter(BytesCount::new(bytes)).bench_local(|| checksum::crc64(black_box(&data)));
}

#[divan::bench]
fn crc64_combine() -> u64 {
    checksum::combine(black_box(0x1234_5678_9abc_def0), black_box(42), black_box(8 << 20))
}

/// The example of OSS's Callback page, which its own 512-bit key signed.
#[divan::bench]
fn verify_callback(bencher: Bencher<'_, '_>) {
    let verifier = CallbackVerifier::builder().build().expect("well formed");
    let headers = [
        ("host", "121.43.113.8"),
        ("content-type", "application/x-www-form-urlencoded"),
        (
            "authorization",
            "kKQeGTRccDKyHB3H9vF+xYMSrmhMZjzzl2/kdD1ktNVgbWEfYTQG0G2SU/RaHBovRCE8OkQDjC3uG33esH2txA==",
        ),
        ("x-oss-pub-key-url", "aHR0cDovL2dvc3NwdWJsaWMuYWxpY2RuLmNvbS9jYWxsYmFja19wdWJfa2V5X3YxLnBlbQ=="),
    ];
    bencher.bench_local(|| {
        verifier
            .verify("POST", black_box("/index.php?id=1&index=2"), headers, black_box(b"bucket=yonghu-test"))
            .expect("verifies")
    });
}
