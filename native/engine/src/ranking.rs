//! Popularity orders: how often, and with which trend, things were chosen.

use events::EventRef;
use model::{Dictionary, DictionaryBuilder, DictionaryError};

use crate::Result;
use crate::config::{Ranking, RankingKind};
use crate::hash::Hash;
use crate::wire::{Reader, Writer};

/// Counts of one thing in the parts of a window, oldest first. Popular uses one part, trending two, hot three.
type Parts = [u32; 3];

/// Counts the events of one ranking while events stream by, in any order.
pub(crate) struct RankingCounter {
    ranking: Ranking,
    start_ms: i64,
    /// First instants of the second and third part.
    cuts_ms: [i64; 2],
    end_ms: i64,
    things: DictionaryBuilder,
    counts: Vec<Parts>,
}

impl RankingCounter {
    /// A window of `ranking.duration_ms` that ends at its `end_ms`, or else at `now_ms`.
    pub fn new(ranking: Ranking, now_ms: i64) -> Self {
        let end_ms = ranking.end_ms.unwrap_or(now_ms);
        let start_ms = end_ms.saturating_sub(ranking.duration_ms);
        let length = end_ms.saturating_sub(start_ms);
        let cuts_ms = match ranking.kind {
            RankingKind::Trending => [start_ms.saturating_add(length / 2), end_ms],
            RankingKind::Hot => {
                [start_ms.saturating_add(length / 3), start_ms.saturating_add(length / 3 * 2)]
            }
            RankingKind::Popular | RankingKind::Random | RankingKind::UserDefined => [end_ms, end_ms],
        };
        Self { ranking, start_ms, cuts_ms, end_ms, things: DictionaryBuilder::new(), counts: Vec::new() }
    }

    /// Counts the event if its name and time belong to the ranking. Repeats count each time.
    ///
    /// # Errors
    /// More distinct things than a dictionary holds.
    pub fn push(&mut self, event: &EventRef<'_>) -> std::result::Result<(), DictionaryError> {
        let at = event.event_time.millis;
        let Some((_, target)) = event.target else { return Ok(()) };
        if at < self.start_ms
            || at >= self.end_ms
            || !self.ranking.events.iter().any(|name| name == event.event)
        {
            return Ok(());
        }
        let part = usize::from(at >= self.cuts_ms[0]) + usize::from(at >= self.cuts_ms[1]);
        let counts = self.counts_of(target)?;
        counts[part] = counts[part].saturating_add(1);
        Ok(())
    }

    /// Appends what was counted.
    pub fn write_to(&self, writer: &mut Writer) {
        writer.number(self.counts.len() as u64);
        for (id, parts) in (0..).zip(&self.counts) {
            writer.text(self.things.get(id));
            parts.iter().for_each(|&count| writer.number(u64::from(count)));
        }
    }

    /// Adds what [`write_to`](Self::write_to) wrote of a counter of the same ranking.
    ///
    /// # Errors
    /// The bytes are damaged; more distinct things than a dictionary holds.
    pub fn read_from(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        for _ in 0..reader.count()? {
            let counts = self.counts_of(reader.text()?)?;
            for count in counts {
                *count = count.saturating_add(reader.small()?);
            }
        }
        Ok(())
    }

    fn counts_of(&mut self, thing: &str) -> std::result::Result<&mut Parts, DictionaryError> {
        let thing = self.things.intern(thing)? as usize;
        if thing == self.counts.len() {
            self.counts.push([0; 3]);
        }
        Ok(&mut self.counts[thing])
    }

    /// Things of the window with their counts, by thing id.
    pub fn finish(self) -> (Dictionary, Vec<Parts>) {
        let (things, sorted) = self.things.finish();
        let mut counts = vec![[0; 3]; self.counts.len()];
        for (provisional, parts) in self.counts.into_iter().enumerate() {
            counts[sorted[provisional] as usize] = parts;
        }
        (things, counts)
    }
}

