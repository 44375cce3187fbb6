//! Puts correlators, item properties and rankings together: the parts of a model.

use std::collections::BTreeSet;

use cco::Correlators;
use events::properties::EntityProperties;
use model::{Dictionary, DictionaryBuilder, IndicatorPart, Model, ModelParts, RankingPart};

use crate::config::{Ranking, RankingKind, RecsModel};
use crate::items::{ItemFields, user_defined};
use crate::ranking::{self, RankingCounter};
use crate::{EngineConfig, Error, Result, TrainReport};

/// The correlators of a train, or those of the model in use.
pub(crate) struct Correlated {
    /// Users that they were counted over.
    pub users: u32,
    /// Row names of every indicator's correlators.
    pub items: Dictionary,
    /// Per indicator of the configuration: names of the things, and correlators.
    pub indicators: Vec<(Dictionary, Correlators)>,
}

impl Correlated {
    /// Those of the model in use, whose indicators must be the configured ones.
    pub fn of_current(config: &EngineConfig, current: Option<&Model>) -> Result<Self> {
        let untrainable = |reason| Err(Error::Untrainable(reason));
        let Some(model) = current else {
            return untrainable(
                "recsModel \"backfill\" refreshes the rankings of a model, and there is none: train with \"all\" first"
                    .to_owned(),
            );
        };
        let names: Vec<&str> = model.indicators().collect();
        if !names.iter().copied().eq(config.indicator_names()) {
            return untrainable(format!(
                "recsModel \"backfill\" keeps the model's correlators, and those are of {names:?}: \
                 the indicators have changed, train with \"all\""
            ));
        }
        let indicators = names.iter().map(|name| taken_from(model, name)).collect::<Result<_>>()?;
        Ok(Self {
            users: model.counts().users,
            items: Dictionary::from_strings(model.ids().iter())?,
            indicators,
        })
    }
}

/// The correlators that a model has of one indicator, for all of its items.
fn taken_from(model: &Model, indicator: &str) -> Result<(Dictionary, Correlators)> {
    let mut things = DictionaryBuilder::new();
    let mut rows: Vec<Vec<(u32, f64)>> = Vec::new();
    for row in 0..model.items() {
        let correlators =
            model.correlators(indicator, row).map(|(thing, llr)| Ok((things.intern(thing)?, llr)));
        rows.push(correlators.collect::<Result<_>>()?);
    }
    let (things, sorted) = things.finish();
    let mut correlators = Correlators::new();
    for row in rows {
        correlators.push_row(row.into_iter().map(|(thing, llr)| (sorted[thing as usize], llr)));
    }
    Ok((things, correlators))
}

/// The parts of the model. Fills in the rest of `report`. `described` is sorted by id.
pub(crate) fn assemble(
    config: &EngineConfig,
    correlated: Correlated,
    described: &[EntityProperties],
    counters: Vec<RankingCounter>,
    report: &mut TrainReport,
) -> Result<ModelParts> {
    let ranked: Vec<RankedItems> = rankings_of(config, counters, described);
    let items = all_items(&correlated.items, described, &ranked)?;
    let row_of = |id: &str| items.find(id).unwrap_or_default(); // every id below is one of `items`

    let mut fields = ItemFields::new(config);
    let mut documents = Vec::with_capacity(described.len());
    for entity in described {
        let row = row_of(&entity.id);
        fields.push(row, &entity.properties);
        documents.push((row, entity.properties.to_string()));
    }
    let (properties, warnings) = fields.finish();
    report.warnings.extend(warnings);
    report.items = items.len();
    report.rankings = ranked.iter().map(|(name, ranks)| (name.clone(), ranks.len() as u64)).collect();

    let rows: Vec<u32> = correlated.items.iter().map(row_of).collect();
    let indicators =
        config.indicators.iter().zip(correlated.indicators).map(|(indicator, (things, correlators))| {
            IndicatorPart { name: indicator.name.clone(), things, correlators, rows: rows.clone() }
        });
    Ok(ModelParts {
        indicators: indicators.collect(),
        properties,
        rankings: ranked
            .into_iter()
            .map(|(name, ranks)| RankingPart {
                name,
                values: ranks.into_iter().map(|(id, rank)| (row_of(&id), rank)).collect(),
            })
            .collect(),
        documents,
        users: correlated.users,
        items,
    })
}

/// Name of a ranking, and the items that it ranks, sorted by id.
type RankedItems = (String, Vec<(String, f32)>);

/// The rankings in their configured order. A counter stands for each counted one, in the same order.
fn rankings_of(
    config: &EngineConfig,
    counters: Vec<RankingCounter>,
    described: &[EntityProperties],
) -> Vec<RankedItems> {
    if config.recs_model == RecsModel::CollabFiltering {
        return Vec::new();
    }
    let mut counters = counters.into_iter();
    let ranks = |ranking: &Ranking| {
        if ranking.kind == RankingKind::UserDefined {
            let rank = |entity: &EntityProperties| {
                Some((entity.id.clone(), user_defined(ranking, &entity.properties)?))
            };
            return described.iter().filter_map(rank).collect();
        }
        let (things, counts) = counters.next().map(RankingCounter::finish).unwrap_or_default();
        let things = things.iter().map(str::to_owned);
        if ranking.kind == RankingKind::Random {
            let ids: BTreeSet<String> =
                things.chain(described.iter().map(|entity| entity.id.clone())).collect();
            let random = |id: String| (ranking::random(config.seed, &ranking.name, &id), id);
            return ids.into_iter().map(random).map(|(rank, id)| (id, rank)).collect();
        }
        let ranked = things.zip(counts).filter_map(|(id, parts)| Some((id, ranking::value(ranking, parts)?)));
        ranked.collect()
    };
    let names = config.rankings.iter().map(|ranking| ranking.name.clone());
    names.zip(config.rankings.iter().map(ranks)).collect()
}

fn all_items(
    correlated: &Dictionary,
    described: &[EntityProperties],
    ranked: &[RankedItems],
) -> Result<Dictionary> {
    let mut ids: Vec<&str> = correlated.iter().collect();
    ids.extend(described.iter().map(|entity| entity.id.as_str()));
    ids.extend(ranked.iter().flat_map(|(_, ranks)| ranks.iter().map(|(id, _)| id.as_str())));
    ids.sort_unstable();
    ids.dedup();
    Ok(Dictionary::from_strings(ids)?)
}
