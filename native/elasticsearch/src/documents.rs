//! Items as documents: values by field for searching, and in `item`, which is not indexed, what readers get back.

use std::collections::BTreeSet;

use events::json::{Object, write_string};
use events::{Error, Json, Kind, Result};
use model::{ChangedItem, Model, PropertyPart, es5_shard};

use crate::mapping::{Field, Holder};
use crate::names;

/// The server sorts by no longer term.
const ITEM_BYTES_MAX: usize = 32_000;

/// Values of one property, by row.
struct Values<'a> {
    name: &'a str,
    keywords: Vec<(u32, &'a str)>,
    numbers: Vec<(u32, f64)>,
    dates: Vec<(u32, i64)>,
}

/// The properties of some items.
pub(crate) struct Properties<'a>(Vec<Values<'a>>);

impl<'a> Properties<'a> {
    pub(crate) fn of_model(model: &'a Model) -> Self {
        let values = |name: &'a str| Values {
            name,
            keywords: model.keywords(name).collect(),
            numbers: model.numbers(name).collect(),
            dates: model.dates(name).collect(),
        };
        Self::new(model.properties().map(values).collect())
    }

    pub(crate) fn of_parts(parts: &'a [PropertyPart]) -> Self {
        let values = |part: &'a PropertyPart| Values {
            name: &part.name,
            keywords: part.keywords.iter().map(|(row, text)| (*row, text.as_str())).collect(),
            numbers: part.numbers.clone(),
            dates: part.dates.clone(),
        };
        Self::new(parts.iter().map(values).collect())
    }

    fn new(mut values: Vec<Values<'a>>) -> Self {
        for values in &mut values {
            values.keywords.sort_by_key(|(row, _)| *row);
            values.numbers.sort_by_key(|(row, _)| *row);
            values.dates.sort_by_key(|(row, _)| *row);
        }
        Self(values)
    }

    /// The fields that hold a value.
    pub(crate) fn fields(&self) -> BTreeSet<Field> {
        let mut fields = BTreeSet::new();
        for values in &self.0 {
            let has = [
                (Holder::Keyword, values.keywords.is_empty()),
                (Holder::Number, values.numbers.is_empty()),
                (Holder::Date, values.dates.is_empty()),
            ];
            let held = has.into_iter().filter(|(_, is_empty)| !is_empty);
            fields.extend(held.map(|(holder, _)| (holder, values.name.to_owned())));
        }
        fields
    }

    /// The members of one item.
    fn of(&self, row: u32) -> [(Holder, Object); 3] {
        let mut members =
            [Holder::Keyword, Holder::Number, Holder::Date].map(|holder| (holder, Object::new()));
        let [(_, keywords), (_, numbers), (_, dates)] = &mut members;
        for values in &self.0 {
            let texts = rows(&values.keywords, row).map(|text| Json::from(names::text(text).into_owned()));
            put(keywords, values.name, texts.collect());
            put(numbers, values.name, rows(&values.numbers, row).filter_map(number).collect());
            put(dates, values.name, rows(&values.dates, row).map(Json::from).collect());
        }
        members
    }
}

fn put(object: &mut Object, name: &str, values: Vec<Json>) {
    if !values.is_empty() {
        object.push(names::field(name), Json::Array(values));
    }
}

/// The values of one row in a list that is sorted by row.
fn rows<T: Copy>(list: &[(u32, T)], row: u32) -> impl Iterator<Item = T> {
    let start = list.partition_point(|(other, _)| *other < row);
    let rest = list.get(start..).unwrap_or_default();
    rest.iter().take_while(move |(other, _)| *other == row).map(|(_, value)| *value)
}

/// As the server takes it: finite, with one zero.
pub(crate) fn number(value: f64) -> Option<Json> {
    let value = if value.is_nan() { return None } else { value.clamp(f64::MIN, f64::MAX) + 0.0 };
    events::json::Number::real(value).map(Json::Number)
}

/// Fields of the model itself.
pub(crate) fn fields_of_model(model: &Model) -> BTreeSet<Field> {
    let indicators = model.indicators().map(|name| (Holder::Indicator, name.to_owned()));
    indicators.chain(model.rankings().map(|name| (Holder::Rank, name.to_owned()))).collect()
}

