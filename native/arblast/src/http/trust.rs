//! Whom our clients trust when they speak TLS: authorities, or a certificate that is known.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::failure::{Failure, Result};

/// Where systems keep the certificates of the authorities that they trust, as one PEM file.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Trusts the authorities of `SSL_CERT_FILE`, else those of the system.
///
/// # Errors
/// There are none.
pub fn authorities() -> Result<ClientConfig> {
    let given = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty());
    let given = given.map(|path| ("$SSL_CERT_FILE", path));
    let usual =
        || BUNDLES.iter().find(|path| Path::new(path).exists()).map(|path| ("the system", path.into()));
    let (by, path) = given.or_else(usual).ok_or_else(|| {
        Failure::not_found(format!(
            "no certificates of authorities: none of {} exists; set SSL_CERT_FILE to a PEM file",
            BUNDLES.join(", ")
        ))
    })?;
    let roots = roots(certificates(by, Path::new(&path))?);
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

/// Trusts the certificates in a PEM file, which `by` names: a server that shows one of them, whatever its names are, and those whom one of
/// them vouches for by name.
///
/// # Errors
/// There are none.
pub fn only(by: &str, path: &Path) -> Result<ClientConfig> {
    let known = certificates(by, path)?;
    let vouched = WebPkiServerVerifier::builder(Arc::new(roots(known.clone()))).build();
    let vouched = vouched.map_err(|error| unusable(by, path, &error))?;
    let verifier = Arc::new(Known { known, vouched });
    Ok(ClientConfig::builder().dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn unusable(by: &str, path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::invalid(format!("cannot use the certificates in {}, which {by} names: {why}", path.display()))
}

fn certificates(by: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_file_iter(path).map_err(|error| unusable(by, path, &error))?;
    // Bundles hold old certificates that no longer parse; they are left out, as everywhere.
    let found: Vec<_> = found.filter_map(std::result::Result::ok).collect();
    if roots(found.clone()).is_empty() {
        return Err(unusable(by, path, &"there is none in PEM form"));
    }
    Ok(found)
}

fn roots(certificates: Vec<CertificateDer<'static>>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    roots
}

/// Knows certificates by their bytes. That the server holds the key is checked in any case.
#[derive(Debug)]
struct Known {
    known: Vec<CertificateDer<'static>>,
    vouched: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        if self.known.contains(shown) {
            return Ok(ServerCertVerified::assertion());
        }
        self.vouched.verify_server_cert(shown, between, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.vouched.verify_tls12_signature(message, shown, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.vouched.verify_tls13_signature(message, shown, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.vouched.supported_verify_schemes()
    }
}
