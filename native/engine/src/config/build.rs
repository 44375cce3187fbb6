//! The algorithm's part of a configuration, and what must hold between members.

use std::collections::BTreeMap;

use super::{EngineConfig, EventWindow, Indicator, Ranking, RankingKind, RecsModel, spark};
use crate::Dither;
use crate::members::{Members, Path, Reader, nearest};
use crate::query::parse::Signs;
use crate::query::{self, Rule};

/// The two historical forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    PredictionIo,
    Harness,
}

/// Stored correlators and interactions per user, where nothing else is said.
const CORRELATORS: u32 = 50;
const ITEMS_PER_USER: u32 = 500;
/// History events per query, for indicators given by name only and in the Harness form.
const QUERY_EVENTS: u32 = 100;
const RESULTS: u32 = 20;
const MIN_MODEL_RATIO: f64 = 0.5;
/// More correlators per item cost time and memory and hardly change results.
const MANY_CORRELATORS: u32 = 500;

/// The configuration that the algorithm's parameters describe; what stands outside of them is left empty.
pub(super) fn algorithm(reader: &mut Reader<'_>, algorithm: &mut Members<'_>, form: Form) -> EngineConfig {
    let mut names = Names::default();
    let indicators = indicators(reader, algorithm, form, &mut names);
    let primary: Vec<String> = indicators.iter().take(1).map(|indicator| indicator.name.clone()).collect();
    let rankings = rankings(reader, algorithm, &primary, &mut names);
    let mut date = |member| date_name(reader, algorithm, member, &mut names);
    let (available_date, expire_date, date) =
        (date("availableDateName"), date("expireDateName"), date("dateName"));
    if available_date.is_some() != expire_date.is_some() {
        let (alone, other) = match available_date {
            Some(_) => ("availableDateName", "expireDateName"),
            None => ("expireDateName", "availableDateName"),
        };
        reader.warn(
            algorithm.path_of(alone),
            format!("stands without \"{other}\": only this date limits availability"),
        );
    }
    EngineConfig {
        variant: String::new(),
        engine_factory: String::new(),
        app_name: String::new(),
        index_name: None,
        min_events_per_user: 1,
        window: EventWindow::default(),
        mirror_container: None,
        recs_model: recs_model(algorithm.text("recsModel").as_deref()),
        blacklist_events: blacklist_events(reader, algorithm, &indicators, primary),
        num: algorithm.count("num").unwrap_or(RESULTS),
        user_bias: algorithm.single("userBias").unwrap_or(1.0),
        item_bias: algorithm.single("itemBias").unwrap_or(1.0),
        item_set_bias: algorithm.single("itemSetBias").unwrap_or(1.0),
        return_self: algorithm.flag("returnSelf").unwrap_or(false),
        rules: standing_rules(reader, algorithm, form),
        query_rules_replace: false,
        indicators,
        rankings,
        available_date,
        expire_date,
        date,
        seed: algorithm.whole("seed").unwrap_or(0).cast_unsigned(),
        scoring: match algorithm.text("scoring").as_deref() {
            Some("es5-compat") => model::Scoring::Es5Compat,
            _ => model::Scoring::Global,
        },
        dither: algorithm
            .object("dither")
            .map(|members| Dither::default().with(&query::parse::dither(members))),
        result_props: algorithm.texts("resultProps").unwrap_or_default(),
        min_model_ratio: algorithm.real("minModelRatio").unwrap_or(MIN_MODEL_RATIO),
        spark_conf: BTreeMap::new(),
    }
}

fn recs_model(text: Option<&str>) -> RecsModel {
    match text {
        Some("collabFiltering") => RecsModel::CollabFiltering,
        Some("backfill") => RecsModel::Backfill,
        _ => RecsModel::All,
    }
}

/// A required name: not empty.
pub(super) fn name(reader: &mut Reader<'_>, members: &mut Members<'_>, member: &str) -> String {
    let name = members.text(member);
    if name.as_deref() == Some("") {
        reader.error(members.path_of(member), "must not be empty");
    }
    name.unwrap_or_default()
}

