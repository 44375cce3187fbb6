//! Reads a mapping file, strictly: an error says where it is and what would be right.

use events::Json;
use events::json::{self, Object};

use super::super::{Builtin, Form, invalid};
use super::path::Path;
use super::source::Source;
use super::time::TimeFormat;
use super::{Condition, Mapping, Otherwise, Properties, Rule, Test};
use crate::failure::{Failure, Result};

/// The fields of an event that are texts; the first three are in every event.
const FIELDS: [&str; 6] =
    ["event", "entityType", "entityId", "targetEntityType", "targetEntityId", "eventId"];
const REQUIRED_FIELDS: usize = 3;
const RULE: [&str; 10] = [
    "when",
    "each",
    "event",
    "entityType",
    "entityId",
    "targetEntityType",
    "targetEntityId",
    "eventId",
    "eventTime",
    "properties",
];

/// The connectors of a mapping file, by name and form.
pub fn parse(text: &[u8]) -> Result<Vec<(String, Form, Mapping)>> {
    let (value, deviation) =
        json::parse_observed(text).map_err(|error| invalid(format!("not JSON: {error}")))?;
    if let Some(deviation) = deviation {
        return Err(invalid(format!("not JSON: {deviation}")));
    }
    let file = At { value: &value, place: String::new() };
    let connectors = file.members(&["connectors"])?.required("connectors")?;
    let mut list = Vec::new();
    for (ending, connector) in connectors.any_members()? {
        let (name, form) = connector.name_and_form(ending)?;
        let mapping = connector.mapping(form)?;
        list.push((name, form, mapping));
    }
    Ok(list)
}

/// A value of the file and its place.
struct At<'a> {
    value: &'a Json,
    place: String,
}

/// An object of the file whose members are known.
struct Members<'a> {
    object: &'a Object,
    place: String,
}

impl<'a> Members<'a> {
    /// The member, if it is there; a `null` is there.
    fn get(&self, name: &str) -> Option<At<'a>> {
        let value = self.object.get(name)?;
        let dot = if self.place.is_empty() { "" } else { "." };
        Some(At { value, place: format!("{}{dot}{name}", self.place) })
    }

    fn required(&self, name: &str) -> Result<At<'a>> {
        let at = if self.place.is_empty() { "the file" } else { &self.place };
        self.get(name).ok_or_else(|| invalid(format!("{at}: \"{name}\" is missing")))
    }
}

impl<'a> At<'a> {
    fn wrong(&self, what: impl std::fmt::Display) -> Failure {
        let place = if self.place.is_empty() { "the file" } else { &self.place };
        invalid(format!("{place}: {what}"))
    }

    fn must_be(&self, what: &str) -> Failure {
        self.wrong(format_args!("must be {what}, got {}", self.value.excerpt()))
    }

