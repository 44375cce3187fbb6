//! What is compared: the engine as it is, popularity, parts of its evidence, other thresholds.
//!
//! All models come from one count with the widest thresholds. Correlators are sorted by strength under a total order, so
//! the strongest 10 of the strongest 50 are the strongest 10, and what a higher `minLLR` drops is the end of a row: cutting
//! rows gives what counting again would give.

use cco::Correlators;

use super::Sweep;
use crate::EngineConfig;

/// What one row of an evaluation stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting {
    /// As the engine file says. Everything else is compared with it.
    Engine,
    /// No history: what most people chose before the cut. Business rules and the blacklist hold.
    Popular,
    /// The same, of the last part before the cut, as long as the test.
    RecentlyPopular,
    /// The evidence of this indicator alone.
    Only(String),
    /// Without the evidence of this indicator.
    Without(String),
    /// With these thresholds for every indicator.
    Swept {
        /// Least LLR of a correlator; 0 = any.
        min_llr: f64,
        /// Correlators per item.
        max_correlators: u32,
    },
}

impl Setting {
    /// For people.
    pub fn title(&self) -> String {
        match self {
            Self::Engine => "engine".to_owned(),
            Self::Popular => "popular".to_owned(),
            Self::RecentlyPopular => "recently popular".to_owned(),
            Self::Only(indicator) => format!("only {indicator}"),
            Self::Without(indicator) => format!("without {indicator}"),
            Self::Swept { min_llr, max_correlators } => format!("minLLR {min_llr}, top {max_correlators}"),
        }
    }

    /// Is it an order of all items that knows nothing of the user but what he must not get?
    pub(super) fn is_popularity(&self) -> bool {
        matches!(self, Self::Popular | Self::RecentlyPopular)
    }
}

/// The settings that are asked for, the engine first.
pub(super) fn settings(config: &EngineConfig, ablation: bool, sweep: Option<&Sweep>) -> Vec<Setting> {
    let mut settings = vec![Setting::Engine, Setting::Popular, Setting::RecentlyPopular];
    if let Some(primary) = config.indicators.first().filter(|_| ablation && config.indicators.len() > 1) {
        settings.push(Setting::Only(primary.name.clone()));
        settings.extend(config.indicator_names().map(|name| Setting::Without(name.to_owned())));
    }
    for &min_llr in sweep.iter().flat_map(|sweep| &sweep.min_llr) {
        let of = |&max_correlators| Setting::Swept { min_llr, max_correlators };
        settings.extend(sweep.iter().flat_map(|sweep| &sweep.max_correlators).map(of));
    }
    settings
}

/// What remains of an indicator's correlators.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Kept {
    /// Per item.
    max_correlators: u32,
    /// Weaker ones go.
    min_llr: f64,
}

impl Kept {
    /// Nothing.
    const NONE: Self = Self { max_correlators: 0, min_llr: 0.0 };

    /// Per indicator of the configuration.
    pub fn by(setting: &Setting, config: &EngineConfig) -> Vec<Self> {
        let keeps = |name: &str| match setting {
            Setting::Engine | Setting::Swept { .. } => true,
            Setting::Popular | Setting::RecentlyPopular => false,
            Setting::Only(only) => name == only,
            Setting::Without(without) => name != without,
        };
        let kept = config.indicators.iter().map(|indicator| match *setting {
            Setting::Swept { min_llr, max_correlators } => Self { max_correlators, min_llr },
            _ if !keeps(&indicator.name) => Self::NONE,
            _ => Self {
                max_correlators: indicator.max_correlators,
                min_llr: indicator.min_llr.unwrap_or_default(),
            },
        });
        kept.collect()
    }

    /// The correlators that remain of those counted with wider thresholds.
    pub fn of(self, widest: &Correlators) -> Correlators {
        let mut kept = Correlators::new();
        for row in 0..widest.rows() {
            let strong = widest.row(row).take_while(|(_, llr)| *llr >= self.min_llr);
            kept.push_row(strong.take(self.max_correlators as usize));
        }
        kept
    }
}

/// The configuration whose count holds the correlators of all settings. Results are not dithered: what is measured is the
/// order that chance is applied to.
pub(super) fn widest(config: &EngineConfig, settings: &[Setting]) -> EngineConfig {
    let mut widest = config.clone();
    widest.dither = None;
    for setting in settings {
        for (indicator, kept) in widest.indicators.iter_mut().zip(Kept::by(setting, config)) {
            indicator.max_correlators = indicator.max_correlators.max(kept.max_correlators);
            let counts = kept != Kept::NONE;
            indicator.min_llr =
                indicator.min_llr.map(|least| if counts { least.min(kept.min_llr) } else { least });
        }
    }
    widest
}

#[cfg(test)]
mod tests {
    use cco::{CrossOccurrence, Interactions, Params};
    use proptest::prelude::*;

    use super::*;

    fn matrix(users: u32) -> impl Strategy<Value = Interactions> {
        prop::collection::vec((0..users, 0..15_u32), 1..200).prop_map(move |pairs| {
            let pairs: Vec<(u32, u32)> =
                pairs.into_iter().map(|(user, thing)| (user, thing * thing / 15)).collect();
            Interactions::from_pairs(users, 15, pairs.iter().copied()).unwrap()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn cutting_down_is_counting_again(
            (primary, other) in (1_u32..30).prop_flat_map(|users| (matrix(users), matrix(users))),
            wide in (5_u32..20, 0.0..2.0_f64),
            narrow in (0_u32..6, 2.0..9.0_f64),
        ) {
            let count = |other, (max_correlators, min_llr): (u32, f64)| {
                let params = Params { max_correlators, min_llr: Some(min_llr), positive_only: false };
                CrossOccurrence::new(&primary, other, params).unwrap().all(1, &|_, _| ())
            };
            for other in [None, Some(&other)] {
                let widest = count(other, wide);
                // also exactly at the strength of one of them
                let at = widest.llr.get(widest.len() / 2).copied().unwrap_or(narrow.1);
                for min_llr in [narrow.1, at.max(wide.1)] {
                    let kept = Kept { max_correlators: narrow.0, min_llr };
                    prop_assert_eq!(kept.of(&widest), count(other, (narrow.0, min_llr)));
                }
            }
        }
    }
}