/// The document of an item of a model.
pub(crate) fn of_model(model: &Model, properties: &Properties<'_>, row: u32) -> Result<Object> {
    let id = model.item(row).unwrap_or_default();
    check(id)?;
    let (mut indicators, mut llrs) = (Object::new(), Object::new());
    for name in model.indicators() {
        let (things, llr): (Vec<Json>, Vec<Json>) = model
            .correlators(name, row)
            .map(|(thing, llr)| {
                (Json::from(names::text(thing).into_owned()), number(llr).unwrap_or_default())
            })
            .unzip();
        put(&mut indicators, name, things);
        put(&mut llrs, name, llr);
    }
    let mut document = base(id, false);
    document.push(Holder::Indicator.name(), indicators);
    for (holder, members) in properties.of(row) {
        document.push(holder.name(), members);
    }
    document.push(Holder::Rank.name(), ranks(model.ranks(row)));
    document.push("item", inner(llrs, model.document(row)));
    Ok(document)
}

/// The document of an item that has changed: `before` is what the index has of it.
pub(crate) fn of_change(
    before: Option<&Json>,
    item: &ChangedItem,
    properties: &Properties<'_>,
    rankings: &[String],
    row: u32,
) -> Result<Object> {
    check(&item.id)?;
    let kept = |path: &[&str]| {
        let value = path.iter().try_fold(before?, |json, name| json.get(name))?;
        value.as_object().cloned()
    };
    let mut document = base(&item.id, item.gone);
    document.push(Holder::Indicator.name(), kept(&["indicator"]).unwrap_or_default());
    for (holder, members) in properties.of(row) {
        document.push(holder.name(), members);
    }
    let ranked = rankings.iter().zip(&item.ranks).filter_map(|(name, rank)| Some((name.as_str(), (*rank)?)));
    document.push(Holder::Rank.name(), ranks(ranked.filter(|(_, rank)| !rank.is_nan())));
    let mut inner = inner(kept(&["item", "llr"]).unwrap_or_default(), item.document.as_deref());
    let came_later = || before.and_then(|before| before.get("item")?.get("new")?.as_bool());
    if before.is_none() || came_later() == Some(true) {
        inner.push("new", true);
    }
    document.push("item", inner);
    Ok(document)
}

fn base(id: &str, gone: bool) -> Object {
    let document = Object::new().with("id", id).with("shard", i64::from(es5_shard(id)));
    if gone { document.with("gone", true) } else { document }
}

fn ranks<'a>(ranks: impl Iterator<Item = (&'a str, f32)>) -> Object {
    ranks.filter_map(|(name, rank)| Some((names::field(name), number(f64::from(rank))?))).collect()
}

fn inner(llrs: Object, text: Option<&str>) -> Object {
    let inner = Object::new().with("llr", llrs);
    match text {
        Some(text) => inner.with("document", text),
        None => inner,
    }
}

fn check(id: &str) -> Result<()> {
    if id.len() <= ITEM_BYTES_MAX {
        return Ok(());
    }
    let text = format!("an item id has {} bytes; an index takes {ITEM_BYTES_MAX}", id.len());
    Err(Error::new(Kind::Invalid, text))
}

/// Appends the lines of a bulk request that put a document in its place. `guard`: only if it is as it was.
pub(crate) fn push_line(body: &mut String, id: &str, document: &Object, guard: Option<Guard>) {
    let action = if guard == Some(Guard::Absent) { "create" } else { "index" };
    body.push_str("{\"");
    body.push_str(action);
    body.push_str("\":{\"_id\":");
    write_string(&names::document(id), body);
    if let Some(Guard::At { seq_no, primary_term }) = guard {
        body.push_str(&format!(",\"if_seq_no\":{seq_no},\"if_primary_term\":{primary_term}"));
    }
    body.push_str("}}\n");
    document.write_to(body);
    body.push('\n');
}

/// The state in which a document must be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    Absent,
    At { seq_no: i64, primary_term: i64 },
}
