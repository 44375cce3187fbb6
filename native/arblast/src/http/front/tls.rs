//! TLS by PEM files, which may change while the server runs.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::failure::{Failure, Result};
use crate::settings::TlsFiles;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The certificate of a server, and its key.
pub struct Tls {
    files: TlsFiles,
    /// What is spoken within, as ALPN names it.
    protocol: &'static [u8],
    current: RwLock<Arc<ServerConfig>>,
    /// Of the files that were read last, whether they were good or not.
    seen: Mutex<Stamps>,
}

/// Time of change and length of both files.
type Stamps = [Option<(SystemTime, u64)>; 2];

impl Tls {
    /// Reads the files. `protocol` is what is spoken within, as ALPN names it: `http/1.1`, `h2`.
    ///
    /// # Errors
    /// A file is missing or is no PEM, or the key is not that of the certificate.
    pub fn load(files: TlsFiles, protocol: &'static [u8]) -> Result<Self> {
        let seen = Mutex::new(stamps(&files));
        let current = RwLock::new(Arc::new(read(&files, protocol)?));
        Ok(Self { files, protocol, current, seen })
    }

    /// For the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Reads the files again; what was used stays in use if they are wrong.
    pub fn reload(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamps(&self.files);
        match read(&self.files, self.protocol) {
            Ok(fresh) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
                tracing::info!("the certificate was read again");
            }
            Err(failure) => tracing::error!("the certificate of before stays in use: {failure}"),
        }
    }

    /// Looks at the files for ever, and reads them when they changed.
    pub async fn watch(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != stamps(&self.files) {
                self.reload();
            }
        }
    }
}

fn stamps(files: &TlsFiles) -> Stamps {
    let stamp = |path: &Path| {
        let data = std::fs::metadata(path).ok()?;
        Some((data.modified().ok()?, data.len()))
    };
    [stamp(&files.certificate), stamp(&files.key)]
}

fn read(files: &TlsFiles, protocol: &[u8]) -> Result<ServerConfig> {
    let TlsFiles { certificate, key } = files;
    let wrong = |setting: &str, path: &Path, why: &dyn std::fmt::Display| {
        Failure::invalid(format!("{setting} {}: {why}; it must be a PEM file", path.display()))
    };
    let of_certificate = |why: &dyn std::fmt::Display| wrong("tlsCertificateFile", certificate, why);
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| of_certificate(&error))?;
    if chain.is_empty() {
        return Err(of_certificate(&"there is no certificate in it"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong("tlsKeyFile", key, &error))?;
    let unusable = |error: &dyn std::fmt::Display| {
        let (certificate, key) = (certificate.display(), key.display());
        Failure::invalid(format!("tlsCertificateFile {certificate} with tlsKeyFile {key}: {error}"))
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| unusable(&error))?;
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}
