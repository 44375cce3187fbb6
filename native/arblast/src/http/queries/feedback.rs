//! The feedback loop: each prediction becomes an event of the event server; each failure a line in somebody's log.

use std::time::{Duration, Instant};

use engine::Query;
use events::json::{Object, write_string};
use events::{EventTime, Json};

use super::{Answer, Refused};
use crate::deployable::Deployable;
use crate::http::outbox::{Counts, Outbox, Target};

/// Where failures are posted, and what their text begins with.
pub struct FailureLog {
    /// Where.
    pub target: Target,
    /// Before the JSON.
    pub prefix: String,
}

/// Both loops, as far as they are wanted.
pub(super) struct Feedback {
    predictions: Option<Outbox>,
    failures: Option<(Outbox, String)>,
}

impl Feedback {
    /// Starts what is wanted. Within a runtime.
    pub(super) fn start(predictions: Option<Target>, failures: Option<FailureLog>) -> Self {
        Self {
            predictions: predictions.map(Outbox::start),
            failures: failures.map(|log| (Outbox::start(log.target), log.prefix)),
        }
    }

    /// Waits until all is posted, no longer than `patience`.
    pub(super) async fn flush(&self, patience: Duration) {
        let outboxes = self.predictions.iter().chain(self.failures.iter().map(|(outbox, _)| outbox));
        let deadline = Instant::now() + patience;
        for outbox in outboxes {
            outbox.flush(deadline.saturating_duration_since(Instant::now())).await;
        }
    }

    /// Do predictions become events?
    pub(super) fn is_on(&self) -> bool {
        self.predictions.is_some()
    }

    /// Counts of posted predictions, and of posted failures.
    pub(super) fn counts(&self) -> [Option<Counts>; 2] {
        [
            self.predictions.as_ref().map(Outbox::counts),
            self.failures.as_ref().map(|(outbox, _)| outbox.counts()),
        ]
    }

    /// Posts a prediction and gives the id that it got.
    pub(super) fn predicted(&self, answer: &Answer, query: &Query, asked_ms: i64) -> Option<String> {
        let outbox = self.predictions.as_ref()?;
        let pr_id = new_pr_id()?;
        let mut event = String::with_capacity(answer.json.len() + 512);
        event.push_str("{\"event\":\"predict\",\"eventTime\":");
        write_string(&EventTime::utc(asked_ms).to_string(), &mut event);
        event.push_str(",\"entityType\":\"pio_pr\",\"entityId\":");
        write_string(&pr_id, &mut event);
        event.push_str(",\"properties\":{\"engineInstanceId\":");
        write_string(&answer.served.generation.info.trained.engine_instance, &mut event);
        event.push_str(",\"query\":");
        query.to_json().write_to(&mut event);
        event.push_str(",\"prediction\":");
        event.push_str(&answer.json);
        event.push('}');
        if let Some(earlier) = &query.pr_id {
            event.push_str(",\"prId\":");
            write_string(earlier, &mut event);
        }
        event.push('}');
        outbox.post(event);
        Some(pr_id)
    }

    /// Posts that a query failed.
    pub(super) fn failed(&self, engine: &Deployable, query: &[u8], refused: &Refused) {
        const QUERY_CHARS_MAX: usize = 10_000;
        let Some((outbox, prefix)) = &self.failures else { return };
        let config = &engine.config;
        let trained = engine.opened().map(|serving| serving.current().info.trained.engine_instance.clone());
        let instance = Object::new()
            .with("id", trained.map_or(Json::Null, Json::from))
            .with("engineVariant", config.variant.as_str())
            .with("app", config.app_name.as_str());
        let query: String = String::from_utf8_lossy(query).chars().take(QUERY_CHARS_MAX).collect();
        let message = format!("Query:\n{query}\n\n{} {}", refused.status, refused.message);
        let entry = Object::new().with("engineInstance", instance).with("message", message);
        outbox.post(format!("{prefix}{entry}"));
    }
}

/// 64 letters and digits; `None` if the system has no random bytes, and then there is no feedback.
fn new_pr_id() -> Option<String> {
    const CHARACTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut id = String::with_capacity(64);
    while id.len() < 64 {
        let mut bytes = [0; 96];
        getrandom::fill(&mut bytes).ok()?;
        // Six bits each; the two numbers without a character are thrown again.
        let characters = bytes.iter().filter_map(|byte| CHARACTERS.get(usize::from(byte & 63)));
        id.extend(characters.map(|byte| char::from(*byte)));
        id.truncate(64);
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    #[test]
    fn prediction_ids_are_long_and_distinct() {
        let ids: std::collections::BTreeSet<String> = (0..200).map(|_| super::new_pr_id().unwrap()).collect();
        assert_eq!(ids.len(), 200);
        assert!(ids.iter().all(|id| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())));
    }
}
