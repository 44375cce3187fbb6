//! Who asks, and what he may do.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use events::{App, Rights, Scope};

use super::EventServer;
use super::directory::{Access, Unknown};
use super::intake::Intake;
use super::params::Params;
use super::refusal::Refusal;
use crate::clock;

/// Whoever sent a request with a valid key.
pub struct Caller {
    /// What the key gives access to.
    pub access: Arc<Access>,
    /// App and channel that the request is about.
    pub scope: Scope,
    /// Where it came from.
    pub client: Option<IpAddr>,
}

/// A kind of request that needs a right.
#[derive(Debug, Clone, Copy)]
pub enum Right {
    /// See events, and what was learnt from them.
    Read,
    /// Send events.
    Write,
    /// Delete them.
    Delete,
}

impl Right {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
        }
    }

    fn is_in(self, rights: Rights) -> bool {
        match self {
            Self::Read => rights.read,
            Self::Write => rights.write,
            Self::Delete => rights.delete,
        }
    }
}

impl Caller {
    fn new(access: Arc<Access>, channel: Option<u32>, client: Option<IpAddr>) -> Self {
        let scope = Scope { app: access.app.id, channel };
        Self { access, scope, client }
    }

    /// Who needs no key: he may do everything in the default channel of `app`.
    pub fn without_key(app: App, parts: &Parts) -> Self {
        Self::new(Arc::new(Access::to_all_of(app)), None, client(parts))
    }

    /// 403 unless he has this right.
    pub fn must(&self, right: Right) -> Result<(), Refusal> {
        if right.is_in(self.access.rights) {
            return Ok(());
        }
        let granted: Vec<&str> = self.access.rights.names().collect();
        Err(Refusal::forbidden(format!(
            "This accessKey may not {}: its scope is {}.",
            right.name(),
            granted.join(", ")
        )))
    }
}

impl Intake {
    /// Whoever sent this request. 401 unless its key and channel are known.
    pub async fn caller(&self, parts: &Parts) -> Result<Caller, Refusal> {
        let params = Params::of(&parts.uri);
        let key = access_key(parts, params)?;
        let channel = params.first("channel")?;
        self.caller_by(&key, channel.as_deref(), client(parts)).await
    }

    /// Whoever shows this key and wants this channel. 401 unless both are known.
    pub async fn caller_by(
        &self,
        key: &str,
        channel: Option<&str>,
        client: Option<IpAddr>,
    ) -> Result<Caller, Refusal> {
        let found = self.directory.find(key, channel).await?;
        let (access, channel) = found.map_err(|unknown| match unknown {
            Unknown::Key => invalid_key(),
            Unknown::Channel => {
                let name: String = channel.unwrap_or_default().chars().take(100).collect();
                Refusal::unauthorized(format!("Invalid channel '{name}'."))
            }
        })?;
        check_expiry(&access)?;
        Ok(Caller::new(access, channel, client))
    }

    /// Whoever sent a request that needs no access key: `None` if it shows no known one. In the default channel.
    pub async fn known_caller(&self, parts: &Parts) -> Result<Option<Caller>, Refusal> {
        let Ok(key) = access_key(parts, Params::of(&parts.uri)) else { return Ok(None) };
        let Ok((access, channel)) = self.directory.find(&key, None).await? else { return Ok(None) };
        check_expiry(&access)?;
        Ok(Some(Caller::new(access, channel, client(parts))))
    }
}

impl EventServer {
    /// Whoever sent this request, who must have this right: else 403, which is counted.
    pub async fn caller_with(&self, right: Right, parts: &Parts) -> Result<Caller, Refusal> {
        let caller = self.intake.caller(parts).await?;
        let may = caller.must(right);
        may.inspect_err(|refusal| self.count_refused(caller.scope.app, refusal.status, 1))?;
        Ok(caller)
    }
}

fn client(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical())
}

fn check_expiry(access: &Access) -> Result<(), Refusal> {
    if access.expires_ms.is_some_and(|expires| expires <= clock::now_ms()) {
        return Err(Refusal::unauthorized("Invalid accessKey. It has expired."));
    }
    Ok(())
}

/// The key of a request: parameter `accessKey`, else the user of a Basic header, else a Bearer token.
fn access_key<'a>(parts: &'a Parts, params: Params<'a>) -> Result<Cow<'a, str>, Refusal> {
    // what cannot be decoded is no key
    if let Some(key) = params.first("accessKey").map_err(|_| invalid_key())? {
        return Ok(key);
    }
    let header =
        parts.headers.get(AUTHORIZATION).ok_or_else(|| Refusal::unauthorized("Missing accessKey."))?;
    let text = header.to_str().map_err(|_| invalid_key())?.trim();
    let (scheme, rest) = text.split_once(' ').ok_or_else(invalid_key)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Cow::Borrowed(rest.trim()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(invalid_key());
    }
    let decoded = base64(rest.trim()).and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.ok_or_else(invalid_key)?;
    let key = decoded.trim().split(':').next().unwrap_or_default();
    Ok(Cow::Owned(key.to_owned()))
}

fn invalid_key() -> Refusal {
    Refusal::unauthorized("Invalid accessKey.")
}

/// Decodes RFC 4648 Base64, either alphabet, with or without padding.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    if text.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for digit in text {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count).to_le_bytes()[0]);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_rfc_4648() {
        let known = [
            ("", ""),
            ("Zg==", "f"),
            ("Zg", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ];
        for (text, plain) in known {
            assert_eq!(base64(text).unwrap(), plain.as_bytes(), "{text}");
        }
        assert_eq!(base64("-_-_"), base64("+/+/"));
        for bad in ["A", "Zm9v!", "Zm 9v", "AAAAA"] {
            assert_eq!(base64(bad), None, "{bad}");
        }
    }
}
