//! Train and recommend: from events to a model, and from a query and a history to a search plan.
//!
//! Training: [`train`] reads a store once, makes a [`TrainingSet`], counts correlators block by block and hands over
//! [`model::ModelParts`]. Serving: a [`Recommender`] turns a [`Query`] and the user's history into a
//! [`model::SearchPlan`] (pure, in `plan`) and executes it on a model and on what
//! [`LiveItems`] says of items since. [`evaluate`] asks how good that was. No SQL, no HTTP, no clock: the caller gives the time.

mod answer;
mod assemble;
mod config;
mod correlating;
mod counting;
mod dither;
mod error;
pub mod evaluation;
mod explain;
mod hash;
mod history;
mod items;
pub mod itemsimilarity;
mod live;
mod members;
mod plan;
mod portion;
mod prune;
mod query;
mod ranking;
mod recommend;
mod report;
mod scan;
mod train;
mod training;
mod training_set;
mod window;
mod wire;

pub use cco::llr;
pub use config::{
    ConfigError, EngineConfig, EventWindow, Indicator, Leniency, Ranking, RankingKind, RecsModel, Warning,
    redacted,
};
pub use correlating::Correlating;
pub use counting::{Block, Counting, Summing};
pub use dither::{Dither, DitherChange, Dithered};
pub use error::{Error, Result};
pub use evaluation::{Evaluation, evaluate};
pub use explain::{Explained, Reason, Reasons};
pub use history::History;
pub use live::LiveItems;
pub use members::{Problem, nearest};
pub use portion::Portion;
pub use prune::{PruneOptions, PruneReport, Pruned, prune};
pub use query::{DateRange, Effect, HistoryEvent, Query, QueryError, RangeRule, Rule};
pub use recommend::{Recommendation, Recommendations, Recommender};
pub use report::{IndicatorReport, TrainReport};
pub use train::{Observer, TrainOptions, Trained, train};
pub use training::Training;
pub use training_set::{Preparation, Prepared, Statistics, TrainingSet};
