//! TLS by rustls on aws-lc, trusting the platform's roots and those that the user adds.

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use crate::error::{Error, Result};

/// What a client needs for TLS, made on first use: reading the platform's roots takes milliseconds
/// that a plain-http client should not pay.
#[derive(Debug, Default)]
pub(crate) struct TlsSettings {
    extra_roots: Vec<CertificateDer<'static>>,
    config: OnceLock<Result<ClientConfig, String>>,
    plain: OnceLock<Result<ClientConfig, String>>,
}

impl TlsSettings {
    /// Takes further root certificates as PEM text.
    pub fn new(ca_certificates: Option<&str>) -> Result<TlsSettings> {
        let Some(pem) = ca_certificates else {
            return Ok(TlsSettings::default());
        };
        let refuse = |message: String| Error::invalid_argument("ca_certificates", message);
        let roots = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|e| refuse(format!("is not valid PEM: {e}")))?;
        if roots.is_empty() {
            return Err(refuse("holds no certificate (-----BEGIN CERTIFICATE-----)".to_owned()));
        }
        let settings = TlsSettings { extra_roots: roots, ..TlsSettings::default() };
        for (index, root) in settings.extra_roots.iter().enumerate() {
            rustls::RootCertStore::empty()
                .add(root.clone())
                .map_err(|e| refuse(format!("certificate {} cannot be used: {e}", index + 1)))?;
        }
        Ok(settings)
    }

    /// The configuration for https.
    pub fn config(&self) -> std::result::Result<ClientConfig, String> {
        self.config.get_or_init(|| self.build().map_err(|e| e.to_string())).clone()
    }

    /// A configuration that trusts nobody, for clients that never speak TLS.
    pub fn unused(&self) -> std::result::Result<ClientConfig, String> {
        let build = || {
            Ok::<_, rustls::Error>(
                ClientConfig::builder_with_provider(provider())
                    .with_safe_default_protocol_versions()?
                    .with_root_certificates(rustls::RootCertStore::empty())
                    .with_no_client_auth(),
            )
        };
        self.plain.get_or_init(|| build().map_err(|e| e.to_string())).clone()
    }

    fn build(&self) -> std::result::Result<ClientConfig, rustls::Error> {
        let verifier = Verifier::new_with_extra_roots(self.extra_roots.iter().cloned(), provider());
        let builder =
            ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let verifier: Arc<dyn rustls::client::danger::ServerCertVerifier> = match verifier {
            Ok(verifier) => Arc::new(verifier),
            // A container without a certificate store still works with the roots that were given.
            Err(error) if self.extra_roots.is_empty() => return Err(error),
            Err(_) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add_parsable_certificates(self.extra_roots.iter().cloned());
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
                    .build()
                    .map_err(|e| rustls::Error::General(e.to_string()))?
            }
        };
        // Verification is as strict as rustls' own; only the source of the roots differs.
        Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
    }
}

/// Named explicitly: a process-wide default is the application's to choose, not a library's.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())).clone()
}
