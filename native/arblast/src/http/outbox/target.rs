//! Where posts go: an address, with TLS or without.

use std::fmt;
use std::sync::Arc;

use axum::http::Uri;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::failure::{Failure, Result};
use crate::http::trust;

/// Where posts go. Shown without its parameters: they may hold a key.
pub struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    /// Path and parameters.
    pub(super) path: String,
    pub(super) authority: String,
    pub(super) tls: Option<Tls>,
}

/// What a connection with TLS needs.
pub(super) struct Tls {
    pub(super) connector: TlsConnector,
    pub(super) name: ServerName<'static>,
}

impl Target {
    /// `url` is `http://…` or `https://…`. For `https` the authorities are those of `SSL_CERT_FILE`, else the system's.
    ///
    /// # Errors
    /// What is wrong with the address; no authorities are found.
    pub fn parse(url: &str) -> Result<Self> {
        let invalid = |why: &str| {
            let shown = url.split('?').next().unwrap_or_default();
            Failure::invalid(format!("{shown}: {why}; give e.g. https://events.example.com:7070"))
        };
        let uri: Uri = url.parse().map_err(|_| invalid("is no URL"))?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(invalid("must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| invalid("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid("must not have a user name"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tls = secure.then(|| Tls::new(&host)).transpose()?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { host, port, path, authority: authority.to_string(), tls })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let path = self.path.split('?').next().unwrap_or_default();
        write!(formatter, "{scheme}://{}{path}", self.authority)
    }
}

impl Tls {
    fn new(host: &str) -> Result<Self> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Failure::invalid(format!("{host}: is no name of a host")))?;
        Ok(Self { connector: TlsConnector::from(Arc::new(trust::authorities()?)), name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let target = Target::parse("http://h:7070/a/events.json?accessKey=secret").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("h", 7070));
        assert_eq!(target.path, "/a/events.json?accessKey=secret");
        assert_eq!(target.to_string(), "http://h:7070/a/events.json");
        let target = Target::parse("http://[::1]/").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("::1", 80));
    }

    #[test]
    fn wrong_addresses_are_told_without_their_secrets() {
        let why = |url| Target::parse(url).err().map(|failure| failure.to_string()).unwrap();
        for url in ["ftp://h/?accessKey=secret", "h:1", "", "http://", "http://u:secret@h/", "/x"] {
            assert!(why(url).contains("https://events.example.com"), "{url}");
        }
        assert!(!why("ftp://h/?accessKey=secret").contains("secret"));
    }
}
