//! `GET /stats.json`: what was stored and refused, per app, in this hour, the one before, and since the start.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use events::json::Object;
use events::{Event, EventTime, Json};

use super::auth::Right;
use super::refusal::Refusal;
use super::{EventServer, Server};
use crate::clock;
use crate::http::reply;

const HOUR_MS: i64 = 3_600_000;

/// Kinds of events that are told apart; others are counted together.
const LABELS_MAX: usize = 1000;

/// What kind of event was stored: entity type, target type, event name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label(String, Option<String>, String);

impl Label {
    pub fn of(event: &Event) -> Self {
        let target = event.target.as_ref().map(|target| target.kind.clone());
        Self(event.entity.kind.clone(), target, event.event.clone())
    }

    fn others() -> Self {
        Self("(other)".to_owned(), None, "(other)".to_owned())
    }

    fn json(&self) -> Object {
        let mut key = Object::new().with("entityType", self.0.as_str());
        if let Some(target) = &self.1 {
            key.push("targetEntityType", target.as_str());
        }
        key.with("event", self.2.as_str())
    }
}

/// Counts in memory.
pub struct Statistics {
    started_ms: i64,
    apps: Mutex<BTreeMap<u32, Hours>>,
}

struct Hours {
    current: Period,
    previous: Period,
    ever: Period,
}

#[derive(Debug, Default)]
struct Period {
    start_ms: i64,
    end_ms: Option<i64>,
    stored: BTreeMap<Label, u64>,
    statuses: BTreeMap<u16, u64>,
}

impl Statistics {
    pub fn new() -> Self {
        Self { started_ms: clock::now_ms(), apps: Mutex::default() }
    }

    /// Counts one event, or one request without events, that got this status; `stored` if it was stored.
    pub fn count(&self, app: u32, now_ms: i64, status: u16, stored: Option<Label>) {
        self.with(app, now_ms, |hours| {
            hours.current.count(status, stored.as_ref());
            hours.ever.count(status, stored.as_ref());
        });
    }

    /// The counts of `app`.
    fn json(&self, app: u32, now_ms: i64) -> Object {
        self.with(app, now_ms, |hours| {
            Object::new()
                .with("time", time(now_ms))
                .with("currentHour", hours.current.json())
                .with("prevHour", hours.previous.json())
                .with("longLive", hours.ever.json())
        })
    }

    /// The hours of `app`, with the right one as the current.
    fn with<T>(&self, app: u32, now_ms: i64, body: impl FnOnce(&mut Hours) -> T) -> T {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        let hours = apps.entry(app).or_insert_with(|| Hours {
            current: Period::hour(now_ms),
            previous: Period::hour(now_ms - HOUR_MS),
            ever: Period { start_ms: self.started_ms, ..Period::default() },
        });
        hours.roll(now_ms);
        body(hours)
    }
}

impl EventServer {
    /// Counts so many events, or a request without events, that were refused with this status.
    pub fn count_refused(&self, app: u32, status: StatusCode, events: usize) {
        if let Some(statistics) = &self.statistics {
            (0..events).for_each(|_| statistics.count(app, clock::now_ms(), status.as_u16(), None));
        }
    }
}

impl Hours {
    fn roll(&mut self, now_ms: i64) {
        let passed = now_ms.div_euclid(HOUR_MS) - self.current.start_ms.div_euclid(HOUR_MS);
        if passed <= 0 {
            return;
        }
        let ended = std::mem::replace(&mut self.current, Period::hour(now_ms));
        self.previous = if passed == 1 { ended } else { Period::hour(now_ms - HOUR_MS) };
    }
}

impl Period {
    /// The hour around `now_ms`.
    fn hour(now_ms: i64) -> Self {
        let start_ms = now_ms.div_euclid(HOUR_MS) * HOUR_MS;
        Self { start_ms, end_ms: Some(start_ms + HOUR_MS), ..Self::default() }
    }

