//! Who may do what: a key where one is configured, and without one only this machine for what controls the server.

use std::net::{IpAddr, SocketAddr};

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use sha2::{Digest, Sha256};

use crate::http::refused::Refused;

/// What a request shows of its sender.
pub struct Sender<'a> {
    /// Other end of the connection.
    pub peer: SocketAddr,
    /// With the parameters.
    pub uri: &'a Uri,
    /// Of the request.
    pub headers: &'a HeaderMap,
}

impl Sender<'_> {
    /// May it control the server? With a `key` whoever shows it, without one this machine.
    pub fn may_control(&self, key: Option<&str>) -> Result<(), Refused> {
        if key.is_some() {
            return self.may_ask(key);
        }
        if self.is_local() {
            return Ok(());
        }
        Err(denied(
            "only this machine may do that, without a proxy and by the name localhost or 127.0.0.1; others need the key of the \
             server, and none is configured",
        ))
    }

    /// May it ask? Everybody may unless there is a `key`.
    pub fn may_ask(&self, key: Option<&str>) -> Result<(), Refused> {
        let Some(key) = key else { return Ok(()) };
        match self.key() {
            Some(shown) if same(&shown, key) => Ok(()),
            Some(_) => Err(denied("the key is wrong")),
            None => Err(denied("a key is needed: ?accessKey=… or the header Authorization: Bearer …")),
        }
    }

    /// The key that it shows: parameter `accessKey`, or a bearer token.
    pub fn key(&self) -> Option<String> {
        let bearer = || {
            let value = self.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
        };
        self.parameter("accessKey").or_else(bearer)
    }

    /// The first value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<String> {
        parameter(self.uri, name)
    }

    /// Does it come from this machine, for itself? A proxy here speaks for others, and most say so; a browser here may be
    /// told by any page that it shows what to send, and tells where that page is from.
    fn is_local(&self) -> bool {
        self.is_near()
            && self.headers.keys().all(|name| !is_of_a_proxy(name))
            && self.headers.get_all(header::HOST).iter().count() < 2
            && !self.is_foreign_page()
    }

    fn is_near(&self) -> bool {
        self.peer.ip().to_canonical().is_loopback()
    }

    /// Is it a page from elsewhere that a browser shows? It says so, or asks this machine by a name that was made to lead here.
    pub fn is_foreign_page(&self) -> bool {
        if self.is_near() && !self.host().is_none_or(names_this_machine) {
            return true;
        }
        let is_own = |origin: &str| {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some() && authority == self.host()
        };
        let is_near = |site: &str| matches!(site, "same-origin" | "none");
        !self.text("origin").is_none_or(is_own) || !self.text("sec-fetch-site").is_none_or(is_near)
    }

    /// The name by which this server was asked.
    fn host(&self) -> Option<&str> {
        self.text("host").or_else(|| self.uri.authority().map(Authority::as_str))
    }

    /// The value of a header; what is no text is like none that is wanted.
    fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap_or("?"))
    }
}

/// Does whoever passes on requests of others add this header?
fn is_of_a_proxy(header: &HeaderName) -> bool {
    matches!(header.as_str(), "forwarded" | "via" | "x-real-ip")
        || header.as_str().starts_with("x-forwarded-")
}

/// Is this `Host`, with or without a port, a name that leads to this machine from nowhere else?
fn names_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let is_loopback = |name: &str| name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    !host.contains('@')
        && (name.eq_ignore_ascii_case("localhost") || is_loopback(name.trim_matches(['[', ']'])))
}

fn denied(message: &str) -> Refused {
    Refused::new(StatusCode::UNAUTHORIZED, message)
}

/// Takes the same time wherever the texts differ.
pub fn same(one: &str, other: &str) -> bool {
    let (one, other) = (Sha256::digest(one), Sha256::digest(other));
    one.iter().zip(other.iter()).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// The first value of a parameter of the address.
pub fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let pairs = uri.query()?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut values = pairs.filter(|(key, _)| decoded(key) == name);
    values.next().map(|(_, value)| decoded(value))
}

