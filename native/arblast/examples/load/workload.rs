//! What is sent: events and queries of a shop, the same for the same seed.

use std::fmt::Write as _;
use std::path::Path;

/// 2026-01-01T00:00Z; events lie within the 90 days before.
const END_MS: u64 = 1_767_225_600_000;
const DAYS_90_MS: u64 = 90 * 86_400_000;

/// Deterministic requests of one connection.
pub struct Workload {
    state: u64,
    users: u64,
    items: u64,
}

impl Workload {
    /// `stream` tells connections of the same seed apart.
    pub fn new(seed: u64, stream: u64, users: u64, items: u64) -> Self {
        let state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03);
        Self { state, users: users.max(1), items: items.max(1) }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit.max(1)
    }

    /// Appends the JSON of one event: nine looks for each purchase, of popular items more often than of others.
    pub fn event(&mut self, id: Option<&str>, out: &mut String) {
        let name = if self.below(10) == 0 { "purchase" } else { "view" };
        let user = self.below(self.users);
        let bound = 1 + self.below(self.items);
        let item = self.below(bound);
        let ago = self.below(DAYS_90_MS);
        out.push('{');
        if let Some(id) = id {
            let _ = write!(out, "\"eventId\":\"{id}\",");
        }
        let _ = write!(
            out,
            "\"event\":\"{name}\",\"entityType\":\"user\",\"entityId\":\"u{user}\",\"targetEntityType\":\"item\",\
             \"targetEntityId\":\"i{item}\",\"eventTime\":\"{}\"}}",
            events::EventTime::utc((END_MS - ago).cast_signed())
        );
    }

    /// An id that no other event of this run has.
    pub fn id(&mut self) -> String {
        format!("{:016x}{:016x}", self.number(), self.number())
    }
}

/// The ids of a file, one per line.
pub fn ids(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use events::{Event, EventTime};

    use super::*;

    #[test]
    fn events_are_valid_and_repeat_with_the_seed() {
        let made = |seed, stream| {
            let mut workload = Workload::new(seed, stream, 50, 20);
            let mut text = String::new();
            (0..20)
                .map(|_| {
                    text.clear();
                    workload.event(Some("x"), &mut text);
                    Event::parse(text.as_bytes(), EventTime::utc(0)).unwrap();
                    text.clone()
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(made(1, 2), made(1, 2));
        assert_ne!(made(1, 2), made(1, 3));
        assert_ne!(made(1, 2), made(2, 2));
    }
}