    fn count(&mut self, status: u16, stored: Option<&Label>) {
        *self.statuses.entry(status).or_default() += 1;
        let Some(label) = stored else { return };
        if let Some(count) = self.stored.get_mut(label) {
            *count += 1;
        } else {
            let label = if self.stored.len() < LABELS_MAX { label.clone() } else { Label::others() };
            *self.stored.entry(label).or_default() += 1;
        }
    }

    fn json(&self) -> Object {
        let pair = |key: Json, value: u64| Json::from(Object::new().with("key", key).with("value", value));
        let stored = self.stored.iter().map(|(label, count)| pair(label.json().into(), *count));
        let statuses = self.statuses.iter().map(|(status, count)| pair(u32::from(*status).into(), *count));
        let mut json = Object::new().with("startTime", time(self.start_ms));
        if let Some(end) = self.end_ms {
            json.push("endTime", time(end));
        }
        json.with("basic", Json::Array(stored.collect())).with("statusCode", Json::Array(statuses.collect()))
    }
}

fn time(millis: i64) -> String {
    EventTime::utc(millis).to_string()
}

/// `GET /stats.json`
pub async fn get(State(server): Server, request: Request) -> Result<Response, Refusal> {
    let (parts, _) = request.into_parts();
    let caller = server.caller_with(Right::Read, &parts).await?;
    let statistics = server.statistics.as_ref().ok_or_else(|| {
        let text = "To see stats, launch Event Server with --stats argument.";
        Refusal::new(StatusCode::NOT_FOUND, text)
    })?;
    Ok(reply::json(StatusCode::OK, statistics.json(caller.scope.app, clock::now_ms()).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(statistics: &Statistics, now_ms: i64, period: &str) -> String {
        let json = Json::from(statistics.json(1, now_ms));
        let period = json.get(period).unwrap();
        format!("{} {}", period.get("basic").unwrap(), period.get("statusCode").unwrap())
    }

    #[test]
    fn hours_roll_when_they_are_read() {
        let statistics = Statistics { started_ms: 10, apps: Mutex::default() };
        let label = Label("user".into(), Some("item".into()), "buy".into());
        statistics.count(1, 10, 201, Some(label.clone()));
        statistics.count(1, 20, 201, Some(label));
        statistics.count(1, 30, 400, None);
        statistics.count(2, 30, 400, None);
        let counted = r#"[{"key":{"entityType":"user","targetEntityType":"item","event":"buy"},"value":2}] [{"key":201,"value":2},{"key":400,"value":1}]"#;
        assert_eq!(shown(&statistics, 40, "currentHour"), counted);
        assert_eq!(shown(&statistics, 40, "prevHour"), "[] []");
        assert_eq!(shown(&statistics, HOUR_MS + 1, "currentHour"), "[] []");
        assert_eq!(shown(&statistics, HOUR_MS + 1, "prevHour"), counted);
        assert_eq!(shown(&statistics, 3 * HOUR_MS, "prevHour"), "[] []");
        assert_eq!(shown(&statistics, 3 * HOUR_MS, "longLive"), counted);
        let json = Json::from(statistics.json(1, 3 * HOUR_MS + 5));
        let time =
            |path: [&str; 2]| json.get(path[0]).unwrap().get(path[1]).unwrap().as_str().unwrap().to_owned();
        assert_eq!(json.get("time").unwrap().as_str(), Some("1970-01-01T03:00:00.005Z"));
        assert_eq!(time(["prevHour", "startTime"]), "1970-01-01T02:00:00.000Z");
        assert_eq!(time(["prevHour", "endTime"]), "1970-01-01T03:00:00.000Z");
        assert!(json.get("longLive").unwrap().get("endTime").is_none());
    }

    #[test]
    fn the_kinds_of_events_are_bounded() {
        let mut period = Period::default();
        for n in 0..2 * LABELS_MAX {
            period.count(201, Some(&Label("user".into(), None, format!("e{n}"))));
        }
        assert_eq!(period.stored.len(), LABELS_MAX + 1);
        assert_eq!(period.stored[&Label::others()], LABELS_MAX as u64);
    }
}
