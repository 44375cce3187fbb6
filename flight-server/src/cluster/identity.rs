//! Who may work together: scheduler, executors and drivers of one build. Plans, portions and blocks travel between them in
//! forms that are nobody else's business, and the counting must be the same everywhere.

use std::fmt;

use arblast::failure::{Failure, Result};
use arblast::identity::{BUILD, VERSION};
use events::json::Object;
use events::{Json, Kind};

/// Number of the forms in which work travels; raised with any change of them.
pub const PROTOCOL: i64 = 1;

/// What a process says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    version: String,
    build: String,
    protocol: i64,
}

impl Identity {
    /// Of this process.
    pub fn own() -> Self {
        Self { version: VERSION.to_owned(), build: BUILD.to_owned(), protocol: PROTOCOL }
    }

    /// As a `User-Agent`: every call to a scheduler carries it.
    pub fn agent(&self) -> String {
        format!("arblast/{} build/{} protocol/{}", self.version, self.build, self.protocol)
    }

    /// Of a `User-Agent`; other words may follow.
    pub fn of_agent(agent: &str) -> Option<Self> {
        let mut words = agent.split(' ');
        let mut word = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('/');
        let (version, build) = (word("arblast")?.to_owned(), word("build")?.to_owned());
        Some(Self { version, build, protocol: word("protocol")?.parse().ok()? })
    }

    pub fn to_json(&self) -> Object {
        let Self { version, build, protocol } = self;
        Object::new()
            .with("version", version.as_str())
            .with("build", build.as_str())
            .with("protocol", *protocol)
    }

    pub fn from_json(json: &Json) -> Option<Self> {
        let text = |name: &str| json.get(name).and_then(Json::as_str).map(str::to_owned);
        let protocol = json.get("protocol").and_then(Json::as_i64)?;
        Some(Self { version: text("version")?, build: text("build")?, protocol })
    }

    /// May this process work with another, which is `what`, e.g. `the scheduler at 10.0.0.1:50050`?
    ///
    /// # Errors
    /// `Kind::Version` names both.
    pub fn check(&self, other: Option<&Self>, what: &str) -> Result<()> {
        let text = match other {
            Some(other) if self == other => return Ok(()),
            Some(other) => {
                let age = match self.protocol.cmp(&other.protocol) {
                    std::cmp::Ordering::Less => "a newer",
                    std::cmp::Ordering::Equal => "another",
                    std::cmp::Ordering::Greater => "an older",
                };
                format!("{what} is of {age} build: {other}, and this is {self}")
            }
            None => format!("{what} is no arblast, and this is {self}"),
        };
        let advice = "give all processes of a cluster the same program";
        Err(Failure::new(Kind::Version, format!("{text}; {advice}")))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, build, protocol } = self;
        write!(formatter, "arblast {version} (build {build}, protocol {protocol})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_its_forms() {
        let own = Identity::own();
        assert_eq!(Identity::of_agent(&format!("{} tonic/0.14.9", own.agent())), Some(own.clone()));
        assert_eq!(Identity::from_json(&own.to_json().into()), Some(own));
        for agent in ["", "tonic/0.14.9", "arblast/1 build/x", "arblast/1 build/x protocol/y"] {
            assert_eq!(Identity::of_agent(agent), None, "{agent}");
        }
    }

    #[test]
    fn a_refusal_names_both() {
        let own = Identity::own();
        let other = Identity { build: "other".to_owned(), protocol: PROTOCOL + 1, ..own.clone() };
        let error = own.check(Some(&other), "the scheduler").unwrap_err();
        assert_eq!(error.exit_code(), 78);
        let text = error.to_string();
        assert!(text.contains("newer") && text.contains("build other") && text.contains(BUILD), "{text}");
        assert!(own.check(Some(&own), "x").is_ok() && own.check(None, "x").is_err());
    }
}
