//! Models from documents, as a search server would be given them.

use std::collections::{BTreeMap, BTreeSet};

use cco::Correlators;

use crate::{Dictionary, IndicatorPart, Model, ModelParts, PropertyPart, RankingPart};

/// An item with everything that a model may hold of it.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// Indicator → things, strongest first. Without LLR: given by place, 100, 99, …
    pub correlators: BTreeMap<String, Vec<String>>,
    /// Property → texts.
    pub keywords: BTreeMap<String, Vec<String>>,
    /// Property → numbers.
    pub numbers: BTreeMap<String, Vec<f64>>,
    /// Property → dates, ms since 1970.
    pub dates: BTreeMap<String, Vec<i64>>,
    /// Ranking → value.
    pub ranks: BTreeMap<String, f32>,
    /// JSON text of all properties.
    pub text: Option<String>,
}

/// Items by id.
pub type Documents = BTreeMap<String, Document>;

/// The dictionary of some strings.
pub fn dictionary<'a>(strings: impl IntoIterator<Item = &'a str>) -> Dictionary {
    Dictionary::from_strings(strings).expect("few strings")
}

/// The parts of the model of some documents.
pub fn parts(documents: &Documents, indicators: &[&str], rankings: &[&str]) -> ModelParts {
    let items = dictionary(documents.keys().map(String::as_str));
    let rows = || (0u32..).zip(documents.values());
    let property_names: BTreeSet<&String> = documents
        .values()
        .flat_map(|document| {
            document.keywords.keys().chain(document.numbers.keys()).chain(document.dates.keys())
        })
        .collect();
    let property = |name: &&String| PropertyPart {
        name: (*name).clone(),
        keywords: rows().flat_map(|(row, document)| pairs(row, document.keywords.get(*name))).collect(),
        numbers: rows().flat_map(|(row, document)| pairs(row, document.numbers.get(*name))).collect(),
        dates: rows().flat_map(|(row, document)| pairs(row, document.dates.get(*name))).collect(),
    };
    let ranking = |name: &&str| RankingPart {
        name: (*name).to_owned(),
        values: rows().filter_map(|(row, document)| Some((row, *document.ranks.get(*name)?))).collect(),
    };
    ModelParts {
        items,
        indicators: indicators.iter().map(|name| indicator(documents, name)).collect(),
        properties: property_names.iter().map(property).collect(),
        rankings: rankings.iter().map(ranking).collect(),
        documents: rows().filter_map(|(row, document)| Some((row, document.text.clone()?))).collect(),
        users: 3,
    }
}

fn pairs<T: Clone>(row: u32, values: Option<&Vec<T>>) -> Vec<(u32, T)> {
    values.into_iter().flatten().map(|value| (row, value.clone())).collect()
}

fn indicator(documents: &Documents, name: &str) -> IndicatorPart {
    let lists: Vec<(u32, &Vec<String>)> = (0..)
        .zip(documents.values())
        .filter_map(|(row, document)| Some((row, document.correlators.get(name)?)))
        .collect();
    let things = dictionary(lists.iter().flat_map(|(_, list)| list.iter().map(String::as_str)));
    let mut correlators = Correlators::new();
    for (_, list) in &lists {
        let strengths = (0..list.len()).map(llr);
        correlators.push_row(list.iter().map(|thing| things.find(thing).expect("interned")).zip(strengths));
    }
    IndicatorPart {
        name: name.to_owned(),
        things,
        correlators,
        rows: lists.iter().map(|(row, _)| *row).collect(),
    }
}

/// LLR of the correlator at a place of a list.
pub fn llr(place: usize) -> f64 {
    100.0 - u32::try_from(place).map(f64::from).expect("short lists")
}

/// The snapshot of parts.
pub fn bytes(parts: &ModelParts) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = crate::write(parts, &mut bytes).expect("parts that agree");
    assert_eq!(written.bytes, bytes.len() as u64);
    bytes
}

/// The model of parts.
pub fn model(parts: &ModelParts) -> Model {
    Model::from_bytes(bytes(parts)).expect("a model as written")
}