/// The index alias, if it is one that Elasticsearch takes.
pub(super) fn index_name(reader: &mut Reader<'_>, algorithm: &mut Members<'_>) -> Option<String> {
    let name = algorithm.text("indexName")?;
    let is_legal = !name.is_empty()
        && name.len() <= 255
        && !name.starts_with(['-', '_', '+'])
        && !name.chars().any(|c| c.is_uppercase() || c.is_whitespace() || "\\/*?\"<>|,#:".contains(c))
        && name != "."
        && name != "..";
    if !is_legal {
        reader.error(
            algorithm.path_of("indexName"),
            format!("must be a name in lower case without blanks and \\ / * ? \" < > | , # :, got {name:?}"),
        );
    }
    Some(name)
}

/// Data source and algorithm must speak of the same events in the same order.
pub(super) fn require_same_names(
    reader: &mut Reader<'_>,
    names: &[String],
    path: String,
    config: &EngineConfig,
) {
    // Without indicators, an error about them is there already.
    if !config.indicators.is_empty()
        && !names.iter().eq(config.indicators.iter().map(|indicator| &indicator.name))
    {
        let expected: Vec<&str> = config.indicator_names().collect();
        reader.error(
            path,
            format!("must be the events of the algorithm in the same order: {expected:?}, got {names:?}"),
        );
    }
}

pub(super) fn spark_conf(reader: &mut Reader<'_>, engine: &mut Members<'_>, config: &mut EngineConfig) {
    if let Some(json) = engine.free("sparkConf") {
        config.spark_conf = spark::flatten(reader, &Path::Member(&Path::Root, "sparkConf"), json);
    }
}

/// Names of events, rankings and dates share one space: each is a field of the model.
#[derive(Default)]
struct Names {
    /// Name and the path where it was first given.
    taken: BTreeMap<String, String>,
}

impl Names {
    /// Takes a name, or says who has it.
    fn take(&mut self, reader: &mut Reader<'_>, name: &str, path: String) {
        if name.is_empty() {
            reader.error(path, "must not be empty");
        } else if let Some(first) = self.taken.get(name) {
            reader.error(path, format!("must be a name of its own, got \"{name}\" as in {first}"));
        } else {
            self.taken.insert(name.to_owned(), path);
        }
    }
}

fn indicators(
    reader: &mut Reader<'_>,
    algorithm: &mut Members<'_>,
    form: Form,
    names: &mut Names,
) -> Vec<Indicator> {
    let entries = algorithm.objects("indicators");
    let listed = if form == Form::PredictionIo { algorithm.texts("eventNames") } else { None };
    let Some(entries) = entries else {
        return simple_indicators(reader, algorithm, listed, form, names);
    };
    for unused in ["maxEventsPerEventType", "maxCorrelatorsPerEventType"] {
        if form == Form::PredictionIo && algorithm.has(unused) {
            reader.warn(algorithm.path_of(unused), "has no effect beside \"indicators\"");
        }
    }
    if entries.is_empty() {
        reader.error(algorithm.path_of("indicators"), "must not be empty");
    }
    let query_events = if form == Form::PredictionIo { algorithm.count("maxQueryEvents") } else { None };
    let indicators: Vec<Indicator> =
        entries.into_iter().map(|entry| indicator(reader, entry, form, query_events, names)).collect();
    if let Some(listed) = listed
        && !listed.iter().eq(indicators.iter().map(|indicator| &indicator.name))
    {
        let expected: Vec<&String> = indicators.iter().map(|indicator| &indicator.name).collect();
        let message =
            format!("must be the names of \"indicators\" in the same order: {expected:?}, got {listed:?}");
        reader.error(algorithm.path_of("eventNames"), message);
    }
    indicators
}

