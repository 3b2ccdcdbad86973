//! Callbacks by https: whom OSS trusts, and what the server name (SNI) changes.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::server::{Seen, Server, parse};
use super::*;

/// A server that shows the certificate for `localhost` only to those who ask for it by name, as one with
/// several sites behind one address does.
struct TlsServer {
    port: u16,
    root_pem: Vec<u8>,
    names: Arc<Mutex<Vec<Option<String>>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

#[derive(Debug)]
struct ByName {
    localhost: Arc<CertifiedKey>,
    others: Arc<CertifiedKey>,
    names: Arc<Mutex<Vec<Option<String>>>>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_owned);
        let certificate = if name.as_deref() == Some("localhost") { &self.localhost } else { &self.others };
        self.names.lock().unwrap().push(name);
        Some(certificate.clone())
    }
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn issuer() -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn certified(issuer: &Issuer, name: &str) -> Arc<CertifiedKey> {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, issuer).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key))
}

impl TlsServer {
    /// Shows a certificate for `default_name` to clients without SNI.
    async fn start(default_name: &str) -> TlsServer {
        let issuer = issuer();
        let names = Arc::new(Mutex::new(Vec::new()));
        let resolver = ByName {
            localhost: certified(&issuer, "localhost"),
            others: certified(&issuer, default_name),
            names: names.clone(),
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(socket).await else { continue };
                let mut bytes = Vec::new();
                let request = loop {
                    if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                        break None;
                    }
                    if let Some(request) = parse(&bytes) {
                        break Some(request);
                    }
                };
                sink.lock().unwrap().extend(request);
                let _ = stream.write_all(GOOD.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        TlsServer { port, root_pem: issuer.pem().into_bytes(), names, seen }
    }

    fn trusting(&self) -> CallbackConfig {
        CallbackConfig { extra_roots_pem: vec![self.root_pem.clone()], ..config() }
    }

    fn callback(&self, host: &str, sni: bool) -> Json {
        let mut callback = simple(&format!("https://{host}:{}/cb", self.port));
        callback["callbackSNI"] = json!(sni);
        callback
    }
}

fn bad_gateway() -> (String, String) {
    ("0007-00000203".to_owned(), "Error status : 502.".to_owned())
}

#[tokio::test]
async fn with_sni_the_right_certificate_is_found_and_the_callback_succeeds() {
    let server = TlsServer::start("other.example").await;
    answered(run(&server.trusting(), &server.callback("localhost", true)).await);
    assert_eq!(*server.names.lock().unwrap(), [Some("localhost".to_owned())]);
    let seen = server.seen.lock().unwrap();
    assert_eq!(seen[0].line, "POST /cb HTTP/1.1");
    assert_eq!(seen[0].header("Host"), format!("localhost:{}", server.port));
}

#[tokio::test]
async fn without_sni_another_sites_certificate_comes_and_the_callback_shows_502() {
    let server = TlsServer::start("other.example").await;
    let callback = server.callback("localhost", false);
    assert_eq!(failure(run(&server.trusting(), &callback).await), bad_gateway());
    assert_eq!(*server.names.lock().unwrap(), [None]);
    assert!(server.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn without_sni_a_server_with_one_site_is_fine() {
    let server = TlsServer::start("localhost").await;
    answered(run(&server.trusting(), &server.callback("localhost", false)).await);
}

#[tokio::test]
async fn an_address_as_host_is_checked_against_the_certificates_addresses() {
    let server = TlsServer::start("127.0.0.1").await;
    answered(run(&server.trusting(), &server.callback("127.0.0.1", true)).await);
    assert_eq!(*server.names.lock().unwrap(), [None], "an address is never told as a name");
    let server = TlsServer::start("other.example").await;
    let callback = server.callback("127.0.0.1", true);
    assert_eq!(failure(run(&server.trusting(), &callback).await), bad_gateway());
}

#[tokio::test]
async fn a_certificate_of_unknown_origin_is_not_trusted() {
    let server = TlsServer::start("localhost").await;
    let another = issuer().pem().into_bytes();
    let config = CallbackConfig { extra_roots_pem: vec![another], ..server.trusting() };
    assert_eq!(failure(run(&config, &server.callback("localhost", true)).await), bad_gateway());
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_shows_502() {
    let plain = Server::answering(GOOD);
    let hasty = CallbackConfig { extra_roots_pem: vec![issuer().pem().into_bytes()], ..hasty() };
    let url = format!("https://{}/", plain.address());
    // The plain server waits for a request that never ends; it is the limit that ends this.
    let (ec, message) = failure(run(&hasty, &simple(&url)).await);
    assert_eq!((ec.as_str(), message.as_str()), ("0007-00000202", "Cost too long time."));
    let garbage =
        Server::start(server::Behaviour::AnswerUnread(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()));
    let url = format!("https://{}/", garbage.address());
    let patient = CallbackConfig { timeout: Duration::from_secs(5), ..hasty };
    assert_eq!(failure(run(&patient, &simple(&url)).await), bad_gateway());
}
