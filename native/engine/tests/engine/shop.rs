//! A store that a test fills in a few words, a train on it, and queries.

use std::sync::Arc;

use engine::{
    EngineConfig, Error, Leniency, Observer, Query, Recommender, TrainOptions, TrainReport, Trained,
};
use events::{Event, EventStore, EventTime, Json, MemoryStore, Scope};
use model::Model;

pub const SCOPE: Scope = Scope { app: 1, channel: None };
/// 2026-01-10T00:00Z. Days below count back from here.
pub const NOW: i64 = 1_768_003_200_000;
pub const DAY: i64 = 86_400_000;

/// Events to come, and the configuration to train them with.
pub struct Shop {
    pub store: Arc<MemoryStore>,
    before: u64,
    events: Vec<Event>,
}

pub struct Silent;

impl Observer for Silent {
    fn stage(&self, _: &str, _: u64) {}
    fn progress(&self, _: u64) {}
    fn preflight(&self, _: &TrainReport) {}
}

impl Shop {
    pub fn new() -> Self {
        Self::on(Arc::new(MemoryStore::new()))
    }

    /// More events for a store. Their ids begin with the number of events already there.
    pub fn on(store: Arc<MemoryStore>) -> Self {
        Self { before: store.count(SCOPE).unwrap_or(0), store, events: Vec::new() }
    }

    fn next_id(&self) -> String {
        format!("{:032x}", self.before + self.events.len() as u64)
    }

    /// `user` does `event` to each item, a day before now.
    pub fn does(self, user: &str, event: &str, items: &[&str]) -> Self {
        self.did(user, event, items, 1)
    }

    /// The same, `days` ago; within the list each later item is a second younger.
    pub fn did(mut self, user: &str, event: &str, items: &[&str], days: i64) -> Self {
        for (second, item) in (0..).zip(items) {
            let at = NOW - days * DAY + second * 1000;
            let id = self.next_id();
            self.event(&format!(
                r#"{{"eventId":"{id}","event":"{event}","entityType":"user","entityId":"{user}","targetEntityType":"item","targetEntityId":"{item}","eventTime":{at}}}"#
            ));
        }
        self
    }

    /// `$set` on an item.
    pub fn item(mut self, item: &str, properties: &str) -> Self {
        let id = self.next_id();
        self.event(&format!(
            r#"{{"eventId":"{id}","event":"$set","entityType":"item","entityId":"{item}","properties":{properties},"eventTime":{NOW}}}"#
        ));
        self
    }

    fn event(&mut self, json: &str) {
        let now = EventTime { millis: NOW, offset_seconds: 0 };
        self.events
            .push(Event::parse(json.as_bytes(), now).unwrap_or_else(|error| panic!("{json}: {error}")));
    }

    pub fn reverse(mut self) -> Self {
        self.events.reverse();
        self
    }

    pub fn stored(mut self) -> Self {
        self.store.init(SCOPE).unwrap();
        self.store.append(SCOPE, &self.events).unwrap();
        self.events.clear();
        self
    }

    pub fn train(&self, parameters: &str, threads: usize) -> Result<Trained, Error> {
        let options = TrainOptions { threads, now_ms: NOW };
        engine::train(&config(parameters), self.store.as_ref(), SCOPE, None, options, &Silent)
    }

    /// Bytes of the model, trained with these algorithm parameters.
    pub fn bytes(&self, parameters: &str, threads: usize) -> Vec<u8> {
        bytes(&self.train(parameters, threads).unwrap())
    }

    /// Stores and trains.
    pub fn serve(self, parameters: &str) -> Served {
        let shop = self.stored();
        let model = Model::from_bytes(shop.bytes(parameters, 1)).unwrap();
        Served { model, recommender: Recommender::new(config(parameters), shop.store, SCOPE) }
    }
}

pub fn bytes(trained: &Trained) -> Vec<u8> {
    let mut bytes = Vec::new();
    model::write(&trained.parts, &mut bytes).unwrap();
    bytes
}

/// A configuration of app `shop` with these members in `algorithms[0].params`; data source members behind a `|`.
pub fn config(parameters: &str) -> EngineConfig {
    let (algorithm, source) = parameters.split_once('|').unwrap_or((parameters, ""));
    let comma = |text: &str| if text.is_empty() { String::new() } else { format!(",{text}") };
    let names = if algorithm.contains("\"indicators\"") { "" } else { r#","eventNames":["buy","view"]"# };
    let text = format!(
        r#"{{"id":"default","engineFactory":"com.actionml.RecommendationEngine",
            "datasource":{{"params":{{"appName":"shop","eventNames":["buy","view"]{}}}}},
            "algorithms":[{{"name":"ur","params":{{"appName":"shop","indexName":"shop","typeName":"items"{names}{}}}}}]}}"#,
        comma(source),
        comma(algorithm)
    );
    let parsed = EngineConfig::parse(text.as_bytes(), Leniency::Strict, &|_| None);
    parsed.unwrap_or_else(|error| panic!("{text}\n{error}")).0
}

/// A trained shop.
pub struct Served {
    pub model: Model,
    pub recommender: Recommender,
}

impl Served {
    pub fn ask(&self, query: &str) -> engine::Result<engine::Recommendations> {
        let query = Query::parse(query.as_bytes())?;
        self.recommender.recommend(&self.model, &query, NOW)
    }

    /// Items and scores.
    pub fn scores(&self, query: &str) -> Vec<(String, f32)> {
        self.ask(query).unwrap().items.into_iter().map(|hit| (hit.item, hit.score)).collect()
    }

    /// Items in order.
    pub fn items(&self, query: &str) -> Vec<String> {
        self.scores(query).into_iter().map(|(item, _)| item).collect()
    }

    /// Items that scored.
    pub fn scored(&self, query: &str) -> Vec<String> {
        self.scores(query).into_iter().filter(|(_, score)| *score > 0.0).map(|(item, _)| item).collect()
    }

    pub fn json(&self, query: &str) -> Json {
        events::json::parse(self.ask(query).unwrap().to_json().as_bytes()).unwrap()
    }
}

/// Campers and climbers: three of each buy their kit, everyone has looked at a lamp, one new user has one tent.
pub fn outdoor() -> Shop {
    let mut shop = Shop::new();
    for user in ["c1", "c2", "c3"] {
        shop = shop.does(user, "buy", &["tent", "stove", "mat"]).does(user, "view", &["lamp", "tent"]);
    }
    for user in ["k1", "k2", "k3"] {
        shop = shop.does(user, "buy", &["rope", "chalk", "harness"]).does(user, "view", &["lamp", "rope"]);
    }
    shop.does("new", "buy", &["tent"])
        .does("odd", "buy", &["mat", "chalk"])
        .item("tent", r#"{"kind":["camp","big"],"price":200,"from":"2026-01-01T00:00:00Z","until":"2026-02-01T00:00:00Z"}"#)
        .item("stove", r#"{"kind":["camp"],"price":50.5,"from":"2026-01-01T00:00:00Z","until":"2026-01-05T00:00:00Z"}"#)
        .item("mat", r#"{"kind":["camp"],"price":30,"from":"2026-01-20T00:00:00Z","until":"2026-02-01T00:00:00Z"}"#)
        .item("rope", r#"{"kind":["climb"],"price":120,"from":"2026-01-01T00:00:00Z","until":"2026-02-01T00:00:00Z"}"#)
        .item("chalk", r#"{"kind":["climb"],"price":10}"#)
        .item("gift", r#"{"kind":["any"],"sale":true}"#)
}
