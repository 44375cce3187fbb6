//! From the text of a query to a [`Query`].

use std::fmt;

use events::json::{self, Json};

use super::tables::{self, MAX_WINDOW};
use super::{DateRange, Effect, HistoryEvent, Query, RangeRule, Rule};
use crate::DitherChange;
use crate::members::{Bound, Members, Path, Problem, Reader};

/// Everything that is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// At least one; bounded in number.
    pub problems: Vec<Problem>,
}

impl QueryError {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { problems: vec![Problem { path: path.into(), message: message.into() }] }
    }
}

impl fmt::Display for QueryError {
    /// One line: the first problems.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        for (index, problem) in self.problems.iter().take(SHOWN).enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            match problem.path.as_str() {
                "" => write!(f, "{separator}the query {}", problem.message)?,
                path => write!(f, "{separator}{path} {}", problem.message)?,
            }
        }
        match self.problems.len().checked_sub(SHOWN) {
            Some(more) if more > 0 => write!(f, "; and {more} more"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for QueryError {}

/// How the sign of a rule's `bias` reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signs {
    /// Positive boosts, negative includes only.
    Documented,
    /// The other way round.
    Swapped,
}

impl Query {
    /// Reads a query. An empty text is the empty query. Commas are taken leniently, numbers pass for strings, `null`
    /// is absent; unknown members of the query itself are collected in [`Query::unknown`].
    ///
    /// # Errors
    /// The text is no JSON object, or all members that are wrong.
    pub fn parse(text: &[u8]) -> Result<Self, QueryError> {
        if text.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let json = json::parse(text).map_err(|error| QueryError::new("", format!("is not JSON: {error}")))?;
        Self::from_json(&json)
    }

    /// As [`parse`](Self::parse), from JSON.
    ///
    /// # Errors
    /// It is no object, or all members that are wrong.
    pub fn from_json(json: &Json) -> Result<Self, QueryError> {
        let mut reader = Reader::of_queries();
        let members = reader.object(&Path::Root, json, &tables::QUERY);
        let query = members.map(|members| query(&mut reader, members)).unwrap_or_default();
        let findings = reader.finish();
        if findings.errors.is_empty() {
            Ok(Self { unknown: findings.unknown, ..query })
        } else {
            Err(QueryError { problems: findings.errors })
        }
    }

    /// Number of results, where the query does not say it `default`.
    ///
    /// # Errors
    /// `from` + that number is beyond 10 000.
    pub fn num_or(&self, default: u32) -> Result<u32, QueryError> {
        let num = self.num.unwrap_or(default);
        if self.from.saturating_add(num) <= MAX_WINDOW {
            return Ok(num);
        }
        let message = format!("with num must end within {MAX_WINDOW} results, got {} + {num}", self.from);
        Err(QueryError::new("from", message))
    }
}

fn query(reader: &mut Reader<'_>, mut members: Members<'_>) -> Query {
    let query = Query {
        user: members.text("user"),
        user_bias: members.single("userBias"),
        item: members.text("item"),
        item_bias: members.single("itemBias"),
        item_set: members.texts("itemSet").unwrap_or_default(),
        item_set_bias: members.single("itemSetBias"),
        rules: all(reader, &mut members, "fields", |reader, entry| rule(reader, entry, Signs::Documented)),
        ranges: all(reader, &mut members, "ranges", range),
        date_range: members.object("dateRange").map(|entry| date_range(reader, entry)),
        current_date: members.whole("currentDate"),
        blacklist_items: members.texts("blacklistItems").unwrap_or_default(),
        return_self: members.flag("returnSelf"),
        num: members.count("num"),
        from: members.count("from").unwrap_or(0),
        dither: match members.flag("dither") {
            Some(_) => Some(DitherChange::OFF),
            None => members.object("dither").map(dither),
        },
        event_names: members.texts("eventNames"),
        with_ranks: members.flag("withRanks").unwrap_or(false),
        explain: members.flag("explain").unwrap_or(false),
        result_props: members.texts("resultProps"),
        history: members.free("history").and_then(|json| history(reader, json)),
        pr_id: members.text("prId"),
        with_pr_id: members.flag("withPrId").unwrap_or(false),
        with_degraded: members.flag("withDegraded").unwrap_or(false),
        unknown: Vec::new(),
    };
    if let Err(error) = query.num_or(0) {
        error.problems.into_iter().for_each(|problem| reader.error(problem.path, problem.message));
    }
    query
}

fn all<T>(
    reader: &mut Reader<'_>,
    members: &mut Members<'_>,
    name: &str,
    mut read: impl FnMut(&mut Reader<'_>, Members<'_>) -> Option<T>,
) -> Vec<T> {
    let entries = members.objects(name).unwrap_or_default();
    entries.into_iter().filter_map(|entry| read(reader, entry)).collect()
}

/// A rule of a query or configuration. `None` and an error if it is wrong.
pub(crate) fn rule(reader: &mut Reader<'_>, mut entry: Members<'_>, signs: Signs) -> Option<Rule> {
    let effect = effect(reader, &mut entry, signs);
    if effect.is_none() && !(entry.has("bias") || entry.has("factor")) {
        reader.error(entry.path(), "must have \"bias\" or \"factor\"");
    }
    Some(Rule { name: entry.text("name")?, values: entry.texts("values")?, effect: effect? })
}

/// What `bias` or `factor` say; both is an error.
fn effect(reader: &mut Reader<'_>, entry: &mut Members<'_>, signs: Signs) -> Option<Effect> {
    if entry.has("bias") && entry.has("factor") {
        reader.error(entry.path(), "must have either \"bias\" or \"factor\", not both");
        return None;
    }
    if let Some(factor) = entry.single("factor") {
        return Some(Effect::Factor(factor));
    }
    let bias = entry.single("bias")?;
    let bias = if signs == Signs::Swapped { -bias } else { bias };
    Some(if bias > 0.0 {
        Effect::Boost(bias)
    } else if bias < 0.0 {
        Effect::Include
    } else {
        Effect::Exclude
    })
}

fn range(reader: &mut Reader<'_>, mut entry: Members<'_>) -> Option<RangeRule> {
    let is_plain = !entry.has("bias") && !entry.has("factor");
    let effect = effect(reader, &mut entry, Signs::Documented);
    let given = ["gt", "gte", "lt", "lte"].map(|name| entry.bound(name));
    let [gt, gte, lt, lte] = given.map(|bound| bound.map(Bound::as_f64));
    let dates = given.iter().flatten().filter(|bound| matches!(bound, Bound::Date(_))).count();
    let bounds = given.iter().flatten().count();
    let is_refused = ["gt", "gte", "lt", "lte"].iter().any(|name| entry.is_refused(name));
    if bounds == 0 && !is_refused {
        reader.error(entry.path(), "must have a bound: gt, gte, lt or lte");
    }
    if dates != 0 && dates != bounds {
        reader.error(entry.path(), "must have bounds of one kind: numbers or dates");
    }
    for (one, other, is_both) in
        [("gt", "gte", gt.is_some() && gte.is_some()), ("lt", "lte", lt.is_some() && lte.is_some())]
    {
        if is_both {
            reader.error(entry.path(), format!("must have either \"{one}\" or \"{other}\", not both"));
        }
    }
    let effect = if is_plain { Effect::Include } else { effect? };
    let bounds = model::Bounds { field: entry.text("name")?, dates: dates > 0, gt, gte, lt, lte };
    Some(RangeRule { bounds, effect })
}

/// Dithering, as a query or a configuration gives it.
pub(crate) fn dither(mut members: Members<'_>) -> DitherChange {
    DitherChange {
        sigma: members.real("sigma"),
        seed: members.whole("seed"),
        period_ms: members.whole("period"),
    }
}

fn date_range(reader: &mut Reader<'_>, mut entry: Members<'_>) -> DateRange {
    if !(entry.has("after") || entry.has("before")) {
        reader.error(entry.path(), "must have a bound: after or before");
    }
    DateRange {
        name: entry.text("name").unwrap_or_default(),
        after: entry.whole("after"),
        before: entry.whole("before"),
    }
}

/// Both forms: `[{"event": …, "item": …}]` and `{"<event>": ["<item>", …]}`.
fn history(reader: &mut Reader<'_>, json: &Json) -> Option<Vec<HistoryEvent>> {
    let path = Path::Member(&Path::Root, "history");
    let Json::Object(object) = json else {
        if !matches!(json, Json::Array(_)) {
            return reader.mismatch(&path, tables::HISTORY, json);
        }
        let entries = reader.objects(&path, json, &tables::HISTORY_EVENT)?;
        let event = |mut entry: Members<'_>| {
            Some(HistoryEvent { event: entry.text("event")?, item: entry.text("item")? })
        };
        return entries.into_iter().map(event).collect();
    };
    let mut events = Vec::new();
    for (event, items) in object.iter().filter(|(name, _)| *name != "comment") {
        let items = reader.texts(&Path::Member(&path, event), items);
        events.extend(
            items.unwrap_or_default().into_iter().map(|item| HistoryEvent { event: event.to_owned(), item }),
        );
    }
    Some(events)
}
