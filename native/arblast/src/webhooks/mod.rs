//! Webhooks: what other services send, turned into the JSON of events. No HTTP here, and no store: bytes in, event
//! objects out, which then pass the same validation as any event (`events::Event::from_json`).
//!
//! Two connectors are built in, [`segmentio`] and [`mailchimp`]; others are declared in a [`mapping`] file.

mod examples;
mod form;
mod mailchimp;
mod mapping;
mod segmentio;

use std::path::Path;

use events::json::{self, JsonError, Object};
use events::{Json, Kind};

use crate::failure::{Failure, Result};
use mapping::Mapping;

/// How the body of a webhook is written; the ending of its path tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `/webhooks/NAME.json`: one JSON value.
    Json,
    /// `/webhooks/NAME.form`: `application/x-www-form-urlencoded`.
    Urlencoded,
}

impl Form {
    /// The form that a path ends in: `json` or `form`.
    pub fn of_ending(ending: &str) -> Option<Self> {
        match ending {
            "json" => Some(Self::Json),
            "form" => Some(Self::Urlencoded),
            _ => None,
        }
    }

    /// The ending of its paths.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Urlencoded => "form",
        }
    }
}

/// The connectors that a server knows, each by name and form.
#[derive(Debug)]
pub struct Connectors {
    list: Vec<Connector>,
}

/// Turns the payloads of one service into events.
#[derive(Debug)]
pub struct Connector {
    name: String,
    form: Form,
    conversion: Conversion,
}

#[derive(Debug)]
enum Conversion {
    Builtin(Builtin),
    Mapping(Mapping),
}

/// A connector in code: the object of a payload becomes the object of one event.
#[derive(Debug, Clone, Copy)]
struct Builtin {
    name: &'static str,
    form: Form,
    event: fn(&Object) -> Result<Object>,
}

/// Those of PredictionIO. Its two examples answer only where a mapping file names them.
const BUILTIN: [Builtin; 4] = [
    Builtin { name: "segmentio", form: Form::Json, event: segmentio::event },
    Builtin { name: "mailchimp", form: Form::Urlencoded, event: mailchimp::event },
    Builtin { name: "exampleJson", form: Form::Json, event: examples::event_of_json },
    Builtin { name: "exampleForm", form: Form::Urlencoded, event: examples::event_of_form },
];
const REGISTERED: usize = 2;

impl Connectors {
    /// `segmentio` (JSON) and `mailchimp` (form).
    pub fn builtin() -> Self {
        let connector = |builtin: &Builtin| Connector {
            name: builtin.name.to_owned(),
            form: builtin.form,
            conversion: Conversion::Builtin(*builtin),
        };
        Self { list: BUILTIN.iter().take(REGISTERED).map(connector).collect() }
    }

    /// Those built in, and those of the mapping file at `path`, which `by` names. One of the file replaces a built-in one of the same
    /// name and form. Errors name the place in the file.
    pub fn with_mappings(by: &str, path: &Path) -> Result<Self> {
        let text = std::fs::read(path).map_err(Failure::file("read", by, path))?;
        Self::builtin()
            .with(&text)
            .map_err(|error| Failure::new(error.kind(), format!("{}: {error}", path.display())))
    }

    /// Adds the connectors of the text of a mapping file.
    fn with(mut self, text: &[u8]) -> Result<Self> {
        for (name, form, mapping) in mapping::parse(text)? {
            self.list.retain(|old| (old.name.as_str(), old.form) != (&name, form));
            self.list.push(Connector { name, form, conversion: Conversion::Mapping(mapping) });
        }
        Ok(self)
    }

    /// The connector for `/webhooks/NAME.json` or `/webhooks/NAME.form`.
    pub fn find(&self, name: &str, form: Form) -> Option<&Connector> {
        self.list.iter().find(|connector| connector.name == name && connector.form == form)
    }

    /// [`find`](Self::find), or the failure of kind `NotFound` with the text that clients know.
    pub fn get(&self, name: &str, form: Form) -> Result<&Connector> {
        self.find(name, form)
            .ok_or_else(|| Failure::not_found(format!("webhooks connection for {name} is not supported.")))
    }

    /// All, those built in first.
    pub fn iter(&self) -> impl Iterator<Item = &Connector> {
        self.list.iter()
    }
}

impl Connector {
    /// Its name in the path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it reads.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The events of one payload, not yet validated: one from a built-in connector; none, one or several from a
    /// mapping. Together they hold no more text than one event may (`events::MAX_EVENT_BYTES`). Failures are of kind
    /// `Invalid` and say what the payload lacks. They quote its beginning: an answer to the sender, nothing for a log.
    pub fn events(&self, body: &[u8]) -> Result<Vec<Object>> {
        self.events_observed(body).map(|(events, _)| events)
    }

    /// [`events`](Self::events), and the first place where the payload is not strict JSON.
    pub fn events_observed(&self, body: &[u8]) -> Result<(Vec<Object>, Option<JsonError>)> {
        let (payload, leniency) = match self.form {
            Form::Json => json::parse_observed(body)
                .map_err(|error| invalid(format!("The payload is not JSON: {error}")))?,
            Form::Urlencoded => (Json::Object(form::parse(body)?), None),
        };
        let events = match &self.conversion {
            Conversion::Builtin(builtin) => builtin.events(&payload),
            Conversion::Mapping(mapping) => mapping.events(&payload),
        };
        Ok((events?, leniency))
    }
}

impl Builtin {
    fn find(name: &str, form: Form) -> Option<Self> {
        BUILTIN.into_iter().find(|builtin| builtin.name == name && builtin.form == form)
    }

    fn events(&self, payload: &Json) -> Result<Vec<Object>> {
        let Some(object) = payload.as_object() else {
            return Err(invalid(format!("The payload must be a JSON object, got {}.", payload.excerpt())));
        };
        (self.event)(object).map(|event| vec![event])
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(Kind::Invalid, message)
}

/// The beginning of a payload, for a message.
fn shown(payload: &Object) -> String {
    const CHARACTERS: usize = 500;
    let mut text = payload.to_string();
    if let Some((end, _)) = text.char_indices().nth(CHARACTERS) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// `Cannot convert <payload> to event JSON. <reason>`
fn cannot_convert(payload: &Object, reason: impl std::fmt::Display) -> Failure {
    invalid(format!("Cannot convert {} to event JSON. {reason}", shown(payload)))
}

/// A member that is there and not `null`; `names` are its spellings, the first found counts.
fn member<'a>(object: &'a Object, names: &[&str]) -> Option<&'a Json> {
    names.iter().find_map(|name| object.get(name).filter(|value| !value.is_null()))
}

/// A member that must be text, or a number as text; the reason if it is not.
fn text_member(object: &Object, names: &[&str]) -> std::result::Result<String, String> {
    let name = names.first().copied().unwrap_or_default();
    let value = member(object, names).ok_or_else(|| format!("The field {name} is required."))?;
    value.to_text().ok_or_else(|| format!("The field {name} must be a string, got {}.", value.excerpt()))
}

/// [`text_member`] that may be absent.
fn optional_text(object: &Object, names: &[&str]) -> std::result::Result<Option<String>, String> {
    member(object, names).map(|_| text_member(object, names)).transpose()
}

#[cfg(test)]
mod tests;
