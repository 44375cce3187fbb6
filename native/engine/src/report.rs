//! What a train saw and made, for people and as JSON for records and programs.

use events::Json;
use events::json::Object;

use crate::{Error, Result};

/// What training saw and made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrainReport {
    /// Events read, of any kind.
    pub events: u64,
    /// Users that count: with enough primary events.
    pub users: u32,
    /// In the order of the configuration.
    pub indicators: Vec<IndicatorReport>,
    /// Items of the model, whether correlated, described or ranked.
    pub items: u32,
    /// (name, items that have a rank), in sort order.
    pub rankings: Vec<(String, u64)>,
    /// Memory that counting needs at its peak, bytes: an estimate.
    pub memory_bytes: u64,
    /// What a person should look at.
    pub warnings: Vec<String>,
}

/// One indicator in a [`TrainReport`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndicatorReport {
    /// Event name.
    pub name: String,
    /// Events in the window.
    pub events: u64,
    /// Distinct (user, thing) pairs of users that count.
    pub cells: u64,
    /// Of those, kept after down-sampling.
    pub sampled: u64,
    /// Users that count and have such an event.
    pub users: u64,
    /// Distinct things.
    pub things: u64,
    /// Correlators found, over all items; 0 before counting.
    pub correlators: usize,
}

impl TrainReport {
    /// Refuses a model that is empty or has fewer than `ratio` times the correlators that the `current` one has: more likely
    /// lost events or a misspelt name than the truth.
    ///
    /// # Errors
    /// [`Error::Shrunk`], with both numbers.
    pub fn check_size(&self, current: Option<u64>, ratio: f64) -> Result<()> {
        let correlators: usize = self.indicators.iter().map(|indicator| indicator.correlators).sum();
        let before = current.unwrap_or(0);
        let refuse = |reason| Err(Error::Shrunk(format!("{reason}; not published (--force publishes it)")));
        #[expect(clippy::cast_precision_loss, reason = "a ratio of counts needs no 53 bits")]
        let share = correlators as f64 / before.max(1) as f64;
        if correlators == 0 {
            return refuse(format!(
                "the model has no correlators: none of {} users links two things more than chance does",
                self.users
            ));
        }
        if share < ratio && before > 0 {
            return refuse(format!(
                "the model has {correlators} correlators, the one in use {before}: less than the share of {ratio} \
                 that minModelRatio asks for"
            ));
        }
        Ok(())
    }

    /// All of it.
    pub fn to_json(&self) -> Object {
        let rankings: Object =
            self.rankings.iter().map(|(name, items)| (name.clone(), Json::from(*items))).collect();
        Object::new()
            .with("events", self.events)
            .with("users", self.users)
            .with("items", self.items)
            .with("indicators", Json::Array(self.indicators.iter().map(IndicatorReport::to_json).collect()))
            .with("rankings", rankings)
            .with("memoryBytes", self.memory_bytes)
            .with("warnings", self.warnings.clone())
    }

    /// What [`to_json`](Self::to_json) wrote, also of another process; `None` if it is no such thing.
    pub fn from_json(json: &Json) -> Option<Self> {
        let count = |name: &str| number(json, name);
        let rankings = json.get("rankings")?.as_object()?.iter();
        let warnings = json.get("warnings")?.as_array()?.iter();
        Some(Self {
            events: count("events")?,
            users: u32::try_from(count("users")?).ok()?,
            items: u32::try_from(count("items")?).ok()?,
            indicators: json
                .get("indicators")?
                .as_array()?
                .iter()
                .map(IndicatorReport::from_json)
                .collect::<Option<_>>()?,
            rankings: rankings
                .map(|(name, items)| Some((name.to_owned(), u64::try_from(items.as_i64()?).ok()?)))
                .collect::<Option<_>>()?,
            memory_bytes: count("memoryBytes")?,
            warnings: warnings.map(|warning| warning.as_str().map(str::to_owned)).collect::<Option<_>>()?,
        })
    }
}

impl IndicatorReport {
    fn to_json(&self) -> Json {
        Object::new()
            .with("name", self.name.as_str())
            .with("events", self.events)
            .with("users", self.users)
            .with("things", self.things)
            .with("cells", self.cells)
            .with("sampled", self.sampled)
            .with("correlators", self.correlators)
            .into()
    }

    fn from_json(json: &Json) -> Option<Self> {
        let count = |name: &str| number(json, name);
        Some(Self {
            name: json.get("name")?.as_str()?.to_owned(),
            events: count("events")?,
            cells: count("cells")?,
            sampled: count("sampled")?,
            users: count("users")?,
            things: count("things")?,
            correlators: usize::try_from(count("correlators")?).ok()?,
        })
    }
}

fn number(json: &Json, name: &str) -> Option<u64> {
    u64::try_from(json.get(name)?.as_i64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_json() {
        let indicator = IndicatorReport { name: "buy\"".into(), events: 7, cells: 6, ..Default::default() };
        let report = TrainReport {
            events: 9,
            users: 3,
            indicators: vec![indicator, IndicatorReport { correlators: 4, ..Default::default() }],
            items: 2,
            rankings: vec![("popRank".into(), 2)],
            memory_bytes: 1 << 40,
            warnings: vec!["look".into()],
        };
        assert_eq!(TrainReport::from_json(&report.to_json().into()), Some(report));
        assert_eq!(TrainReport::from_json(&Json::Null), None);
    }
}
