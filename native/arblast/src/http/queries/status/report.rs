//! `GET /status.json`: all that the status page shows, for programs. `docs/operations.md` has the members.

use engine::{EngineConfig, Indicator, Ranking, RankingKind, RecsModel};
use events::json::{Number, Object};
use events::{EventTime, Json};
use stores::Generation;

use super::Statistics;
use super::recent::{SECONDS, Window};
use crate::clock;
use crate::http::outbox::Counts;
use crate::identity::{BUILD, VERSION};

/// What the process is.
pub(super) fn server(started_ms: i64) -> Object {
    let uptime_ms = clock::now_ms().saturating_sub(started_ms).max(0);
    Object::new()
        .with("name", "arblast query server")
        .with("version", VERSION)
        .with("build", BUILD)
        .with("startTime", EventTime::utc(started_ms).to_string())
        .with("uptimeSeconds", uptime_ms / 1000)
}

/// Queries to the deployed engine since the start and in the last minute, and those to all others.
pub(super) fn requests(statistics: &Statistics, others: &Statistics) -> Object {
    statistics
        .described()
        .with("lastMinute", last_minute(&statistics.recent.seconds()))
        .with("otherEngines", others.described())
}

/// What became of posted predictions, and of posted failures. Neither where to nor by which key.
pub(super) fn feedback([predictions, failures]: [Option<Counts>; 2]) -> Object {
    let described = |counts: Option<Counts>| {
        let Counts { sent, failed, dropped } = counts.unwrap_or_default();
        Object::new()
            .with("on", counts.is_some())
            .with("sent", sent)
            .with("failed", failed)
            .with("dropped", dropped)
    };
    Object::new().with("predictions", described(predictions)).with("failures", described(failures))
}

fn last_minute(windows: &[Window]) -> Object {
    let sum = Window::sum(windows);
    let each = |of: fn(&Window) -> Json| Json::Array(windows.iter().map(of).collect());
    let series = Object::new()
        .with("answered", each(|window| window.answered().into()))
        .with("failed", each(|window| window.failed.into()))
        .with("p50Ms", each(|window| percentile_ms(window, 50)))
        .with("p99Ms", each(|window| percentile_ms(window, 99)));
    Object::new()
        .with("seconds", windows.len())
        .with("secondsMax", SECONDS)
        .with("answeredPerSecond", per_second(sum.answered(), windows.len()))
        .with("failedPerSecond", per_second(sum.failed, windows.len()))
        .with("p50Ms", percentile_ms(&sum, 50))
        .with("p90Ms", percentile_ms(&sum, 90))
        .with("p99Ms", percentile_ms(&sum, 99))
        .with("series", series)
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn per_second(count: u64, seconds: usize) -> Json {
    real(count as f64 / seconds.max(1) as f64)
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds for people")]
fn percentile_ms(window: &Window, percent: u64) -> Json {
    window.percentile(percent).map_or(Json::Null, |micros| real(micros as f64 / 1e3))
}

/// What is counted and ranked. Built of checked members only: what may be secret in an engine file is not among them.
pub(super) fn engine(config: &EngineConfig) -> Object {
    Object::new()
        .with("app", config.app_name.as_str())
        .with("variant", config.variant.as_str())
        .with("factory", config.engine_factory.as_str())
        .with("indicators", config.indicators.iter().map(indicator).collect::<Vec<_>>())
        .with("rankings", config.rankings.iter().map(ranking).collect::<Vec<_>>())
        .with("parameters", parameters(config))
}

fn indicator(indicator: &Indicator) -> Object {
    Object::new()
        .with("name", indicator.name.as_str())
        .with("aliases", indicator.aliases.clone())
        .with("maxCorrelatorsPerItem", indicator.max_correlators)
        .with("maxItemsPerUser", indicator.max_items_per_user)
        .with("maxQueryEvents", indicator.max_query_events)
        .with("minLLR", indicator.min_llr.map_or(Json::Null, real))
}

fn ranking(ranking: &Ranking) -> Object {
    let kind = match ranking.kind {
        RankingKind::Popular => "popular",
        RankingKind::Trending => "trending",
        RankingKind::Hot => "hot",
        RankingKind::Random => "random",
        RankingKind::UserDefined => "userDefined",
    };
    Object::new()
        .with("name", ranking.name.as_str())
        .with("type", kind)
        .with("eventNames", ranking.events.clone())
        .with("durationSeconds", ranking.duration_ms / 1000)
}

fn parameters(config: &EngineConfig) -> Object {
    let recs_model = match config.recs_model {
        RecsModel::All => "all",
        RecsModel::CollabFiltering => "collabFiltering",
        RecsModel::Backfill => "backfill",
    };
    let text = |name: &Option<String>| name.as_deref().map_or(Json::Null, Json::from);
    let bias = |bias: f32| Number::real32(bias).map_or(Json::Null, Json::Number);
    let window = config.window.duration_ms.map_or(Json::Null, |ms| (ms / 1000).into());
    Object::new()
        .with("num", config.num)
        .with("userBias", bias(config.user_bias))
        .with("itemBias", bias(config.item_bias))
        .with("itemSetBias", bias(config.item_set_bias))
        .with("returnSelf", config.return_self)
        .with("recsModel", recs_model)
        .with("blacklistEvents", config.blacklist_events.clone())
        .with("standingRules", config.rules.len())
        .with("minEventsPerUser", config.min_events_per_user)
        .with("eventWindowSeconds", window)
        .with("availableDateName", text(&config.available_date))
        .with("expireDateName", text(&config.expire_date))
        .with("resultProps", config.result_props.clone())
        .with("minModelRatio", real(config.min_model_ratio))
        .with("seed", config.seed)
}

/// The model that answers.
pub(super) fn model(generation: &Generation) -> Object {
    let (counts, info) = (generation.model.counts(), &generation.info);
    let trained = &info.trained;
    let age_ms = clock::now_ms().saturating_sub(trained.published_ms).max(0);
    Object::new()
        .with("generation", generation.number)
        .with("digest", info.digest.as_str())
        .with("items", counts.items)
        .with("users", counts.users)
        .with("correlators", counts.correlators)
        .with("bytes", counts.bytes)
        .with("build", trained.build.as_str())
        .with("engineInstanceId", trained.engine_instance.as_str())
        .with("started", EventTime::utc(trained.started_ms).to_string())
        .with("published", EventTime::utc(trained.published_ms).to_string())
        .with("ageSeconds", age_ms / 1000)
}

fn real(value: f64) -> Json {
    Number::real(value).map_or(Json::Null, Json::Number)
}
