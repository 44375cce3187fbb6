//! Answers queries: history and business rules become a search plan, executed on one model.

use std::sync::Arc;

use events::json::{self, Object};
use events::{EventStore, Json, Scope};
use model::{Described, Found, ModelIndex, SearchPlan, View};

use crate::dither::Dithering;
use crate::explain::{Explained, Reasons};
use crate::history::{self, History};
use crate::plan::Request;
use crate::{EngineConfig, Error, Query, Result};

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
        recommend(&self.config, &model.into(), query, history, now_ms)
    }

    /// As [`recommend_with`](Self::recommend_with), in any index: that of a search server, for instance.
    ///
    /// # Errors
    /// As there, and those of the index.
    pub fn recommend_in<I: ModelIndex>(
        &self,
        index: &I,
        query: &Query,
        history: &History,
        now_ms: i64,
    ) -> Result<Recommendations>
    where
        Error: From<I::Error>,
    {
        recommend(&self.config, index, query, history, now_ms)
    }
}

/// As [`Recommender::recommend_with`], by any configuration and in any index.
///
/// # Errors
/// `from` + the number of results is too large; those of the index.
pub(crate) fn recommend<I: ModelIndex>(
    config: &EngineConfig,
    index: &I,
    query: &Query,
    history: &History,
    now_ms: i64,
) -> Result<Recommendations>
where
    Error: From<I::Error>,
{
    let num = query.num_or(config.num)?;
    let item = query.item.as_deref().map(|item| correlators_of(index, item)).transpose()?.unwrap_or_default();
    let request = Request { config, query, history, item: &item, num, now_ms };
    let plan = request.plan();
    let dithering = Dithering::of(&request);
    let found: Vec<(Option<usize>, Found)> = match &dithering {
        None => index.search(&plan)?.into_iter().map(|found| (None, found)).collect(),
        Some(dithering) => {
            let page = dithering.page(index, &plan)?;
            page.into_iter().map(|(rank, found)| (Some(rank), found)).collect()
        }
    };
    let items = Answer { index, request: &request, plan: &plan }.recommendations(found)?;
    let dithered = dithering.as_ref().map(Dithering::told);
    let explanation = query.explain.then(|| Explained::new(index, &request, &plan, dithered)).transpose()?;
    Ok(Recommendations { items, degraded: history.degraded, explanation })
}

/// Per indicator: ids of the item's correlators, strongest first. Empty if the model does not know the item.
fn correlators_of<I: ModelIndex>(index: &I, item: &str) -> Result<Vec<(String, Vec<String>)>, I::Error> {
    let ids = |things: Vec<(String, f64)>| things.into_iter().map(|(thing, _)| thing).collect();
    Ok(index.correlators(item)?.into_iter().map(|(name, things)| (name, ids(things))).collect())
}

/// What the hits of one answer need.
struct Answer<'a, I> {
    index: &'a I,
    request: &'a Request<'a>,
    plan: &'a SearchPlan,
}

impl<I: ModelIndex> Answer<'_, I> {
    /// With each hit its place before results were dithered, if they were. The index is asked for no more than was asked for.
    fn recommendations(&self, found: Vec<(Option<usize>, Found)>) -> Result<Vec<Recommendation>, I::Error> {
        let query = self.request.query;
        let wanted = query.result_props.as_ref().unwrap_or(&self.request.config.result_props);
        let ids: Vec<&str> = found.iter().map(|(_, found)| found.item.as_str()).collect();
        let described = query.with_ranks || !wanted.is_empty();
        let described = if described { self.index.describe(&ids)? } else { Vec::new() };
        let explained = if query.explain { self.index.explain(self.plan, &ids)? } else { Vec::new() };
        let (mut described, mut explained) = (described.into_iter(), explained.into_iter());
        let recommendation = |(rank, found): (Option<usize>, Found)| {
            let described = described.next();
            Recommendation {
                item: found.item,
                score: found.score,
                properties: described
                    .as_ref()
                    .filter(|_| !wanted.is_empty())
                    .map(|it| properties(it, wanted)),
                ranks: described.filter(|_| query.with_ranks).map(|described| described.ranks),
                reasons: explained.next().map(|explanation| Reasons::new(self.request, explanation, rank)),
            }
        };
        Ok(found.into_iter().map(recommendation).collect())
    }
}

/// The wanted properties of an item, in the order of the document.
fn properties(described: &Described<'_>, wanted: &[String]) -> Object {
    let all = wanted.iter().any(|name| name == "*");
    let mut found = Object::new();
    let document = described.document.as_ref().and_then(|text| json::parse(text.as_bytes()).ok());
    if let Some(Json::Object(properties)) = document {
        let wanted = properties.into_iter().filter(|(name, _)| all || wanted.contains(name));
        wanted.for_each(|(name, value)| found.push(name, value));
    }
    found
}
