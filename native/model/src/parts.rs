//! What a model is made of before it is written: the hand-over from training to the snapshot.

use cco::Correlators;

use crate::Dictionary;

/// One indicator of a model.
#[derive(Debug)]
pub struct IndicatorPart {
    /// Event name.
    pub name: String,
    /// Correlator ids.
    pub things: Dictionary,
    /// Row r belongs to `rows[r]`; columns are `things`.
    pub correlators: Correlators,
    /// Item row (of [`ModelParts::items`]) of each row of `correlators`, ascending.
    pub rows: Vec<u32>,
}

/// One property of items. (item row, value) pairs, in any order.
#[derive(Debug, Default)]
pub struct PropertyPart {
    /// Property name.
    pub name: String,
    /// Text of each scalar, for exact matching.
    pub keywords: Vec<(u32, String)>,
    /// Values that are numbers, for bounds.
    pub numbers: Vec<(u32, f64)>,
    /// Values that are dates, ms since 1970, for bounds.
    pub dates: Vec<(u32, i64)>,
}

impl PropertyPart {
    /// Has it no value of any kind?
    pub fn is_empty(&self) -> bool {
        self.keywords.is_empty() && self.numbers.is_empty() && self.dates.is_empty()
    }
}

/// A popularity order.
#[derive(Debug)]
pub struct RankingPart {
    /// Field name, e.g. `popRank`.
    pub name: String,
    /// (item row, value), ascending by row; an item without a rank is absent and sorts last.
    pub values: Vec<(u32, f32)>,
}

/// Everything that a snapshot holds. Same parts ⇒ same bytes.
#[derive(Debug)]
pub struct ModelParts {
    /// Every item that has correlators, properties or a rank.
    pub items: Dictionary,
    /// In the order of the configuration; the first is primary.
    pub indicators: Vec<IndicatorPart>,
    /// Sorted by name.
    pub properties: Vec<PropertyPart>,
    /// In sort order.
    pub rankings: Vec<RankingPart>,
    /// (item row, JSON text of all its properties), ascending by row.
    pub documents: Vec<(u32, String)>,
    /// Users that the correlators were counted over.
    pub users: u32,
}
