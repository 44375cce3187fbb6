//! Answers queries: history and business rules become a search plan, executed on one model.

use std::sync::Arc;

use events::json::{self, Object};
use events::{EventStore, Json, Scope};
use model::{Explanation, Hit, Model, SearchPlan, View};

use crate::dither::Dithering;
use crate::explain::{Explained, Reasons};
use crate::history::{self, History};
use crate::plan::Request;
use crate::{EngineConfig, Query, Result};

/// Answers the queries of one engine. Cheap to share between threads; holds no model, so that the caller decides
/// which generation answers.
pub struct Recommender {
    config: EngineConfig,
    events: Arc<dyn EventStore>,
    scope: Scope,
}

/// The answer to a query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recommendations {
    /// Best first; if they are dithered, nearly.
    pub items: Vec<Recommendation>,
    /// The stored history could not be read: the answer is less personal than it should be.
    pub degraded: bool,
    /// With `explain`: what the answer rests on.
    pub explanation: Option<Explained>,
}

/// One recommended item.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recommendation {
    /// Item id.
    pub item: String,
    /// Comparable within one answer only; 0 = by ranking alone.
    pub score: f32,
    /// With `withRanks`: every ranking that has the item.
    pub ranks: Option<Vec<(String, f32)>>,
    /// The properties asked for with `resultProps`.
    pub properties: Option<Object>,
    /// With `explain`: why it is here.
    pub reasons: Option<Reasons>,
}

impl Recommender {
    /// Answers by `config`, with the histories of `scope`.
    pub fn new(config: EngineConfig, events: Arc<dyn EventStore>, scope: Scope) -> Self {
        Self { config, events, scope }
    }

    /// The configuration that queries are answered by.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Answers `query` on a model, with the changes of items since if it comes with them. `now_ms` is the time that availability dates are compared with, if the query gives none,
    /// and that says which period of [`Dither`](crate::Dither) it is.
    ///
    /// # Errors
    /// The query names an indicator that the configuration lacks. A history that cannot be read is no error:
    /// see [`Recommendations::degraded`].
    pub fn recommend<'m>(
        &self,
        model: impl Into<View<'m>>,
        query: &Query,
        now_ms: i64,
    ) -> Result<Recommendations> {
        self.recommend_with(model, query, &self.history(query)?, now_ms)
    }

    /// Reads what `query` needs of the past: the part of [`recommend`](Self::recommend) that waits for the store.
    ///
    /// # Errors
    /// As [`recommend`](Self::recommend).
    pub fn history(&self, query: &Query) -> Result<History> {
        history::read(&self.config, query, Some(self.events.as_ref()), self.scope)
    }

    /// The past as far as `query` itself tells it; degraded if the store would know more.
    ///
    /// # Errors
    /// As [`recommend`](Self::recommend).
    pub fn history_without_store(&self, query: &Query) -> Result<History> {
        history::read(&self.config, query, None, self.scope)
    }

    /// As [`recommend`](Self::recommend), with a history that was read before.
    ///
    /// # Errors
    /// `from` + the number of results is too large.
    pub fn recommend_with<'m>(
        &self,
        model: impl Into<View<'m>>,
        query: &Query,
        history: &History,
        now_ms: i64,
    ) -> Result<Recommendations> {
        let view = model.into();
        let num = query.num_or(self.config.num)?;
        let item = query.item.as_deref().map(|item| correlators_of(view.model(), item)).unwrap_or_default();
        let request = Request { config: &self.config, query, history, item: &item, num, now_ms };
        let plan = request.plan();
        let dithering = Dithering::of(&request);
        let answer = Answer { view, request: &request, plan: &plan };
        let items = match &dithering {
            None => view.search(&plan).iter().map(|hit| answer.recommendation(hit, None)).collect(),
            Some(dithering) => {
                let page = dithering.page(view, &plan);
                page.iter().map(|(rank, hit)| answer.recommendation(hit, Some(*rank))).collect()
            }
        };
        let dithered = dithering.as_ref().map(Dithering::told);
        let explanation = query.explain.then(|| Explained::new(view, &request, &plan, dithered));
        Ok(Recommendations { items, degraded: history.degraded, explanation })
    }
}

/// Per indicator: ids of the item's correlators, strongest first. Empty if the model does not know the item.
fn correlators_of(model: &Model, item: &str) -> Vec<(String, Vec<String>)> {
    let Some(row) = model.find(item) else { return Vec::new() };
    let of = |name: &str| {
        (name.to_owned(), model.correlators(name, row).map(|(thing, _)| thing.to_owned()).collect())
    };
    model.indicators().map(of).collect()
}

/// What each hit of one answer needs.
struct Answer<'a> {
    view: View<'a>,
    request: &'a Request<'a>,
    plan: &'a SearchPlan,
}

impl Answer<'_> {
    /// `rank`: its place before results were dithered.
    fn recommendation(&self, hit: &Hit, rank: Option<usize>) -> Recommendation {
        let ranks = || self.view.ranks(hit.item).map(|(name, rank)| (name.to_owned(), rank)).collect();
        Recommendation {
            item: self.view.item(hit.item).unwrap_or_default().to_owned(),
            score: hit.score,
            ranks: self.request.query.with_ranks.then(ranks),
            properties: self.properties(hit.item),
            reasons: self.request.query.explain.then(|| self.reasons(hit.item, rank)),
        }
    }

    fn reasons(&self, item: u32, rank: Option<usize>) -> Reasons {
        let explanation: Explanation = self.view.explain(self.plan, item);
        Reasons::new(self.request, explanation, rank)
    }

    /// The wanted properties of an item, in the order of the document; `None` if none were asked for.
    fn properties(&self, item: u32) -> Option<Object> {
        let wanted = self.request.query.result_props.as_ref().unwrap_or(&self.request.config.result_props);
        if wanted.is_empty() {
            return None;
        }
        let all = wanted.iter().any(|name| name == "*");
        let mut found = Object::new();
        let document = self.view.document(item).and_then(|text| json::parse(text.as_bytes()).ok());
        if let Some(Json::Object(properties)) = document {
            let wanted = properties.into_iter().filter(|(name, _)| all || wanted.contains(name));
            wanted.for_each(|(name, value)| found.push(name, value));
        }
        Some(found)
    }
}