/// `%41+b` as `A b`; what is no escape stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escape = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let escape = escape.and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped =
            escape.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(peer: &str, uri: &str, headers: &[(&'static str, &str)], key: Option<&str>) -> (bool, bool) {
        let map = headers.iter().map(|(name, value)| {
            (header::HeaderName::from_static(name), header::HeaderValue::from_str(value).unwrap())
        });
        let (uri, headers) = (uri.parse().unwrap(), map.collect());
        let sender = Sender { peer: peer.parse().unwrap(), uri: &uri, headers: &headers };
        (sender.may_ask(key).is_ok(), sender.may_control(key).is_ok())
    }

    /// Peer, headers, what is expected.
    type Case<'a> = (&'a str, &'a [(&'static str, &'a str)], bool);
    /// Peer, address, headers, what is expected.
    type KeyCase<'a> = (&'a str, &'a str, &'a [(&'static str, &'a str)], bool);

    const HERE: &str = "127.0.0.1:9";
    const THERE: &str = "10.0.0.9:9";

    #[test]
    fn without_a_key_anybody_may_ask_and_this_machine_control() {
        let cases: [Case<'_>; 25] = [
            (HERE, &[], true),
            ("[::1]:9", &[], true),
            ("[::ffff:127.0.0.1]:9", &[], true),
            (THERE, &[], false),
            (HERE, &[("x-forwarded-for", "10.0.0.9")], false),
            (HERE, &[("forwarded", "for=10.0.0.9")], false),
            (HERE, &[("host", "localhost:8000"), ("origin", "http://localhost:8000")], true),
            (HERE, &[("host", "localhost:8000"), ("origin", "https://evil.example")], false),
            (HERE, &[("origin", "null")], false),
            (HERE, &[("sec-fetch-site", "cross-site")], false),
            (HERE, &[("sec-fetch-site", "none")], true),
            (HERE, &[("x-forwarded-host", "shop.example")], false),
            (HERE, &[("x-real-ip", "10.0.0.9")], false),
            (HERE, &[("via", "1.1 proxy")], false),
            (HERE, &[("host", "127.0.0.1:8000")], true),
            (HERE, &[("host", "127.1.2.3")], true),
            (HERE, &[("host", "[::1]:8000")], true),
            (HERE, &[("host", "LocalHost")], true),
            (HERE, &[("host", "evil.example:8000"), ("origin", "http://evil.example:8000")], false),
            (HERE, &[("host", "localhost.evil.example")], false),
            (HERE, &[("host", "127.0.0.1.evil.example")], false),
            (HERE, &[("host", "x@127.0.0.1")], false),
            (HERE, &[("host", "10.0.0.9")], false),
            (HERE, &[("host", "0.0.0.0:8000")], false),
            (HERE, &[("host", "")], false),
        ];
        for (peer, headers, may_control) in cases {
            assert_eq!(granted(peer, "/stop", headers, None), (true, may_control), "{peer} {headers:?}");
        }
    }

    #[test]
    fn with_a_key_nobody_may_without_it_and_everybody_with_it() {
        let cases: [KeyCase<'_>; 9] = [
            (HERE, "/", &[], false),
            (THERE, "/?accessKey=k%2B1", &[], true),
            (THERE, "/?a=b&accessKey=k%2b1&accessKey=x", &[], true),
            (THERE, "/?accessKey=k+1", &[], false),
            (THERE, "/?accessKey=k", &[], false),
            (THERE, "/", &[("authorization", "Bearer k+1")], true),
            (THERE, "/", &[("authorization", "bearer k+1")], true),
            (THERE, "/", &[("authorization", "Bearer k")], false),
            (THERE, "/", &[("authorization", "Basic azE6")], false),
        ];
        for (peer, uri, headers, may) in cases {
            assert_eq!(granted(peer, uri, headers, Some("k+1")), (may, may), "{uri} {headers:?}");
        }
    }

    #[test]
    fn what_is_no_escape_stays() {
        for (text, expected) in [("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("%C3%A4+", "ä "), ("%+1", "% 1")]
        {
            assert_eq!(decoded(text), expected, "{text}");
        }
    }
}