/// The value of a counted ranking, or `None` if a thing with these counts has no rank.
/// Formulas: popular n; trending n₂ − n₁; hot (n₃ − n₂) − (n₂ − n₁), the parts oldest first.
pub(crate) fn value(ranking: &Ranking, parts: Parts) -> Option<f32> {
    let [first, second, third] = parts.map(f64::from);
    let everywhere = |parts: &[f64]| ranking.missing_as_zero || parts.iter().all(|&count| count > 0.0);
    let value = match ranking.kind {
        RankingKind::Popular => Some(first),
        RankingKind::Trending => everywhere(&[first, second]).then_some(second - first),
        RankingKind::Hot => {
            everywhere(&[first, second, third]).then_some((third - second) - (second - first))
        }
        RankingKind::Random | RankingKind::UserDefined => None,
    };
    value.map(to_f32)
}

/// Uniform in [0, 1), a function of seed, ranking and item only.
pub(crate) fn random(seed: u64, ranking: &str, item: &str) -> f32 {
    let bits = Hash::new(seed).with(ranking.as_bytes()).with(&[0]).with(item.as_bytes()).bits();
    // 24 bits: every value is an exact f32 below 1.
    to_f32(f64::from(u32::try_from(bits >> 40).unwrap_or(0)) / f64::from(1 << 24))
}

/// Ranks are stored as 32-bit floats, as in the indexes that we succeed.
#[expect(clippy::cast_possible_truncation, reason = "the stored form of a rank is f32")]
pub(crate) fn to_f32(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use events::EventTime;

    use super::*;

    fn ranking(kind: RankingKind) -> Ranking {
        Ranking {
            name: "rank".into(),
            kind,
            events: vec!["buy".into()],
            duration_ms: 90,
            end_ms: None,
            missing_as_zero: false,
        }
    }

    fn counted(kind: RankingKind, times: &[(&str, i64)]) -> Vec<(String, Option<f32>)> {
        let ranking = ranking(kind);
        let mut counter = RankingCounter::new(ranking.clone(), 100);
        for &(item, millis) in times {
            let time = EventTime { millis, offset_seconds: 0 };
            let event = EventRef {
                event_id: "",
                event: "buy",
                entity_type: "user",
                entity_id: "u",
                target: Some(("item", item)),
                properties: "{}",
                event_time: time,
                pr_id: None,
                tags: "",
                creation_time: time,
            };
            counter.push(&event).unwrap();
        }
        let (things, counts) = counter.finish();
        (0u32..).zip(counts).map(|(id, parts)| (things.get(id).to_owned(), value(&ranking, parts))).collect()
    }

    #[test]
    fn the_window_is_closed_at_its_start_and_open_at_its_end() {
        let times = [("b", 9), ("b", 10), ("b", 99), ("b", 100), ("a", 50)];
        assert_eq!(counted(RankingKind::Popular, &times), [("a".into(), Some(1.0)), ("b".into(), Some(2.0))]);
    }

    #[test]
    fn trending_and_hot_compare_the_parts_of_the_window() {
        let times = [("a", 10), ("a", 55), ("a", 60), ("b", 10)];
        assert_eq!(counted(RankingKind::Trending, &times), [("a".into(), Some(1.0)), ("b".into(), None)]);
        let times = [("a", 10), ("a", 40), ("a", 70), ("a", 99), ("a", 71)];
        assert_eq!(counted(RankingKind::Hot, &times), [("a".into(), Some(2.0))]);
    }

    #[test]
    fn absent_counts_as_zero_on_demand() {
        let ranking = Ranking { missing_as_zero: true, ..ranking(RankingKind::Trending) };
        assert_eq!(value(&ranking, [2, 0, 0]), Some(-2.0));
    }

    #[test]
    fn random_ranks_depend_on_seed_ranking_and_item_only() {
        let ranks: Vec<f32> = (0..1000).map(|n| random(7, "uniqueRank", &format!("i{n}"))).collect();
        assert!(ranks.iter().all(|rank| (0.0..1.0).contains(rank)));
        let mean = ranks.iter().sum::<f32>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "mean {mean}");
        assert!(random(7, "uniqueRank", "i1") == ranks[1] && random(8, "uniqueRank", "i1") != ranks[1]);
        assert!(random(7, "other", "i1") != ranks[1]);
    }
}
