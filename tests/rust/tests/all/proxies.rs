//! Uploads through an HTTP proxy. The local OSS is one for itself: it takes requests in a proxy's form for any
//! host's name.

use std::sync::mpsc;

use oss_callback::{Client, ClientBuilder, ErrorKind, UploadOptions};
use oss_callback_emulator::Operation;
use oss_callback_tests::http::{Server, Then, answer};
use oss_callback_tests::rig::{BUCKET, KEY, Rig, header};

/// A client of a host that no name server knows, by way of the proxy.
fn behind(rig: &Rig, proxy: &str) -> ClientBuilder {
    Client::builder()
        .endpoint("http://oss-cn-hangzhou.example")
        .region(rig.emulator.region())
        .access_key_id(rig.emulator.access_key_id())
        .access_key_secret(rig.emulator.access_key_secret())
        .proxy(proxy)
}

#[test]
fn a_proxy_passes_requests_and_callbacks_on() {
    let rig = Rig::start();
    let client = behind(&rig, &rig.emulator.endpoint()).build().unwrap();
    for count in 1..=2 {
        let reply = client.put_object_with_callback(BUCKET, KEY, b"Hello OSS", &rig.callback()).unwrap();
        assert_eq!(reply.text(), r#"{"Status":"OK"}"#);
        assert!(rig.holds(b"Hello OSS"));
        assert_eq!(rig.callbacks(), count);
    }
    let data = vec![7; 300_000];
    let options = UploadOptions::default().threshold(0).part_size(102_400);
    client.upload_file_with_callback(BUCKET, KEY, data.clone(), &rig.callback(), &options).unwrap();
    assert!(rig.holds(&data));
    assert_eq!((rig.count(Operation::UploadPart), rig.callbacks()), (3, 3));
    // No name server knows the host: it was the proxy's to find.
    let request = &rig.requests(Operation::PutObject)[0];
    assert_eq!(header(request, "host"), Some("examplebucket.oss-cn-hangzhou.example"));
}

#[test]
fn https_asks_the_proxy_for_a_tunnel_and_tells_it_nothing_else() {
    let (told, heard) = mpsc::channel();
    let proxy = Server::start(move |request, stream| {
        let _ = told.send((request.method.clone(), request.target.clone(), request.headers.clone()));
        answer(stream, 403, &[], b"").map(|()| Then::Close)
    })
    .unwrap();
    let rig = Rig::start();
    let client =
        behind(&rig, &proxy.url()).endpoint("https://oss-cn-hangzhou.example").retries(0).build().unwrap();
    let error = client.put_object_with_callback(BUCKET, KEY, b"x", &rig.callback()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    let (method, target, headers) = heard.recv().unwrap();
    assert_eq!((&*method, &*target), ("CONNECT", "examplebucket.oss-cn-hangzhou.example:443"));
    let ours = headers.iter().find(|(name, _)| name.to_ascii_lowercase().starts_with("x-oss"));
    assert!(ours.is_none(), "{headers:?}");
}

#[test]
fn a_proxy_that_is_not_there_is_told_as_such() {
    let rig = Rig::start();
    let client = behind(&rig, "http://user:secret@127.0.0.1:1").retries(0).build().unwrap();
    let error = client.put_object_with_callback(BUCKET, KEY, b"x", &rig.callback()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
}
