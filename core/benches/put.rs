//! PUTs of 4 KiB with a callback over kept-alive connections, against a server that does nothing:
//! the client, beside the same request through reqwest's blocking face, which was the alternative
//! (docs/decisions/0005-transport.md). Run: `cargo bench -p oss-callback --bench put`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use divan::Bencher;
use oss_callback::{Callback, Client};

const BYTES: usize = 4096;

fn main() {
    // reqwest's blocking face looks for it even when it speaks no TLS.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    divan::main();
}

#[divan::bench(threads = [1, 16], min_time = 2)]
fn oss_callback_client(bencher: Bencher<'_, '_>) {
    let client = Client::builder()
        .endpoint(format!("http://{}", sink()))
        .region("cn-hangzhou")
        .access_key_id("id")
        .access_key_secret("secret")
        .build()
        .expect("well formed");
    let callback = Callback::new("https://app.example.com/cb").expect("well formed");
    let data = bytes::Bytes::from(vec![7; BYTES]);
    bencher.bench(|| {
        client.put_object_with_callback("examplebucket", "a.bin", data.clone(), &callback).expect("answered")
    });
}

/// Neither signed, nor summed, nor guarded by an idle timeout: less work than the client does.
#[divan::bench(threads = [1, 16], min_time = 2)]
fn reqwest_blocking_unsigned(bencher: Bencher<'_, '_>) {
    let client = reqwest::blocking::Client::builder().no_proxy().build().expect("builds");
    let callback = Callback::new("https://app.example.com/cb").expect("well formed");
    let url = format!("http://{}/examplebucket/a.bin", sink());
    let data = bytes::Bytes::from(vec![7; BYTES]);
    bencher.bench(|| {
        let answer = client
            .put(&url)
            .header("x-oss-callback", callback.encoded())
            .header("content-type", "application/octet-stream")
            .body(data.clone())
            .send()
            .expect("answered");
        answer.bytes().expect("whole")
    });
}

/// Answers every request at once, from a thread for each connection.
fn sink() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Reads requests whole and answers each: little work, so that the client is measured.
fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nContent-Type: application/json\r\n\
        ETag: \"D41D8CD98F00B204E9800998ECF8427E\"\r\nx-oss-request-id: 6555AC0C0000000000000001\r\n\r\n\
        {\"Status\":\"OK\"}";
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 << 10];
    let mut filled = 0;
    loop {
        let head = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n");
        if head.is_some_and(|end| filled >= end + 4 + BYTES) {
            // One request at a time: nothing follows until it is answered.
            filled = 0;
            stream.write_all(ANSWER)?;
            continue;
        }
        let read = stream.read(&mut buffer[filled..])?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
    }
}
