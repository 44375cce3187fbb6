//! `http(s)://user:password@h1:9200,h2:9200`: which hosts, and as whom.

use std::fmt;

use events::{Error, Kind, Result};

const PORT: u16 = 9200;

/// Where the servers are, and what they are shown. Its text and its `Debug` form leave passwords out.
#[derive(Clone)]
pub(crate) struct Hosts {
    /// `https://h1:9200`, at least one.
    pub(crate) origins: Vec<String>,
    /// Path before all others, without a slash at its end: servers behind a proxy.
    pub(crate) prefix: String,
    /// User and password.
    pub(crate) user: Option<(String, String)>,
}

impl Hosts {
    /// # Errors
    /// `Kind::Invalid`; the text holds nothing of a user or password.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("has no scheme"))?;
        if !matches!(scheme, "http" | "https") {
            return Err(wrong(&format!("has the scheme {scheme:?}")));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.contains(['?', '#']) {
            return Err(wrong("has a query"));
        }
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(credentials(user)?), hosts),
            None => (None, authority),
        };
        let origins = hosts.split(',').map(|host| origin(scheme, host.trim())).collect::<Result<Vec<_>>>()?;
        let prefix = path.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        Ok(Self { origins, prefix, user })
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origins.join(","))
    }
}

fn wrong(what: &str) -> Error {
    let text =
        format!("the URL of Elasticsearch {what}; write it as http(s)://[user:password@]host[:9200][,host…]");
    Error::new(Kind::Invalid, text)
}

fn origin(scheme: &str, host: &str) -> Result<String> {
    let bare = |name: &str| {
        let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte))
    };
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => {
            let port = port.parse().map_err(|_| wrong("has a port that is no number up to 65535"))?;
            (name, port)
        }
        _ => (host, PORT),
    };
    if !bare(name) {
        return Err(wrong("lacks a host, or has one with other characters than letters, digits, - . _"));
    }
    Ok(format!("{scheme}://{name}:{port}"))
}

fn credentials(text: &str) -> Result<(String, String)> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let decoded = |text: &str| {
        decode(text).ok_or_else(|| wrong("has a user or password with a % that no two hex digits follow"))
    };
    Ok((decoded(user)?, decoded(password)?))
}

/// Undoes percent encoding.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = rest.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

/// RFC 4648 §4.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(chunk.get(at).copied().unwrap_or(0)));
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = DIGITS.get(bits >> shift & 63).copied().map_or('=', char::from);
            text.push(if place > chunk.len() { '=' } else { digit });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_hosts_with_one_user() {
        let hosts = Hosts::parse("https://el%40stic:p:a%2Fss@h1:9201,h2, [::1]:7/es/").unwrap();
        assert_eq!(hosts.origins, ["https://h1:9201", "https://h2:9200", "https://[::1]:7"]);
        assert_eq!(
            (hosts.prefix.as_str(), hosts.user.clone()),
            ("/es", Some(("el@stic".into(), "p:a/ss".into())))
        );
        assert_eq!(format!("{hosts:?}"), "https://h1:9201,https://h2:9200,https://[::1]:7");
        let plain = Hosts::parse("http://localhost").unwrap();
        assert_eq!((plain.origins, plain.user), (vec!["http://localhost:9200".to_owned()], None));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for url in [
            "localhost:9200",
            "ftp://user:secret@h",
            "http://",
            "http://user:secret@h:port",
            "http://user:secret@h:70000",
            "http://user:secret%zz@h",
            "http://user:secret%f@h",
            "http://user:secret@h h",
            "http://user:secret@h/?a",
            "http://h,,i",
        ] {
            let error = Hosts::parse(url).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{url}");
            assert!(
                !error.to_string().contains("secret") && error.to_string().contains("write it as"),
                "{error}"
            );
        }
    }

    #[test]
    fn base64_as_in_rfc_4648() {
        for (plain, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ] {
            assert_eq!(base64(plain.as_bytes()), text);
        }
    }
}
