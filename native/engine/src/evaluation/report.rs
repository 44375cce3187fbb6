//! The result of an evaluation, for programs and people.

use events::Json;
use events::json::{Number, Object};

use super::metrics::{Estimate, Metric};
use super::setting::Setting;
use super::split::time;
use crate::TrainReport;

/// How good an engine file was.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// First instant of the test, ms since 1970. Training saw what was before.
    pub cut_ms: i64,
    /// End of the test, ms since 1970, exclusive.
    pub end_ms: i64,
    /// The event that is predicted.
    pub primary: String,
    /// What training saw and made, with the thresholds of the engine file.
    pub training: TrainReport,
    /// Who was asked for.
    pub users: TestUsers,
    /// (user, item) pairs that would have been right.
    pub right: u64,
    /// Of these, with items that the model does not have: nobody could have recommended them.
    pub unknown: u64,
    /// What a person should look at before he believes the numbers; those of the training stand there.
    pub warnings: Vec<String>,
    /// The engine first, then what it is compared with.
    pub measured: Vec<Measured>,
}

/// Numbers of users with a primary event in the test.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TestUsers {
    /// Asked for, and averaged over.
    pub tested: u64,
    /// All.
    pub active: u64,
    /// Left out: did nothing but what they had done before.
    pub nothing_new: u64,
    /// Had done nothing before the cut; left out unless the options ask for them.
    pub newcomers: u64,
    /// Left out: not in the sample.
    pub sampled_out: u64,
}

/// How good one setting was.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// What was asked.
    pub setting: Setting,
    /// Correlators of its model.
    pub correlators: u64,
    /// By length of the lists, ascending.
    pub scores: Vec<Scores>,
}

/// How good the lists of one setting were, judged at one length.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// So many places were looked at.
    pub k: u32,
    /// In the order of [`Metric::ALL`].
    pub(super) means: [Estimate; Metric::ALL.len()],
    pub(super) differences: Option<[Estimate; Metric::ALL.len()]>,
    /// Share of the model's items that at least one user was shown (catalogue coverage: Ge, Delgado-Battenfeld, Jannach,
    /// "Beyond accuracy", 2010).
    pub coverage: f64,
}

impl Scores {
    /// Mean over the users.
    pub fn mean(&self, metric: Metric) -> Estimate {
        self.means[metric as usize]
    }

    /// Mean over the users of this setting's value less the engine's; its error is that of the differences, which is smaller than
    /// those of both means would suggest, for the users are the same. `None` for the engine.
    pub fn difference(&self, metric: Metric) -> Option<Estimate> {
        self.differences.map(|differences| differences[metric as usize])
    }
}

impl Evaluation {
    /// All of it.
    pub fn to_json(&self) -> Object {
        let users = Object::new()
            .with("tested", self.users.tested)
            .with("active", self.users.active)
            .with("nothingNew", self.users.nothing_new)
            .with("newcomers", self.users.newcomers)
            .with("sampledOut", self.users.sampled_out);
        Object::new()
            .with("primary", self.primary.as_str())
            .with("cut", time(self.cut_ms).to_string())
            .with("until", time(self.end_ms).to_string())
            .with("users", users)
            .with("right", self.right)
            .with("unknown", self.unknown)
            .with("warnings", self.warnings.clone())
            .with("settings", Json::Array(self.measured.iter().map(Measured::to_json).collect()))
            .with("training", self.training.to_json())
    }
}

impl Measured {
    fn to_json(&self) -> Json {
        let object = Object::new().with("setting", self.setting.title());
        let object = match &self.setting {
            Setting::Engine | Setting::Popular | Setting::RecentlyPopular => object,
            Setting::Only(indicator) => object.with("only", indicator.as_str()),
            Setting::Without(indicator) => object.with("without", indicator.as_str()),
            Setting::Swept { min_llr, max_correlators } => {
                object.with("minLLR", real(*min_llr)).with("maxCorrelatorsPerItem", *max_correlators)
            }
        };
        object
            .with("correlators", self.correlators)
            .with("scores", Json::Array(self.scores.iter().map(Scores::to_json).collect()))
            .into()
    }
}

impl Scores {
    fn to_json(&self) -> Json {
        let mut object = Object::new().with("k", self.k);
        for metric in Metric::ALL {
            let mut value = estimate(self.mean(metric));
            if let Some(difference) = self.difference(metric) {
                value.insert("difference", estimate(difference));
            }
            object.insert(metric.name(), value);
        }
        object.with("coverage", real(self.coverage)).into()
    }
}

fn estimate(estimate: Estimate) -> Object {
    let error = estimate.standard_error.map_or(Json::Null, real);
    Object::new().with("mean", real(estimate.mean)).with("standardError", error)
}

fn real(value: f64) -> Json {
    Number::real(value).map_or(Json::Null, Json::Number)
}
