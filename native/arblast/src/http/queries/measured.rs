//! What an operator can see of a query server: its metrics, and whether it is ready.

use std::sync::Arc;

use events::Kind;
use stores::Generation;

use super::QueryServer;
use crate::clock;
use crate::failure::Failure;
use crate::http::Front;
use crate::http::outbox::Counts;

impl QueryServer {
    /// Registers the metrics of queries and of the model that answers.
    pub(super) fn equip(self: &Arc<Self>, front: &mut Front) {
        let server = Arc::clone(self);
        front.ready_when(move || {
            if server.answering.is_stuck() {
                return Err(Failure::new(
                    Kind::Unavailable,
                    "the event store hangs: answers lack the histories",
                ));
            }
            match server.deployed() {
                Some(deployed) if deployed.opened().is_none() => Err(Failure::new(
                    Kind::Unavailable,
                    format!("engine {} has no model yet", deployed.config.variant),
                )),
                _ => Ok(()),
            }
        });
        self.counted(front, "arblast_queries_answered_total", "Queries answered.", |of| {
            of.statistics.answered() + of.others.answered()
        });
        self.counted(front, "arblast_queries_failed_total", "Queries refused or failed.", |of| {
            of.statistics.failed() + of.others.failed()
        });
        self.counted(
            front,
            "arblast_queries_degraded_total",
            "Answers without the history that they should rest on.",
            |of| of.answering.degraded(),
        );
        let times = Arc::clone(self.answering.history_times());
        front.metrics().times("arblast_history_seconds", "Reading the history of a user.", &[], times);
        self.gauge(front, "arblast_queries_queued", "Queries in work or waiting.", |of| {
            of.answering.queued() as u64
        });
        self.gauge(front, "arblast_history_stuck", "Threads that hang in the event store.", |of| {
            of.answering.stuck() as u64
        });
        self.engines.intake().ingest().equip(front.metrics());
        self.equip_model(front);
        self.equip_feedback(front);
    }

    /// Posts of predictions and of failures, as far as they are wanted.
    fn equip_feedback(self: &Arc<Self>, front: &Front) {
        /// What became of a post, and how many did.
        type Outcome = (&'static str, fn(Counts) -> u64);
        const OUTCOMES: [Outcome; 3] =
            [("sent", |of| of.sent), ("failed", |of| of.failed), ("dropped", |of| of.dropped)];
        for (place, kind) in ["prediction", "failure"].into_iter().enumerate() {
            if self.feedback.counts()[place].is_none() {
                continue;
            }
            for (outcome, of) in OUTCOMES {
                let server = Arc::clone(self);
                let read = move || server.feedback.counts()[place].map_or(0, of);
                let labels = [("kind", kind), ("outcome", outcome)];
                let help =
                    "Posts to other servers: taken, refused or not reached, not tried as too many waited.";
                front.metrics().counted("arblast_feedback_posts_total", help, &labels, read);
            }
        }
    }

    fn equip_model(self: &Arc<Self>, front: &Front) {
        let age =
            |of: &Generation| clock::now_ms().saturating_sub(of.info.trained.published_ms).max(0) / 1000;
        self.model(front, "arblast_model_generation", "Number of the generation that answers.", |of| {
            of.number
        });
        self.model(front, "arblast_model_age_seconds", "Since the model was published.", move |of| {
            age(of).unsigned_abs()
        });
        self.model(front, "arblast_model_bytes", "Size of the model.", |of| of.model.counts().bytes);
        self.model(front, "arblast_model_items", "Items of the model.", |of| u64::from(of.model.items()));
        self.gauge(
            front,
            "arblast_model_changed_items",
            "Items that changed since the model was trained.",
            |of| of.serving().map_or(0, |serving| serving.served().changed_items() as u64),
        );
        self.model(front, "arblast_model_correlators", "Correlators of the model.", |of| {
            of.model.counts().correlators
        });
    }

    fn counted(
        self: &Arc<Self>,
        front: &Front,
        name: &str,
        help: &str,
        read: impl Fn(&Self) -> u64 + Send + Sync + 'static,
    ) {
        let server = Arc::clone(self);
        front.metrics().counted(name, help, &[], move || read(&server));
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    fn gauge(
        self: &Arc<Self>,
        front: &Front,
        name: &str,
        help: &str,
        read: impl Fn(&Self) -> u64 + Send + Sync + 'static,
    ) {
        let server = Arc::clone(self);
        front.metrics().gauge(name, help, &[], move || read(&server) as f64);
    }

    fn model(
        self: &Arc<Self>,
        front: &Front,
        name: &str,
        help: &str,
        read: impl Fn(&Generation) -> u64 + Send + Sync + 'static,
    ) {
        self.gauge(front, name, help, move |of| of.serving().map_or(0, |serving| read(&serving.current())));
    }
}
