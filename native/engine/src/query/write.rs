//! A [`Query`] as JSON, as it was understood.

use events::EventTime;
use events::json::{Json, Number, Object};

use super::{DateRange, DitherChange, Effect, Query, RangeRule, Rule};

impl Query {
    /// The query in its canonical form: absent members and defaults are omitted, aliases and numbers given as
    /// strings resolved, dates in ISO form, unknown members dropped. [`Query::parse`] gives the same query back.
    pub fn to_json(&self) -> Json {
        let mut object = Object::new();
        let mut put = |name: &str, value: Option<Json>| {
            if let Some(value) = value {
                object.push(name, value);
            }
        };
        put("user", self.user.as_deref().map(Json::from));
        put("userBias", self.user_bias.map(single));
        put("item", self.item.as_deref().map(Json::from));
        put("itemBias", self.item_bias.map(single));
        put("itemSet", list(&self.item_set, |item| Json::from(item.as_str())));
        put("itemSetBias", self.item_set_bias.map(single));
        put("fields", list(&self.rules, rule));
        put("ranges", list(&self.ranges, range));
        put("dateRange", self.date_range.as_ref().map(date_range));
        put("currentDate", self.current_date.map(date));
        put("blacklistItems", list(&self.blacklist_items, |item| Json::from(item.as_str())));
        put("returnSelf", self.return_self.map(Json::from));
        put("num", self.num.map(Json::from));
        put("from", (self.from > 0).then(|| Json::from(self.from)));
        put("dither", self.dither.as_ref().map(dither));
        put("eventNames", self.event_names.as_deref().map(texts));
        put("withRanks", self.with_ranks.then(|| Json::from(true)));
        put("resultProps", self.result_props.as_deref().map(texts));
        put("explain", self.explain.then(|| Json::from(true)));
        put(
            "history",
            self.history.as_ref().map(|events| {
                let event = |event: &super::HistoryEvent| {
                    Json::from(
                        Object::new().with("event", event.event.as_str()).with("item", event.item.as_str()),
                    )
                };
                Json::Array(events.iter().map(event).collect())
            }),
        );
        put("prId", self.pr_id.as_deref().map(Json::from));
        put("withPrId", self.with_pr_id.then(|| Json::from(true)));
        put("withDegraded", self.with_degraded.then(|| Json::from(true)));
        Json::Object(object)
    }
}

/// `None` if there is nothing.
fn list<T>(items: &[T], write: impl Fn(&T) -> Json) -> Option<Json> {
    (!items.is_empty()).then(|| Json::Array(items.iter().map(write).collect()))
}

fn texts(texts: &[String]) -> Json {
    Json::Array(texts.iter().map(|text| Json::from(text.as_str())).collect())
}

/// With the digits of its own precision. Not finite: `null`, which reads as absent.
fn single(value: f32) -> Json {
    Number::real32(value).map_or(Json::Null, Json::Number)
}

fn date(ms: i64) -> Json {
    Json::from(EventTime::utc(ms).to_string())
}

fn put_effect(object: &mut Object, effect: Effect) {
    match effect {
        Effect::Boost(boost) => object.push("bias", single(boost)),
        Effect::Include => object.push("bias", -1),
        Effect::Exclude => object.push("bias", 0),
        Effect::Factor(factor) => object.push("factor", single(factor)),
    }
}

fn rule(rule: &Rule) -> Json {
    let mut object = Object::new().with("name", rule.name.as_str()).with("values", texts(&rule.values));
    put_effect(&mut object, rule.effect);
    Json::Object(object)
}

fn range(RangeRule { bounds, effect }: &RangeRule) -> Json {
    let mut object = Object::new().with("name", bounds.field.as_str());
    for (name, bound) in [("gt", bounds.gt), ("gte", bounds.gte), ("lt", bounds.lt), ("lte", bounds.lte)] {
        if let Some(bound) = bound {
            #[expect(clippy::cast_possible_truncation, reason = "dates were whole milliseconds")]
            let value = if bounds.dates { date(bound as i64) } else { number(bound) };
            object.push(name, value);
        }
    }
    put_effect(&mut object, *effect);
    Json::Object(object)
}

fn number(value: f64) -> Json {
    Number::real(value).map_or(Json::Null, Json::Number)
}

fn dither(change: &DitherChange) -> Json {
    if *change == DitherChange::OFF {
        return Json::from(false);
    }
    let mut object = Object::new();
    let mut put = |name: &str, value: Option<Json>| {
        if let Some(value) = value {
            object.push(name, value);
        }
    };
    put("sigma", change.sigma.map(number));
    put("seed", change.seed.map(Json::from));
    put("period", change.period_ms.map(|ms| Json::from(format!("{ms} ms"))));
    Json::Object(object)
}

fn date_range(range: &DateRange) -> Json {
    let mut object = Object::new().with("name", range.name.as_str());
    for (name, bound) in [("after", range.after), ("before", range.before)] {
        if let Some(bound) = bound {
            object.push(name, date(bound));
        }
    }
    Json::Object(object)
}
