//! Connectors that a file declares: rules from the paths of a payload to the fields of events. `docs/webhooks.md`
//! describes the file.

mod parse;
mod path;
mod source;
mod time;

use events::json::Object;
use events::{Json, MAX_EVENT_BYTES};

use super::{Builtin, invalid};
use crate::failure::Result;
pub use parse::parse;
use path::Path;
use source::{Bound, Source};
use time::TimeFormat;
pub use time::date_and_time;

/// Events of one payload.
const MAX_EVENTS: usize = 1000;

/// The rules of one connector.
#[derive(Debug)]
pub struct Mapping {
    rules: Vec<Rule>,
    otherwise: Otherwise,
}

/// What becomes of a payload that no rule is for.
#[derive(Debug)]
enum Otherwise {
    Refuse,
    Ignore,
    Builtin(Builtin),
}

#[derive(Debug)]
struct Rule {
    /// All must hold for the rule to apply; those that look at the element choose elements.
    when: Vec<Condition>,
    /// An array: one event for each of its elements. Without it, one event for the payload.
    each: Option<Path>,
    /// Text fields of the event by name.
    fields: Vec<(&'static str, Source)>,
    time: Option<(Source, TimeFormat)>,
    properties: Properties,
}

#[derive(Debug)]
struct Condition {
    path: Path,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Exists(bool),
    /// One of these scalars.
    In(Vec<Json>),
}

#[derive(Debug)]
enum Properties {
    /// Each from its own source; what is absent is left out.
    Members(Vec<(String, Source)>),
    /// A copy of an object.
    Copy(Source),
}

impl Mapping {
    /// The events of a payload: those of each rule that applies, in the order of the rules.
    pub fn events(&self, payload: &Json) -> Result<Vec<Object>> {
        let mut output = Output { events: Vec::new(), bytes_left: MAX_EVENT_BYTES };
        let mut applied = false;
        for (number, rule) in self.rules.iter().enumerate() {
            if rule.applies(payload) {
                applied = true;
                rule.apply(payload, &mut output)
                    .map_err(|reason| invalid(format!("rules[{number}]: {reason}")))?;
            }
        }
        match &self.otherwise {
            _ if applied => Ok(output.events),
            Otherwise::Ignore => Ok(Vec::new()),
            Otherwise::Refuse => Err(invalid("No rule of this webhook is for this payload.")),
            Otherwise::Builtin(builtin) => builtin.events(payload),
        }
    }
}

/// Events and what they may still hold. A short rule could copy a large payload into each of many events.
struct Output {
    events: Vec<Object>,
    bytes_left: usize,
}

impl Output {
    /// Takes the room of a value that is about to be copied.
    fn charge(&mut self, value: &Json) -> std::result::Result<(), String> {
        self.bytes_left = self.bytes_left.checked_sub(weight(value)).ok_or_else(|| {
            format!("the events of one payload must not hold more than {MAX_EVENT_BYTES} bytes")
        })?;
        Ok(())
    }

    fn push(&mut self, event: Object) -> std::result::Result<(), String> {
        if self.events.len() == MAX_EVENTS {
            return Err(format!("one payload must not give more than {MAX_EVENTS} events"));
        }
        self.events.push(event);
        Ok(())
    }
}

/// Bytes of text, and one for everything else.
fn weight(value: &Json) -> usize {
    1 + match value {
        Json::String(text) => text.len(),
        Json::Array(items) => items.iter().map(weight).sum(),
        Json::Object(object) => object.iter().map(|(name, value)| name.len() + weight(value)).sum(),
        _ => 0,
    }
}

impl Condition {
    fn holds(&self, start: &Json) -> bool {
        let found = self.path.find(start);
        match &self.test {
            Test::Exists(expected) => found.is_some() == *expected,
            Test::In(values) => found.is_some_and(|found| values.contains(found)),
        }
    }
}

impl Rule {
    fn applies(&self, payload: &Json) -> bool {
        self.when.iter().filter(|condition| !condition.path.from_element).all(|one| one.holds(payload))
    }

    fn chooses(&self, element: &Json) -> bool {
        self.when.iter().filter(|condition| condition.path.from_element).all(|one| one.holds(element))
    }

    fn apply(&self, payload: &Json, output: &mut Output) -> std::result::Result<(), String> {
        let bound = BoundRule::new(self, payload);
        let Some(each) = &self.each else {
            let event = bound.event(payload, output)?;
            return output.push(event);
        };
        let elements = each.find(payload).ok_or_else(|| format!("each: {each} is missing"))?;
        let elements = elements
            .as_array()
            .ok_or_else(|| format!("each: {each} must be an array, got {}", elements.excerpt()))?;
        for (number, element) in elements.iter().enumerate().filter(|(_, element)| self.chooses(element)) {
            let event = bound.event(element, output);
            output.push(event.map_err(|reason| format!("element {number} of {each}: {reason}"))?)?;
        }
        Ok(())
    }
}

/// A rule whose paths into the payload are followed.
struct BoundRule<'a> {
    rule: &'a Rule,
    fields: Vec<Bound<'a>>,
    time: Option<Bound<'a>>,
    properties: Vec<Bound<'a>>,
}

impl<'a> BoundRule<'a> {
    fn new(rule: &'a Rule, payload: &'a Json) -> Self {
        let properties = match &rule.properties {
            Properties::Members(members) => members.iter().map(|(_, source)| source.bind(payload)).collect(),
            Properties::Copy(source) => vec![source.bind(payload)],
        };
        Self {
            rule,
            fields: rule.fields.iter().map(|(_, source)| source.bind(payload)).collect(),
            time: rule.time.as_ref().map(|(source, _)| source.bind(payload)),
            properties,
        }
    }

    fn event(&self, element: &Json, output: &mut Output) -> std::result::Result<Object, String> {
        let mut event = Object::new();
        for ((name, source), bound) in self.rule.fields.iter().zip(&self.fields) {
            let value = bound.value(element).ok_or_else(|| format!("{name}: {source} is missing"))?;
            output.charge(&value)?;
            let text = value.to_text().ok_or_else(|| {
                format!("{name}: {source} must be a string or a number, got {}", value.excerpt())
            })?;
            event.push(*name, text);
        }
        if let (Some((source, format)), Some(bound)) = (&self.rule.time, &self.time) {
            let value = bound.value(element).ok_or_else(|| format!("eventTime: {source} is missing"))?;
            let time = format.read(&value).ok_or_else(|| {
                let (format, got) = (format.name(), value.excerpt());
                format!("eventTime: {source} must be a time in the format \"{format}\", got {got}")
            })?;
            output.charge(&value)?;
            event.push("eventTime", time);
        }
        event.push("properties", self.properties(element, output)?);
        Ok(event)
    }

    fn properties(&self, element: &Json, output: &mut Output) -> std::result::Result<Object, String> {
        let mut properties = Object::new();
        match &self.rule.properties {
            Properties::Members(members) => {
                for ((name, _), bound) in members.iter().zip(&self.properties) {
                    if let Some(value) = bound.value(element) {
                        output.charge(&value)?;
                        properties.push(name.as_str(), value.into_owned());
                    }
                }
            }
            Properties::Copy(source) => {
                let value = self.properties.first().and_then(|bound| bound.value(element));
                let Some(value) = value else { return Ok(properties) };
                output.charge(&value)?;
                match value.into_owned() {
                    Json::Object(object) => properties = object,
                    other => {
                        let got = other.excerpt();
                        return Err(format!("properties: {source} must be an object, got {got}"));
                    }
                }
            }
        }
        Ok(properties)
    }
}

#[cfg(test)]
mod tests;