/// The indicators of a list of event names, which share their settings.
fn simple_indicators(
    reader: &mut Reader<'_>,
    algorithm: &mut Members<'_>,
    listed: Option<Vec<String>>,
    form: Form,
    names: &mut Names,
) -> Vec<Indicator> {
    let max_items_per_user = algorithm.count("maxEventsPerEventType").unwrap_or(ITEMS_PER_USER);
    let max_query_events = algorithm.count("maxQueryEvents").unwrap_or(QUERY_EVENTS);
    let max_correlators = algorithm.count("maxCorrelatorsPerEventType").unwrap_or(CORRELATORS);
    if max_correlators > MANY_CORRELATORS {
        reader.warn(algorithm.path_of("maxCorrelatorsPerEventType"), many_correlators(max_correlators));
    }
    let Some(listed) = listed else {
        if form == Form::PredictionIo && !algorithm.has("eventNames") && !algorithm.has("indicators") {
            reader.error(algorithm.path(), "must have either \"eventNames\" or \"indicators\"");
        }
        return Vec::new();
    };
    let path = algorithm.path_of("eventNames");
    if listed.is_empty() {
        reader.error(&path, "must not be empty");
    }
    let indicator = |(index, name): (usize, String)| {
        take_event(reader, names, &name, format!("{path}[{index}]"));
        Indicator {
            name,
            aliases: Vec::new(),
            max_items_per_user,
            max_query_events,
            max_correlators,
            min_llr: None,
        }
    };
    listed.into_iter().enumerate().map(indicator).collect()
}

fn indicator(
    reader: &mut Reader<'_>,
    mut entry: Members<'_>,
    form: Form,
    query_events: Option<u32>,
    names: &mut Names,
) -> Indicator {
    let name = entry.text("name");
    if let Some(name) = &name {
        take_event(reader, names, name, entry.path_of("name"));
    }
    let name = name.unwrap_or_default();
    // Harness lists the name among its aliases.
    let mut aliases = entry.texts("aliases").unwrap_or_default();
    aliases.retain(|alias| *alias != name);
    for alias in &aliases {
        take_event(reader, names, alias, entry.path_of("aliases"));
    }
    // One limit for training and queries in the originals; here each has its own.
    let both = entry.count("maxIndicatorsPerQuery");
    let in_training = entry.count("maxItemsPerUser").or(both);
    let unless_said =
        if form == Form::Harness { QUERY_EVENTS } else { in_training.unwrap_or(ITEMS_PER_USER) };
    let in_queries = entry.count("maxQueryEvents").or(both).or(query_events).unwrap_or(unless_said);
    let max_correlators = entry.count("maxCorrelatorsPerItem").unwrap_or(CORRELATORS);
    if max_correlators > MANY_CORRELATORS {
        reader.warn(entry.path_of("maxCorrelatorsPerItem"), many_correlators(max_correlators));
    }
    let min_llr = entry.real("minLLR");
    if min_llr.is_some_and(|min| min < 0.0) {
        reader.warn(entry.path_of("minLLR"), "has no effect: LLR is never negative");
    }
    Indicator {
        name,
        aliases,
        max_items_per_user: in_training.unwrap_or(ITEMS_PER_USER),
        max_query_events: in_queries,
        max_correlators,
        min_llr,
    }
}

fn many_correlators(max: u32) -> String {
    format!("is {max}: more than {MANY_CORRELATORS} correlators per item cost much and change little")
}

/// Takes an event name for an indicator.
fn take_event(reader: &mut Reader<'_>, names: &mut Names, name: &str, path: String) {
    require_event_name(reader, name, &path);
    names.take(reader, name, path);
}

fn require_event_name(reader: &mut Reader<'_>, name: &str, path: &str) {
    if name.starts_with('$') || name.starts_with("pio_") {
        reader.error(path, format!("must be an event of your own: names with \"$\" or \"pio_\" in front are reserved, got {name:?}"));
    }
}

fn rankings(
    reader: &mut Reader<'_>,
    algorithm: &mut Members<'_>,
    primary: &[String],
    names: &mut Names,
) -> Vec<Ranking> {
    let mut entries = algorithm.objects("rankings");
    if entries.as_ref().is_some_and(Vec::is_empty) {
        let message = "must not be empty: leave it out for popularity, or set \"recsModel\": \"collabFiltering\" for no ranking";
        reader.error(algorithm.path_of("rankings"), message);
    }
    if let Some(backfill) = algorithm.object("backfillField") {
        if entries.is_some() {
            reader.warn(algorithm.path_of("backfillField"), "has no effect beside \"rankings\"");
        }
        entries.get_or_insert_with(|| vec![backfill]);
    }
    match entries {
        Some(entries) => entries.into_iter().map(|entry| ranking(reader, entry, primary, names)).collect(),
        None => vec![popularity(reader, primary, algorithm.path_of("rankings"), names)],
    }
}

