//! The server that every benchmark uploads to. It speaks just enough OSS and S3 to be satisfied by, and
//! throws bodies away in the kernel, so that clients are measured and not the server.
//!
//! usage: bench-sink CA_FILE
//!
//! Prints one line of JSON that says where it listens: `plain`; `slow5` and `slow1000`, which wait that many
//! milliseconds before each answer; `tls`, whose certificate's issuer it writes into CA_FILE. Ends when its
//! standard input closes. `GET /__counts` tells what it has seen.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use oss_callback_bench::sink::{Connection, Counts, Wire};
use oss_callback_bench::tls::TlsStream;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let ca_file = std::env::args().nth(1).ok_or("usage: bench-sink CA_FILE")?;
    let tls = tls(&ca_file)?;
    let counts = Arc::new(Counts::default());
    let wait = Duration::from_millis;
    let listeners = [
        ("plain", "http", None, Duration::ZERO),
        ("slow5", "http", None, wait(5)),
        ("slow1000", "http", None, wait(1000)),
        ("tls", "https", Some(tls), Duration::ZERO),
    ];
    let mut places = Vec::new();
    for (name, scheme, tls, service_time) in listeners {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        // 256 uploads begin at once, and the standard library has 128 wait to be accepted.
        socket2::SockRef::from(&listener).listen(1024)?;
        places.push(format!("\"{name}\":\"{scheme}://{}\"", listener.local_addr()?));
        let counts = Arc::clone(&counts);
        std::thread::spawn(move || accept(&listener, tls.as_ref(), service_time, &counts));
    }
    println!("{{{}}}", places.join(","));
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

/// A thread for each connection: with hundreds of clients that is still the least work.
fn accept(listener: &TcpListener, tls: Option<&Arc<ServerConfig>>, wait: Duration, counts: &Arc<Counts>) {
    for stream in listener.incoming().flatten() {
        let (tls, counts) = (tls.cloned(), Arc::clone(counts));
        let serve = move || {
            let wire = wire(stream, tls)?;
            // A client that hangs up half-way notices by itself.
            Connection::new(wire, wait, &counts).serve()
        };
        if let Err(error) = std::thread::Builder::new().stack_size(256 << 10).spawn(serve) {
            eprintln!("bench-sink: no thread for a connection: {error}");
        }
    }
}

fn wire(stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<Wire> {
    stream.set_nodelay(true)?;
    let Some(config) = tls else { return Ok(Wire::Plain(stream)) };
    Ok(Wire::Tls(Box::new(TlsStream::new(config, stream)?)))
}

fn tls(ca_file: &str) -> Result<Arc<ServerConfig>, Failure> {
    let ca_key = rcgen::KeyPair::generate()?;
    let mut ca = rcgen::CertificateParams::new(Vec::new())?;
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    ca.distinguished_name.push(rcgen::DnType::CommonName, "oss-callback benchmarks");
    std::fs::write(ca_file, ca.self_signed(&ca_key)?.pem())?;
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate()?;
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate = rcgen::CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    let key = rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der())?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