    fn object(&self) -> Result<&'a Object> {
        let object = self.value.as_object().ok_or_else(|| self.must_be("an object"))?;
        let mut names: Vec<&str> = object.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair.first() == pair.last()).and_then(|pair| pair.first()) {
            Some(name) => Err(self.wrong(format_args!("\"{name}\" is there twice"))),
            None => Ok(object),
        }
    }

    /// An object with no other members than those.
    fn members(&self, known: &[&str]) -> Result<Members<'a>> {
        let object = self.object()?;
        if let Some((name, _)) = object.iter().find(|(name, _)| !known.contains(name)) {
            let known = known.join(", ");
            return Err(self.wrong(format_args!("\"{name}\" is not known; there are {known}")));
        }
        Ok(Members { object, place: self.place.clone() })
    }

    /// The members of an object whose names are free.
    fn any_members(&self) -> Result<Vec<(&'a str, At<'a>)>> {
        let at = |(name, value): (&'a str, &'a Json)| {
            (name, At { value, place: format!("{}[\"{name}\"]", self.place) })
        };
        Ok(self.object()?.iter().map(at).collect())
    }

    fn text(&self) -> Result<&'a str> {
        self.value.as_str().ok_or_else(|| self.must_be("a string"))
    }

    /// The elements of an array that is not empty.
    fn elements(&self) -> Result<Vec<At<'a>>> {
        let elements = self.value.as_array().ok_or_else(|| self.must_be("an array"))?;
        if elements.is_empty() {
            return Err(self.wrong("must not be empty"));
        }
        let at = |(number, value)| At { value, place: format!("{}[{number}]", self.place) };
        Ok(elements.iter().enumerate().map(at).collect())
    }

    fn path(&self) -> Result<Path> {
        Path::parse(self.text()?).map_err(|reason| self.wrong(reason))
    }

    /// The name of a connector is what follows `/webhooks/`: `shop.json`.
    fn name_and_form(&self, ending: &str) -> Result<(String, Form)> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let parts = ending.rsplit_once('.').filter(|(name, _)| !name.is_empty() && name.chars().all(plain));
        let parts = parts.and_then(|(name, form)| Some((name.to_owned(), Form::of_ending(form)?)));
        parts.ok_or_else(|| {
            self.wrong("a connector is called NAME.json or NAME.form, with letters, digits, - and _ in NAME")
        })
    }

    fn mapping(&self, form: Form) -> Result<Mapping> {
        let members = self.members(&["rules", "otherwise"])?;
        let otherwise = members.get("otherwise").map(|at| at.otherwise(form)).transpose()?;
        let rules = match (members.get("rules"), &otherwise) {
            (Some(rules), _) => rules.elements()?.iter().map(At::rule).collect::<Result<_>>()?,
            // All is left to another connector.
            (None, Some(Otherwise::Builtin(_))) => Vec::new(),
            (None, _) => return Err(self.wrong("\"rules\" is missing")),
        };
        Ok(Mapping { rules, otherwise: otherwise.unwrap_or(Otherwise::Refuse) })
    }

    fn otherwise(&self, form: Form) -> Result<Otherwise> {
        match self.text()? {
            "refuse" => Ok(Otherwise::Refuse),
            "ignore" => Ok(Otherwise::Ignore),
            name => Builtin::find(name, form).map(Otherwise::Builtin).ok_or_else(|| {
                let ending = form.ending();
                self.must_be(&format!("\"refuse\", \"ignore\" or a built-in connector for .{ending}"))
            }),
        }
    }

    fn rule(&self) -> Result<Rule> {
        let members = self.members(&RULE)?;
        let each = members.get("each").map(|at| at.path()).transpose()?;
        if each.as_ref().is_some_and(|path| path.from_element) {
            return Err(self.wrong("each: its path begins with $"));
        }
        let mut fields = Vec::new();
        for (number, name) in FIELDS.into_iter().enumerate() {
            if number < REQUIRED_FIELDS || members.get(name).is_some() {
                fields.push((name, members.required(name)?.source(each.is_some())?));
            }
        }
        if members.get("targetEntityType").is_some() != members.get("targetEntityId").is_some() {
            return Err(self.wrong("targetEntityType and targetEntityId stand together or not at all"));
        }
        let time = members.get("eventTime").map(|at| at.time(each.is_some())).transpose()?;
        let properties = members.get("properties").map(|at| at.properties(each.is_some())).transpose()?;
        let when = members.get("when").map(|at| at.conditions(each.is_some())).transpose()?;
        Ok(Rule {
            when: when.unwrap_or_default(),
            each,
            fields,
            time,
            properties: properties.unwrap_or_else(|| Properties::Members(Vec::new())),
        })
    }

    /// One condition or an array of them.
    fn conditions(&self, has_element: bool) -> Result<Vec<Condition>> {
        if self.value.as_array().is_none() {
            return Ok(vec![self.condition(has_element)?]);
        }
        self.elements()?.iter().map(|at| at.condition(has_element)).collect()
    }

    fn condition(&self, has_element: bool) -> Result<Condition> {
        let members = self.members(&["path", "equals", "in", "exists"])?;
        let at = members.required("path")?;
        let path = at.path()?;
        at.check_element(path.from_element, has_element)?;
        let tests = [members.get("equals"), members.get("in"), members.get("exists")];
        let test = match tests {
            [Some(equals), None, None] => Test::In(vec![equals.scalar()?]),
            [None, Some(list), None] => {
                Test::In(list.elements()?.iter().map(At::scalar).collect::<Result<_>>()?)
            }
            [None, None, Some(exists)] => {
                Test::Exists(exists.value.as_bool().ok_or_else(|| exists.must_be("true or false"))?)
            }
            _ => return Err(self.wrong("has exactly one of equals, in and exists")),
        };
        Ok(Condition { path, test })
    }

    fn scalar(&self) -> Result<Json> {
        match self.value {
            Json::String(_) | Json::Number(_) | Json::Bool(_) => Ok(self.value.clone()),
            _ => Err(self.must_be("a string, a number, true or false")),
        }
    }

    fn check_element(&self, needs_element: bool, has_element: bool) -> Result<()> {
        if needs_element && !has_element {
            return Err(self.wrong("@ is the element of each, and this rule has no each"));
        }
        Ok(())
    }

    fn source(&self, has_element: bool) -> Result<Source> {
        let source = self.any_source()?;
        self.check_element(source.needs_element(), has_element)?;
        Ok(source)
    }

    fn any_source(&self) -> Result<Source> {
        match self.value {
            Json::String(text) if Path::is_meant(text) => self.path().map(Source::Path),
            Json::String(_) | Json::Number(_) | Json::Bool(_) => Ok(Source::Constant(self.value.clone())),
            Json::Array(_) => {
                Ok(Source::First(self.elements()?.iter().map(At::any_source).collect::<Result<_>>()?))
            }
            Json::Object(_) => {
                let members = self.members(&["value", "join"])?;
                match (members.get("value"), members.get("join")) {
                    (Some(constant), None) => Ok(Source::Constant(constant.value.clone())),
                    (None, Some(join)) => {
                        let parts = join.elements()?;
                        Ok(Source::Join(parts.iter().map(At::any_source).collect::<Result<_>>()?))
                    }
                    _ => Err(self.wrong("has exactly one of value and join")),
                }
            }
            Json::Null => Err(self.must_be("a path, a constant, an array of them, or {\"join\": […]}")),
        }
    }

    /// A source, or `{"from": SOURCE, "format": NAME}`.
    fn time(&self, has_element: bool) -> Result<(Source, TimeFormat)> {
        if self.value.get("from").is_none() && self.value.get("format").is_none() {
            return Ok((self.source(has_element)?, TimeFormat::Iso));
        }
        let members = self.members(&["from", "format"])?;
        let source = members.required("from")?.source(has_element)?;
        let format = members
            .get("format")
            .map(|at| TimeFormat::of_name(at.text()?).map_err(|reason| at.wrong(reason)));
        Ok((source, format.transpose()?.unwrap_or(TimeFormat::Iso)))
    }

    /// The path of an object to copy, or an object of sources.
    fn properties(&self, has_element: bool) -> Result<Properties> {
        if self.value.as_str().is_some() {
            let path = self.path()?;
            self.check_element(path.from_element, has_element)?;
            return Ok(Properties::Copy(Source::Path(path)));
        }
        let member = |(name, at): (&str, At<'_>)| Ok((name.to_owned(), at.source(has_element)?));
        Ok(Properties::Members(self.any_members()?.into_iter().map(member).collect::<Result<_>>()?))
    }
}
