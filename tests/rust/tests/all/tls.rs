//! Uploads over TLS, and what comes of a TLS that fails: the local OSS behind a server that deciphers for it.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use oss_callback::{Callback, ClientBuilder, ErrorKind, PutRequest, Step, UploadOptions};
use oss_callback_emulator::Operation;
use oss_callback_tests::app_server::AppServer;
use oss_callback_tests::rig::{BUCKET, KEY, Rig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What goes wrong with the first connections.
#[derive(Clone, Copy)]
enum Fault {
    /// Nothing.
    None,
    /// So many are closed when they greet.
    Closed(usize),
    /// So many are answered in another language.
    Garbage(usize),
    /// So many are cut off in the middle of the request.
    Cut(usize),
}

/// Deciphers what comes and passes it on.
struct Front {
    address: SocketAddr,
    root_pem: String,
    connections: Arc<AtomicUsize>,
    _runtime: tokio::runtime::Runtime,
}

impl Front {
    /// With a certificate for this name.
    fn start(rig: &Rig, name: &str, fault: Fault) -> Front {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(config));
        let upstream = rig.emulator.endpoint().trim_start_matches("http://").to_owned();
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_io().build().unwrap();
        let counted = Arc::clone(&connections);
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let number = counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, tls.clone(), upstream.clone(), fault, number));
            }
        });
        Front { address, root_pem: issuer.pem(), connections, _runtime: runtime }
    }

    fn client_builder(&self, rig: &Rig) -> ClientBuilder {
        rig.client_builder()
            .endpoint(format!("https://{}", self.address))
            .read_timeout(Duration::from_secs(2))
            .ca_certificates(&self.root_pem)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(
    mut stream: TcpStream,
    tls: TlsAcceptor,
    upstream: String,
    fault: Fault,
    number: usize,
) -> std::io::Result<()> {
    match fault {
        Fault::Closed(count) if number < count => return Ok(()),
        Fault::Garbage(count) if number < count => return stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await,
        _ => {}
    }
    let mut client = tls.accept(stream).await?;
    if matches!(fault, Fault::Cut(count) if number < count) {
        // Some of the request, and then without a word.
        client.read_exact(&mut [0; 100]).await?;
        return Ok(());
    }
    let mut server = TcpStream::connect(upstream).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

const DATA: &[u8] = &[7; 300_000];

#[test]
fn uploads_over_tls_arrive_whole_and_share_a_connection() {
    let rig = Rig::start();
    let front = Front::start(&rig, "127.0.0.1", Fault::None);
    let client = front.client_builder(&rig).build().unwrap();
    for data in [b"".as_slice(), b"Hello OSS", DATA] {
        let reply = client.put_object_with_callback(BUCKET, KEY, data, &rig.callback()).unwrap();
        assert_eq!(reply.text(), r#"{"Status":"OK"}"#);
        assert!(rig.holds(data));
    }
    assert_eq!(front.connections(), 1);
    let options = UploadOptions::default().threshold(0).part_size(102_400).parallel(2);
    client.upload_file_with_callback(BUCKET, KEY, DATA, &rig.callback(), &options).unwrap();
    assert!(rig.holds(DATA));
    assert_eq!((rig.count(Operation::UploadPart), rig.callbacks()), (3, 4));
}

#[test]
fn an_upload_that_its_caller_moves_is_sent_whole_before_it_waits() {
    let rig = Rig::start();
    let app = AppServer::start().unwrap();
    let front = Front::start(&rig, "127.0.0.1", Fault::None);
    let client = front.client_builder(&rig).build().unwrap();
    let callback = Callback::builder(app.url("/delay/1000")).build().unwrap();
    let data = vec![7; 8 << 20];
    for round in 1..=2 {
        let mut upload = client.begin(PutRequest::new(BUCKET, KEY, data.clone(), &callback)).unwrap();
        assert!(matches!(upload.advance(), Step::AwaitsAnswer(_)));
        let start = Instant::now();
        while app.callbacks().len() < round {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "nobody moves it, and the object is not whole"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        let outcome = loop {
            match upload.advance() {
                Step::Ended(outcome) => break outcome,
                Step::AwaitsAnswer(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        assert_eq!(outcome.unwrap().text(), r#"{"Status":"OK"}"#);
        assert!(rig.holds(&data));
    }
    assert_eq!(front.connections(), 1);
}

#[test]
fn a_server_that_is_not_trusted_gets_nothing_and_is_not_asked_again() {
    let rig = Rig::start();
    let front = Front::start(&rig, "127.0.0.1", Fault::None);
    let elsewhere = Front::start(&rig, "other.example", Fault::None);
    let others = Front::start(&rig, "127.0.0.1", Fault::None);
    let cases = [
        ("an unknown issuer", front.client_builder(&rig).ca_certificates(&others.root_pem), &front),
        ("another name", elsewhere.client_builder(&rig), &elsewhere),
    ];
    for (case, builder, front) in cases {
        let client = builder.build().unwrap();
        let put = client.put_object_with_callback(BUCKET, KEY, DATA, &rig.callback()).unwrap_err();
        let options = UploadOptions::default().threshold(0).part_size(102_400);
        let parts =
            client.upload_file_with_callback(BUCKET, KEY, DATA, &rig.callback(), &options).unwrap_err();
        for error in [put, parts] {
            assert_eq!(error.kind(), ErrorKind::Network, "{case}");
            assert!(error.message().contains("certificate"), "{case}: {}", error.message());
        }
        assert_eq!(front.connections(), 2, "{case}");
    }
    assert_eq!((rig.emulator.requests().len(), rig.callbacks()), (0, 0));
}

#[test]
fn a_handshake_that_fails_is_tried_again() {
    for fault in [Fault::Closed(2), Fault::Garbage(2)] {
        let rig = Rig::start();
        let front = Front::start(&rig, "127.0.0.1", fault);
        let client = front.client_builder(&rig).build().unwrap();
        client.put_object_with_callback(BUCKET, KEY, DATA, &rig.callback()).unwrap();
        assert!(rig.holds(DATA));
        assert_eq!((front.connections(), rig.count(Operation::PutObject), rig.callbacks()), (3, 1, 1));
        let front = Front::start(&rig, "127.0.0.1", fault);
        let client = front.client_builder(&rig).retries(0).build().unwrap();
        let error = client.put_object_with_callback(BUCKET, KEY, DATA, &rig.callback()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network);
        assert!(error.message().starts_with("cannot connect to "), "{}", error.message());
    }
}

#[test]
fn a_connection_that_is_cut_off_before_the_request_was_whole_is_opened_anew() {
    let rig = Rig::start();
    let front = Front::start(&rig, "127.0.0.1", Fault::Cut(1));
    let client = front.client_builder(&rig).build().unwrap();
    // More than the buffers on the way hold: the client cannot think it handed over.
    let data = vec![7; 32 << 20];
    client.put_object_with_callback(BUCKET, KEY, data.clone(), &rig.callback()).unwrap();
    assert!(rig.holds(&data));
    assert_eq!((front.connections(), rig.count(Operation::PutObject), rig.callbacks()), (2, 1, 1));
}