/// The ranking of configurations that name none.
fn popularity(reader: &mut Reader<'_>, primary: &[String], path: String, names: &mut Names) -> Ranking {
    let (kind, name) = ranking_kind(None);
    names.take(reader, name, path);
    Ranking {
        name: name.to_owned(),
        kind,
        events: primary.to_vec(),
        duration_ms: TEN_YEARS_MS,
        end_ms: None,
        missing_as_zero: false,
    }
}

const TEN_YEARS_MS: i64 = 3650 * 86_400_000;

/// A kind of ranking and its default name.
fn ranking_kind(kind: Option<&str>) -> (RankingKind, &'static str) {
    match kind {
        Some("trending") => (RankingKind::Trending, "trendRank"),
        Some("hot") => (RankingKind::Hot, "hotRank"),
        Some("random") => (RankingKind::Random, "uniqueRank"),
        Some("userDefined") => (RankingKind::UserDefined, "userRank"),
        _ => (RankingKind::Popular, "popRank"),
    }
}

fn ranking(
    reader: &mut Reader<'_>,
    mut entry: Members<'_>,
    primary: &[String],
    names: &mut Names,
) -> Ranking {
    let kind = entry.text("type").or_else(|| entry.text("backfillType"));
    let (kind, default_name) = ranking_kind(kind.as_deref());
    let name = entry.text("name").unwrap_or_else(|| default_name.to_owned());
    names.take(reader, &name, entry.path_of("name"));
    let events = entry.texts("eventNames").unwrap_or_else(|| primary.to_vec());
    let path = entry.path_of("eventNames");
    if events.is_empty() && entry.has("eventNames") {
        reader.error(&path, "must not be empty");
    }
    for (index, event) in events.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if entry.has("eventNames") {
            require_event_name(reader, event, &path);
        }
        if event.is_empty() || events[..index].contains(event) {
            reader.error(path, "must be the name of an event, each once");
        }
    }
    Ranking {
        name,
        kind,
        events,
        duration_ms: entry.whole("duration").unwrap_or(TEN_YEARS_MS),
        end_ms: entry.whole("offsetDate"),
        missing_as_zero: entry.flag("missingAsZero").unwrap_or(false),
    }
}

fn date_name(
    reader: &mut Reader<'_>,
    algorithm: &mut Members<'_>,
    member: &str,
    names: &mut Names,
) -> Option<String> {
    let name = algorithm.text(member)?;
    names.take(reader, &name, algorithm.path_of(member));
    Some(name)
}

fn blacklist_events(
    reader: &mut Reader<'_>,
    algorithm: &mut Members<'_>,
    indicators: &[Indicator],
    primary: Vec<String>,
) -> Vec<String> {
    let Some(events) = algorithm.texts("blacklistEvents") else { return primary };
    let known = || indicators.iter().flat_map(Indicator::event_names);
    for (index, event) in events.iter().enumerate() {
        if !known().any(|name| name == event) {
            let proposal = nearest(event, known().map(|name| (name, name)));
            let proposal = proposal.map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default();
            let path = format!("{}[{index}]", algorithm.path_of("blacklistEvents"));
            reader.warn(path, format!("has no effect: no indicator is named {event:?}{proposal}"));
        }
    }
    events
}

fn standing_rules(reader: &mut Reader<'_>, algorithm: &mut Members<'_>, form: Form) -> Vec<Rule> {
    let is_legacy =
        if form == Form::PredictionIo { algorithm.flag("legacyConfigFieldSigns") } else { Some(false) };
    let entries = algorithm.objects("fields").unwrap_or_default();
    if is_legacy.is_none() && !entries.is_empty() {
        let message = "follow the documented signs (bias > 0 boosts, < 0 includes only, 0 excludes); Universal \
                       Recommender 0.7.3 swapped the first two: set \"legacyConfigFieldSigns\" to true if the file was \
                       written for that, else to false";
        reader.warn(algorithm.path_of("fields"), message);
    }
    let signs = if is_legacy == Some(true) { Signs::Swapped } else { Signs::Documented };
    entries.into_iter().filter_map(|entry| query::parse::rule(reader, entry, signs)).collect()
}
