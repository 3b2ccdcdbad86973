//! TLS towards application servers: which certificates are trusted, and whether the name is told.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

/// A client configuration that trusts the platform's roots and `extra_roots_pem`, and tells the server the
/// host name (SNI) or does not. The error says which of the extra roots is unreadable.
pub(super) fn client_config(extra_roots_pem: &[Vec<u8>], sni: bool) -> Result<Arc<ClientConfig>, String> {
    let mut roots = Vec::new();
    for pem in extra_roots_pem {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.push(certificate.map_err(|error| format!("an extra root is not PEM: {error}"))?);
        }
    }
    // Named, not taken from the process-wide default: another library may have installed another one.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots, provider.clone())
        .map_err(|error| format!("the roots cannot be loaded: {error}"))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS is not available: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.enable_sni = sni;
    Ok(Arc::new(config))
}
