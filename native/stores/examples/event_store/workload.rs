//! Events of a shop: users of uneven activity, popular items, views and purchases, a few properties.

use events::{Entity, Event, EventTime};

const USERS: u64 = 138_000;
const ITEMS: u64 = 27_000;

/// A deterministic stream of events.
pub(crate) struct Workload {
    state: u64,
    millis: i64,
    ids: u64,
}

impl Workload {
    pub(crate) fn new() -> Self {
        Self { state: 1, millis: 1_700_000_000_000, ids: 0 }
    }

    /// SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The product of two uniform numbers: small ones are frequent.
    fn skewed(&mut self, limit: u64) -> u64 {
        (self.next() % limit) * (self.next() % limit) / limit
    }

    /// Any user; whoever does more asks more.
    pub(crate) fn user(&mut self) -> String {
        format!("u-{:06}", self.skewed(USERS))
    }

    /// A user with so many events that a history is cut at its limit.
    pub(crate) fn busy_user(&mut self) -> String {
        format!("u-{:06}", self.next() % 500)
    }

    fn event(&mut self) -> Event {
        let entity = |kind: &str, id| Entity { kind: kind.into(), id };
        self.millis += i64::try_from(self.next() % 2000).unwrap();
        let mut event = Event {
            event_id: None,
            event: if self.next().is_multiple_of(5) { "purchase" } else { "view" }.into(),
            entity: entity("user", format!("u-{:06}", self.skewed(USERS))),
            target: Some(entity("item", format!("i-{:05}", self.skewed(ITEMS)))),
            properties: Default::default(),
            event_time: EventTime { millis: self.millis, offset_seconds: 0 },
            pr_id: None,
            tags: vec![],
            creation_time: EventTime { millis: 1_800_000_000_000, offset_seconds: 0 },
        };
        if self.next().is_multiple_of(20) {
            event.properties.insert("price", 12);
            event.properties.insert("device", "phone");
        }
        event
    }

    pub(crate) fn batch(&mut self, size: usize) -> Vec<Event> {
        (0..size).map(|_| self.event()).collect()
    }

    /// With ids as another store would have given them.
    pub(crate) fn with_ids(&mut self, size: usize) -> Vec<Event> {
        let mut batch = self.batch(size);
        for event in &mut batch {
            self.ids += 1;
            event.event_id = Some(format!("{:016x}{:016x}", self.next(), self.ids));
        }
        batch
    }
}
